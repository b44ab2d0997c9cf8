//! Answers that contained the API key, or that could not be searched for it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Counter;

/// How long without such an answer ends an episode.
const EPISODE_GAP: Duration = Duration::from_secs(60);

/// The counters of one credential.
#[derive(Debug, Default)]
pub struct Echoes {
    /// Answers that contained the API key.
    pub found: Counter,
    /// Answers that were content-coded, and so could not be searched.
    pub coded: Counter,
    last: Mutex<Option<Instant>>,
}

impl Echoes {
    /// Counts an answer that contained the API key. Returns whether it begins an episode, which is logged.
    #[must_use]
    pub fn add(&self, now: Instant) -> bool {
        self.found.add();
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).replace(now);
        last.is_none_or(|last| now.saturating_duration_since(last) >= EPISODE_GAP)
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
