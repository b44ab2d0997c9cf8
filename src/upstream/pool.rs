//! Connections that can carry a request: unused ones, the last used first, so that surplus ones grow old and close; and
//! shared ones that are not full.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::telemetry::metrics::Pooled;

use super::{Connection, Http1, http2};

/// One worker's connections.
#[derive(Debug)]
pub struct Pool {
    idle: Duration,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    unused: Vec<Unused>,
    shared: Vec<(http2::Connection, u64)>,
}

#[derive(Debug)]
struct Unused {
    connection: Http1,
    since: Instant,
}

impl Pool {
    /// A pool whose connections are dropped once unused for `idle`.
    #[must_use]
    pub fn new(idle: Duration) -> Pool {
        Pool { idle, kept: Mutex::default() }
    }

    /// A connection of this generation that can carry a request now: a place on a shared one, or else the most recently
    /// used. Those of another generation finish what they carry and carry nothing new.
    #[must_use]
    pub fn take(&self, generation: u64) -> Option<Connection> {
        let now = Instant::now();
        let Kept { unused, shared } = &mut *self.lock();
        let is_current = |(shared, of): &(http2::Connection, u64)| *of == generation && shared.is_alive(now, self.idle);
        let mut at = shared.len();
        while let Some(before) = at.checked_sub(1) {
            at = before;
            // Looked at from the last: after a burst, a request does not look at every connection of the burst.
            let Some(candidate) = shared.get(at) else { break };
            if !is_current(candidate) {
                drop(shared.swap_remove(at));
            } else if let Some(stream) = candidate.0.stream() {
                return Some(Connection::Http2(stream));
            }
        }
        while let Some(last) = unused.pop() {
            if last.connection.generation == generation && last.is_alive(now, self.idle) {
                return Some(Connection::Http1(last.connection));
            }
        }
        None
    }

    /// Keeps a connection that is ready for its next request.
    pub fn put(&self, connection: Http1) {
        self.lock().unused.push(Unused { connection, since: Instant::now() });
    }

    /// Keeps a connection that is shared.
    pub fn share(&self, connection: http2::Connection, generation: u64) {
        self.lock().shared.push((connection, generation));
    }

    /// What there is now.
    #[must_use]
    pub fn count(&self) -> Pooled {
        let Kept { unused, shared } = &*self.lock();
        let streams = shared.iter().map(|(shared, _)| shared.streams()).sum();
        Pooled { idle: unused.len(), shared: shared.len(), streams }
    }

    /// Closes what has been unused for too long, also where no request comes by; never ends.
    pub async fn sweep(self: Arc<Self>) {
        let mut tick = tokio::time::interval(self.idle.max(Duration::from_millis(10)) / 2);
        loop {
            let now = tick.tick().await.into_std();
            let Kept { unused, shared } = &mut *self.lock();
            unused.retain(|unused| unused.is_alive(now, self.idle));
            shared.retain(|(shared, _)| shared.is_alive(now, self.idle));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unused {
    fn is_alive(&self, now: Instant, idle: Duration) -> bool {
        !self.connection.sender.is_closed() && now.saturating_duration_since(self.since) < idle
    }
}
