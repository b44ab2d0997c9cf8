//! Keeps every credential up to date: asks its store, and asks the upstream about keys that are in question.

use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{sleep, sleep_until};

use crate::secret::{Error, Fetched, Pace, Secret};

use super::looks::AGAIN;
use super::ring::{Ring, Trial};
use super::say::{self, Event};
use super::{Held, Judgement, Key, Keyring};

/// How often the upstream is asked about a key that it was asked about in vain.
const QUESTIONS: Pace = Pace { every: AGAIN, longest: Duration::from_secs(60) };

/// How often it is asked about a key that it has accepted each time.
const DOUBTS: Duration = Duration::from_secs(1);

/// What the upstream makes of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It answered a read call.
    Accepted,
    /// It refused the key.
    Refused,
    /// It could not be reached, or answered something that says neither: this.
    Unclear(String),
}

/// Keeps the credentials of a keyring, whichever they are at a time.
#[derive(Debug)]
pub struct Keeper(pub Arc<Keyring>);

type Kept<'a> = Pin<Box<dyn Future<Output = Infallible> + 'a>>;

impl Keeper {
    /// Keeps them, and never ends. `ask` makes a read call with one key of a credential.
    pub async fn run(self, ask: impl AsyncFn(&Key, &Held) -> Verdict) -> Infallible {
        let mut keys = self.0.subscribe();
        loop {
            let present = keys.borrow_and_update().clone();
            let kept = |key| -> [Kept<'_>; 2] { [Box::pin(Key::keep(key)), Box::pin(Key::confirm(key, &ask))] };
            // Each is polled only when it is woken, however many there are.
            let mut kept: FuturesUnordered<_> = present.values().flat_map(|key| kept(&**key)).collect();
            // With another configuration all are begun anew, and so looked at at once.
            tokio::select! {
                Some(never) = kept.next() => match never {},
                _ = keys.changed() => {}
            }
        }
    }
}

impl Key {
    async fn keep(&self) -> Infallible {
        let Some(pace) = self.pace else { return pending().await };
        let mut failures = 0_u32;
        loop {
            self.looks.begin();
            let fetched = self.fetch().await;
            failures = if fetched.is_ok() { 0 } else { failures.saturating_add(1) };
            self.take(fetched, Instant::now());
            self.looks.end();
            self.changed.send_replace(());
            // A store that tells of changes is not polled.
            let wait = if failures == 0 && self.changes.is_some() { Duration::MAX } else { pace.after(failures) };
            tokio::select! {
                () = sleep(wait.min(self.until_expiry(Instant::now()))) => {}
                () = self.looks.asked() => {}
                () = self.change() => {}
            }
            if wait == Duration::MAX {
                self.still_seen(Instant::now());
            }
        }
    }

    async fn change(&self) {
        match &self.changes {
            Some(changes) => changes.next().await,
            None => pending().await,
        }
    }

    /// Notes that the store still held, until now, what was last read: it would have told of a change.
    fn still_seen(&self, now: Instant) {
        let mut known = self.lock();
        if known.trouble.is_none() && known.seen.is_some() {
            known.seen = Some(now);
        }
    }

    /// Asks its store.
    ///
    /// # Errors
    ///
    /// Where no key is there at present.
    pub async fn fetch(&self) -> Result<Fetched, Error> {
        self.store.lock().await.fetch().await
    }

    /// Takes in what the store said. What holds no key changes no key.
    pub fn take(&self, fetched: Result<Fetched, Error>, now: Instant) {
        let mut known = self.lock();
        let event = match fetched {
            Ok(fetched) => {
                let lost = known.trouble.take().is_some();
                known.seen = Some(now);
                self.expired.store(false, Ordering::Release);
                let trouble_before = fetched.previous.as_ref().and_then(|previous| previous.as_ref().err().cloned());
                let unusable = trouble_before.is_some() && known.trouble_before.is_none();
                known.trouble_before = trouble_before;
                let replaced = self.renew(fetched);
                if unusable {
                    say::line(self, Event::BeforeUnusable, &known);
                }
                if replaced { Some(Event::Replaced) } else { lost.then_some(Event::Back) }
            }
            Err(error) => {
                let name = error.name();
                let news = known.trouble.replace(error).is_none_or(|before| before.name() != name);
                let over = self.until_expiry_of(known.seen, now) == Some(Duration::ZERO);
                let was_over = self.expired.swap(over, Ordering::AcqRel);
                match (was_over, over) {
                    (false, true) => Some(Event::Expired),
                    (true, false) => Some(Event::Lost),
                    _ => news.then_some(Event::Lost),
                }
            }
        };
        if let Some(event) = event {
            say::line(self, event, &known);
        }
    }

    /// Whether there is another key now than before.
    fn renew(&self, Fetched { key, previous }: Fetched) -> bool {
        let ring = self.ring.load_full();
        let hold = |secret: Secret| {
            let known = ring.as_ref().and_then(|ring| ring.held().find(|held| held.secret.is(&secret)).cloned());
            known.unwrap_or_else(|| Held::new(secret, &self.salt))
        };
        let newest = hold(key);
        let stored = previous.and_then(Result::ok).map(hold).filter(|stored| !stored.is(&newest));
        let (ring, replaced) = match ring.as_deref() {
            None => (Ring::new(newest, stored), true),
            Some(ring) if !Arc::ptr_eq(ring.newest(), &newest) => (ring.renewed(newest, stored), true),
            Some(ring) if ring.lacks_before() && stored.is_some() => (Ring::new(newest, stored), false),
            Some(_) => return false,
        };
        self.ring.store(Some(Arc::new(ring)));
        self.changed.send_replace(());
        self.questions.notify_one();
        replaced
    }

    /// How long until the key is too old, if its store stays away.
    pub(super) fn until_expiry(&self, now: Instant) -> Duration {
        let known = self.lock();
        let until = known.trouble.as_ref().and_then(|_| self.until_expiry_of(known.seen, now));
        until.filter(|until| !until.is_zero()).unwrap_or(Duration::MAX)
    }

    fn until_expiry_of(&self, seen: Option<Instant>, now: Instant) -> Option<Duration> {
        let end = seen?.checked_add(self.definition.max_stale?)?;
        Some(end.saturating_duration_since(now))
    }

    /// Asks the upstream whenever a key is in question: at once where one is new, else seldom.
    async fn confirm(&self, ask: &impl AsyncFn(&Key, &Held) -> Verdict) -> Infallible {
        let (mut asked, mut failures) = (None, 0_u32);
        loop {
            let due = self.question_due(asked, failures);
            tokio::select! {
                () = async {
                    match due {
                        Some(due) => sleep_until(due.into()).await,
                        None => pending().await,
                    }
                } => {}
                () = self.questions.notified() => continue,
            }
            let now = Instant::now();
            self.judge(ask, now).await;
            asked = Some(now);
            failures = if self.question_due(None, 0).is_some() { failures.saturating_add(1) } else { 0 };
        }
    }

    /// When the upstream is to be asked, if at all.
    pub(super) fn question_due(&self, asked: Option<Instant>, failures: u32) -> Option<Instant> {
        let ring = self.ring.load();
        let ring = ring.as_ref()?;
        let now = Instant::now();
        if ring.before().is_some() && ring.trial() == Trial::Due {
            return Some(now);
        }
        let in_question = ring.before().is_some() || self.doubted.load(Ordering::Acquire) || self.is_to_verify();
        let wait = failures.checked_sub(1).map_or(DOUBTS, |failures| QUESTIONS.after(failures));
        in_question.then(|| asked.map_or(now, |asked| asked + wait))
    }

    fn is_to_verify(&self) -> bool {
        self.definition.verify && !self.is_verified()
    }

    /// Asks about the newest key, and where requests were refused with both, about the one before.
    pub(super) async fn judge(&self, ask: &impl AsyncFn(&Key, &Held) -> Verdict, now: Instant) {
        let Some(ring) = self.ring.load_full() else { return };
        let doubted = self.doubted.load(Ordering::Acquire) || self.is_to_verify();
        let newest = ask(self, ring.newest()).await;
        let before = match ring.before() {
            Some(before) if doubted && newest == Verdict::Refused => Some(ask(self, before).await),
            _ => None,
        };
        let all_refused = newest == Verdict::Refused && (ring.before().is_none() || before == Some(Verdict::Refused));
        let trial = match &newest {
            Verdict::Accepted => Some(Trial::Accepted),
            Verdict::Refused => ring.before().map(|_| Trial::Refused),
            Verdict::Unclear(_) => (ring.trial() == Trial::Due).then_some(Trial::Unclear),
        };
        let judgement = match [Some(&newest), before.as_ref()] {
            [Some(Verdict::Accepted), _] | [_, Some(Verdict::Accepted)] => Judgement::Accepted(Some(now)),
            _ if doubted && all_refused => Judgement::Rejected,
            [Some(Verdict::Unclear(reason)), _] | [_, Some(Verdict::Unclear(reason))] => {
                Judgement::Unclear(reason.clone())
            }
            _ => Judgement::Open,
        };
        if judgement == Judgement::Rejected && self.is_to_verify() {
            // Even if no request has met the refusal yet.
            self.doubt(now);
        }
        self.judged(&ring, trial, judgement);
    }
}
