//! How often a store is read, and for how long.

use std::time::Duration;

/// How long a store may take to answer.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// The intervals of readings or probes, with exponential backoff after failures.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The interval after a success.
    pub every: Duration,
    /// The longest interval. Each failure in a row doubles the interval up to this.
    pub longest: Duration,
}

impl Pace {
    /// Returns the interval after a number of failures in a row.
    #[must_use]
    pub fn after(self, failures: u32) -> Duration {
        self.every.saturating_mul(1 << failures.min(16)).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_interval_until_it_is_the_longest() {
        let pace = Pace { every: Duration::from_secs(5), longest: Duration::from_secs(60) };
        let waits: Vec<u64> = [0, 1, 2, 3, 4, u32::MAX].map(|failures| pace.after(failures).as_secs()).into();
        assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
    }
}
