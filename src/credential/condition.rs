//! How a credential is, for people to look at.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::secret::{Error, Fingerprint};

use super::ring::Trial;
use super::{Key, Known};

/// How a credential is. The first that is true, from the bottom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// The key is the one that its store holds.
    Fresh,
    /// Its store holds none at present; the last one stays in use.
    Stale,
    /// The upstream refuses every key that is held: a read call of the gateway's own was refused, too.
    Rejected,
    /// Its store has held none for longer than `max_stale`; none is sent any more.
    Expired,
    /// There was none yet.
    Missing,
}

impl Condition {
    /// All of them.
    pub const ALL: [Condition; 5] =
        [Condition::Fresh, Condition::Stale, Condition::Rejected, Condition::Expired, Condition::Missing];

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Condition::Fresh => "fresh",
            Condition::Stale => "stale",
            Condition::Rejected => "rejected",
            Condition::Expired => "expired",
            Condition::Missing => "missing",
        }
    }
}

/// A credential as it is at a time.
#[derive(Debug, Clone)]
pub struct Shown {
    /// How it is.
    pub condition: Condition,
    /// The newest key.
    pub newest: Option<ShownKey>,
    /// The key before, while it is held.
    pub before: Option<Fingerprint>,
    /// Whether the key before goes first, because the upstream refuses the newest.
    pub waits: bool,
    /// Why a read call of the gateway's own did not tell whether a key is valid that is in question.
    pub unclear: Option<String>,
    /// Why the last look brought no key, or not the one before.
    pub trouble: Option<Error>,
}

impl Shown {
    /// What is wrong, for a metric: the store's error, what the upstream makes of the newest key, or nothing.
    #[must_use]
    pub fn error(&self) -> &'static str {
        match &self.trouble {
            Some(trouble) => trouble.name(),
            None if self.waits || self.condition == Condition::Rejected => "refused",
            None if self.unclear.is_some() => "unclear",
            None => "",
        }
    }
}

/// A key as it is shown.
#[derive(Debug, Clone, Copy)]
pub struct ShownKey {
    /// What it is called.
    pub fingerprint: Fingerprint,
    /// For how long it has been the newest.
    pub age: Duration,
}

impl Key {
    /// How it is, and its keys.
    #[must_use]
    pub fn shown(&self, now: Instant) -> Shown {
        self.shown_with(&self.lock(), now)
    }

    pub(super) fn shown_with(&self, known: &Known, now: Instant) -> Shown {
        let ring = self.ring.load();
        let condition = match &*ring {
            None => Condition::Missing,
            Some(_) if self.expired.load(Ordering::Acquire) => Condition::Expired,
            Some(_) if known.rejected => Condition::Rejected,
            Some(_) if known.trouble.is_some() => Condition::Stale,
            Some(_) => Condition::Fresh,
        };
        let newest = ring.as_ref().map(|ring| ShownKey {
            fingerprint: ring.newest().fingerprint,
            age: now.saturating_duration_since(ring.newest().since),
        });
        Shown {
            condition,
            newest,
            before: ring.as_ref().and_then(|ring| Some(ring.before()?.fingerprint)),
            waits: ring.as_ref().is_some_and(|ring| ring.before().is_some() && ring.trial() == Trial::Refused),
            unclear: known.unclear.clone(),
            trouble: known.trouble.clone().or_else(|| known.trouble_before.clone()),
        }
    }
}
