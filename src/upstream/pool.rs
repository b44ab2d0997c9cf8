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
        if !shared.is_empty() {
            shared.retain(|(shared, of)| *of == generation && shared.is_alive(now, self.idle));
            if let Some(stream) = shared.iter().find_map(|(shared, _)| shared.stream()) {
                return Some(Connection::Http2(stream));
            }
        }
        unused.retain(|unused| unused.connection.generation == generation && unused.is_alive(now, self.idle));
        unused.pop().map(|unused| Connection::Http1(unused.connection))
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
