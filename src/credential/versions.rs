//! The versions of a secret: whether the upstream accepts them, and which of them is sent first.

use std::mem::{discriminant, replace};
use std::sync::Arc;
use std::time::Instant;

use hyper::Request;
use hyper::header::HeaderName;

use crate::secret::{Fingerprint, Salt, Secret};

use super::transition::Transition;

/// A secret as it was read from its store at one time.
#[derive(Debug)]
pub struct SecretVersion {
    /// The secret itself.
    pub secret: Secret,
    /// The fingerprint of the secret, which may be shown.
    pub fingerprint: Fingerprint,
    /// When it was first read.
    pub since: Instant,
}

/// The version that was last read from the store, and perhaps a previous one.
#[derive(Debug, Clone)]
pub(super) struct Versions {
    current: Arc<SecretVersion>,
    verification: Verification,
    suspicion: Suspicion,
    /// The reason why the last probe did not show whether a version is valid.
    inconclusive: Option<String>,
    /// When the last probe that was accepted began.
    confirmed_at: Option<Instant>,
    /// Whether the upstream has accepted a version of this credential, at any time.
    has_been_accepted: bool,
}

/// Whether the upstream accepts the current version.
///
/// ```text
///              a start or a probe is accepted
///  Unverified ────────────────────────────────▶ Accepted ◀────────────────────┐
///      │                                           │                          │ accepted:
///      │   another version is read, or the store   │   another version        │ the previous version
///      │   turns out to have a previous one        │   is read                │ is forgotten
///      └──────────────────▶ Pending ◀──────────────┘                          │
///                              │ probe: refused ──────────▶ Rejected ─────────┤
///                              │                               ▲ refused      │
///                              └ probe: inconclusive ─────▶ Inconclusive ─────┘
/// ```
///
/// From `Pending`, `Rejected` and `Inconclusive`, a third version leads to `Pending` with the same previous one. The previous
/// version, if it is read again, leads to `Unverified`.
#[derive(Debug, Clone)]
pub(super) enum Verification {
    /// The upstream was not asked, since there is no other version to send.
    Unverified,
    /// The upstream has accepted the version.
    Accepted,
    /// A probe is under way. The previous version is sent first.
    Pending { previous: Arc<SecretVersion> },
    /// The upstream refuses the version. The previous version is sent first.
    Rejected { previous: Arc<SecretVersion> },
    /// A probe was inconclusive. The current version is sent first.
    Inconclusive { previous: Arc<SecretVersion> },
}

/// Whether the upstream refuses every version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suspicion {
    /// There is no sign that it does, or it has accepted a version since.
    None,
    /// A request was refused with each version, perhaps for a reason of its own.
    Open { since: Instant },
    /// A probe was refused with each version as well.
    Confirmed { since: Instant },
}

/// The result of a read call of the gateway's own with one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeResult {
    /// The upstream accepted the version.
    Accepted,
    /// The upstream refused the version.
    Rejected,
    /// The upstream was not reached, or its answer shows neither, for this reason.
    Inconclusive(String),
}

/// A probe, with the versions that there were when it began.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) began: Instant,
    /// The current version then.
    pub(super) version: Arc<SecretVersion>,
    /// The result for it.
    pub(super) current: ProbeResult,
    /// The result for the previous version, if it was tried.
    pub(super) previous: Option<ProbeResult>,
}

impl SecretVersion {
    pub(super) fn new(secret: Secret, salt: &Salt, now: Instant) -> Arc<SecretVersion> {
        let fingerprint = secret.fingerprint(salt);
        Arc::new(SecretVersion { secret, fingerprint, since: now })
    }

    fn is(&self, other: &SecretVersion) -> bool {
        self.secret.is(&other.secret)
    }

    /// Sets the secret on a request, in place of any other value: the one line that injects it.
    pub fn inject<B>(&self, header: &HeaderName, request: &mut Request<B>) {
        request.headers_mut().insert(header.clone(), self.secret.header_value());
    }
}

impl Versions {
    /// Creates the versions from the first reading of the store, which may have a previous version as well.
    pub(super) fn new(current: Arc<SecretVersion>, stored: Option<Arc<SecretVersion>>) -> Versions {
        let mut versions = Versions {
            current: Arc::clone(&current),
            verification: Verification::Unverified,
            suspicion: Suspicion::None,
            inconclusive: None,
            confirmed_at: None,
            has_been_accepted: false,
        };
        versions.refresh(current, stored);
        versions
    }

    pub(super) fn current(&self) -> &Arc<SecretVersion> {
        &self.current
    }

    pub(super) fn previous(&self) -> Option<&Arc<SecretVersion>> {
        match &self.verification {
            Verification::Unverified | Verification::Accepted => None,
            Verification::Pending { previous }
            | Verification::Rejected { previous }
            | Verification::Inconclusive { previous } => Some(previous),
        }
    }

    /// Returns the version that is sent first: the current one once the upstream has accepted it or could not tell. Until
    /// then it is the previous one, so that no start is a test of a version, and none fails because the upstream switched
    /// between its two tries.
    pub(super) fn first(&self) -> &Arc<SecretVersion> {
        match &self.verification {
            Verification::Pending { previous } | Verification::Rejected { previous } => previous,
            Verification::Unverified | Verification::Accepted | Verification::Inconclusive { .. } => &self.current,
        }
    }

    /// Returns the version to send after `refused`, preferably the current one.
    pub(super) fn other_than(&self, refused: &Arc<SecretVersion>) -> Option<&Arc<SecretVersion>> {
        self.all().find(|version| !Arc::ptr_eq(version, refused))
    }

    fn all(&self) -> impl Iterator<Item = &Arc<SecretVersion>> {
        std::iter::once(&self.current).chain(self.previous())
    }

    #[cfg(test)]
    pub(super) fn verification(&self) -> &Verification {
        &self.verification
    }

    pub(super) fn suspicion(&self) -> Suspicion {
        self.suspicion
    }

    pub(super) fn is_confirmed_since(&self, time: Instant) -> bool {
        self.confirmed_at.is_some_and(|began| began >= time)
    }

    pub(super) fn inconclusive(&self) -> Option<&str> {
        self.inconclusive.as_deref()
    }

    pub(super) fn has_been_accepted(&self) -> bool {
        self.has_been_accepted
    }

    pub(super) fn is_pending(&self) -> bool {
        matches!(self.verification, Verification::Pending { .. })
    }

    /// Returns whether the previous version is sent first because the upstream refuses the current one.
    pub(super) fn is_current_rejected(&self) -> bool {
        matches!(self.verification, Verification::Rejected { .. })
    }

    /// Returns whether the upstream may refuse every version. If `verify`, a credential that was never accepted is suspect as
    /// well.
    pub(super) fn is_suspect(&self, verify: bool) -> bool {
        self.suspicion != Suspicion::None || (verify && !self.has_been_accepted)
    }

    /// Returns whether the upstream is to be asked about any version.
    pub(super) fn is_in_question(&self, verify: bool) -> bool {
        self.previous().is_some() || self.is_suspect(verify)
    }

    /// Applies a reading of the store. Returns whether any version has changed.
    ///
    /// If the current version changes, the last one that was accepted becomes the previous one. If none is known to be
    /// accepted, the store's own previous version does.
    pub(super) fn refresh(&mut self, current: Arc<SecretVersion>, stored: Option<Arc<SecretVersion>>) -> bool {
        let current = self.find_known(current);
        let stored = stored.map(|stored| self.find_known(stored)).filter(|stored| !stored.is(&current));
        if Arc::ptr_eq(&self.current, &current) {
            return match (&self.verification, stored) {
                (Verification::Unverified, Some(previous)) => {
                    self.verification = Verification::Pending { previous };
                    true
                }
                _ => false,
            };
        }
        let is_previous = self.previous().is_some_and(|previous| Arc::ptr_eq(previous, &current));
        let replaced = replace(&mut self.current, current);
        self.verification = match replace(&mut self.verification, Verification::Unverified) {
            _ if is_previous => Verification::Unverified,
            Verification::Unverified => Verification::Pending { previous: stored.unwrap_or(replaced) },
            Verification::Accepted => Verification::Pending { previous: replaced },
            Verification::Pending { previous }
            | Verification::Rejected { previous }
            | Verification::Inconclusive { previous } => Verification::Pending { previous },
        };
        true
    }

    /// Returns the known version with the same secret, or else the given one.
    fn find_known(&self, version: Arc<SecretVersion>) -> Arc<SecretVersion> {
        self.all().find(|known| known.is(&version)).cloned().unwrap_or(version)
    }

    /// Records that a request was refused with every version.
    pub(super) fn note_refused(&mut self, now: Instant) {
        if self.suspicion == Suspicion::None {
            self.suspicion = Suspicion::Open { since: now };
        }
    }

    /// Returns whether an accepted start changes anything. It seldom does.
    pub(super) fn learns_from(&self, accepted: &Arc<SecretVersion>, refused: Option<&Arc<SecretVersion>>) -> bool {
        let is_proven = matches!(self.verification, Verification::Accepted);
        let tells =
            !is_proven && (self.is_current(accepted) || refused.is_some_and(|refused| self.is_current(refused)));
        tells || self.suspicion != Suspicion::None
    }

    /// Records that a start was accepted with a version, perhaps after it was refused with another.
    pub(super) fn note_accepted(&mut self, accepted: &Arc<SecretVersion>, refused: Option<&Arc<SecretVersion>>) {
        if self.is_current(accepted) {
            self.verification = Verification::Accepted;
        } else if refused.is_some_and(|refused| self.is_current(refused)) {
            self.reject_current();
        }
        self.inconclusive = None;
        self.clear_suspicion();
    }

    /// Records the results of a probe, unless the current version was replaced since. An inconclusive result is not recorded
    /// if a start has answered the question meanwhile, because no further probe would clear it.
    pub(super) fn note_probe(&mut self, probe: Probe, verify: bool) {
        if !self.is_current(&probe.version) {
            return;
        }
        let (has_previous, is_in_question) = (self.previous().is_some(), self.is_in_question(verify));
        let rejects_all =
            probe.current == ProbeResult::Rejected && (!has_previous || probe.previous == Some(ProbeResult::Rejected));
        self.inconclusive = None;
        match (probe.current, probe.previous) {
            (ProbeResult::Accepted, _) => {
                self.verification = Verification::Accepted;
                self.confirm(probe.began);
            }
            (ProbeResult::Rejected, Some(ProbeResult::Accepted)) => {
                self.reject_current();
                self.confirm(probe.began);
            }
            (ProbeResult::Rejected, Some(ProbeResult::Inconclusive(reason))) => {
                self.reject_current();
                self.inconclusive = is_in_question.then_some(reason);
                self.weaken_suspicion();
            }
            (ProbeResult::Rejected, None | Some(ProbeResult::Rejected)) => {
                self.reject_current();
                if rejects_all && self.is_suspect(verify) {
                    self.suspicion = Suspicion::Confirmed { since: self.suspicion.since().unwrap_or(probe.began) };
                }
            }
            (ProbeResult::Inconclusive(reason), _) => {
                self.inconclusive = is_in_question.then_some(reason);
                if let Verification::Pending { previous } = &self.verification {
                    self.verification = Verification::Inconclusive { previous: Arc::clone(previous) };
                    self.weaken_suspicion();
                }
            }
        }
    }

    fn is_current(&self, version: &Arc<SecretVersion>) -> bool {
        Arc::ptr_eq(version, &self.current)
    }

    /// Marks the current version as rejected. Without a previous version it is sent all the same.
    fn reject_current(&mut self) {
        if let Some(previous) = self.previous() {
            self.verification = Verification::Rejected { previous: Arc::clone(previous) };
        }
    }

    fn confirm(&mut self, began: Instant) {
        self.confirmed_at = Some(began);
        self.clear_suspicion();
    }

    fn clear_suspicion(&mut self) {
        self.suspicion = Suspicion::None;
        self.has_been_accepted = true;
    }

    /// Reopens a confirmed suspicion: it is no longer certain of every version.
    fn weaken_suspicion(&mut self) {
        if let Suspicion::Confirmed { since } = self.suspicion {
            self.suspicion = Suspicion::Open { since };
        }
    }

    /// Returns the transition to log after an answer of the upstream has led from `before` to this state.
    pub(super) fn transition_from(&self, before: &Versions) -> Option<Transition> {
        let is_changed =
            before.previous().is_some() && discriminant(&before.verification) != discriminant(&self.verification);
        let is_confirmed = |versions: &Versions| matches!(versions.suspicion, Suspicion::Confirmed { .. });
        let (was_rejected, is_rejected) = (is_confirmed(before), is_confirmed(self));
        match self.verification {
            Verification::Accepted if is_changed => Some(Transition::CurrentAccepted),
            Verification::Rejected { .. } if is_changed && was_rejected && is_rejected => {
                Some(Transition::CurrentRejectedToo)
            }
            Verification::Rejected { .. } if is_changed && !is_rejected => Some(Transition::CurrentRejected),
            _ if is_rejected && !was_rejected => Some(Transition::Rejected),
            _ if was_rejected && self.suspicion == Suspicion::None => Some(Transition::AcceptedAgain),
            _ => (self.inconclusive.is_some() && before.inconclusive.is_none()).then_some(Transition::Inconclusive),
        }
    }
}

impl Suspicion {
    pub(super) fn since(self) -> Option<Instant> {
        match self {
            Suspicion::None => None,
            Suspicion::Open { since } | Suspicion::Confirmed { since } => Some(since),
        }
    }
}
