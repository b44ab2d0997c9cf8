//! Whether what was started can be found: what recovery rests on, shown by a start that is known to have been made.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::asteroid::execution::Filter;

/// How long after a control that failed another begins.
const COOLDOWN: Duration = Duration::from_secs(600);

/// The positive control of one credential. The first start with an idempotency key is looked for until it is found.
///
/// ```text
/// Waiting ──begin──▶ Looking ──pass──▶ Proven
///                     │    ▲
///                   fail  begin, after the cooldown
///                     ▼    │
///                    Failed
/// ```
#[derive(Debug, Default)]
pub struct Control(Mutex<ControlState>);

/// How a control stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ControlState {
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

impl Control {
    /// Returns how it stands.
    #[must_use]
    pub fn state(&self) -> ControlState {
        *self.lock()
    }

    /// Returns the form of the filter that is known to find executions.
    #[must_use]
    pub fn filter(&self) -> Option<Filter> {
        match self.state() {
            ControlState::Proven { filter, .. } => Some(filter),
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
            *state = ControlState::Looking { last: None };
        }
        due
    }

    /// Notes what a look-up came to that did not find it.
    pub fn look(&self, last: &'static str) {
        *self.lock() = ControlState::Looking { last: Some(last) };
    }

    /// Notes that it was found by a form of the filter, so long after it was answered.
    pub fn pass(&self, filter: Filter, lag: Duration) {
        *self.lock() = ControlState::Proven { filter, lag };
    }

    /// Gives up. Returns what the last look-up came to.
    pub fn fail(&self, now: Instant) -> &'static str {
        let mut state = self.lock();
        let last = if let ControlState::Looking { last } = *state { last } else { None };
        *state = ControlState::Failed { last, at: now };
        last.unwrap_or("none")
    }

    fn lock(&self) -> MutexGuard<'_, ControlState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_due(state: ControlState, now: Instant) -> bool {
    match state {
        ControlState::Waiting => true,
        ControlState::Failed { at, .. } => now.saturating_duration_since(at) >= COOLDOWN,
        ControlState::Looking { .. } | ControlState::Proven { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_start_is_looked_for_at_a_time_and_another_a_while_after_none_was_found() {
        let (control, start) = (Control::default(), Instant::now());
        assert!(control.is_due(start) && control.begin(start));
        assert!(!control.is_due(start) && !control.begin(start + COOLDOWN));
        control.look("denied");
        assert_eq!(control.fail(start), "denied");
        assert_eq!(control.filter(), None);
        assert!(!control.begin(start + COOLDOWN - Duration::from_secs(1)));
        assert!(control.begin(start + COOLDOWN));
        control.pass(Filter::Joined, Duration::from_secs(3));
        assert_eq!(control.filter(), Some(Filter::Joined));
        assert!(!control.begin(start + 2 * COOLDOWN), "what is proven is proven");
    }
}
