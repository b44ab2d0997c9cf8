//! Whether what was started can be found: what recovery rests on, shown by a start that is known to have been made.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::asteroid::execution::Filter;

/// How long after a check that failed another begins.
const COOLDOWN: Duration = Duration::from_secs(600);

/// The positive check of one credential. The first start with an idempotency key is looked for until it is found.
///
/// ```text
/// Waiting ──begin──▶ Looking ──pass──▶ Proven
///                     │    ▲
///                   fail  begin, after the cooldown
///                     ▼    │
///                    Failed
/// ```
#[derive(Debug, Default)]
pub struct ListingCheck(Mutex<ListingCheckState>);

/// How a check stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ListingCheckState {
    /// No start has been made that could be looked for.
    #[default]
    Waiting,
    /// One is being looked for.
    Looking {
        /// The result of the last look-up.
        last: Option<&'static str>,
    },
    /// One was found.
    Proven {
        /// The form of the filter that found it.
        filter: Filter,
        /// How long after its answer it was listed, at most.
        lag: Duration,
    },
    /// None was found.
    Failed {
        /// The result of the last look-up.
        last: Option<&'static str>,
        /// When it was given up.
        at: Instant,
    },
}

impl ListingCheck {
    /// Returns how it stands.
    #[must_use]
    pub fn state(&self) -> ListingCheckState {
        *self.lock()
    }

    /// Returns the form of the filter that is known to find executions.
    #[must_use]
    pub fn filter(&self) -> Option<Filter> {
        match self.state() {
            ListingCheckState::Proven { filter, .. } => Some(filter),
            _ => None,
        }
    }

    /// Whether a start that was made now would be looked for.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        is_due(*self.lock(), now)
    }

    /// Begins to look for a start. Returns false if that is not due, because another one is being looked for, say.
    #[must_use]
    pub fn begin(&self, now: Instant) -> bool {
        let mut state = self.lock();
        let due = is_due(*state, now);
        if due {
            *state = ListingCheckState::Looking { last: None };
        }
        due
    }

    /// Notes what a look-up came to that did not find it.
    pub fn look(&self, last: &'static str) {
        *self.lock() = ListingCheckState::Looking { last: Some(last) };
    }

    /// Notes that it was found by a form of the filter, so long after it was answered.
    pub fn pass(&self, filter: Filter, lag: Duration) {
        *self.lock() = ListingCheckState::Proven { filter, lag };
    }

    /// Gives up. Returns what the last look-up came to.
    pub fn fail(&self, now: Instant) -> &'static str {
        let mut state = self.lock();
        let last = if let ListingCheckState::Looking { last } = *state { last } else { None };
        *state = ListingCheckState::Failed { last, at: now };
        last.unwrap_or("none")
    }

    fn lock(&self) -> MutexGuard<'_, ListingCheckState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_due(state: ListingCheckState, now: Instant) -> bool {
    match state {
        ListingCheckState::Waiting => true,
        ListingCheckState::Failed { at, .. } => now.saturating_duration_since(at) >= COOLDOWN,
        ListingCheckState::Looking { .. } | ListingCheckState::Proven { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_start_is_looked_for_at_a_time_and_another_a_while_after_none_was_found() {
        let (check, start) = (ListingCheck::default(), Instant::now());
        assert!(check.is_due(start) && check.begin(start));
        assert!(!check.is_due(start) && !check.begin(start + COOLDOWN));
        check.look("denied");
        assert_eq!(check.fail(start), "denied");
        assert_eq!(check.filter(), None);
        assert!(!check.begin(start + COOLDOWN - Duration::from_secs(1)));
        assert!(check.begin(start + COOLDOWN));
        check.pass(Filter::Joined, Duration::from_secs(3));
        assert_eq!(check.filter(), Some(Filter::Joined));
        assert!(!check.begin(start + 2 * COOLDOWN), "what is proven is proven");
    }
}
