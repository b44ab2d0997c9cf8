//! Looks at the places of keys while the gateway runs.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::secret::{Error, Secret, SecretRef};
use crate::state::State;
use crate::watch;

use super::{Change, Key};

/// How long a place must hold the same for it to be taken in: a file that is written in place is half a key for a moment,
/// and an empty one.
const SETTLED: Duration = Duration::from_millis(100);

/// Keeps every key up to date.
#[derive(Debug)]
pub struct Keeper(Arc<State>);

impl Keeper {
    /// Of the keys that this state has at a time.
    #[must_use]
    pub fn new(state: Arc<State>) -> Keeper {
        Keeper(state)
    }

    /// Looks [`watch::EVERY`] so often, and when somebody asks; never ends.
    pub async fn run(self) -> Infallible {
        let mut tick = tokio::time::interval(watch::EVERY);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = self.0.looks.asked() => {}
            }
            let number = self.0.looks.begin();
            self.look().await;
            self.0.looks.over(number);
        }
    }

    async fn look(&self) {
        // Nobody changes the environment of a process that runs.
        let files = self.0.keys().into_iter().filter(|(_, key)| matches!(key.place(), SecretRef::File(_)));
        let read = files.map(|(name, key)| (name, key.read(), key));
        let changed: Vec<_> = read.filter(|(_, read, key)| key.differs(read)).collect();
        if changed.is_empty() {
            return;
        }
        tokio::time::sleep(SETTLED).await;
        for (name, before, key) in changed {
            let now = key.read();
            if same(&before, &now) {
                key.take(&name, now);
            }
        }
    }
}

/// Two reasons are not told apart: neither is a key.
fn same(one: &Result<Secret, Error>, other: &Result<Secret, Error>) -> bool {
    match (one, other) {
        (Ok(one), Ok(other)) => one.expose() == other.expose(),
        (Err(_), Err(_)) => true,
        _ => false,
    }
}

pub(super) fn say(credential: &str, key: &Key, change: Change) {
    let shown = key.shown(Instant::now());
    let state = shown.condition.name();
    let fingerprint = shown.held.map(|(fingerprint, _)| tracing::field::display(fingerprint));
    let reason = shown.trouble.map(tracing::field::display);
    match change {
        Change::Nothing => {}
        Change::Replaced => tracing::info!(credential, state, fingerprint, "a key was read that was not known before"),
        Change::Back => tracing::info!(credential, state, fingerprint, "the key can be read again"),
        Change::Lost if fingerprint.is_some() => {
            tracing::warn!(credential, state, fingerprint, reason, "no key can be read; the last one stays in use");
        }
        Change::Lost => {
            tracing::error!(
                credential,
                state,
                reason,
                "no key can be read; the gateway is not ready until there is one"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::write;

    use super::*;
    use crate::secret::Environment;

    #[tokio::test]
    async fn a_file_that_is_being_written_is_taken_in_when_it_has_settled() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let key = Arc::new(Key::new(SecretRef::File(path.clone()), Environment::process(), Arc::default(), None));
        let state = Arc::new(State::default());
        state.hold([("main".to_owned(), Arc::clone(&key))].into());
        let keeper = Keeper::new(state);
        let held = || key.held().map(|held| held.secret.expose().to_vec());
        write(&path, "whole").unwrap();
        keeper.look().await;
        assert_eq!(held().unwrap(), b"whole");
        for (first, then) in [("", "another"), ("anot", "another"), ("", "")] {
            write(&path, "whole").unwrap();
            keeper.look().await;
            write(&path, first).unwrap();
            // The first look at the file comes before what is written then.
            tokio::join!(keeper.look(), async { write(&path, then).unwrap() });
            assert_eq!(held().unwrap(), b"whole", "{first:?}, then {then:?}");
            assert_eq!(key.shown(Instant::now()).trouble.is_some(), then.is_empty(), "{first:?}, then {then:?}");
        }
        write(&path, "another").unwrap();
        keeper.look().await;
        assert_eq!(held().unwrap(), b"another");
    }
}
