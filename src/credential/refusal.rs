//! What follows where the upstream refuses a key, or accepts one: which other key a request may be sent with, how long it
//! waits for one, and what comes out about the keys that are held.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use super::ring::{Ring, Trial};
use super::say::{self, Event};
use super::{Held, Key};

/// How long requests wait for another key, from the first refusal on: who replaces a key here and at the upstream does not do
/// both in the same moment.
const GRACE: Duration = Duration::from_secs(5);

/// How long a look may take for a request to wait for it; a mounted file system may hang.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is known of the keys of a ring together.
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

impl Key {
    /// Another key than one that the upstream refused. Where none is held, the store is looked at at once, and for five
    /// seconds after the first refusal the request waits for a key to come, unless the upstream turns out to accept the one
    /// that there is.
    pub async fn other_than(&self, refused: &Arc<Held>) -> Option<Arc<Held>> {
        let refused_at = Instant::now();
        let mut changed = self.changed.subscribe();
        if let Some(other) = self.held_other_than(refused) {
            return Some(other);
        }
        let grace = self.doubt(refused_at) + GRACE;
        // What never changes is not waited for.
        self.pace?;
        let look = self.looks.ask(refused_at);
        let over = || look.is_none_or(|number| self.looks.is_over(number)) && Instant::now() >= grace;
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

    fn held_other_than(&self, refused: &Arc<Held>) -> Option<Arc<Held>> {
        self.ring.load().as_ref().and_then(|ring| ring.other_than(refused).cloned())
    }

    /// The upstream accepted a start with this key, perhaps `instead` of another that it refused a moment before.
    pub fn accepted(&self, held: &Arc<Held>, instead: bool) {
        let ring = self.ring.load();
        let Some(ring) = ring.as_ref() else { return };
        let is_newest = Arc::ptr_eq(ring.newest(), held);
        let settled = ring.trial() == Trial::Accepted || !(is_newest || instead);
        if settled && !self.doubted.load(Ordering::Acquire) {
            return;
        }
        let trial = if is_newest { Some(Trial::Accepted) } else { instead.then_some(Trial::Refused) };
        self.judged(ring, trial, Judgement::Accepted(None));
    }

    /// A request failed because the upstream refused its key, perhaps the second one, sent `instead` of the first.
    pub fn refused(&self, instead: bool) {
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

    /// What came out about the newest key of a ring, and about its keys together, if that is still the newest.
    pub(super) fn judged(&self, ring: &Ring, trial: Option<Trial>, judgement: Judgement) {
        let mut known = self.lock();
        let present = self.ring.load();
        let Some(present) = present.as_ref().filter(|present| Arc::ptr_eq(present.newest(), ring.newest())) else {
            return;
        };
        let changed = trial.filter(|trial| *trial != present.trial());
        if let Some(trial) = changed {
            self.ring.store(Some(Arc::new(present.tried(trial))));
        }
        if trial == Some(Trial::Accepted) || matches!(judgement, Judgement::Accepted(_)) {
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
                known.rejected &= trial.is_none();
            }
            Judgement::Open => {}
        }
        let event = match changed.filter(|_| present.before().is_some()) {
            Some(Trial::Accepted) => Some(Event::NewestAccepted),
            Some(Trial::Refused) if was_rejected && known.rejected => Some(Event::NewestRejected),
            Some(Trial::Refused) if !known.rejected => Some(Event::NewestRefused),
            _ if known.rejected && !was_rejected => Some(Event::Rejected),
            _ if was_rejected && known.doubted.is_none() => Some(Event::AcceptedAgain),
            _ => (known.unclear.is_some() && !was_unclear).then_some(Event::Unclear),
        };
        if let Some(event) = event {
            say::line(self, event, &known);
        }
        drop(known);
        self.changed.send_replace(());
        self.questions.notify_one();
    }
}
