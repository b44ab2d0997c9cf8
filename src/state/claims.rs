//! What this process remembers of idempotency keys: which start each belongs to, and how that ended.
//!
//! A key is claimed before its start may be sent, and the claim's end says what becomes of the key. However a claim goes
//! away, the key is left as safe as before: dropped before sending it is as it was, dropped after sending its outcome is
//! unknown.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::HeaderValue;

use super::Digest;

#[cfg(test)]
mod tests;

/// What a settled record takes beside its answer, in bytes: measured with the answers that starts have, and rounded up.
const RECORD: usize = 384;

/// What a claim takes that is in flight: a record and room for the answer that will most likely come.
const IN_FLIGHT: usize = RECORD + 512;

/// How many outdated records one claim clears away, so that none waits for many.
const SWEPT: usize = 64;

/// How often the log says that there is too little memory.
const REMINDER: Duration = Duration::from_secs(600);

/// How long and how much is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How long after its end a start is remembered.
    pub retention: Duration,
    /// How much memory the records may take together, in bytes.
    pub memory: usize,
}

/// An answer that is given again.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// The upstream's status.
    pub status: StatusCode,
    /// The upstream's media type.
    pub content_type: Option<HeaderValue>,
    /// The whole body.
    pub body: Bytes,
}

impl Reply {
    /// Keeps copies: what was read of a connection is a part of a much larger buffer, which would be kept with it.
    #[must_use]
    pub fn new(status: StatusCode, content_type: Option<&HeaderValue>, body: &[u8]) -> Reply {
        let content_type = content_type.and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok());
        Reply { status, content_type, body: Bytes::copy_from_slice(body) }
    }

    fn memory(&self) -> usize {
        RECORD + self.body.len() + self.content_type.as_ref().map_or(0, HeaderValue::len)
    }
}

/// What a key's earlier use means for a start that comes with it now.
#[derive(Debug)]
pub enum Claimed {
    /// The key is not known: this start may be the first.
    New(Claim),
    /// A start was sent with it, and nobody knows how that ended.
    Unknown(Claim),
    /// A start was answered.
    Answered(Arc<Reply>),
}

/// Why a key cannot be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Another request holds it.
    InFlight,
    /// It belongs to another request.
    Mismatch,
    /// What may not be forgotten takes all the memory.
    Full,
}

/// The keys of all tenants.
#[derive(Debug, Default)]
pub struct Claims(Mutex<Records>);

#[derive(Debug, Default)]
struct Records {
    by_key: HashMap<Digest, Record>,
    /// The keys of settled records, by when they are forgotten.
    answered: BTreeSet<(Instant, Digest)>,
    unknown: BTreeSet<(Instant, Digest)>,
    /// What all records take.
    memory: usize,
    /// What they may take, as it was announced.
    bound: usize,
    /// How many answers were forgotten before their time.
    forgotten_early: u64,
    /// When the log last said what there is too little memory for.
    reminded: [Option<Instant>; 3],
}

/// What there is too little memory for.
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
struct Record {
    /// What the key was used for; nothing where only the upstream knows.
    request: Option<Digest>,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    InFlight,
    Unknown { until: Instant },
    Answered { until: Instant, reply: Arc<Reply> },
}

impl State {
    fn memory(&self) -> usize {
        match self {
            State::InFlight => IN_FLIGHT,
            State::Unknown { .. } => RECORD,
            State::Answered { reply, .. } => reply.memory(),
        }
    }
}

/// What the keys take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// How many keys are remembered.
    pub records: usize,
    /// What they take, in bytes.
    pub memory: usize,
    /// What they may take, in bytes.
    pub bound: usize,
    /// How many answers were forgotten before their time, since the start.
    pub forgotten_early: u64,
}

impl Claims {
    /// What the keys take now.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let records = self.lock();
        let Records { memory, bound, forgotten_early, .. } = *records;
        Usage { records: records.by_key.len(), memory, bound, forgotten_early }
    }

    /// What they may take from now on, in bytes; for those who ask, as each claim brings its own bounds.
    pub fn announce(&self, bounds: Bounds) {
        self.lock().bound = bounds.memory;
    }

    /// Claims a key for a request, which is told from others by its digest.
    ///
    /// # Errors
    ///
    /// [`Refused`]; nothing has changed then.
    pub fn claim(
        self: &Arc<Self>,
        key: Digest,
        request: Digest,
        bounds: Bounds,
        now: Instant,
    ) -> Result<Claimed, Refused> {
        let mut records = self.lock();
        records.forget_outdated(key, now);
        let held = |end| Claim(Held { claims: Arc::clone(self), key, bounds, end });
        match records.by_key.get(&key) {
            Some(record) if record.request.is_some_and(|known| known != request) => Err(Refused::Mismatch),
            Some(Record { state: State::InFlight, .. }) => Err(Refused::InFlight),
            Some(Record { state: State::Answered { reply, .. }, .. }) => Ok(Claimed::Answered(Arc::clone(reply))),
            Some(Record { state: State::Unknown { until }, .. }) => {
                let until = *until;
                records.change(key, Some(State::InFlight));
                Ok(Claimed::Unknown(held(End::As(State::Unknown { until }))))
            }
            None => {
                if !records.make_room(IN_FLIGHT, bounds, now) {
                    if records.is_reminder_due(Shortage::Key, now) {
                        tracing::error!(
                            "idempotency.memory is full of starts in flight and of unknown outcome: starts with a new \
                             Idempotency-Key are refused until idempotency.retention is over for some; give it more memory"
                        );
                    }
                    return Err(Refused::Full);
                }
                records.by_key.insert(key, Record { request: Some(request), state: State::InFlight });
                records.memory += IN_FLIGHT;
                Ok(Claimed::New(held(End::Forgotten)))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Records> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Records {
    /// Gives a record another state, or none.
    fn change(&mut self, key: Digest, state: Option<State>) {
        let Some(record) = self.by_key.get_mut(&key) else { return };
        self.memory -= record.state.memory();
        match &record.state {
            State::InFlight => {}
            State::Unknown { until } => drop(self.unknown.remove(&(*until, key))),
            State::Answered { until, .. } => drop(self.answered.remove(&(*until, key))),
        }
        let Some(state) = state else {
            self.by_key.remove(&key);
            return;
        };
        self.memory += state.memory();
        match &state {
            State::InFlight => {}
            State::Unknown { until } => drop(self.unknown.insert((*until, key))),
            State::Answered { until, .. } => drop(self.answered.insert((*until, key))),
        }
        record.state = state;
    }

    /// Forgets this key and some others if their time is over.
    fn forget_outdated(&mut self, key: Digest, now: Instant) {
        let outdated = |records: &Records| {
            let first = [records.answered.first(), records.unknown.first()];
            first.into_iter().flatten().find(|(until, _)| *until <= now).map(|(_, key)| *key)
        };
        for _ in 0..SWEPT {
            let Some(outdated) = outdated(self) else { return };
            self.change(outdated, None);
        }
        if let Some(Record { state: State::Unknown { until } | State::Answered { until, .. }, .. }) =
            self.by_key.get(&key)
            && *until <= now
        {
            self.change(key, None);
        }
    }

    /// Makes room for this many bytes; the answers that were given longest ago go first. What is in flight or unknown must
    /// not be started again, so it stays.
    fn make_room(&mut self, bytes: usize, bounds: Bounds, now: Instant) -> bool {
        while self.memory + bytes > bounds.memory {
            let Some((until, oldest)) = self.answered.first().copied() else { return false };
            self.change(oldest, None);
            self.forgotten_early += u64::from(until > now);
            if until > now && self.is_reminder_due(Shortage::Retention, now) {
                let early = humantime::format_duration(Duration::from_secs(until.duration_since(now).as_secs()));
                tracing::warn!(
                    %early,
                    "idempotency.memory is full: answers are forgotten before idempotency.retention is over, and a retry of \
                     such a start may start another; give it more memory"
                );
            }
        }
        true
    }

    fn is_reminder_due(&mut self, shortage: Shortage, now: Instant) -> bool {
        let Some(reminded) = self.reminded.get_mut(shortage as usize) else { return false };
        let due = reminded.is_none_or(|last| now.duration_since(last) >= REMINDER);
        if due {
            *reminded = Some(now);
        }
        due
    }

    fn settle(&mut self, key: Digest, bounds: Bounds, end: End) {
        match end {
            End::Forgotten => self.change(key, None),
            End::As(state) => self.change(key, Some(state)),
            End::Answered { reply, now } => {
                let until = now + bounds.retention;
                // Its own memory comes back first, so that a long answer needs no more than it takes.
                self.change(key, Some(State::Unknown { until }));
                let room = reply.memory().saturating_sub(RECORD);
                if self.make_room(room, bounds, now) {
                    self.change(key, Some(State::Answered { until, reply }));
                } else if self.is_reminder_due(Shortage::Answer, now) {
                    tracing::error!(
                        "idempotency.memory is full: an answer could not be kept, and its key's outcome counts as unknown; \
                         give it more memory"
                    );
                }
            }
        }
    }
}

/// What becomes of a key when its claim goes away.
#[derive(Debug)]
enum End {
    Forgotten,
    As(State),
    Answered { reply: Arc<Reply>, now: Instant },
}

/// A key that nobody else can use meanwhile. Nothing was sent under it: dropped, it leaves the key as it was.
#[derive(Debug)]
pub struct Claim(Held);

/// A key whose start may have been sent: dropped, it leaves the key's outcome unknown, from when it was sent.
#[derive(Debug)]
pub struct Sent(Held);

#[derive(Debug)]
struct Held {
    claims: Arc<Claims>,
    key: Digest,
    bounds: Bounds,
    end: End,
}

impl Held {
    fn answered(mut self, reply: Arc<Reply>, now: Instant) {
        self.end = End::Answered { reply, now };
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let end = std::mem::replace(&mut self.end, End::Forgotten);
        self.claims.lock().settle(self.key, self.bounds, end);
    }
}

impl Claim {
    /// The start is about to be sent.
    #[must_use]
    pub fn send(mut self, now: Instant) -> Sent {
        self.0.end = End::As(State::Unknown { until: now + self.0.bounds.retention });
        Sent(self.0)
    }

    /// An earlier start with this key was found, and this is its answer.
    pub fn found(self, reply: Arc<Reply>, now: Instant) {
        self.forget_request();
        self.0.answered(reply, now);
    }

    /// Earlier starts with this key were found, and it is not known which of them is the one.
    pub fn unknown(self, now: Instant) {
        self.forget_request();
        self.send(now).unknown(now);
    }

    /// Where this process did not send the first start, only the upstream knows what its body was.
    fn forget_request(&self) {
        if let End::Forgotten = self.0.end
            && let Some(record) = self.0.claims.lock().by_key.get_mut(&self.0.key)
        {
            record.request = None;
        }
    }
}

impl Sent {
    /// It is not known how the start ended.
    pub fn unknown(mut self, now: Instant) {
        self.0.end = End::As(State::Unknown { until: now + self.0.bounds.retention });
    }

    /// The start was answered so; an answer that finds no room leaves the outcome unknown.
    pub fn answered(self, reply: Reply, now: Instant) {
        self.0.answered(Arc::new(reply), now);
    }

    /// Nothing was started: the key can be used again.
    pub fn nothing_started(mut self) {
        self.0.end = End::Forgotten;
    }
}
