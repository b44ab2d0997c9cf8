//! The state machine of a credential: from a state and an event to a state and effects. Nothing here waits, reads a clock or
//! locks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::secret::{Error, Pace};

use super::CredentialError;
use super::definition::Definition;
use super::transition::Transition;
use super::versions::{Probe, SecretVersion, Suspicion, Versions};

/// The wait after a probe that answered its question.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// The waits after probes that left a version in question.
const PROBE_PACE: Pace = Pace { every: Duration::from_secs(5), longest: Duration::from_secs(60) };

/// The state of a credential.
///
/// ```text
///                read                 not read               not read for max_stale
///   Missing ──────────────▶ Fresh ──────────────▶ Stale ──────────────────────────▶ Expired
///    │   ▲                  │   ▲                 │   ▲                              │   │
///    └───┘                  └───┼─────── read ────┘   └── not read, with a longer ───┘   │
///   not read               read └──────────────────────── max_stale ─── read ────────────┘
///
///   a version is sent:      yes                    yes                                no
/// ```
///
/// Every state but `Missing` has [`Versions`], which have two states of their own. One is whether the upstream accepts the
/// current version: see [`Verification`](super::versions::Verification). The other is whether it is suspected of refusing
/// every version:
///
/// ```text
///          a request is refused              a probe is refused
///   None ──────────────────────▶ Open ──────────────────────────▶ Confirmed
///    ▲    with every version      │        with every version         │
///    └─────────────────── a start or a probe is accepted ─────────────┘
/// ```
#[derive(Debug, Clone)]
pub(super) enum Lifecycle {
    /// No version was ever read. `error` is the reason, if the store was read.
    Missing { error: Option<Error> },
    /// The store holds the current version.
    Fresh(Inventory),
    /// The store holds no version at present. Those that were read stay in use.
    Stale(Inventory, Error),
    /// The store has held no version for longer than `max_stale`. None is sent any more.
    Expired(Inventory, Error),
}

/// The versions in memory, and the last reading of the store.
#[derive(Debug, Clone)]
pub(super) struct Inventory {
    pub(super) versions: Versions,
    /// When the store last held the current version.
    pub(super) seen: Instant,
    /// The reason why the store's previous version cannot be used, if it has one.
    pub(super) previous_error: Option<Error>,
}

/// An event in the life of a credential.
#[derive(Debug)]
pub(super) enum Event {
    /// The store holds this version, and perhaps a previous one, which may be unusable.
    Read { current: Arc<SecretVersion>, previous: Option<Result<Arc<SecretVersion>, Error>> },
    /// The store holds no version.
    NotRead(Error),
    /// The store reports its changes, and has reported none.
    Unchanged,
    /// The upstream refused a request with every version.
    Refused,
    /// The upstream accepted a start with this version, perhaps after it refused the start with another.
    Accepted { version: Arc<SecretVersion>, refused: Option<Arc<SecretVersion>> },
    /// A probe has ended.
    Probed(Probe),
}

/// An effect of an event besides the next state.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SideEffect {
    /// Logs the transition.
    Log(Transition),
    /// Wakes the requests that wait for a replacement.
    WakeRequests,
    /// Computes the time of the next probe again.
    RescheduleProbe,
}

impl Lifecycle {
    /// Returns the state after an event, and the effects of the event.
    pub(super) fn apply(self, event: Event, now: Instant, definition: &Definition) -> (Lifecycle, Vec<SideEffect>) {
        match event {
            Event::Read { current, previous } => self.on_read(current, previous, now),
            Event::NotRead(error) => self.on_read_error(error, now, definition.max_stale),
            Event::Unchanged => (self.on_unchanged(now), Vec::new()),
            Event::Refused => {
                (self.with_versions(|versions| versions.note_refused(now)).0, vec![SideEffect::RescheduleProbe])
            }
            Event::Accepted { version, refused } => {
                self.on_answer(|versions| versions.note_accepted(&version, refused.as_ref()))
            }
            Event::Probed(probe) => self.on_answer(|versions| versions.note_probe(probe, definition.verify)),
        }
    }

    fn on_read(
        self,
        current: Arc<SecretVersion>,
        previous: Option<Result<Arc<SecretVersion>, Error>>,
        now: Instant,
    ) -> (Lifecycle, Vec<SideEffect>) {
        let (stored, previous_error) = match previous {
            Some(Ok(stored)) => (Some(stored), None),
            Some(Err(error)) => (None, Some(error)),
            None => (None, None),
        };
        let is_back = matches!(self, Lifecycle::Stale(..) | Lifecycle::Expired(..));
        let before = self.into_inventory();
        let had_previous_error = before.as_ref().is_some_and(|before| before.previous_error.is_some());
        let (versions, is_changed, is_replaced) = match before {
            None => (Versions::new(current, stored), true, true),
            Some(Inventory { mut versions, .. }) => {
                let before = Arc::clone(versions.current());
                let is_changed = versions.refresh(current, stored);
                let is_replaced = !Arc::ptr_eq(&before, versions.current());
                (versions, is_changed, is_replaced)
            }
        };
        let mut effects = Vec::new();
        if previous_error.is_some() && !had_previous_error {
            effects.push(SideEffect::Log(Transition::PreviousUnusable));
        }
        if is_replaced {
            effects.push(SideEffect::Log(Transition::Replaced));
        } else if is_back {
            effects.push(SideEffect::Log(Transition::ReadableAgain));
        }
        if is_changed {
            effects.extend([SideEffect::WakeRequests, SideEffect::RescheduleProbe]);
        }
        (Lifecycle::Fresh(Inventory { versions, seen: now, previous_error }), effects)
    }

    fn on_read_error(self, error: Error, now: Instant, max_stale: Option<Duration>) -> (Lifecycle, Vec<SideEffect>) {
        let is_news = self.error().is_none_or(|before| before.code() != error.code());
        let was_expired = matches!(self, Lifecycle::Expired(..));
        let state = match self.into_inventory() {
            None => Lifecycle::Missing { error: Some(error) },
            Some(inventory) if inventory.until_expiry(now, max_stale).is_zero() => Lifecycle::Expired(inventory, error),
            Some(inventory) => Lifecycle::Stale(inventory, error),
        };
        let transition = match (was_expired, matches!(state, Lifecycle::Expired(..))) {
            (false, true) => Some(Transition::Expired),
            (true, false) => Some(Transition::Unreadable),
            _ => is_news.then_some(Transition::Unreadable),
        };
        (state, transition.map(SideEffect::Log).into_iter().collect())
    }

    fn on_unchanged(self, now: Instant) -> Lifecycle {
        match self {
            Lifecycle::Fresh(inventory) => Lifecycle::Fresh(Inventory { seen: now, ..inventory }),
            other => other,
        }
    }

    fn on_answer(self, note: impl FnOnce(&mut Versions)) -> (Lifecycle, Vec<SideEffect>) {
        let (state, transition) = self.with_versions(note);
        let log = transition.map(SideEffect::Log);
        (state, log.into_iter().chain([SideEffect::WakeRequests, SideEffect::RescheduleProbe]).collect())
    }

    /// Changes the versions and returns the transition to log. Before a version was read, nothing changes.
    fn with_versions(mut self, note: impl FnOnce(&mut Versions)) -> (Lifecycle, Option<Transition>) {
        let Some(versions) = self.versions_mut() else { return (self, None) };
        let before = versions.clone();
        note(versions);
        let transition = versions.transition_from(&before);
        (self, transition)
    }

    /// Returns the version that is sent first.
    pub(super) fn version_to_send(&self) -> Result<&Arc<SecretVersion>, CredentialError> {
        match self {
            Lifecycle::Missing { .. } => Err(CredentialError::Missing),
            Lifecycle::Fresh(inventory) | Lifecycle::Stale(inventory, _) => Ok(inventory.versions.first()),
            Lifecycle::Expired(..) => Err(CredentialError::Expired),
        }
    }

    pub(super) fn versions(&self) -> Option<&Versions> {
        self.inventory().map(|inventory| &inventory.versions)
    }

    pub(super) fn suspicion(&self) -> Suspicion {
        self.versions().map_or(Suspicion::None, Versions::suspicion)
    }

    pub(super) fn inventory(&self) -> Option<&Inventory> {
        match self {
            Lifecycle::Missing { .. } => None,
            Lifecycle::Fresh(inventory) | Lifecycle::Stale(inventory, _) | Lifecycle::Expired(inventory, _) => {
                Some(inventory)
            }
        }
    }

    fn into_inventory(self) -> Option<Inventory> {
        match self {
            Lifecycle::Missing { .. } => None,
            Lifecycle::Fresh(inventory) | Lifecycle::Stale(inventory, _) | Lifecycle::Expired(inventory, _) => {
                Some(inventory)
            }
        }
    }

    fn versions_mut(&mut self) -> Option<&mut Versions> {
        match self {
            Lifecycle::Missing { .. } => None,
            Lifecycle::Fresh(inventory) | Lifecycle::Stale(inventory, _) | Lifecycle::Expired(inventory, _) => {
                Some(&mut inventory.versions)
            }
        }
    }

    /// Returns the reason why the store holds no version at present.
    pub(super) fn error(&self) -> Option<&Error> {
        match self {
            Lifecycle::Missing { error } => error.as_ref(),
            Lifecycle::Fresh(_) => None,
            Lifecycle::Stale(_, error) | Lifecycle::Expired(_, error) => Some(error),
        }
    }

    /// Returns the time until the credential expires, if its store stays as it is.
    pub(super) fn until_expiry(&self, now: Instant, definition: &Definition) -> Duration {
        match self {
            Lifecycle::Stale(inventory, _) => inventory.until_expiry(now, definition.max_stale),
            Lifecycle::Missing { .. } | Lifecycle::Fresh(_) | Lifecycle::Expired(..) => Duration::MAX,
        }
    }

    /// Returns the time of the next probe, if one is needed. `last` is the time of the last one, and `failures` is how many
    /// in a row have left a version in question.
    pub(super) fn next_probe(
        &self,
        now: Instant,
        last: Option<Instant>,
        failures: u32,
        definition: &Definition,
    ) -> Option<Instant> {
        let versions = self.versions()?;
        if versions.is_pending() {
            return Some(now);
        }
        let wait = failures.checked_sub(1).map_or(PROBE_INTERVAL, |failures| PROBE_PACE.after(failures));
        versions.is_in_question(definition.verify).then(|| last.map_or(now, |last| last + wait))
    }
}

impl Inventory {
    fn until_expiry(&self, now: Instant, max_stale: Option<Duration>) -> Duration {
        let end = max_stale.and_then(|max_stale| self.seen.checked_add(max_stale));
        end.map_or(Duration::MAX, |end| end.saturating_duration_since(now))
    }
}
