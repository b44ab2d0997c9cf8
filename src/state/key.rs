//! What is known of a credential's key beside the key.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Counter, Echoes};

/// One credential's key over the life of the process, whichever key it is at a time.
#[derive(Debug, Default)]
pub struct Key {
    /// The hash of the key by a hasher of this process's own, and since when it is that one.
    held: Mutex<Option<(u64, Instant)>>,
    /// How often the upstream refused it.
    pub refusals: Counter,
    /// The answers that it was looked for in.
    pub echoes: Arc<Echoes>,
}

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
}
