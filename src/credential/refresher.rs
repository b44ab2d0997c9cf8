//! Keeps every credential up to date: reads its store, and probes the upstream about versions in question.

use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{sleep, sleep_until};

use super::lifecycle::Event;
use super::versions::{Probe, ProbeResult, SecretVersion};
use super::{Credential, Credentials};

/// The task that keeps credentials up to date, also those of later configurations.
#[derive(Debug)]
pub struct Refresher(pub Arc<Credentials>);

type Job<'a> = Pin<Box<dyn Future<Output = Infallible> + 'a>>;

impl Refresher {
    /// Runs for ever. `probe` makes a read call with one version of a credential.
    pub async fn run(self, probe: impl AsyncFn(&Credential, &SecretVersion) -> ProbeResult) -> Infallible {
        let mut credentials = self.0.subscribe();
        loop {
            let present = credentials.borrow_and_update().clone();
            let jobs = |credential| -> [Job<'_>; 2] {
                [Box::pin(Credential::keep_fresh(credential)), Box::pin(Credential::keep_verified(credential, &probe))]
            };
            // Each is polled only when it is woken, so that many credentials cost little.
            let mut jobs: FuturesUnordered<_> = present.values().flat_map(|credential| jobs(&**credential)).collect();
            // A reload restarts all of them, so each store is read at once.
            tokio::select! {
                Some(never) = jobs.next() => match never {},
                _ = credentials.changed() => {}
            }
        }
    }
}

impl Credential {
    async fn keep_fresh(&self) -> Infallible {
        let Some(pace) = self.pace else { return pending().await };
        let mut failures = 0_u32;
        loop {
            self.refresh_requests.begin();
            let content = self.fetch().await;
            failures = if content.is_ok() { 0 } else { failures.saturating_add(1) };
            self.update(content, Instant::now());
            self.refresh_requests.finish();
            self.changed.send_replace(());
            // A store that reports its changes is not polled.
            let wait = if failures == 0 && self.changes.is_some() { Duration::MAX } else { pace.after(failures) };
            let until_expiry = self.lifecycle.load().until_expiry(Instant::now(), &self.definition);
            tokio::select! {
                () = sleep(wait.min(until_expiry)) => {}
                () = self.refresh_requests.next() => {}
                () = self.next_change() => {}
            }
            if wait == Duration::MAX {
                self.apply(Event::Unchanged, Instant::now());
            }
        }
    }

    async fn next_change(&self) {
        match &self.changes {
            Some(changes) => changes.next().await,
            None => pending().await,
        }
    }

    async fn keep_verified(&self, probe: &impl AsyncFn(&Credential, &SecretVersion) -> ProbeResult) -> Infallible {
        let (mut last, mut failures) = (None, 0_u32);
        loop {
            let due = self.lifecycle.load().next_probe(Instant::now(), last, failures, &self.definition);
            let until_due = async {
                match due {
                    Some(due) => sleep_until(due.into()).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = until_due => {}
                () = self.probe_schedule.notified() => continue,
            }
            let now = Instant::now();
            self.probe(probe, now).await;
            last = Some(now);
            let is_in_question = self.lifecycle.load().next_probe(now, None, 0, &self.definition).is_some();
            failures = if is_in_question { failures.saturating_add(1) } else { 0 };
        }
    }

    /// Probes the current version, and also the previous one if the upstream may refuse both.
    pub(super) async fn probe(&self, probe: &impl AsyncFn(&Credential, &SecretVersion) -> ProbeResult, began: Instant) {
        let lifecycle = self.lifecycle.load_full();
        let Some(versions) = lifecycle.versions() else { return };
        let current = probe(self, versions.current()).await;
        let previous = match versions.previous() {
            Some(previous) if current == ProbeResult::Rejected && versions.is_suspect(self.definition.verify) => {
                Some(probe(self, previous).await)
            }
            _ => None,
        };
        let version = Arc::clone(versions.current());
        self.apply(Event::Probed(Probe { began, version, current, previous }), began);
    }
}
