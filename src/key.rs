//! A credential's key over the life of the process, whichever key it is at a time.
//!
//! Requests take the first key of the `ring`; the `keeper` asks the store for it and, where a key is in question, the
//! upstream. What stands here is the same for every kind of store (`secret::store`).

mod condition;
mod keeper;
mod keyring;
mod looks;
mod ring;
mod say;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use hyper::Request;
use hyper::header::HeaderName;
use tokio::sync::{Notify, watch};
use tokio::time::timeout_at;

use crate::secret::{Environment, Error, Fingerprint, Pace, Salt, Secret, SecretRef, Store};
use crate::state::{Counter, Echoes};

use looks::Looks;
use ring::{Ring, Trial};
use say::Event;

pub use condition::{Condition, Shown, ShownKey};
pub use keeper::{Keeper, Verdict};
pub use keyring::{Keyring, Keys};

/// How long requests wait for another key, from the first refusal on: who replaces a key here and at the upstream does not do
/// both in the same moment.
const GRACE: Duration = Duration::from_secs(5);

/// How long a look may take for a request to wait for it; a mounted file system may hang.
const PATIENCE: Duration = Duration::from_secs(2);

/// What makes a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Where its key is kept.
    pub place: SecretRef,
    /// For how long a key is used that its store does not hold any more; without, for ever.
    pub max_stale: Option<Duration>,
    /// The header that carries it.
    pub header: HeaderName,
}

/// A key that is held, and perhaps sent.
#[derive(Debug)]
pub struct Held {
    /// What is sent.
    pub secret: Secret,
    /// What it is called.
    pub fingerprint: Fingerprint,
    /// Since when it is there.
    since: Instant,
}

/// One credential. Requests read it without a lock.
#[derive(Debug)]
pub struct Key {
    /// Its name in the configuration.
    pub name: Arc<str>,
    definition: Definition,
    salt: Arc<Salt>,
    /// How often the store is asked.
    pace: Option<Pace>,
    store: tokio::sync::Mutex<Store>,
    ring: ArcSwapOption<Ring>,
    /// Whether `max_stale` is over.
    expired: AtomicBool,
    /// Whether the upstream refused a key and has accepted none since.
    doubted: AtomicBool,
    /// Held while something changes.
    known: Mutex<Known>,
    /// Told of every look and every change.
    changed: watch::Sender<()>,
    looks: Looks,
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
}

/// There is no key that may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// None was ever read.
    #[error("this gateway has no key for this tenant yet; its operator has to see to that. Try again later")]
    Missing,
    /// The last one is too old.
    #[error(
        "this gateway could not read its key for this tenant for too long; its operator has to see to that. Try again later"
    )]
    Expired,
}

impl Held {
    fn new(secret: Secret, salt: &Salt) -> Arc<Held> {
        let fingerprint = secret.fingerprint(salt);
        Arc::new(Held { secret, fingerprint, since: Instant::now() })
    }

    fn is(&self, other: &Held) -> bool {
        self.secret.is(&other.secret)
    }

    /// Sets the key on a request, in place of any other value: the one line that injects it.
    pub fn inject<B>(&self, header: &HeaderName, request: &mut Request<B>) {
        request.headers_mut().insert(header.clone(), self.secret.header_value());
    }
}

impl Key {
    /// A credential of which nothing was read yet. What it held under another definition `before` is kept until something is.
    #[must_use]
    pub fn new(
        name: &str,
        definition: Definition,
        environment: &Environment,
        salt: &Arc<Salt>,
        before: Option<&Key>,
    ) -> Key {
        let store = Store::at(&definition.place, environment);
        let known = before.map(|before| before.lock().clone()).unwrap_or_default();
        Key {
            name: name.into(),
            definition,
            salt: Arc::clone(salt),
            pace: store.pace(),
            store: tokio::sync::Mutex::new(store),
            ring: ArcSwapOption::new(before.and_then(|before| before.ring.load_full())),
            expired: AtomicBool::new(before.is_some_and(|before| before.expired.load(Ordering::Acquire))),
            doubted: AtomicBool::new(known.doubted.is_some()),
            known: Mutex::new(known),
            changed: watch::Sender::default(),
            looks: Looks::default(),
            questions: Notify::new(),
            refusals: before.map(|before| Arc::clone(&before.refusals)).unwrap_or_default(),
            echoes: before.map(|before| Arc::clone(&before.echoes)).unwrap_or_default(),
        }
    }

    /// A credential whose key comes from nowhere and stays what it is.
    #[must_use]
    pub fn fixed(name: &str, secret: Secret, header: HeaderName) -> Key {
        let definition = Definition { place: SecretRef::Env(String::new()), max_stale: None, header };
        let key = Key::new(name, definition, &Environment::process(), &Arc::default(), None);
        key.ring.store(Some(Arc::new(Ring::new(Held::new(secret, &key.salt), None))));
        key
    }

    /// What makes it.
    #[must_use]
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// Whether none was ever read.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.ring.load().is_none()
    }

    /// Whether there is a key that may be sent.
    ///
    /// # Errors
    ///
    /// [`Unusable`].
    pub fn check(&self) -> Result<(), Unusable> {
        if self.expired.load(Ordering::Acquire) {
            return Err(Unusable::Expired);
        }
        if self.is_missing() { Err(Unusable::Missing) } else { Ok(()) }
    }

    /// The key that goes first.
    ///
    /// # Errors
    ///
    /// [`Unusable`].
    pub fn first(&self) -> Result<Arc<Held>, Unusable> {
        self.check()?;
        self.ring.load().as_ref().map(|ring| Arc::clone(ring.first())).ok_or(Unusable::Missing)
    }

    /// Another key than one that the upstream refused. Where none is held, the store is looked at at once, and for five
    /// seconds after the first refusal the request waits for a key to come, unless the upstream turns out to accept the one
    /// that there is.
    pub async fn other_than(&self, refused: &Arc<Held>) -> Option<Arc<Held>> {
        let refused_at = Instant::now();
        let mut changed = self.changed.subscribe();
        if let Some(other) = self.held_other_than(refused) {
            return Some(other);
        }
        let grace = self.doubt(refused_at) + GRACE;
        // What never changes is not waited for.
        self.pace?;
        let look = self.looks.ask(refused_at);
        let over = || look.is_none_or(|number| self.looks.is_over(number)) && Instant::now() >= grace;
        let another = async {
            loop {
                if let Some(other) = self.held_other_than(refused) {
                    return Some(other);
                }
                if over() || self.lock().confirmed.is_some_and(|begun| begun >= refused_at) {
                    return None;
                }
                changed.changed().await.ok()?;
            }
        };
        let end = if look.is_some() { grace.max(refused_at + PATIENCE) } else { grace };
        timeout_at(end.into(), another).await.unwrap_or(None)
    }

    fn held_other_than(&self, refused: &Arc<Held>) -> Option<Arc<Held>> {
        self.ring.load().as_ref().and_then(|ring| ring.other_than(refused).cloned())
    }

    /// The upstream accepted a start with this key, perhaps `instead` of another that it refused a moment before.
    pub fn accepted(&self, held: &Arc<Held>, instead: bool) {
        let ring = self.ring.load();
        let Some(ring) = ring.as_ref() else { return };
        let is_newest = Arc::ptr_eq(ring.newest(), held);
        let settled = ring.trial() == Trial::Accepted || !(is_newest || instead);
        if settled && !self.doubted.load(Ordering::Acquire) {
            return;
        }
        let trial = if is_newest { Some(Trial::Accepted) } else { instead.then_some(Trial::Refused) };
        self.judged(ring, trial, true);
    }

    /// A request failed because the upstream refused its key, perhaps the second one, sent `instead` of the first.
    pub fn refused(&self, instead: bool) {
        self.refusals.add();
        if instead {
            self.doubt(Instant::now());
        }
    }

    /// Since when it refuses them.
    fn doubt(&self, now: Instant) -> Instant {
        let since = *self.lock().doubted.get_or_insert(now);
        self.doubted.store(true, Ordering::Release);
        self.questions.notify_one();
        since
    }

    /// What came out about the newest key of a ring, if that is still the one; and whether a key of it was accepted.
    fn judged(&self, ring: &Ring, trial: Option<Trial>, accepted: bool) {
        let mut known = self.lock();
        let present = self.ring.load();
        let Some(present) = present.as_ref().filter(|present| Arc::ptr_eq(present.newest(), ring.newest())) else {
            return;
        };
        if accepted {
            known.doubted = None;
            self.doubted.store(false, Ordering::Release);
            if std::mem::take(&mut known.rejected) {
                say::line(self, Event::AcceptedAgain, &known);
            }
        }
        if let Some(trial) = trial.filter(|trial| *trial != present.trial()) {
            self.ring.store(Some(Arc::new(present.tried(trial))));
            match trial {
                Trial::Accepted if present.before().is_some() => say::line(self, Event::NewestAccepted, &known),
                Trial::Refused if present.before().is_some() => say::line(self, Event::NewestRefused, &known),
                _ => {}
            }
        }
        drop(known);
        self.changed.send_replace(());
        self.questions.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
