//! Counters of each tenant's requests, for the metrics. They last as long as the process, and each is found by an index.

use crate::asteroid::operation::Operation;
use crate::counter::Counter;

use super::Limit;

/// The decision of a limit about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitDecision {
    /// The request passed.
    Allowed,
    /// The request was refused.
    Refused,
}

impl LimitDecision {
    const ALL: [(LimitDecision, &'static str); 2] =
        [(LimitDecision::Allowed, "allowed"), (LimitDecision::Refused, "refused")];
}

/// The result of claiming a start's idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdempotencyResult {
    /// It was the first start with the idempotency key.
    New,
    /// The answer of an earlier start was replayed.
    Replayed,
    /// An earlier start was found at the upstream.
    Recovered,
    /// Another request held the idempotency key.
    InFlight,
    /// The idempotency key was used with another body before.
    Mismatch,
    /// There was no memory for another idempotency key.
    Full,
    /// The outcome of an earlier start is unknown.
    Unknown,
    /// An earlier start could not be looked up.
    LookupFailed,
}

impl IdempotencyResult {
    /// Returns the code in the metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        IdempotencyResult::ALL.get(self as usize).map_or("", |(_, name)| *name)
    }

    const ALL: [(IdempotencyResult, &'static str); 8] = [
        (IdempotencyResult::New, "new"),
        (IdempotencyResult::Replayed, "replayed"),
        (IdempotencyResult::Recovered, "recovered"),
        (IdempotencyResult::InFlight, "in_flight"),
        (IdempotencyResult::Mismatch, "mismatch"),
        (IdempotencyResult::Full, "full"),
        (IdempotencyResult::Unknown, "unknown"),
        (IdempotencyResult::LookupFailed, "lookup_failed"),
    ];
}

/// The classes of an answer's status. The first is for requests without an answer.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// The counters of one tenant. Their names are in `metrics`.
#[derive(Debug, Default)]
pub struct Meters {
    requests: [Counter; CLASSES.len()],
    started: [Counter; Operation::ALL.len()],
    unknown: Counter,
    decisions: [[Counter; LimitDecision::ALL.len()]; Limit::ALL.len()],
    idempotency: [Counter; IdempotencyResult::ALL.len()],
}

impl Meters {
    /// Counts a request by its status, which is 0 if it got no answer.
    pub fn count_request(&self, status: u16) {
        if let Some(count) = self.requests.get(usize::from(status / 100)).or(self.requests.first()) {
            count.add();
        }
    }

    /// Counts an execution that the upstream has started, by its answer.
    pub fn count_execution(&self, operation: Operation) {
        if let Some(count) = self.started.get(operation as usize) {
            count.add();
        }
    }

    /// Counts a start that was sent and whose outcome is unknown.
    pub fn count_unknown_start(&self) {
        self.unknown.add();
    }

    /// Counts the decision of a limit.
    pub fn count_decision(&self, limit: Limit, decision: LimitDecision) {
        if let Some(count) = self.decisions.get(limit as usize).and_then(|counts| counts.get(decision as usize)) {
            count.add();
        }
    }

    /// Counts a start with an idempotency key.
    pub fn count_idempotency(&self, result: IdempotencyResult) {
        if let Some(count) = self.idempotency.get(result as usize) {
            count.add();
        }
    }

    /// Returns the requests by the class of their status.
    pub fn requests(&self) -> impl Iterator<Item = (&'static str, u64)> {
        CLASSES.into_iter().zip(self.requests.iter().map(Counter::count))
    }

    /// Returns the executions by the operation that started them.
    pub fn executions(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Operation::ALL.into_iter().map(Operation::name).zip(self.started.iter().map(Counter::count))
    }

    /// Returns the starts whose outcome is unknown.
    #[must_use]
    pub fn unknown_starts(&self) -> u64 {
        self.unknown.count()
    }

    /// Returns the decisions by limit.
    pub fn decisions(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        Limit::ALL.into_iter().zip(&self.decisions).flat_map(|(limit, counts)| {
            let counted = LimitDecision::ALL.into_iter().zip(counts);
            counted.map(move |((_, decision), count)| (limit.code(), decision, count.count()))
        })
    }

    /// Returns the starts with an idempotency key by result.
    pub fn idempotency_results(&self) -> impl Iterator<Item = (&'static str, u64)> {
        IdempotencyResult::ALL.into_iter().map(|(_, name)| name).zip(self.idempotency.iter().map(Counter::count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_count_is_shown_under_its_own_name() {
        let meters = Meters::default();
        for (at, (keyed, name)) in IdempotencyResult::ALL.into_iter().enumerate() {
            assert_eq!(at, keyed as usize, "{name}");
            meters.count_idempotency(keyed);
            assert_eq!(
                meters.idempotency_results().filter(|(_, count)| *count > 0).map(|(name, _)| name).last(),
                Some(name)
            );
        }
        for limit in Limit::ALL {
            for (decision, name) in LimitDecision::ALL {
                meters.count_decision(limit, decision);
                let counted = meters.decisions().find(|(of, said, _)| (*of, *said) == (limit.code(), name));
                assert_eq!(counted.map(|(.., count)| count), Some(1));
            }
        }
        for operation in Operation::ALL {
            meters.count_execution(operation);
            assert!(meters.executions().any(|counted| counted == (operation.name(), 1)));
        }
        for (status, class) in [(0, "none"), (101, "1xx"), (202, "2xx"), (307, "3xx"), (404, "4xx"), (504, "5xx")] {
            meters.count_request(status);
            assert!(meters.requests().any(|counted| counted == (class, 1)), "{class}");
        }
        meters.count_request(999);
        assert!(meters.requests().any(|counted| counted == ("none", 2)), "a status that HTTP does not have");
    }
}
