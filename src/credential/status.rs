//! How a credential is, for people to look at.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::secret::{Error, Fingerprint};

use super::versions::Verification;
use super::{Credential, Known};

/// How a credential is. The first that is true, from the bottom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialStatus {
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

impl CredentialStatus {
    /// All of them.
    pub const ALL: [CredentialStatus; 5] = [
        CredentialStatus::Fresh,
        CredentialStatus::Stale,
        CredentialStatus::Rejected,
        CredentialStatus::Expired,
        CredentialStatus::Missing,
    ];

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            CredentialStatus::Fresh => "fresh",
            CredentialStatus::Stale => "stale",
            CredentialStatus::Rejected => "rejected",
            CredentialStatus::Expired => "expired",
            CredentialStatus::Missing => "missing",
        }
    }
}

/// A credential as it is at a time.
#[derive(Debug, Clone)]
pub struct StatusReport {
    /// How it is.
    pub status: CredentialStatus,
    /// The current key.
    pub current: Option<CurrentVersion>,
    /// The key before, while it is held.
    pub previous: Option<Fingerprint>,
    /// Whether the key before goes first, because the upstream refuses the current.
    pub waits: bool,
    /// Why a read call of the gateway's own did not tell whether a key is valid that is in question.
    pub unclear: Option<String>,
    /// Why the last look brought no key, or not the one before.
    pub trouble: Option<Error>,
}

impl StatusReport {
    /// What is wrong, for a metric: the store's error, what the upstream makes of the current key, or nothing.
    #[must_use]
    pub fn error(&self) -> &'static str {
        match &self.trouble {
            Some(trouble) => trouble.code(),
            None if self.waits || self.status == CredentialStatus::Rejected => "refused",
            None if self.unclear.is_some() => "unclear",
            None => "",
        }
    }
}

/// A key as it is shown.
#[derive(Debug, Clone, Copy)]
pub struct CurrentVersion {
    /// What it is called.
    pub fingerprint: Fingerprint,
    /// For how long it has been the current.
    pub age: Duration,
}

impl Credential {
    /// How it is, and its keys.
    #[must_use]
    pub fn status(&self, now: Instant) -> StatusReport {
        self.status_of(&self.lock(), now)
    }

    pub(super) fn status_of(&self, known: &Known, now: Instant) -> StatusReport {
        let versions = self.versions.load();
        let status = match &*versions {
            None => CredentialStatus::Missing,
            Some(_) if self.expired.load(Ordering::Acquire) => CredentialStatus::Expired,
            Some(_) if known.rejected => CredentialStatus::Rejected,
            Some(_) if known.trouble.is_some() => CredentialStatus::Stale,
            Some(_) => CredentialStatus::Fresh,
        };
        let current = versions.as_ref().map(|versions| CurrentVersion {
            fingerprint: versions.current().fingerprint,
            age: now.saturating_duration_since(versions.current().since),
        });
        StatusReport {
            status,
            current,
            previous: versions.as_ref().and_then(|versions| Some(versions.previous()?.fingerprint)),
            waits: versions.as_ref().is_some_and(|versions| {
                versions.previous().is_some() && versions.verification() == Verification::Rejected
            }),
            unclear: known.unclear.clone(),
            trouble: known.trouble.clone().or_else(|| known.trouble_before.clone()),
        }
    }
}
