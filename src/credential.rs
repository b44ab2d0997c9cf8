//! The credentials that the gateway sends to the upstream. Each lives as long as the process.
//!
//! A credential's secret is read from a store ([`secret`](crate::secret)) in one version after another. `lifecycle` is the
//! state machine of a credential, and `versions` decides which version is sent first. The `refresher` reads the stores and
//! probes the upstream about versions in question.

mod credentials;
mod definition;
mod lifecycle;
mod log;
mod redactions;
mod refresh_requests;
mod refresher;
mod replacement;
mod status;
#[cfg(test)]
mod tests;
mod transition;
mod versions;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use hyper::header::HeaderName;
use tokio::sync::{Notify, watch};

use crate::counter::Counter;
use crate::files::Changes;
use crate::secret::{Environment, Error, Pace, Salt, Secret, SecretRef, Store, StoreContent};

use lifecycle::{Event, Inventory, Lifecycle, SideEffect};
use refresh_requests::RefreshRequests;
use versions::Versions;

pub use credentials::{CredentialMap, Credentials};
pub use definition::Definition;
pub use redactions::Redactions;
pub use refresher::Refresher;
pub use status::{CredentialProblem, CredentialStatus, StatusReport, VersionReport};
pub use versions::{ProbeResult, SecretVersion};

/// One credential. Requests read it without a lock.
#[derive(Debug)]
pub struct Credential {
    /// Its name in the configuration.
    pub name: Arc<str>,
    definition: Definition,
    salt: Arc<Salt>,
    /// How often the store is read, if its content can change.
    pace: Option<Pace>,
    store: tokio::sync::Mutex<Store>,
    /// The changes of the store, if it reports them.
    changes: Option<Changes>,
    lifecycle: ArcSwap<Lifecycle>,
    /// Locked during a transition, so that transitions happen one after the other.
    transition: Mutex<()>,
    /// Notified after every reading of the store and every change.
    changed: watch::Sender<()>,
    refresh_requests: RefreshRequests,
    /// Notified if the time of the next probe may have changed.
    probe_schedule: Notify,
    /// Counts the requests that failed because the upstream refused every version that was sent.
    pub refusals: Arc<Counter>,
    /// Counts the answers in which the secret was redacted.
    pub redactions: Arc<Redactions>,
}

/// The reason why no version of a credential may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// No version was ever read.
    #[error(
        "this gateway has no API key for this tenant yet. Retry later; if it persists, contact the operator of this gateway"
    )]
    Missing,
    /// The store has held no version for longer than `max_stale`.
    #[error(
        "this gateway could not read its API key for this tenant for too long. Retry later; if it persists, contact the \
         operator of this gateway"
    )]
    Expired,
}

impl Credential {
    /// Creates a credential whose store was not read yet. It keeps the state of `before`: the same credential under its earlier
    /// definition.
    #[must_use]
    pub fn new(
        name: &str,
        definition: Definition,
        environment: &Environment,
        salt: &Arc<Salt>,
        before: Option<&Credential>,
    ) -> Credential {
        let store = Store::new(&definition.secret, environment);
        let lifecycle = before.map(|before| before.lifecycle.load_full());
        Credential {
            name: name.into(),
            definition,
            salt: Arc::clone(salt),
            pace: store.pace(),
            // Begins before the store is first read, so that no change in between is missed.
            changes: store.changes(),
            store: tokio::sync::Mutex::new(store),
            lifecycle: ArcSwap::new(lifecycle.unwrap_or_else(|| Arc::new(Lifecycle::Missing { error: None }))),
            transition: Mutex::default(),
            changed: watch::Sender::default(),
            refresh_requests: RefreshRequests::default(),
            probe_schedule: Notify::new(),
            refusals: before.map(|before| Arc::clone(&before.refusals)).unwrap_or_default(),
            redactions: before.map(|before| Arc::clone(&before.redactions)).unwrap_or_default(),
        }
    }

    /// Creates a credential that has no store and never changes.
    #[must_use]
    pub fn fixed(name: &str, secret: Secret, header: HeaderName) -> Credential {
        let nowhere = SecretRef::Env(String::new());
        let definition = Definition { secret: nowhere, max_stale: None, header, verify: false };
        let credential = Credential::new(name, definition, &Environment::process(), &Arc::default(), None);
        let now = Instant::now();
        let versions = Versions::new(SecretVersion::new(secret, &credential.salt, now), None);
        let fresh = Lifecycle::Fresh(Inventory { versions, seen: now, previous_error: None });
        credential.lifecycle.store(Arc::new(fresh));
        credential
    }

    /// Returns its definition.
    #[must_use]
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// Returns whether the upstream has accepted a version of this credential, at any time.
    #[must_use]
    pub fn has_been_accepted(&self) -> bool {
        self.lifecycle.load().versions().is_some_and(Versions::has_been_accepted)
    }

    /// Returns the status at `now`.
    #[must_use]
    pub fn status(&self, now: Instant) -> StatusReport {
        self.lifecycle.load().report(now)
    }

    /// Checks that there is a version that may be sent.
    ///
    /// # Errors
    ///
    /// [`CredentialError`].
    pub fn check_usable(&self) -> Result<(), CredentialError> {
        self.lifecycle.load().version_to_send().map(drop)
    }

    /// Returns the version that is sent first.
    ///
    /// # Errors
    ///
    /// [`CredentialError`].
    pub fn version_to_send(&self) -> Result<Arc<SecretVersion>, CredentialError> {
        self.lifecycle.load().version_to_send().map(Arc::clone)
    }

    /// Reads its store.
    ///
    /// # Errors
    ///
    /// If the store holds no secret at present.
    pub async fn fetch(&self) -> Result<StoreContent, Error> {
        self.store.lock().await.fetch().await
    }

    /// Applies a reading of the store.
    pub fn update(&self, content: Result<StoreContent, Error>, now: Instant) {
        let version = |secret| SecretVersion::new(secret, &self.salt, now);
        let event = match content {
            Ok(StoreContent { current, previous }) => {
                Event::Read { current: version(current), previous: previous.map(|previous| previous.map(version)) }
            }
            Err(error) => Event::NotRead(error),
        };
        self.apply(event, now);
    }

    /// Records that the upstream accepted a start with this version, perhaps after it refused the start with another.
    pub fn note_accepted(&self, version: &Arc<SecretVersion>, refused: Option<&Arc<SecretVersion>>) {
        let learns = |versions: &Versions| versions.learns_from(version, refused);
        if self.lifecycle.load().versions().is_some_and(learns) {
            self.apply(Event::Accepted { version: Arc::clone(version), refused: refused.cloned() }, Instant::now());
        }
    }

    /// Records that a request failed because the upstream refused its version, perhaps the replacement of another.
    pub fn note_refused(&self, is_replacement: bool) {
        self.refusals.add();
        if is_replacement {
            self.apply(Event::Refused, Instant::now());
        }
    }

    /// Applies an event and carries out its effects. Returns the new state.
    fn apply(&self, event: Event, now: Instant) -> Arc<Lifecycle> {
        let _transition = self.transition.lock().unwrap_or_else(PoisonError::into_inner);
        let before = Arc::unwrap_or_clone(self.lifecycle.load_full());
        let (after, effects) = before.apply(event, now, &self.definition);
        let after = Arc::new(after);
        self.lifecycle.store(Arc::clone(&after));
        for effect in effects {
            match effect {
                SideEffect::Log(transition) => log::log_transition(&self.name, transition, &after.report(now)),
                SideEffect::WakeRequests => {
                    self.changed.send_replace(());
                }
                SideEffect::RescheduleProbe => self.probe_schedule.notify_one(),
            }
        }
        after
    }
}
