//! What this process remembers of idempotency keys: which start each belongs to, and how that ended.
//!
//! A key is claimed before its start may be sent, and the claim's end says what becomes of the key. However a claim goes
//! away, the key is left as safe as before: dropped before sending it is as it was, dropped after sending its outcome is
//! unknown.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::HeaderValue;

use super::{BodyDigest, IdempotencyDigest};
use entries::{ClaimState, Entries, Entry, Settlement};

mod entries;
#[cfg(test)]
mod tests;

/// How long and how much is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How long after its end a start is remembered.
    pub retention: Duration,
    /// How much memory the records may take together, in bytes.
    pub memory: usize,
    /// How much of it each tenant has for certain.
    pub share: usize,
}

/// The least that a tenant has for certain, however many there are: some thirty starts in flight.
const LEAST_SHARE: usize = 16 * 1024;

impl Bounds {
    /// Returns the same with the memory divided among so many tenants.
    #[must_use]
    pub fn shared_by(self, tenants: usize) -> Bounds {
        let share = self.memory.checked_div(tenants).unwrap_or(self.memory);
        Bounds { share: share.max(LEAST_SHARE).min(self.memory), ..self }
    }
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
        self.body.len() + self.content_type.as_ref().map_or(0, HeaderValue::len)
    }
}

/// What a key's earlier use means for a start that comes with it now.
#[derive(Debug)]
pub enum PriorUse {
    /// The key is not known: this start may be the first.
    None(Claim),
    /// A start was sent with it, and nobody knows how that ended.
    Unknown(Claim),
    /// A start was answered.
    Answered(Arc<Reply>),
}

/// Why a key cannot be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimError {
    /// Another request holds it.
    InFlight,
    /// It belongs to another request.
    Mismatch,
    /// Entries that may not be forgotten take all of their tenant's share of the memory.
    Full,
}

/// The keys of all tenants.
#[derive(Debug, Default)]
pub struct Claims(Mutex<Entries>);

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
        self.lock().usage()
    }

    /// Notes what they may take from now on, for the metrics: each claim brings its own bounds.
    pub fn announce(&self, bounds: Bounds) {
        self.lock().bound = bounds.memory;
    }

    /// Claims a tenant's key for a request, which is told from others by the digest of its body.
    ///
    /// # Errors
    ///
    /// [`ClaimError`]; nothing has changed then.
    pub fn claim(
        self: &Arc<Self>,
        tenant: &Arc<str>,
        key: IdempotencyDigest,
        request: BodyDigest,
        bounds: Bounds,
        now: Instant,
    ) -> Result<PriorUse, ClaimError> {
        let mut records = self.lock();
        records.forget_outdated(key, now);
        let held = |end| Claim(ClaimGuard { claims: Arc::clone(self), key, bounds, end });
        match records.by_key.get(&key) {
            Some(record) if record.request.is_some_and(|known| known != request) => Err(ClaimError::Mismatch),
            Some(Entry { state: ClaimState::InFlight, .. }) => Err(ClaimError::InFlight),
            Some(Entry { state: ClaimState::Answered { reply, .. }, .. }) => Ok(PriorUse::Answered(Arc::clone(reply))),
            Some(Entry { state: ClaimState::Unknown { until }, .. }) => {
                let until = *until;
                records.change(key, Some(ClaimState::InFlight));
                Ok(PriorUse::Unknown(held(Settlement::As(ClaimState::Unknown { until }))))
            }
            None => {
                let added = records.add(tenant, key, request, bounds, now);
                if added { Ok(PriorUse::None(held(Settlement::Forgotten))) } else { Err(ClaimError::Full) }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A key that nobody else can use meanwhile. Nothing was sent under it: dropped, it leaves the key as it was.
#[derive(Debug)]
pub struct Claim(ClaimGuard);

/// A key whose start may have been sent: dropped, it leaves the key's outcome unknown, from that moment on.
#[derive(Debug)]
pub struct SentClaim(ClaimGuard);

#[derive(Debug)]
struct ClaimGuard {
    claims: Arc<Claims>,
    key: IdempotencyDigest,
    bounds: Bounds,
    end: Settlement,
}

impl ClaimGuard {
    fn answered(mut self, reply: Arc<Reply>, now: Instant) {
        self.end = Settlement::Answered { reply, now };
    }
}

impl Drop for ClaimGuard {
    fn drop(&mut self) {
        let end = std::mem::replace(&mut self.end, Settlement::Forgotten);
        self.claims.lock().settle(self.key, self.bounds, end);
    }
}

impl Claim {
    /// The start is about to be sent.
    #[must_use]
    pub fn send(mut self) -> SentClaim {
        self.0.end = Settlement::Unknown { now: None };
        SentClaim(self.0)
    }

    /// An earlier start with this key was found, and this is its answer. Its body is known if its tag says so.
    pub async fn found(self, reply: Arc<Reply>, request: Option<BodyDigest>, now: Instant) {
        self.know_request(request);
        self.0.answered(reply, now);
    }

    /// Earlier starts with this key were found, and it is not known which of them is the one.
    pub async fn unknown(self, now: Instant) {
        self.know_request(None);
        self.send().unknown(now);
    }

    /// If this process did not send the first start, only the upstream knows what its body was.
    fn know_request(&self, request: Option<BodyDigest>) {
        let is_first = matches!(self.0.end, Settlement::Forgotten);
        if let Some(record) = self.0.claims.lock().by_key.get_mut(&self.0.key)
            && (is_first || request.is_some())
        {
            record.request = request;
        }
    }
}

impl SentClaim {
    /// It is not known how the start ended.
    pub fn unknown(mut self, now: Instant) {
        self.0.end = Settlement::Unknown { now: Some(now) };
    }

    /// The start was answered so; an answer that finds no room leaves the outcome unknown.
    pub fn answered(self, reply: Reply, now: Instant) {
        self.0.answered(Arc::new(reply), now);
    }

    /// Nothing was started: the key can be used again.
    pub fn nothing_started(mut self) {
        self.0.end = Settlement::Forgotten;
    }
}
