//! Connections that can carry a request: unused ones, the last used first, so that surplus ones grow old and close; and
//! shared ones that are not full.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Connection, Http1, http2};

/// Connections that can carry a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pooled {
    /// HTTP/1.1, unused.
    pub idle: usize,
    /// HTTP/2, used or not.
    pub shared: usize,
    /// Requests on those.
    pub streams: usize,
}

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
            // From the last one on, so that after a burst a request does not look at every connection of the burst.
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

    /// Closes the unused connections, after an answer did not come in time on one that had been unused: the others may be
    /// as dead.
    pub fn close_unused(&self) {
        self.lock().unused.clear();
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

#[cfg(test)]
mod tests {
    use hyper_util::rt::TokioIo;
    use tokio::io::DuplexStream;

    use super::super::connect;
    use super::super::link::LinkState;
    use super::*;

    const IDLE: Duration = Duration::from_secs(50);

    /// A connection that is ready for a request, and its other end.
    async fn connection(generation: u64) -> (Http1, DuplexStream) {
        let (near, far) = tokio::io::duplex(1024);
        let (mut sender, driver) = connect::http1().handshake(TokioIo::new(near)).await.unwrap();
        let task = tokio::spawn(async move { drop(driver.await) }).abort_handle();
        sender.ready().await.unwrap();
        (Http1 { sender, task, generation, link: Arc::new(LinkState::new(false)) }, far)
    }

    fn taken(pool: &Pool, generation: u64) -> Option<u64> {
        match pool.take(generation)? {
            Connection::Http1(connection) => Some(connection.generation),
            Connection::Http2(_) => None,
        }
    }

    #[tokio::test]
    async fn the_last_that_is_alive_is_taken_and_what_lies_below_it_is_not_looked_at() {
        let pool = Pool::new(IDLE);
        let mut others = Vec::new();
        for kept in [false, true, false, false] {
            let (connection, far) = connection(7).await;
            let closing = connection.task.clone();
            pool.put(connection);
            if kept {
                others.push(far);
            } else {
                drop(far);
                while !closing.is_finished() {
                    tokio::task::yield_now().await;
                }
            }
        }
        assert_eq!(pool.count().idle, 4);
        assert_eq!(taken(&pool, 7), Some(7));
        assert_eq!(pool.count().idle, 1, "the first is dead, and looked at when it is its turn");
        assert_eq!(taken(&pool, 7), None);
        assert_eq!(pool.count().idle, 0);
    }

    #[tokio::test]
    async fn a_connection_of_another_generation_is_not_taken() {
        let pool = Pool::new(IDLE);
        let (old, _far) = connection(1).await;
        let (new, _other) = connection(2).await;
        pool.put(new);
        pool.put(old);
        assert_eq!(taken(&pool, 2), Some(2));
        assert_eq!(pool.count().idle, 0);
    }
}
