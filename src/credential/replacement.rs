//! The search for another version after the upstream has refused one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use super::Credential;
use super::lifecycle::Event;
use super::versions::{SecretVersion, Versions};

/// How long requests wait for another version after the first refusal. Operators replace a secret here and at the upstream in
/// two separate steps.
const GRACE_PERIOD: Duration = Duration::from_secs(5);

/// How long a request waits at most for the store to be read. A mounted file system may hang.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(2);

impl Credential {
    /// Returns a version other than `refused`, which the upstream refused.
    ///
    /// If there is none in memory, the store is read at once. For five seconds after the first refusal the request waits for
    /// one. It stops waiting if a probe with the refused version is accepted meanwhile.
    pub async fn replacement_for(&self, refused: &Arc<SecretVersion>) -> Option<Arc<SecretVersion>> {
        let refused_at = Instant::now();
        let mut changed = self.changed.subscribe();
        if let Some(other) = self.other_than(refused) {
            return Some(other);
        }
        let suspicion = self.apply(Event::Refused, refused_at).suspicion();
        let grace_end = suspicion.since().unwrap_or(refused_at) + GRACE_PERIOD;
        // A store that never changes is not waited for.
        self.pace?;
        let refresh = self.refresh_requests.request(refused_at);
        let is_refreshed = || refresh.is_none_or(|number| self.refresh_requests.is_finished(number));
        let other = async {
            loop {
                if let Some(other) = self.other_than(refused) {
                    return Some(other);
                }
                let is_confirmed = |versions: &Versions| versions.is_confirmed_since(refused_at);
                if self.lifecycle.load().versions().is_some_and(is_confirmed)
                    || (is_refreshed() && Instant::now() >= grace_end)
                {
                    return None;
                }
                changed.changed().await.ok()?;
            }
        };
        let end = if refresh.is_some() { grace_end.max(refused_at + REFRESH_TIMEOUT) } else { grace_end };
        timeout_at(end.into(), other).await.unwrap_or(None)
    }

    /// Records that a request failed because the upstream refused this version, and could not be sent again with another one. If
    /// there is no other, the store is read at once.
    pub fn note_refused_finally(&self, refused: &Arc<SecretVersion>) {
        self.refusals.add();
        if self.other_than(refused).is_none() {
            let now = Instant::now();
            self.apply(Event::Refused, now);
            // A store that never changes is not read again.
            self.pace.and_then(|_| self.refresh_requests.request(now));
        }
    }

    fn other_than(&self, refused: &Arc<SecretVersion>) -> Option<Arc<SecretVersion>> {
        self.lifecycle.load().versions().and_then(|versions| versions.other_than(refused).cloned())
    }
}
