//! The check whether the upstream's listing shows executions that were started. Recovery relies on that.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::asteroid::execution::Filter;

/// How long after a failed check another may begin.
const COOLDOWN: Duration = Duration::from_secs(600);

/// The check of one credential: a start that was answered is looked up until it is found.
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

/// The state of a check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ListingCheckState {
    /// No start was answered yet that could be looked up.
    #[default]
    Waiting,
    /// A start is being looked up.
    Looking {
        /// The result of the last look-up.
        last: Option<NotFound>,
    },
    /// A start was found.
    Proven {
        /// The filter that found it.
        filter: Filter,
        /// An upper bound of the time from its answer until it was listed.
        lag: Duration,
    },
    /// A start was not found.
    Failed {
        /// The result of the last look-up.
        last: Option<NotFound>,
        /// When the check gave up.
        at: Instant,
    },
}

/// The result of a look-up that did not find the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotFound {
    /// No filter finds it.
    NotListed,
    /// A look-up failed.
    Failed(LookupFailure),
}

impl NotFound {
    /// Returns the code in the log and in `/readyz?verbose`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            NotFound::NotListed => "none",
            NotFound::Failed(failure) => failure.code(),
        }
    }
}

/// The reason why a look-up at the upstream failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupFailure {
    /// There is no API key for the request.
    NoCredential,
    /// The upstream could not be reached.
    Unreachable,
    /// The connection broke before the answer's end.
    Broke,
    /// No answer came in time.
    Timeout,
    /// The upstream answered with an error.
    Refused,
    /// The upstream does not let the credential list executions.
    Denied,
    /// The upstream refuses the filters.
    Rejected,
    /// The answer is not a listing.
    Unreadable,
    /// There was no memory for the answer.
    Memory,
    /// The upstream ignores the filters.
    Unfiltered,
    /// The upstream no longer accepts the filter that is known to find executions.
    Unproven,
}

impl LookupFailure {
    /// Returns the code in spans, in the log and in `/readyz?verbose`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            LookupFailure::NoCredential => "no-key",
            LookupFailure::Unreachable => "unreachable",
            LookupFailure::Broke => "broke",
            LookupFailure::Timeout => "timeout",
            LookupFailure::Refused => "refused",
            LookupFailure::Denied => "denied",
            LookupFailure::Rejected => "rejected",
            LookupFailure::Unreadable => "unreadable",
            LookupFailure::Memory => "memory",
            LookupFailure::Unfiltered => "unfiltered",
            LookupFailure::Unproven => "unproven",
        }
    }
}

impl ListingCheck {
    /// Returns the state.
    #[must_use]
    pub fn state(&self) -> ListingCheckState {
        *self.lock()
    }

    /// Returns the filter that is known to find executions.
    #[must_use]
    pub fn filter(&self) -> Option<Filter> {
        match self.state() {
            ListingCheckState::Proven { filter, .. } => Some(filter),
            _ => None,
        }
    }

    /// Returns whether a start that is answered now would be looked up.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        is_due(*self.lock(), now)
    }

    /// Begins the check with a start. Returns false if none is due, for example because another start is being looked up.
    #[must_use]
    pub fn begin(&self, now: Instant) -> bool {
        let mut state = self.lock();
        let due = is_due(*state, now);
        if due {
            *state = ListingCheckState::Looking { last: None };
        }
        due
    }

    /// Records the result of a look-up that did not find the start.
    pub fn not_found(&self, last: NotFound) {
        *self.lock() = ListingCheckState::Looking { last: Some(last) };
    }

    /// Records that a filter found the start, and how long after its answer.
    pub fn pass(&self, filter: Filter, lag: Duration) {
        *self.lock() = ListingCheckState::Proven { filter, lag };
    }

    /// Ends the check without success. Returns the result of the last look-up.
    pub fn fail(&self, now: Instant) -> NotFound {
        let mut state = self.lock();
        let last = if let ListingCheckState::Looking { last } = *state { last } else { None };
        *state = ListingCheckState::Failed { last, at: now };
        last.unwrap_or(NotFound::NotListed)
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
        let denied = NotFound::Failed(LookupFailure::Denied);
        assert!(check.is_due(start) && check.begin(start));
        assert!(!check.is_due(start) && !check.begin(start + COOLDOWN));
        check.not_found(denied);
        assert_eq!(check.fail(start), denied);
        assert_eq!(check.filter(), None);
        assert!(!check.begin(start + COOLDOWN - Duration::from_secs(1)));
        assert!(check.begin(start + COOLDOWN));
        check.pass(Filter::Joined, Duration::from_secs(3));
        assert_eq!(check.filter(), Some(Filter::Joined));
        assert!(!check.begin(start + 2 * COOLDOWN), "what is proven is proven");
    }
}
