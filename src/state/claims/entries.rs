//! The records of idempotency keys, and the memory that each tenant's records take.
//!
//! Each tenant has its share for certain, and beyond it what others do not use. So what may not be forgotten, because it is
//! in flight or its outcome is unknown, stays within its tenant's share; answers may go beyond it, and give way first.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::{BodyDigest, IdempotencyDigest};
use super::{Bounds, Reply, Usage};
use crate::event;

/// The memory of a record without an answer, in bytes: measured, and rounded up.
pub(super) const ENTRY_MEMORY: usize = 256;

/// The memory of an answer beside its body and its headers, in bytes: measured, and rounded up.
pub(super) const ANSWER_MEMORY: usize = 128;

/// What a claim takes that is in flight: a record and room for the answer that will most likely come.
pub(super) const IN_FLIGHT_MEMORY: usize = ENTRY_MEMORY + ANSWER_MEMORY + 96;

/// How many outdated records one claim clears away, so that none waits for many.
pub(super) const MAX_SWEEP: usize = 64;

/// How often the log says that a tenant has too little memory.
const LOG_INTERVAL: Duration = Duration::from_secs(600);

/// A time, in milliseconds since the keys of this process are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Timestamp(u64);

/// The keys of all tenants.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// The time of the first claim.
    epoch: Option<Instant>,
    pub(super) by_key: HashMap<IdempotencyDigest, Entry>,
    /// The keys of settled records, by when they are forgotten.
    pub(super) ends: BTreeSet<(Timestamp, IdempotencyDigest)>,
    pub(super) tenants: Vec<TenantUsage>,
    numbers: HashMap<Arc<str>, u32>,
    /// The memory of all records, in bytes.
    pub(super) memory: usize,
    /// The memory that they may take, as it was announced.
    pub(super) bound: usize,
    /// How many answers were forgotten before their time.
    forgotten_early: u64,
}

/// The memory of one tenant's records.
#[derive(Debug)]
pub(super) struct TenantUsage {
    name: Arc<str>,
    /// All of them, in bytes.
    pub(super) memory: usize,
    /// Those that may not be forgotten, in bytes.
    open: usize,
    /// The keys of its answers, by when they are forgotten.
    pub(super) answered: BTreeSet<(Timestamp, IdempotencyDigest)>,
    /// When the log last said what there is too little memory for.
    reminded: [Option<Instant>; 3],
}

/// The records for which there is too little memory.
#[derive(Debug, Clone, Copy)]
enum Shortage {
    /// Keeping answers as long as they should be.
    Retention,
    /// Keeping an answer at all.
    Answer,
    /// A further key.
    Key,
}

#[derive(Debug)]
pub(super) struct Entry {
    /// Whose it is.
    tenant: u32,
    /// Which body the key was used for; nothing if only the upstream knows.
    pub(super) request: Option<BodyDigest>,
    pub(super) state: ClaimState,
}

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

    /// Whether a start under the key may run, so that it must not be forgotten.
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

/// The state of a key after its claim has gone.
#[derive(Debug)]
pub(super) enum Settlement {
    Forgotten,
    As(ClaimState),
    Unknown { now: Option<Instant> },
    Answered { reply: Arc<Reply>, now: Instant },
}

impl Entries {
    pub(super) fn usage(&self) -> Usage {
        let Entries { memory, bound, forgotten_early, .. } = *self;
        Usage { records: self.by_key.len(), memory, bound, forgotten_early }
    }

    /// Returns the moment that a time is in.
    fn moment(&mut self, time: Instant) -> Timestamp {
        let since = time.saturating_duration_since(*self.epoch.get_or_insert(time));
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// Returns when something is forgotten that ends now; never before its time.
    fn end(&mut self, now: Instant, retention: Duration) -> Timestamp {
        self.moment(now + retention + Duration::from_nanos(999_999))
    }

    /// Adds a record in flight, if there is room for it.
    pub(super) fn add(
        &mut self,
        tenant: &Arc<str>,
        key: IdempotencyDigest,
        request: BodyDigest,
        bounds: Bounds,
        now: Instant,
    ) -> bool {
        let tenant = self.number(tenant);
        let open = self.holding(tenant).map_or(0, |holding| holding.open);
        if open + IN_FLIGHT_MEMORY > bounds.share || !self.make_room(tenant, IN_FLIGHT_MEMORY, bounds, now) {
            self.remind(tenant, Shortage::Key, now, None);
            return false;
        }
        self.by_key.insert(key, Entry { tenant, request: Some(request), state: ClaimState::InFlight });
        self.count(tenant, &ClaimState::InFlight, key);
        true
    }

    /// Returns the number under which a tenant's records are counted. It keeps it, as its name is used for no other.
    fn number(&mut self, tenant: &Arc<str>) -> u32 {
        if let Some(number) = self.numbers.get(tenant) {
            return *number;
        }
        let number = u32::try_from(self.tenants.len()).unwrap_or(u32::MAX);
        let name = Arc::clone(tenant);
        self.tenants.push(TenantUsage { name, memory: 0, open: 0, answered: BTreeSet::new(), reminded: [None; 3] });
        self.numbers.insert(Arc::clone(tenant), number);
        number
    }

    fn holding(&mut self, tenant: u32) -> Option<&mut TenantUsage> {
        self.tenants.get_mut(usize::try_from(tenant).unwrap_or(usize::MAX))
    }

    fn count(&mut self, tenant: u32, state: &ClaimState, key: IdempotencyDigest) {
        self.memory += state.memory();
        self.ends.extend(state.until().map(|until| (until, key)));
        let Some(holding) = self.holding(tenant) else { return };
        holding.memory += state.memory();
        if state.is_open() {
            holding.open += state.memory();
        } else {
            holding.answered.extend(state.until().map(|until| (until, key)));
        }
    }

    fn uncount(&mut self, tenant: u32, state: &ClaimState, key: IdempotencyDigest) {
        self.memory -= state.memory();
        let end = state.until().map(|until| (until, key));
        if let Some(end) = &end {
            self.ends.remove(end);
        }
        let Some(holding) = self.holding(tenant) else { return };
        holding.memory -= state.memory();
        if state.is_open() {
            holding.open -= state.memory();
        } else if let Some(end) = &end {
            holding.answered.remove(end);
        }
    }

    /// Gives a record another state, or none.
    pub(super) fn change(&mut self, key: IdempotencyDigest, state: Option<ClaimState>) {
        let Some(mut record) = self.by_key.remove(&key) else { return };
        self.uncount(record.tenant, &record.state, key);
        let Some(state) = state else { return };
        self.count(record.tenant, &state, key);
        record.state = state;
        self.by_key.insert(key, record);
    }

    /// Forgets this key and some others if their time is over.
    pub(super) fn forget_outdated(&mut self, key: IdempotencyDigest, now: Instant) {
        let now = self.moment(now);
        for _ in 0..MAX_SWEEP {
            let Some((_, outdated)) = self.ends.first().copied().filter(|(until, _)| *until <= now) else { return };
            self.change(outdated, None);
        }
        if self.by_key.get(&key).and_then(|record| record.state.until()).is_some_and(|until| until <= now) {
            self.change(key, None);
        }
    }

    /// Makes room for this many bytes of a tenant. A tenant that is over its share gives up its own oldest answers; else
    /// that one does which has most.
    fn make_room(&mut self, tenant: u32, bytes: usize, bounds: Bounds, now: Instant) -> bool {
        while self.memory + bytes > bounds.memory {
            let is_over = self.holding(tenant).is_some_and(|holding| holding.memory + bytes > bounds.share);
            let giving = if is_over { Some(tenant) } else { self.largest() };
            let Some(giving) = giving else { return false };
            let oldest = self.holding(giving).and_then(|holding| holding.answered.first().copied());
            let Some((until, oldest)) = oldest else { return false };
            self.change(oldest, None);
            let Some(early) = until.0.checked_sub(self.moment(now).0).filter(|early| *early > 0) else { continue };
            self.forgotten_early += 1;
            self.remind(giving, Shortage::Retention, now, Some(Duration::from_secs(early / 1000)));
        }
        true
    }

    /// Returns the tenant that has most, among those that have answers to give up. While another is within its share and
    /// finds no room, this one is over its own.
    fn largest(&self) -> Option<u32> {
        let numbered = (0_u32..).zip(&self.tenants);
        let giving = numbered.filter(|(_, holding)| !holding.answered.is_empty());
        giving.max_by_key(|(_, holding)| holding.memory).map(|(number, _)| number)
    }

    /// Says what a tenant has too little memory for, unless it was said a while ago.
    fn remind(&mut self, tenant: u32, shortage: Shortage, now: Instant, early: Option<Duration>) {
        let Some(holding) = self.holding(tenant) else { return };
        let Some(reminded) = holding.reminded.get_mut(shortage as usize) else { return };
        if reminded.is_some_and(|last| now.saturating_duration_since(last) < LOG_INTERVAL) {
            return;
        }
        *reminded = Some(now);
        let tenant = &*holding.name;
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

    pub(super) fn settle(&mut self, key: IdempotencyDigest, bounds: Bounds, end: Settlement) {
        match end {
            Settlement::Forgotten => self.change(key, None),
            Settlement::As(state) => self.change(key, Some(state)),
            Settlement::Unknown { now } => {
                let until = self.end(now.unwrap_or_else(Instant::now), bounds.retention);
                self.change(key, Some(ClaimState::Unknown { until }));
            }
            Settlement::Answered { reply, now } => {
                let until = self.end(now, bounds.retention);
                // Its own memory comes back first, so that a long answer needs no more than it takes.
                self.change(key, Some(ClaimState::Unknown { until }));
                let Some(tenant) = self.by_key.get(&key).map(|record| record.tenant) else { return };
                if self.make_room(tenant, ANSWER_MEMORY + reply.memory(), bounds, now) {
                    self.change(key, Some(ClaimState::Answered { until, reply }));
                } else {
                    self.remind(tenant, Shortage::Answer, now, None);
                }
            }
        }
    }
}
