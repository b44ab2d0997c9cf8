//! A credential's key over the life of the process, whichever key it is at a time.
//!
//! Requests take the first key of the `versions`; the `refresher` asks the store for it and, where a key is in question, the
//! upstream. What stands here is the same for every kind of store (`secret::store`).

mod credentials;
mod log;
mod refresh_requests;
mod refresher;
mod status;
#[cfg(test)]
mod tests;
mod verification;
mod versions;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use hyper::Request;
use hyper::header::HeaderName;
use tokio::sync::{Notify, watch};

use crate::files::Changes;
use crate::secret::{Environment, Error, Fingerprint, Pace, Salt, Secret, SecretRef, Store};
use crate::state::{Counter, Echoes};

use refresh_requests::RefreshRequests;
use verification::Judgement;
use versions::Versions;

pub use credentials::{CredentialMap, Credentials};
pub use refresher::{ProbeResult, Refresher};
pub use status::{CredentialStatus, CurrentVersion, StatusReport};

/// What makes a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Where its key is kept.
    pub place: SecretRef,
    /// For how long a key is used that its store does not hold any more; without, for ever.
    pub max_stale: Option<Duration>,
    /// The header that carries it.
    pub header: HeaderName,
    /// Whether the upstream is asked about a key that it has never accepted.
    pub verify: bool,
}

/// A key that is held, and perhaps sent.
#[derive(Debug)]
pub struct SecretVersion {
    /// What is sent.
    pub secret: Secret,
    /// What it is called.
    pub fingerprint: Fingerprint,
    /// Since when it is there.
    since: Instant,
}

/// One credential. Requests read it without a lock.
#[derive(Debug)]
pub struct Credential {
    /// Its name in the configuration.
    pub name: Arc<str>,
    definition: Definition,
    salt: Arc<Salt>,
    /// How often the store is asked.
    pace: Option<Pace>,
    store: tokio::sync::Mutex<Store>,
    /// Tells when the store holds something else, if it can.
    changes: Option<Changes>,
    versions: ArcSwapOption<Versions>,
    /// Whether `max_stale` is over.
    expired: AtomicBool,
    /// Whether the upstream refused a key and has accepted none since.
    doubted: AtomicBool,
    /// Whether the upstream has accepted a key of this credential.
    verified: AtomicBool,
    /// Held while something changes.
    known: Mutex<Known>,
    /// Told of every look and every change.
    changed: watch::Sender<()>,
    refresh_requests: RefreshRequests,
    /// Told when the upstream is to be asked about a key.
    questions: Notify,
    /// Requests that failed because the upstream refused every key that was held.
    pub refusals: Arc<Counter>,
    /// The answers that it was looked for in.
    pub echoes: Arc<Echoes>,
}

/// What is known beside the keys.
#[derive(Debug, Clone, Default)]
struct Known {
    /// Why the last look brought no key.
    trouble: Option<Error>,
    /// Why it did not bring the one before.
    trouble_before: Option<Error>,
    /// When a look last brought one.
    seen: Option<Instant>,
    /// When the upstream first refused every key that was held, and has accepted none since.
    doubted: Option<Instant>,
    /// Whether it refused a read call of the gateway's own, too.
    rejected: bool,
    /// When a read call began that it accepted.
    confirmed: Option<Instant>,
    /// Why a read call did not tell, where that is needed.
    unclear: Option<String>,
}

/// There is no key that may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// None was ever read.
    #[error("this gateway has no key for this tenant yet; its operator has to see to that. Try again later")]
    Missing,
    /// The last one is too old.
    #[error(
        "this gateway could not read its key for this tenant for too long; its operator has to see to that. Try again later"
    )]
    Expired,
}

impl SecretVersion {
    fn new(secret: Secret, salt: &Salt) -> Arc<SecretVersion> {
        let fingerprint = secret.fingerprint(salt);
        Arc::new(SecretVersion { secret, fingerprint, since: Instant::now() })
    }

    fn is(&self, other: &SecretVersion) -> bool {
        self.secret.is(&other.secret)
    }

    /// Sets the key on a request, in place of any other value: the one line that injects it.
    pub fn inject<B>(&self, header: &HeaderName, request: &mut Request<B>) {
        request.headers_mut().insert(header.clone(), self.secret.header_value());
    }
}

impl Credential {
    /// A credential of which nothing was read yet. What it held under another definition `before` is kept until something is.
    #[must_use]
    pub fn new(
        name: &str,
        definition: Definition,
        environment: &Environment,
        salt: &Arc<Salt>,
        before: Option<&Credential>,
    ) -> Credential {
        let store = Store::at(&definition.place, environment);
        let known = before.map(|before| before.lock().clone()).unwrap_or_default();
        Credential {
            name: name.into(),
            definition,
            salt: Arc::clone(salt),
            pace: store.pace(),
            // Begun before the store is first asked, so that no change in between is missed.
            changes: store.changes(),
            store: tokio::sync::Mutex::new(store),
            versions: ArcSwapOption::new(before.and_then(|before| before.versions.load_full())),
            expired: AtomicBool::new(before.is_some_and(|before| before.expired.load(Ordering::Acquire))),
            doubted: AtomicBool::new(known.doubted.is_some()),
            verified: AtomicBool::new(before.is_some_and(Credential::is_verified)),
            known: Mutex::new(known),
            changed: watch::Sender::default(),
            refresh_requests: RefreshRequests::default(),
            questions: Notify::new(),
            refusals: before.map(|before| Arc::clone(&before.refusals)).unwrap_or_default(),
            echoes: before.map(|before| Arc::clone(&before.echoes)).unwrap_or_default(),
        }
    }

    /// A credential whose key comes from nowhere and stays what it is.
    #[must_use]
    pub fn fixed(name: &str, secret: Secret, header: HeaderName) -> Credential {
        let place = SecretRef::Env(String::new());
        let definition = Definition { place, max_stale: None, header, verify: false };
        let key = Credential::new(name, definition, &Environment::process(), &Arc::default(), None);
        key.versions.store(Some(Arc::new(Versions::new(SecretVersion::new(secret, &key.salt), None))));
        key
    }

    /// What makes it.
    #[must_use]
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// Whether the upstream has accepted a key of this credential, at any time.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.verified.load(Ordering::Acquire)
    }

    /// Whether there is a key that may be sent.
    ///
    /// # Errors
    ///
    /// [`CredentialError`].
    pub fn check_usable(&self) -> Result<(), CredentialError> {
        self.version_to_send().map(drop)
    }

    /// The key that goes first.
    ///
    /// # Errors
    ///
    /// [`CredentialError`].
    pub fn version_to_send(&self) -> Result<Arc<SecretVersion>, CredentialError> {
        if self.expired.load(Ordering::Acquire) {
            return Err(CredentialError::Expired);
        }
        self.versions.load().as_ref().map(|versions| Arc::clone(versions.first())).ok_or(CredentialError::Missing)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
