//! The entries of idempotency keys, and the memory that each tenant's entries take.
//!
//! Each tenant is guaranteed its share, and may take more while others do not use theirs. Entries in flight and of unknown
//! outcome must not be forgotten, so they stay within their tenant's share. Answers may go beyond it, and are the first to be
//! forgotten.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::event;

use super::super::{BodyDigest, IdempotencyDigest};
use super::{Bounds, Reply, Usage};

/// The memory of an entry without an answer, in bytes: measured, and rounded up.
pub(super) const ENTRY_MEMORY: usize = 256;

/// The memory of an answer without its body and media type, in bytes: measured, and rounded up.
pub(super) const ANSWER_MEMORY: usize = 128;

/// The memory of an entry in flight, in bytes: an entry, and room for an answer of the usual length.
pub(super) const IN_FLIGHT_MEMORY: usize = ENTRY_MEMORY + ANSWER_MEMORY + 96;

/// How many outdated entries one claim removes, so that no claim waits for many.
pub(super) const MAX_SWEEP: usize = 64;

/// How often at most the log says that a tenant has too little memory.
const LOG_INTERVAL: Duration = Duration::from_secs(600);

/// A time, in milliseconds since the first claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Timestamp(u64);

/// The entries of all tenants.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// The time of the first claim.
    epoch: Option<Instant>,
    pub(super) by_digest: HashMap<IdempotencyDigest, Entry>,
    /// The settled entries, by when they are forgotten.
    pub(super) ends: BTreeSet<(Timestamp, IdempotencyDigest)>,
    pub(super) tenants: Vec<TenantUsage>,
    numbers: HashMap<Arc<str>, u32>,
    /// The memory of all entries, in bytes.
    pub(super) memory: usize,
    /// The memory that they may take, for the metrics.
    pub(super) bound: usize,
    /// The number of answers that were forgotten before their time.
    forgotten_early: u64,
}

/// The memory of one tenant's entries.
#[derive(Debug)]
pub(super) struct TenantUsage {
    name: Arc<str>,
    /// The memory of all, in bytes.
    pub(super) memory: usize,
    /// The memory of the entries that must not be forgotten, in bytes.
    open: usize,
    /// The answered entries, by when they are forgotten.
    pub(super) answered: BTreeSet<(Timestamp, IdempotencyDigest)>,
    /// When the log last reported each shortage.
    reported: [Option<Instant>; 3],
}

/// A shortage of memory, by what it prevents.
#[derive(Debug, Clone, Copy)]
enum Shortage {
    /// Keeping answers for the whole retention.
    Retention,
    /// Keeping an answer at all.
    Answer,
    /// A further idempotency key.
    Key,
}

/// The entry of an idempotency key.
#[derive(Debug)]
pub(super) struct Entry {
    /// The number of the tenant.
    tenant: u32,
    /// The body that came with the idempotency key; absent if only the upstream knows.
    pub(super) body: Option<BodyDigest>,
    pub(super) state: ClaimState,
}

/// The state of an entry. `until` is when it is forgotten.
#[derive(Debug, Clone)]
pub(super) enum ClaimState {
    InFlight,
    Unknown { until: Timestamp },
    Answered { until: Timestamp, reply: Arc<Reply> },
}

impl ClaimState {
    fn memory(&self) -> usize {
        match self {
            ClaimState::InFlight => IN_FLIGHT_MEMORY,
            ClaimState::Unknown { .. } => ENTRY_MEMORY,
            ClaimState::Answered { reply, .. } => ENTRY_MEMORY + ANSWER_MEMORY + reply.memory(),
        }
    }

    /// Returns whether the entry must not be forgotten, because an execution may run that was started with the idempotency key.
    fn is_open(&self) -> bool {
        !matches!(self, ClaimState::Answered { .. })
    }

    fn until(&self) -> Option<Timestamp> {
        match self {
            ClaimState::InFlight => None,
            ClaimState::Unknown { until } | ClaimState::Answered { until, .. } => Some(*until),
        }
    }
}

/// The end of a claim, which decides the next state of its entry.
#[derive(Debug)]
pub(super) enum Settlement {
    /// Removes the entry.
    Free,
    /// Restores the state before the claim.
    As(ClaimState),
    /// Leaves the outcome unknown from `now` on or, if that is absent, from when the claim is dropped.
    Unknown { now: Option<Instant> },
    /// Keeps the answer.
    Answered { reply: Arc<Reply>, now: Instant },
}

impl Entries {
    pub(super) fn usage(&self) -> Usage {
        let Entries { memory, bound, forgotten_early, .. } = *self;
        Usage { records: self.by_digest.len(), memory, bound, forgotten_early }
    }

    fn timestamp(&mut self, time: Instant) -> Timestamp {
        let since = time.saturating_duration_since(*self.epoch.get_or_insert(time));
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// Returns when an entry that is settled now is forgotten, rounded up.
    fn end(&mut self, now: Instant, retention: Duration) -> Timestamp {
        self.timestamp(now + retention + Duration::from_nanos(999_999))
    }

    /// Adds an entry in flight. Returns false if there is no room for it.
    pub(super) fn add(
        &mut self,
        tenant: &Arc<str>,
        digest: IdempotencyDigest,
        body: BodyDigest,
        bounds: Bounds,
        now: Instant,
    ) -> bool {
        let tenant = self.number(tenant);
        let open = self.tenant_usage(tenant).map_or(0, |usage| usage.open);
        if open + IN_FLIGHT_MEMORY > bounds.share || !self.make_room(tenant, IN_FLIGHT_MEMORY, bounds, now) {
            self.report(tenant, Shortage::Key, now, None);
            return false;
        }
        self.by_digest.insert(digest, Entry { tenant, body: Some(body), state: ClaimState::InFlight });
        self.count(tenant, &ClaimState::InFlight, digest);
        true
    }

    /// Returns the number of a tenant. A tenant keeps its number for as long as the process lives.
    fn number(&mut self, tenant: &Arc<str>) -> u32 {
        if let Some(number) = self.numbers.get(tenant) {
            return *number;
        }
        let number = u32::try_from(self.tenants.len()).unwrap_or(u32::MAX);
        let name = Arc::clone(tenant);
        self.tenants.push(TenantUsage { name, memory: 0, open: 0, answered: BTreeSet::new(), reported: [None; 3] });
        self.numbers.insert(Arc::clone(tenant), number);
        number
    }

    fn tenant_usage(&mut self, tenant: u32) -> Option<&mut TenantUsage> {
        self.tenants.get_mut(usize::try_from(tenant).unwrap_or(usize::MAX))
    }

    fn count(&mut self, tenant: u32, state: &ClaimState, digest: IdempotencyDigest) {
        self.memory += state.memory();
        self.ends.extend(state.until().map(|until| (until, digest)));
        let Some(usage) = self.tenant_usage(tenant) else { return };
        usage.memory += state.memory();
        if state.is_open() {
            usage.open += state.memory();
        } else {
            usage.answered.extend(state.until().map(|until| (until, digest)));
        }
    }

    fn uncount(&mut self, tenant: u32, state: &ClaimState, digest: IdempotencyDigest) {
        self.memory -= state.memory();
        let end = state.until().map(|until| (until, digest));
        if let Some(end) = &end {
            self.ends.remove(end);
        }
        let Some(usage) = self.tenant_usage(tenant) else { return };
        usage.memory -= state.memory();
        if state.is_open() {
            usage.open -= state.memory();
        } else if let Some(end) = &end {
            usage.answered.remove(end);
        }
    }

    /// Gives an entry another state, or removes it.
    pub(super) fn change(&mut self, digest: IdempotencyDigest, state: Option<ClaimState>) {
        let Some(mut entry) = self.by_digest.remove(&digest) else { return };
        self.uncount(entry.tenant, &entry.state, digest);
        let Some(state) = state else { return };
        self.count(entry.tenant, &state, digest);
        entry.state = state;
        self.by_digest.insert(digest, entry);
    }

    /// Removes this entry and some others if their retention is over.
    pub(super) fn forget_outdated(&mut self, digest: IdempotencyDigest, now: Instant) {
        let now = self.timestamp(now);
        for _ in 0..MAX_SWEEP {
            let Some((_, outdated)) = self.ends.first().copied().filter(|(until, _)| *until <= now) else { return };
            self.change(outdated, None);
        }
        if self.by_digest.get(&digest).and_then(|entry| entry.state.until()).is_some_and(|until| until <= now) {
            self.change(digest, None);
        }
    }

    /// Makes room for some bytes of a tenant by forgetting the oldest answers: its own if it exceeds its share, otherwise
    /// those of the tenant with the most memory. Returns false if there are none left to forget.
    fn make_room(&mut self, tenant: u32, bytes: usize, bounds: Bounds, now: Instant) -> bool {
        while self.memory + bytes > bounds.memory {
            let is_over = self.tenant_usage(tenant).is_some_and(|usage| usage.memory + bytes > bounds.share);
            let giving = if is_over { Some(tenant) } else { self.largest() };
            let Some(giving) = giving else { return false };
            let oldest = self.tenant_usage(giving).and_then(|usage| usage.answered.first().copied());
            let Some((until, oldest)) = oldest else { return false };
            self.change(oldest, None);
            let Some(early) = until.0.checked_sub(self.timestamp(now).0).filter(|early| *early > 0) else { continue };
            self.forgotten_early += 1;
            self.report(giving, Shortage::Retention, now, Some(Duration::from_secs(early / 1000)));
        }
        true
    }

    /// Returns the tenant with the most memory among those with answers to forget. It exceeds its share, since another tenant
    /// is within its own and finds no room.
    fn largest(&self) -> Option<u32> {
        let numbered = (0_u32..).zip(&self.tenants);
        let giving = numbered.filter(|(_, usage)| !usage.answered.is_empty());
        giving.max_by_key(|(_, usage)| usage.memory).map(|(number, _)| number)
    }

    /// Reports a shortage, at most once in [`LOG_INTERVAL`].
    fn report(&mut self, tenant: u32, shortage: Shortage, now: Instant, early: Option<Duration>) {
        let Some(usage) = self.tenant_usage(tenant) else { return };
        let Some(reported) = usage.reported.get_mut(shortage as usize) else { return };
        if reported.is_some_and(|last| now.saturating_duration_since(last) < LOG_INTERVAL) {
            return;
        }
        *reported = Some(now);
        let tenant = &*usage.name;
        match shortage {
            Shortage::Retention => {
                let early_by = humantime::format_duration(early.unwrap_or_default());
                tracing::warn!(
                    event = event::IDEMPOTENCY_RETENTION_SHORTENED,
                    tenant,
                    %early_by,
                    "idempotency.memory is full: answers are forgotten before idempotency.retention has passed, so a \
                     retry of such a start may start another; raise idempotency.memory"
                );
            }
            Shortage::Answer => tracing::error!(
                event = event::IDEMPOTENCY_ANSWER_DROPPED,
                tenant,
                "idempotency.memory is full: an answer was not kept, and the outcome of its idempotency key counts as \
                 unknown; raise idempotency.memory"
            ),
            Shortage::Key => tracing::error!(
                event = event::IDEMPOTENCY_SHARE_FULL,
                tenant,
                "idempotency.memory: this tenant's share is full of starts in flight or of unknown outcome. Its \
                 starts with a new Idempotency-Key are refused until idempotency.retention has passed for some; raise \
                 idempotency.memory"
            ),
        }
    }

    /// Settles an entry at the end of its claim. Returns whether there was room for the answer, if there is one.
    pub(super) fn settle(&mut self, digest: IdempotencyDigest, bounds: Bounds, end: Settlement) -> bool {
        match end {
            Settlement::Free => self.change(digest, None),
            Settlement::As(state) => self.change(digest, Some(state)),
            // A claim that is dropped has no time at hand.
            Settlement::Unknown { now } => {
                let until = self.end(now.unwrap_or_else(Instant::now), bounds.retention);
                self.change(digest, Some(ClaimState::Unknown { until }));
            }
            Settlement::Answered { reply, now } => {
                let until = self.end(now, bounds.retention);
                // The memory in flight is released first, so that a long answer needs no more than its own.
                self.change(digest, Some(ClaimState::Unknown { until }));
                let Some(tenant) = self.by_digest.get(&digest).map(|entry| entry.tenant) else { return false };
                if self.make_room(tenant, ANSWER_MEMORY + reply.memory(), bounds, now) {
                    self.change(digest, Some(ClaimState::Answered { until, reply }));
                } else {
                    self.report(tenant, Shortage::Answer, now, None);
                    return false;
                }
            }
        }
        true
    }
}
