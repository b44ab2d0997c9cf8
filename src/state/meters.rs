//! What a tenant's requests came to: counted by tenant for as long as the process lives, each count found by an index.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::asteroid::operation::Operation;

use super::Limit;

/// Something that is only ever counted up.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn add(&self) {
        self.add_many(1);
    }

    /// So many more.
    pub fn add_many(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Whether a limit let a request pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitDecision {
    /// It did.
    Allowed,
    /// It did not.
    Refused,
}

impl LimitDecision {
    const ALL: [(LimitDecision, &'static str); 2] =
        [(LimitDecision::Allowed, "allowed"), (LimitDecision::Refused, "refused")];
}

/// What an idempotency key meant for its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdempotencyResult {
    /// The first start with it.
    New,
    /// It was answered before, and so again.
    Replayed,
    /// Its lost start was found at the upstream.
    Recovered,
    /// Another request held it.
    InFlight,
    /// It belonged to another body.
    Mismatch,
    /// Nothing more could be remembered.
    Full,
    /// Whether it started something is unknown, and so nothing was started.
    Unknown,
    /// That could not be looked up.
    LookupFailed,
}

impl IdempotencyResult {
    /// What it is called in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
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

/// The first digit of an answer's status; the first is for requests that got no answer.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// The counts of one tenant, 200 bytes. What they are called is in `metrics`.
#[derive(Debug, Default)]
pub struct Meters {
    requests: [Counter; CLASSES.len()],
    started: [Counter; Operation::ALL.len()],
    unknown: Counter,
    decisions: [[Counter; LimitDecision::ALL.len()]; Limit::ALL.len()],
    idempotency: [Counter; IdempotencyResult::ALL.len()],
}

impl Meters {
    /// A request ended with this status; 0 where nobody was answered.
    pub fn request(&self, status: u16) {
        if let Some(count) = self.requests.get(usize::from(status / 100)).or(self.requests.first()) {
            count.add();
        }
    }

    /// The upstream said that it started an execution.
    pub fn started(&self, operation: Operation) {
        if let Some(count) = self.started.get(operation as usize) {
            count.add();
        }
    }

    /// A start was sent, and no complete answer came, or one that proves nothing.
    pub fn unknown(&self) {
        self.unknown.add();
    }

    /// A limit was asked.
    pub fn count_decision(&self, limit: Limit, decision: LimitDecision) {
        if let Some(count) = self.decisions.get(limit as usize).and_then(|counts| counts.get(decision as usize)) {
            count.add();
        }
    }

    /// An idempotency key was claimed, or could not be.
    pub fn count_idempotency(&self, result: IdempotencyResult) {
        if let Some(count) = self.idempotency.get(result as usize) {
            count.add();
        }
    }

    /// Requests by the class of their status.
    pub fn requests(&self) -> impl Iterator<Item = (&'static str, u64)> {
        CLASSES.into_iter().zip(self.requests.iter().map(Counter::count))
    }

    /// Executions by the operation that started them.
    pub fn executions(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Operation::ALL.into_iter().map(Operation::name).zip(self.started.iter().map(Counter::count))
    }

    /// Starts whose outcome is unknown.
    #[must_use]
    pub fn unknown_starts(&self) -> u64 {
        self.unknown.count()
    }

    /// Decisions by limit.
    pub fn decisions(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        Limit::ALL.into_iter().zip(&self.decisions).flat_map(|(limit, counts)| {
            let counted = LimitDecision::ALL.into_iter().zip(counts);
            counted.map(move |((_, decision), count)| (limit.code(), decision, count.count()))
        })
    }

    /// Starts with a key by what it meant.
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
            meters.started(operation);
            assert!(meters.executions().any(|counted| counted == (operation.name(), 1)));
        }
        for (status, class) in [(0, "none"), (101, "1xx"), (202, "2xx"), (307, "3xx"), (404, "4xx"), (504, "5xx")] {
            meters.request(status);
            assert!(meters.requests().any(|counted| counted == (class, 1)), "{class}");
        }
        meters.request(999);
        assert!(meters.requests().any(|counted| counted == ("none", 2)), "a status that HTTP does not have");
    }
}
