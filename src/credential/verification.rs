//! What follows where the upstream refuses a key, or accepts one: which other key a request may be sent with, how long it
//! waits for one, and what comes out about the keys that are held.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use super::log::{self, Event};
use super::versions::{Verification, Versions};
use super::{Credential, SecretVersion};

/// How long requests wait for another key, from the first refusal on: who replaces a key here and at the upstream does not do
/// both in the same moment.
const GRACE: Duration = Duration::from_secs(5);

/// How long a look may take for a request to wait for it; a mounted file system may hang.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is known of the versions together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Judgement {
    /// One of them was accepted, by a read call that began then; or by a start, of which nobody knows when it was looked at.
    Accepted(Option<Instant>),
    /// A read call was refused with each of them.
    Rejected,
    /// A read call did not tell, for this reason.
    Unclear(String),
    /// Nothing new.
    Open,
}

impl Credential {
    /// Another key than one that the upstream refused. Where none is held, the store is looked at at once, and for five
    /// seconds after the first refusal the request waits for a key to come, unless the upstream turns out to accept the one
    /// that there is.
    pub async fn replacement_for(&self, refused: &Arc<SecretVersion>) -> Option<Arc<SecretVersion>> {
        let refused_at = Instant::now();
        let mut changed = self.changed.subscribe();
        if let Some(other) = self.held_other_than(refused) {
            return Some(other);
        }
        let grace = self.doubt(refused_at) + GRACE;
        // What never changes is not waited for.
        self.pace?;
        let look = self.refresh_requests.ask(refused_at);
        let over = || look.is_none_or(|number| self.refresh_requests.is_over(number)) && Instant::now() >= grace;
        let another = async {
            loop {
                if let Some(other) = self.held_other_than(refused) {
                    return Some(other);
                }
                if over() || self.lock().confirmed.is_some_and(|begun| begun >= refused_at) {
                    return None;
                }
                changed.changed().await.ok()?;
            }
        };
        let end = if look.is_some() { grace.max(refused_at + PATIENCE) } else { grace };
        timeout_at(end.into(), another).await.unwrap_or(None)
    }

    fn held_other_than(&self, refused: &Arc<SecretVersion>) -> Option<Arc<SecretVersion>> {
        self.versions.load().as_ref().and_then(|versions| versions.other_than(refused).cloned())
    }

    /// The upstream accepted a start with this key, perhaps `instead` of another that it refused a moment before.
    pub fn note_accepted(&self, held: &Arc<SecretVersion>, instead: bool) {
        let versions = self.versions.load();
        let Some(versions) = versions.as_ref() else { return };
        let is_current = Arc::ptr_eq(versions.current(), held);
        let settled = versions.verification() == Verification::Accepted || !(is_current || instead);
        if settled && !self.doubted.load(Ordering::Acquire) {
            return;
        }
        let verification =
            if is_current { Some(Verification::Accepted) } else { instead.then_some(Verification::Rejected) };
        self.judged(versions, verification, Judgement::Accepted(None));
    }

    /// A request failed because the upstream refused its key, perhaps the second one, sent `instead` of the first.
    pub fn note_refused(&self, instead: bool) {
        self.refusals.add();
        if instead {
            self.doubt(Instant::now());
        }
    }

    /// Since when it refuses them.
    pub(super) fn doubt(&self, now: Instant) -> Instant {
        let since = *self.lock().doubted.get_or_insert(now);
        self.doubted.store(true, Ordering::Release);
        self.questions.notify_one();
        since
    }

    /// What came out about the current version, and about all together, if that is still the current.
    pub(super) fn judged(&self, versions: &Versions, verification: Option<Verification>, judgement: Judgement) {
        let mut known = self.lock();
        let present = self.versions.load();
        let Some(present) = present.as_ref().filter(|present| Arc::ptr_eq(present.current(), versions.current()))
        else {
            return;
        };
        let changed = verification.filter(|verification| *verification != present.verification());
        if let Some(verification) = changed {
            self.versions.store(Some(Arc::new(present.with_verification(verification))));
        }
        if verification == Some(Verification::Accepted) || matches!(judgement, Judgement::Accepted(_)) {
            self.verified.store(true, Ordering::Release);
        }
        let was_rejected = known.rejected;
        let was_unclear = known.unclear.take().is_some();
        match judgement {
            Judgement::Accepted(begun) => {
                (known.doubted, known.rejected) = (None, false);
                known.confirmed = begun.or(known.confirmed);
                self.doubted.store(false, Ordering::Release);
            }
            // Unless it accepted a start meanwhile.
            Judgement::Rejected => known.rejected = known.doubted.is_some(),
            Judgement::Unclear(reason) => {
                known.unclear = Some(reason);
                known.rejected &= verification.is_none();
            }
            Judgement::Open => {}
        }
        let event = match changed.filter(|_| present.previous().is_some()) {
            Some(Verification::Accepted) => Some(Event::NewestAccepted),
            Some(Verification::Rejected) if was_rejected && known.rejected => Some(Event::NewestRejected),
            Some(Verification::Rejected) if !known.rejected => Some(Event::NewestRefused),
            _ if known.rejected && !was_rejected => Some(Event::Rejected),
            _ if was_rejected && known.doubted.is_none() => Some(Event::AcceptedAgain),
            _ => (known.unclear.is_some() && !was_unclear).then_some(Event::Unclear),
        };
        if let Some(event) = event {
            log::log_transition(self, event, &known);
        }
        drop(known);
        self.changed.send_replace(());
        self.questions.notify_one();
    }
}
