//! What is known of a credential's key beside the key.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Counter;

/// One credential's key over the life of the process, whichever key it is at a time.
#[derive(Debug, Default)]
pub struct Key {
    /// The hash of the key by a hasher of this process's own, and since when it is that one.
    held: Mutex<Option<(u64, Instant)>>,
    /// How often the upstream refused it.
    pub refusals: Counter,
    /// How many of its answers had it in them.
    pub echoes: Counter,
    /// How many of its answers were content-coded, so that it could not be searched for in them.
    pub coded: Counter,
    /// When it was last in one.
    last_echo: Mutex<Option<Instant>>,
}

/// An episode of echoes is over when there was none for so long.
const QUIET: Duration = Duration::from_secs(60);

impl Key {
    /// A key with this hash was read; the same one again changes nothing.
    pub fn read(&self, hash: u64, now: Instant) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_none_or(|(known, _)| known != hash) {
            *held = Some((hash, now));
        }
    }

    /// How long the present key has been held.
    #[must_use]
    pub fn age(&self, now: Instant) -> Option<Duration> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.map(|(_, since)| now.saturating_duration_since(since))
    }

    /// An answer had the key in it. Returns whether that begins an episode, of which operators are to hear.
    #[must_use]
    pub fn echoed(&self, now: Instant) -> bool {
        self.echoes.add();
        let last = self.last_echo.lock().unwrap_or_else(PoisonError::into_inner).replace(now);
        last.is_none_or(|last| now.saturating_duration_since(last) >= QUIET)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_as_old_as_its_last_change_and_not_as_its_last_reading() {
        let (key, start) = (Key::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(key.age(start), None);
        key.read(1, at(0));
        key.read(1, at(50));
        assert_eq!(key.age(at(60)), Some(Duration::from_secs(60)));
        key.read(2, at(70));
        assert_eq!(key.age(at(71)), Some(Duration::from_secs(1)));
    }

    #[test]
    fn an_episode_of_echoes_begins_after_a_minute_without_one() {
        let (key, start) = (Key::default(), Instant::now());
        let begins: Vec<u64> =
            [0, 1, 60, 120, 179, 300].into_iter().filter(|at| key.echoed(start + Duration::from_secs(*at))).collect();
        assert_eq!((begins, key.echoes.count()), (vec![0, 120, 300], 6));
    }
}
