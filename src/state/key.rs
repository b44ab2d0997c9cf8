//! A credential's key over the life of the process, whichever key it is at a time.

mod keeper;
mod looks;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use crate::secret::{Environment, Error, Fingerprint, Secret, SecretRef};

use super::{Counter, Echoes};

pub use keeper::Keeper;
pub use looks::Looks;

/// How long after a look that a refusal led to the next refusal leads to none.
const AGAIN: Duration = Duration::from_secs(5);

/// Where a key comes from, and what came from there. Read without a lock.
#[derive(Debug)]
pub struct Key {
    place: SecretRef,
    environment: Environment,
    looks: Arc<Looks>,
    /// When a refusal last led to a look. Held during that, so that there is one at a time.
    looked: tokio::sync::Mutex<Option<Instant>>,
    held: ArcSwapOption<Held>,
    /// The last key that was in use before this one, until the upstream has accepted this one once.
    previous: ArcSwapOption<Held>,
    /// Why the last reading brought no key, where it did not. Held while a reading is taken in.
    trouble: Mutex<Option<Error>>,
    /// How often the upstream refused it.
    pub refusals: Arc<Counter>,
    /// The answers that it was looked for in.
    pub echoes: Arc<Echoes>,
}

/// The present key.
#[derive(Debug)]
pub struct Held {
    /// What is sent.
    pub secret: Secret,
    /// What it is called.
    pub fingerprint: Fingerprint,
    /// Since when it is this one.
    since: Instant,
}

/// How a credential is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// The key is the one that its place holds.
    Fresh,
    /// Its place holds none at present; the last one stays in use.
    Stale,
    /// There was none yet.
    Missing,
}

impl Condition {
    /// All of them.
    pub const ALL: [Condition; 3] = [Condition::Fresh, Condition::Stale, Condition::Missing];

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Condition::Fresh => "fresh",
            Condition::Stale => "stale",
            Condition::Missing => "missing",
        }
    }
}

/// A credential for people to look at.
#[derive(Debug)]
pub struct Shown {
    /// How it is.
    pub condition: Condition,
    /// The present key, and for how long it has been that one.
    pub held: Option<(Fingerprint, Duration)>,
    /// Why the last reading brought no key.
    pub trouble: Option<Error>,
}

/// What a reading changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Nothing,
    /// There is another key, or the first.
    Replaced,
    /// No key could be read; before, one could.
    Lost,
    /// The same key is there again.
    Back,
}

impl Key {
    /// Nothing read yet. What the credential had `before`, with its key at another place, is kept until something is.
    #[must_use]
    pub fn new(place: SecretRef, environment: Environment, looks: Arc<Looks>, before: Option<&Key>) -> Key {
        let held = ArcSwapOption::new(before.and_then(|before| before.held.load_full()));
        let refusals = before.map(|before| Arc::clone(&before.refusals)).unwrap_or_default();
        let (looked, trouble) = (tokio::sync::Mutex::default(), Mutex::default());
        Key {
            place,
            environment,
            looks,
            looked,
            held,
            previous: ArcSwapOption::empty(),
            trouble,
            refusals,
            echoes: before.map(|before| Arc::clone(&before.echoes)).unwrap_or_default(),
        }
    }

    /// A key that comes from nowhere and stays what it is.
    #[must_use]
    pub fn fixed(secret: Secret) -> Key {
        let key = Key::new(SecretRef::Env(String::new()), Environment::process(), Arc::default(), None);
        key.change(Ok(secret), Instant::now());
        key
    }

    /// Where it comes from.
    #[must_use]
    pub fn place(&self) -> &SecretRef {
        &self.place
    }

    /// The present key; nothing until a first one was read.
    #[must_use]
    pub fn held(&self) -> Option<Arc<Held>> {
        self.held.load_full()
    }

    /// Reads its place. Blocks on the file system.
    ///
    /// # Errors
    ///
    /// Where no key is there at present.
    pub fn read(&self) -> Result<Secret, Error> {
        self.place.read(&self.environment)
    }

    /// Takes in what was read, and says in the log what it changes. What holds no key changes no key.
    pub fn take(&self, name: &str, read: Result<Secret, Error>) {
        keeper::say(name, self, self.change(read, Instant::now()));
    }

    fn change(&self, read: Result<Secret, Error>, now: Instant) -> Change {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match read {
            Err(error) => match trouble.replace(error) {
                None => Change::Lost,
                Some(_) => Change::Nothing,
            },
            Ok(secret) => {
                let back = trouble.take().is_some();
                if self.holds(&secret) {
                    return if back { Change::Back } else { Change::Nothing };
                }
                let fingerprint = secret.fingerprint();
                // A key that was itself never accepted is not gone back to.
                if self.previous.load().is_none() {
                    self.previous.store(self.held.load_full());
                }
                self.held.store(Some(Arc::new(Held { secret, fingerprint, since: now })));
                Change::Replaced
            }
        }
    }

    /// The upstream accepted a key. If it is the present one, the one before is forgotten.
    pub fn accepted(&self, fingerprint: Fingerprint) {
        if self.previous.load().is_some()
            && self.held.load().as_ref().is_some_and(|held| held.fingerprint == fingerprint)
        {
            self.previous.store(None);
        }
    }

    /// Another key than one that the upstream refused: a newer one, or else the one before, where the newer was never accepted.
    pub async fn other_than(&self, refused: Fingerprint) -> Option<Arc<Held>> {
        self.is_replaced(refused).await;
        let other = |held: &Arc<Held>| held.fingerprint != refused;
        self.held.load_full().filter(other).or_else(|| self.previous.load_full().filter(other))
    }

    /// Whether a newer key is there in place of one. If none is known, the place is looked at once, for all that ask, and at
    /// most once in five seconds.
    async fn is_replaced(&self, refused: Fingerprint) -> bool {
        let replaced = || self.held.load().as_ref().is_some_and(|held| held.fingerprint != refused);
        if replaced() || !matches!(self.place, SecretRef::File(_)) {
            return replaced();
        }
        let mut looked = self.looked.lock().await;
        if !replaced() && looked.is_none_or(|at| at.elapsed() >= AGAIN) {
            *looked = Some(Instant::now());
            self.looks.ask().await;
        }
        replaced()
    }

    fn holds(&self, secret: &Secret) -> bool {
        self.held.load().as_ref().is_some_and(|held| held.secret.expose() == secret.expose())
    }

    /// Whether taking this in would change anything.
    fn differs(&self, read: &Result<Secret, Error>) -> bool {
        let in_trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        match read {
            Ok(secret) => in_trouble || !self.holds(secret),
            Err(_) => !in_trouble,
        }
    }

    /// Whether there is one, and how it is.
    #[must_use]
    pub fn shown(&self, now: Instant) -> Shown {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let held = self.held.load();
        let held = held.as_ref().map(|held| (held.fingerprint, now.saturating_duration_since(held.since)));
        let condition = match (&held, &trouble) {
            (None, _) => Condition::Missing,
            (Some(_), None) => Condition::Fresh,
            (Some(_), Some(_)) => Condition::Stale,
        };
        Shown { condition, held, trouble }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(before: Option<&Key>) -> Key {
        Key::new(SecretRef::File("/nowhere".into()), Environment::process(), Arc::default(), before)
    }

    fn secret(key: &str) -> Result<Secret, Error> {
        Ok(Secret::new(key).unwrap())
    }

    fn missing() -> Result<Secret, Error> {
        Err(Error::Missing { path: "/nowhere".into() })
    }

    #[test]
    fn a_key_is_as_old_as_its_last_change_and_not_as_its_last_reading() {
        let (key, start) = (key(None), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let age = |key: &Key, seconds| key.shown(at(seconds)).held.map(|(_, age)| age.as_secs());
        assert_eq!(age(&key, 0), None);
        assert_eq!(key.change(secret("one"), at(0)), Change::Replaced);
        assert_eq!(key.change(secret("one"), at(50)), Change::Nothing);
        assert_eq!(age(&key, 60), Some(60));
        assert_eq!(key.change(secret("two"), at(70)), Change::Replaced);
        assert_eq!(age(&key, 71), Some(1));
        let moved = super::tests::key(Some(&key));
        assert_eq!(moved.change(secret("two"), at(80)), Change::Nothing);
        assert_eq!(age(&moved, 81), Some(11), "the same key at another place");
    }

    #[test]
    fn what_holds_no_key_changes_no_key_and_is_said_once() {
        let (key, now) = (key(None), Instant::now());
        let condition = || key.shown(now).condition;
        assert_eq!((key.change(missing(), now), condition()), (Change::Lost, Condition::Missing));
        assert_eq!((key.change(secret("one"), now), condition()), (Change::Replaced, Condition::Fresh));
        assert_eq!((key.change(missing(), now), condition()), (Change::Lost, Condition::Stale));
        assert_eq!((key.change(missing(), now), condition()), (Change::Nothing, Condition::Stale));
        assert_eq!(key.held().unwrap().secret.expose(), b"one");
        assert_eq!((key.change(secret("one"), now), condition()), (Change::Back, Condition::Fresh));
    }

    #[tokio::test]
    async fn however_many_are_refused_at_once_there_is_one_look_and_no_other_for_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let state = Arc::new(crate::state::State::default());
        let place = SecretRef::File(path.clone());
        let key = Arc::new(Key::new(place, Environment::process(), Arc::clone(&state.looks), None));
        key.change(secret("one"), Instant::now());
        state.hold([("main".to_owned(), Arc::clone(&key))].into());
        let one = key.held().unwrap().fingerprint;
        std::fs::write(&path, "two").unwrap();
        let looks = Arc::clone(&state.looks);
        let keeper = Keeper::new(state);
        let refused = async { tokio::join!(key.is_replaced(one), key.is_replaced(one), key.is_replaced(one)) };
        tokio::select! {
            all = refused => assert_eq!(all, (true, true, true)),
            never = keeper.run() => match never {},
        }
        // The first is the keeper's own, at its start.
        assert!(looks.begin() <= 3, "more than one look was asked for");
        let two = key.held().unwrap().fingerprint;
        assert!(
            !tokio::time::timeout(Duration::from_millis(500), key.is_replaced(two)).await.unwrap(),
            "not looked again"
        );
    }
}
