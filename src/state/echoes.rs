//! Answers that had the key in them, or in which it could not be looked for.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Counter;

/// An episode is over when there was no such answer for so long.
const QUIET: Duration = Duration::from_secs(60);

/// What is counted of one credential.
#[derive(Debug, Default)]
pub struct Echoes {
    /// Answers that had the key in them.
    pub found: Counter,
    /// Answers that were content-coded.
    pub coded: Counter,
    last: Mutex<Option<Instant>>,
}

impl Echoes {
    /// An answer had the key in it. Returns whether that begins an episode, of which operators are to hear.
    #[must_use]
    pub fn add(&self, now: Instant) -> bool {
        self.found.add();
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).replace(now);
        last.is_none_or(|last| now.saturating_duration_since(last) >= QUIET)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_episode_begins_after_a_minute_without_an_echo() {
        let (echoes, start) = (Echoes::default(), Instant::now());
        let begins: Vec<u64> =
            [0, 1, 60, 120, 179, 300].into_iter().filter(|at| echoes.add(start + Duration::from_secs(*at))).collect();
        assert_eq!((begins, echoes.found.count()), (vec![0, 120, 300], 6));
    }
}
