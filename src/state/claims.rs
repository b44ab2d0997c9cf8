//! Idempotency keys: the start that each belongs to, and the outcome of that start.
//!
//! An idempotency key is claimed before its start may be sent. The end of the claim decides the next state of the key.
//! Dropping a claim leaves the safe state: the earlier one if nothing was sent, otherwise unknown.
//!
//! ```text
//!              claim                     answered
//!  (absent) ──────────▶ in flight ─────────────────────▶ answered ──┐
//!     ▲  ▲                │  │ ▲                                     │ retention
//!     │  └── not started ─┘  │ └─ claim by a retry ─┐                │
//!     │                      └─── unknown ──────▶ unknown ───────────┤
//!     └──────────────────────────────────────────────────────────────┘
//! ```

mod entries;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::HeaderValue;

use super::{BodyDigest, IdempotencyDigest};

use entries::{ClaimState, Entries, Entry, Settlement};

/// How long and how much is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How long a start is remembered after its end.
    pub retention: Duration,
    /// The memory of all idempotency keys, in bytes.
    pub memory: usize,
    /// The part of it that each tenant is guaranteed, in bytes.
    pub share: usize,
}

/// The smallest share of a tenant, in bytes: enough for some thirty starts in flight.
const MIN_SHARE: usize = 16 * 1024;

impl Bounds {
    /// Returns the same bounds with the memory shared by a number of tenants.
    #[must_use]
    pub fn shared_by(self, tenants: usize) -> Bounds {
        let share = self.memory.checked_div(tenants).unwrap_or(self.memory);
        Bounds { share: share.max(MIN_SHARE).min(self.memory), ..self }
    }
}

/// An answer that is kept and replayed.
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
    /// Creates a reply from copies. Bytes that were read from a connection are part of a much larger buffer, which would be
    /// kept with them.
    #[must_use]
    pub fn new(status: StatusCode, content_type: Option<&HeaderValue>, body: &[u8]) -> Reply {
        let content_type = content_type.and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok());
        Reply { status, content_type, body: Bytes::copy_from_slice(body) }
    }

    fn memory(&self) -> usize {
        self.body.len() + self.content_type.as_ref().map_or(0, HeaderValue::len)
    }
}

/// The prior use of an idempotency key, and the claim or the reply that follows from it.
#[derive(Debug)]
pub enum PriorUse {
    /// The idempotency key is not known, so this start may be the first.
    None(Claim),
    /// A start was sent with the idempotency key, and its outcome is unknown.
    Unknown(Claim),
    /// A start with the idempotency key was answered.
    Answered(Arc<Reply>),
}

/// The reason why an idempotency key cannot be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimError {
    /// Another request holds the idempotency key.
    InFlight,
    /// The idempotency key was used with another body.
    Mismatch,
    /// The tenant's share of the memory is full of entries that must not be forgotten.
    Full,
}

/// The idempotency keys of all tenants.
#[derive(Debug, Default)]
pub struct Claims(Mutex<Entries>);

/// The memory that idempotency keys take, for the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// The number of idempotency keys.
    pub records: usize,
    /// Their memory, in bytes.
    pub memory: usize,
    /// The memory that they may take, in bytes.
    pub bound: usize,
    /// The number of answers that were forgotten before their time.
    pub forgotten_early: u64,
}

impl Claims {
    /// Returns the memory that idempotency keys take now.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.lock().usage()
    }

    /// Records the bound of the memory for the metrics. The bound that is enforced comes with each claim.
    pub fn set_bound(&self, bounds: Bounds) {
        self.lock().bound = bounds.memory;
    }

    /// Claims a tenant's idempotency key for a start.
    ///
    /// # Errors
    ///
    /// [`ClaimError`]; nothing has changed then.
    pub fn claim(
        self: &Arc<Self>,
        tenant: &Arc<str>,
        digest: IdempotencyDigest,
        body: BodyDigest,
        bounds: Bounds,
        now: Instant,
    ) -> Result<PriorUse, ClaimError> {
        let mut entries = self.lock();
        entries.forget_outdated(digest, now);
        let claim = |end| Claim(ClaimGuard { claims: Arc::clone(self), digest, bounds, end: Some(end) });
        match entries.by_digest.get(&digest) {
            Some(entry) if entry.body.is_some_and(|known| known != body) => Err(ClaimError::Mismatch),
            Some(Entry { state: ClaimState::InFlight, .. }) => Err(ClaimError::InFlight),
            Some(Entry { state: ClaimState::Answered { reply, .. }, .. }) => Ok(PriorUse::Answered(Arc::clone(reply))),
            Some(Entry { state: ClaimState::Unknown { until }, .. }) => {
                let until = *until;
                entries.change(digest, Some(ClaimState::InFlight));
                Ok(PriorUse::Unknown(claim(Settlement::As(ClaimState::Unknown { until }))))
            }
            None => {
                let is_added = entries.add(tenant, digest, body, bounds, now);
                if is_added { Ok(PriorUse::None(claim(Settlement::Free))) } else { Err(ClaimError::Full) }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A claimed idempotency key, with which nothing was sent. Dropped, it leaves the key as it was.
#[derive(Debug)]
pub struct Claim(ClaimGuard);

/// A claimed idempotency key whose start may have been sent. Dropped, it leaves the outcome of the key unknown, from that
/// moment on.
#[derive(Debug)]
pub struct SentClaim(ClaimGuard);

/// A guard that settles an idempotency key once, at the latest when it is dropped.
#[derive(Debug)]
struct ClaimGuard {
    claims: Arc<Claims>,
    digest: IdempotencyDigest,
    bounds: Bounds,
    /// The settlement to come; absent after it.
    end: Option<Settlement>,
}

impl ClaimGuard {
    /// Settles the idempotency key. Returns false if there was no room for its answer, which leaves its outcome unknown.
    fn settle(&mut self) -> bool {
        let Some(end) = self.end.take() else { return true };
        self.claims.lock().settle(self.digest, self.bounds, end)
    }

    fn settle_as(mut self, end: Settlement) -> bool {
        self.end = Some(end);
        self.settle()
    }
}

impl Drop for ClaimGuard {
    fn drop(&mut self) {
        self.settle();
    }
}

impl Claim {
    /// Marks the start as sent. Called before it is.
    #[must_use]
    pub fn send(mut self) -> SentClaim {
        self.0.end = Some(Settlement::Unknown { now: None });
        SentClaim(self.0)
    }

    /// Keeps the answer that an earlier start with the idempotency key must have got. `body` is that start's body, if its tag
    /// shows it.
    pub async fn found(self, reply: Arc<Reply>, body: Option<BodyDigest>, now: Instant) {
        self.set_body(body);
        self.0.settle_as(Settlement::Answered { reply, now });
    }

    /// Leaves the outcome of the idempotency key unknown, because it is not clear which of the starts that were found was the
    /// first.
    pub async fn unknown(self, now: Instant) {
        self.set_body(None);
        self.send().unknown(now);
    }

    /// Records the body of the earlier start. If this process did not send that start, only the upstream can know its body.
    fn set_body(&self, body: Option<BodyDigest>) {
        let is_first_here = matches!(self.0.end, Some(Settlement::Free));
        if let Some(entry) = self.0.claims.lock().by_digest.get_mut(&self.0.digest)
            && (is_first_here || body.is_some())
        {
            entry.body = body;
        }
    }
}

impl SentClaim {
    /// Leaves the outcome of the idempotency key unknown.
    pub fn unknown(self, now: Instant) {
        self.0.settle_as(Settlement::Unknown { now: Some(now) });
    }

    /// Keeps the answer. Returns false if there is no room for it, which leaves the outcome of the idempotency key unknown.
    #[must_use]
    pub fn answered(self, reply: Reply, now: Instant) -> bool {
        self.0.settle_as(Settlement::Answered { reply: Arc::new(reply), now })
    }

    /// Frees the idempotency key, because nothing was started.
    pub fn nothing_started(self) {
        self.0.settle_as(Settlement::Free);
    }
}
