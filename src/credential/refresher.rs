//! Keeps every credential up to date: asks its store, and asks the upstream about keys that are in question.

use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{sleep, sleep_until};

use crate::secret::{Content, Error, Pace, Secret};

use super::log::{self, Event};
use super::refresh_requests::COOLDOWN;
use super::versions::{Verification, Versions};
use super::{Credential, Credentials, Judgement, SecretVersion};

/// How often the upstream is asked about a key that it was asked about in vain.
const QUESTIONS: Pace = Pace { every: COOLDOWN, longest: Duration::from_secs(60) };

/// How often it is asked about a key that it has accepted each time.
const DOUBTS: Duration = Duration::from_secs(1);

/// What the upstream makes of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeResult {
    /// It answered a read call.
    Accepted,
    /// It refused the key.
    Rejected,
    /// It could not be reached, or answered something that says neither: this.
    Inconclusive(String),
}

/// Keeps the credentials of a keyring, whichever they are at a time.
#[derive(Debug)]
pub struct Refresher(pub Arc<Credentials>);

type Kept<'a> = Pin<Box<dyn Future<Output = Infallible> + 'a>>;

impl Refresher {
    /// Keeps them, and never ends. `ask` makes a read call with one key of a credential.
    pub async fn run(self, ask: impl AsyncFn(&Credential, &SecretVersion) -> ProbeResult) -> Infallible {
        let mut keys = self.0.subscribe();
        loop {
            let present = keys.borrow_and_update().clone();
            let kept =
                |key| -> [Kept<'_>; 2] { [Box::pin(Credential::keep(key)), Box::pin(Credential::confirm(key, &ask))] };
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

impl Credential {
    async fn keep(&self) -> Infallible {
        let Some(pace) = self.pace else { return pending().await };
        let mut failures = 0_u32;
        loop {
            self.refresh_requests.begin();
            let fetched = self.fetch().await;
            failures = if fetched.is_ok() { 0 } else { failures.saturating_add(1) };
            self.take(fetched, Instant::now());
            self.refresh_requests.end();
            self.changed.send_replace(());
            // A store that tells of changes is not polled.
            let wait = if failures == 0 && self.changes.is_some() { Duration::MAX } else { pace.after(failures) };
            tokio::select! {
                () = sleep(wait.min(self.until_expiry(Instant::now()))) => {}
                () = self.refresh_requests.asked() => {}
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
    pub async fn fetch(&self) -> Result<Content, Error> {
        self.store.lock().await.fetch().await
    }

    /// Takes in what the store said. What holds no key changes no key.
    pub fn take(&self, fetched: Result<Content, Error>, now: Instant) {
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
                    log::log_transition(self, Event::BeforeUnusable, &known);
                }
                if replaced { Some(Event::Replaced) } else { lost.then_some(Event::Back) }
            }
            Err(error) => {
                let name = error.code();
                let news = known.trouble.replace(error).is_none_or(|before| before.code() != name);
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
            log::log_transition(self, event, &known);
        }
    }

    /// Whether there is another key now than before.
    fn renew(&self, Content { current: key, previous }: Content) -> bool {
        let versions = self.versions.load_full();
        let hold = |secret: Secret| {
            let known =
                versions.as_ref().and_then(|versions| versions.held().find(|held| held.secret.is(&secret)).cloned());
            known.unwrap_or_else(|| SecretVersion::new(secret, &self.salt))
        };
        let current = hold(key);
        let stored = previous.and_then(Result::ok).map(hold).filter(|stored| !stored.is(&current));
        let (versions, replaced) = match versions.as_deref() {
            None => (Versions::new(current, stored), true),
            Some(versions) if !Arc::ptr_eq(versions.current(), &current) => (versions.renewed(current, stored), true),
            Some(versions) if versions.lacks_previous() && stored.is_some() => (Versions::new(current, stored), false),
            Some(_) => return false,
        };
        self.versions.store(Some(Arc::new(versions)));
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
    async fn confirm(&self, ask: &impl AsyncFn(&Credential, &SecretVersion) -> ProbeResult) -> Infallible {
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
        let versions = self.versions.load();
        let versions = versions.as_ref()?;
        let now = Instant::now();
        if versions.previous().is_some() && versions.verification() == Verification::Pending {
            return Some(now);
        }
        let in_question = versions.previous().is_some() || self.doubted.load(Ordering::Acquire) || self.is_to_verify();
        let wait = failures.checked_sub(1).map_or(DOUBTS, |failures| QUESTIONS.after(failures));
        in_question.then(|| asked.map_or(now, |asked| asked + wait))
    }

    fn is_to_verify(&self) -> bool {
        self.definition.verify && !self.is_verified()
    }

    /// Asks about the current key, and where requests were refused with both, about the one before.
    pub(super) async fn judge(&self, ask: &impl AsyncFn(&Credential, &SecretVersion) -> ProbeResult, now: Instant) {
        let Some(versions) = self.versions.load_full() else { return };
        let doubted = self.doubted.load(Ordering::Acquire) || self.is_to_verify();
        let current = ask(self, versions.current()).await;
        let before = match versions.previous() {
            Some(before) if doubted && current == ProbeResult::Rejected => Some(ask(self, before).await),
            _ => None,
        };
        let all_refused = current == ProbeResult::Rejected
            && (versions.previous().is_none() || before == Some(ProbeResult::Rejected));
        let verification = match &current {
            ProbeResult::Accepted => Some(Verification::Accepted),
            ProbeResult::Rejected => versions.previous().map(|_| Verification::Rejected),
            ProbeResult::Inconclusive(_) => {
                (versions.verification() == Verification::Pending).then_some(Verification::Inconclusive)
            }
        };
        let judgement = match [Some(&current), before.as_ref()] {
            [Some(ProbeResult::Accepted), _] | [_, Some(ProbeResult::Accepted)] => Judgement::Accepted(Some(now)),
            _ if doubted && all_refused => Judgement::Rejected,
            [Some(ProbeResult::Inconclusive(reason)), _] | [_, Some(ProbeResult::Inconclusive(reason))] => {
                Judgement::Unclear(reason.clone())
            }
            _ => Judgement::Open,
        };
        if judgement == Judgement::Rejected && self.is_to_verify() {
            // Even if no request has met the refusal yet.
            self.doubt(now);
        }
        self.judged(&versions, verification, judgement);
    }
}
