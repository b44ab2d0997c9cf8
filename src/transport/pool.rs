//! Connections that can carry a request: shared ones that are not full, and idle ones. Of the idle ones the last used goes
//! first, so that surplus ones grow old and close.
//!
//! A request that sends a stream has its connection for itself, over HTTP/2, too. The window of a connection is for all its
//! requests, and one whose stream the service does not take would use it up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::{http1, http2};

/// How many connections a pool holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolCounts {
    /// Idle connections over HTTP/1.1.
    pub idle: usize,
    /// Connections over HTTP/2, used or not, also those that requests do not share.
    pub shared: usize,
    /// Requests on those.
    pub streams: usize,
}

/// One worker's connections.
#[derive(Debug)]
pub struct Pool {
    idle_timeout: Duration,
    connections: Mutex<Connections>,
}

#[derive(Debug, Default)]
struct Connections {
    idle: Vec<IdleConnection>,
    shared: Vec<http2::Connection>,
    /// Connections over HTTP/2 that carry one request with a stream at a time.
    exclusive: Vec<http2::Connection>,
}

/// How a request uses its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// Others may use the connection at the same time.
    Shared,
    /// No other uses it at the same time.
    Exclusive,
}

#[derive(Debug)]
struct IdleConnection {
    connection: http1::Connection,
    since: Instant,
}

impl Pool {
    /// Creates a pool whose connections close after they were idle for `idle_timeout`.
    #[must_use]
    pub fn new(idle_timeout: Duration) -> Pool {
        Pool { idle_timeout, connections: Mutex::default() }
    }

    /// Returns a connection of this generation that can carry such a request now: a stream over HTTP/2, or else the idle one
    /// that was used last. Connections of another generation finish what they carry and carry nothing new.
    #[must_use]
    pub fn take(&self, generation: u64, usage: Usage) -> Option<Connection> {
        let now = Instant::now();
        let Connections { idle, shared, exclusive } = &mut *self.lock();
        let candidates = match usage {
            Usage::Shared => shared,
            Usage::Exclusive => exclusive,
        };
        let mut at = candidates.len();
        while let Some(before) = at.checked_sub(1) {
            at = before;
            // From the last one on, so that after a burst a request does not look at every connection of the burst.
            let Some(candidate) = candidates.get(at) else { break };
            if candidate.generation() != generation || !candidate.is_alive(now, self.idle_timeout) {
                drop(candidates.swap_remove(at));
            } else if let Some(stream) = candidate.stream(usage == Usage::Exclusive) {
                return Some(Connection::Http2(stream));
            }
        }
        while let Some(last) = idle.pop() {
            if last.connection.generation() == generation && last.is_alive(now, self.idle_timeout) {
                return Some(Connection::Http1(last.connection));
            }
        }
        None
    }

    /// Keeps a connection that is ready for its next request.
    pub fn put(&self, connection: http1::Connection) {
        self.lock().idle.push(IdleConnection { connection, since: Instant::now() });
    }

    /// Keeps a connection over HTTP/2 for such requests.
    pub fn keep(&self, connection: http2::Connection, usage: Usage) {
        let Connections { shared, exclusive, .. } = &mut *self.lock();
        match usage {
            Usage::Shared => shared,
            Usage::Exclusive => exclusive,
        }
        .push(connection);
    }

    /// Closes the idle connections, after an answer did not come in time on one that had been idle: the others may be as
    /// dead.
    pub fn close_idle(&self) {
        self.lock().idle.clear();
    }

    /// Counts what it holds.
    #[must_use]
    pub fn counts(&self) -> PoolCounts {
        let Connections { idle, shared, exclusive } = &*self.lock();
        let streams = shared.iter().chain(exclusive).map(http2::Connection::streams).sum();
        PoolCounts { idle: idle.len(), shared: shared.len() + exclusive.len(), streams }
    }

    /// Closes what has been idle for too long, also if no request comes by. Never ends.
    pub async fn sweep(self: Arc<Self>) {
        let mut tick = tokio::time::interval(self.idle_timeout.max(Duration::from_millis(10)) / 2);
        loop {
            let now = tick.tick().await.into_std();
            let Connections { idle, shared, exclusive } = &mut *self.lock();
            idle.retain(|idle| idle.is_alive(now, self.idle_timeout));
            for kept in [shared, exclusive] {
                kept.retain(|kept| kept.is_alive(now, self.idle_timeout));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IdleConnection {
    fn is_alive(&self, now: Instant, idle_timeout: Duration) -> bool {
        !self.connection.is_closed() && now.saturating_duration_since(self.since) < idle_timeout
    }
}

#[cfg(test)]
mod tests {
    use super::super::http1::tests::{closed, connection};
    use super::*;

    const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

    fn taken(pool: &Pool, generation: u64) -> Option<u64> {
        match pool.take(generation, Usage::Shared)? {
            Connection::Http1(connection) => Some(connection.generation()),
            Connection::Http2(_) => None,
        }
    }

    #[tokio::test]
    async fn the_last_that_is_alive_is_taken_and_what_lies_below_it_is_not_looked_at() {
        let pool = Pool::new(IDLE_TIMEOUT);
        let mut others = Vec::new();
        for is_open in [false, true, false, false] {
            let (connection, far) = connection(7).await;
            if is_open {
                others.push(far);
            } else {
                drop(far);
                closed(&connection).await;
            }
            pool.put(connection);
        }
        assert_eq!(pool.counts().idle, 4);
        assert_eq!(taken(&pool, 7), Some(7));
        assert_eq!(pool.counts().idle, 1, "the first is dead, and looked at when it is its turn");
        assert_eq!(taken(&pool, 7), None);
        assert_eq!(pool.counts().idle, 0);
    }

    #[tokio::test]
    async fn a_connection_of_another_generation_is_not_taken() {
        let pool = Pool::new(IDLE_TIMEOUT);
        let (old, _far) = connection(1).await;
        let (new, _other) = connection(2).await;
        pool.put(new);
        pool.put(old);
        assert_eq!(taken(&pool, 2), Some(2));
        assert_eq!(pool.counts().idle, 0);
    }
}
