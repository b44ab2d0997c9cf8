//! The status of a credential, for metrics, `/readyz?verbose` and the log.

use std::time::{Duration, Instant};

use crate::secret::{Error, Fingerprint};

use super::lifecycle::Lifecycle;
use super::versions::{Suspicion, Versions};

/// The status of a credential. If several apply, the last one is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialStatus {
    /// The store holds the current version.
    Fresh,
    /// The store holds no version at present. The last one stays in use.
    Stale,
    /// The upstream refuses every version, also in a probe.
    Rejected,
    /// The store has held no version for longer than `max_stale`. None is sent any more.
    Expired,
    /// No version was ever read.
    Missing,
}

impl CredentialStatus {
    /// All statuses.
    pub const ALL: [CredentialStatus; 5] = [
        CredentialStatus::Fresh,
        CredentialStatus::Stale,
        CredentialStatus::Rejected,
        CredentialStatus::Expired,
        CredentialStatus::Missing,
    ];

    /// Returns the code in metrics, reports and the log.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            CredentialStatus::Fresh => "fresh",
            CredentialStatus::Stale => "stale",
            CredentialStatus::Rejected => "rejected",
            CredentialStatus::Expired => "expired",
            CredentialStatus::Missing => "missing",
        }
    }
}

/// A problem with a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialProblem<'a> {
    /// The store holds no current version, or no usable previous one.
    Store(&'a Error),
    /// The upstream refuses the current version.
    Refused,
    /// A version is in question, and a probe did not show whether it is valid.
    Unclear,
}

impl CredentialProblem<'_> {
    /// Returns the code in metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            CredentialProblem::Store(error) => error.code(),
            CredentialProblem::Refused => "refused",
            CredentialProblem::Unclear => "unclear",
        }
    }
}

/// The status of a credential at one time, and its versions.
#[derive(Debug, Clone)]
pub struct StatusReport {
    /// The status.
    pub status: CredentialStatus,
    /// The current version.
    pub current: Option<VersionReport>,
    /// The previous version, as long as it is held.
    pub previous: Option<Fingerprint>,
    /// Whether the previous version is sent first because the upstream refuses the current one.
    pub is_current_rejected: bool,
    /// The reason why a probe did not show whether a version in question is valid.
    pub inconclusive: Option<String>,
    /// The reason why the store holds no current version, or no usable previous one.
    pub error: Option<Error>,
}

/// The part of a version that may be shown.
#[derive(Debug, Clone, Copy)]
pub struct VersionReport {
    /// The fingerprint of its secret.
    pub fingerprint: Fingerprint,
    /// The time since it was first read.
    pub age: Duration,
}

impl StatusReport {
    /// Returns the worst problem, if there is one.
    #[must_use]
    pub fn problem(&self) -> Option<CredentialProblem<'_>> {
        if let Some(error) = &self.error {
            return Some(CredentialProblem::Store(error));
        }
        if self.is_current_rejected || self.status == CredentialStatus::Rejected {
            return Some(CredentialProblem::Refused);
        }
        self.inconclusive.is_some().then_some(CredentialProblem::Unclear)
    }
}

impl Lifecycle {
    pub(super) fn status(&self) -> CredentialStatus {
        match self {
            Lifecycle::Missing { .. } => CredentialStatus::Missing,
            Lifecycle::Expired(..) => CredentialStatus::Expired,
            _ if matches!(self.suspicion(), Suspicion::Confirmed { .. }) => CredentialStatus::Rejected,
            Lifecycle::Stale(..) => CredentialStatus::Stale,
            Lifecycle::Fresh(_) => CredentialStatus::Fresh,
        }
    }

    pub(super) fn report(&self, now: Instant) -> StatusReport {
        let versions = self.versions();
        let previous_error = || self.inventory()?.previous_error.as_ref();
        StatusReport {
            status: self.status(),
            current: versions.map(|versions| VersionReport {
                fingerprint: versions.current().fingerprint,
                age: now.saturating_duration_since(versions.current().since),
            }),
            previous: versions.and_then(|versions| Some(versions.previous()?.fingerprint)),
            is_current_rejected: versions.is_some_and(Versions::is_current_rejected),
            inconclusive: versions.and_then(Versions::inconclusive).map(ToOwned::to_owned),
            error: self.error().or_else(previous_error).cloned(),
        }
    }
}
