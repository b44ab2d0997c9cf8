//! Counts the answers in which the upstream sent the API key back.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::counter::Counter;

/// The time without such an answer that ends an episode.
const QUIET_TIME: Duration = Duration::from_secs(60);

/// The counts for one credential.
#[derive(Debug, Default)]
pub struct Redactions {
    /// The answers in which the API key was redacted.
    pub redacted: Counter,
    /// The answers that could not be searched, because they were content-coded.
    pub content_coded: Counter,
    last: Mutex<Option<Instant>>,
}

impl Redactions {
    /// Counts an answer in which the API key was redacted. Returns whether it begins an episode, which is logged.
    #[must_use]
    pub fn add(&self, now: Instant) -> bool {
        self.redacted.add();
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).replace(now);
        last.is_none_or(|last| now.saturating_duration_since(last) >= QUIET_TIME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_episode_begins_after_a_minute_without_a_redaction() {
        let (redactions, start) = (Redactions::default(), Instant::now());
        let begins: Vec<u64> = [0, 1, 60, 120, 179, 300]
            .into_iter()
            .filter(|at| redactions.add(start + Duration::from_secs(*at)))
            .collect();
        assert_eq!((begins, redactions.redacted.count()), (vec![0, 120, 300], 6));
    }
}
