//! One thread with one `current_thread` runtime: its share of each listener, its own connections to the upstream.
//!
//! Nothing of a request crosses threads, which costs about a third less than one runtime over several threads.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::drain::DrainSignal;
use crate::event;
use crate::metrics::Gauge;
use crate::proxy::Proxy;
use crate::proxy::generation::Current;
use crate::record::Sinks;
use crate::server::accept::Acceptor;
use crate::server::capacity::Capacity;
use crate::server::socket::{Bound, Socket};
use crate::state::State;
use crate::tasks::{Kind, Tasks};
use crate::transport::Transport;
use crate::transport::connect::Connector;
use crate::upstream::Upstream;
use crate::upstream::health::UpstreamHealth;

/// What a worker is started with.
#[derive(Debug)]
pub struct Worker {
    /// Its clone of each listening socket, in the order of the listeners.
    pub sockets: Vec<Bound>,
    /// What speaks TLS on each of them, where it does.
    pub tls: Vec<Option<Arc<ServerConfig>>>,
    /// How many callers the process takes.
    pub capacity: Capacity,
    /// What requests to each of them are served by.
    pub current: Vec<Arc<Current>>,
    /// What counts the connections of each of them.
    pub open: Vec<Gauge>,
    /// Makes its connections to the upstream.
    pub connector: Connector,
    /// When it last answered and last failed.
    pub upstream_health: Arc<UpstreamHealth>,
    /// How long an unused connection to the upstream is kept.
    pub idle: Duration,
    /// When to stop.
    pub draining: DrainSignal,
    /// How long the drain may take.
    pub drain_timeout: Duration,
    /// Where records go.
    pub sinks: Arc<Sinks>,
    /// What is in flight.
    pub state: Arc<State>,
}

impl Worker {
    /// Starts the worker's thread, which drops `ended` when it accepts no more callers, and `end` when it ends. It drops both if
    /// it panics.
    ///
    /// # Errors
    ///
    /// Where the thread or its runtime cannot be started.
    pub fn start(
        self,
        number: usize,
        end: mpsc::Sender<Infallible>,
        ended: DropGuard,
    ) -> io::Result<JoinHandle<io::Result<()>>> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let run = move || {
            let result = runtime.block_on(self.run(ended));
            // What is cut off is cut off now: a name that is still being resolved must not hold up the exit.
            runtime.shutdown_background();
            drop(end);
            result
        };
        std::thread::Builder::new().name(format!("worker-{number}")).spawn(run)
    }

    async fn run(self, ended: DropGuard) -> io::Result<()> {
        let tasks = Tasks::new(Handle::current());
        let requests = Arc::clone(&self.sinks.metrics.client);
        let upstream =
            Upstream::new(Transport::new(self.connector, self.idle, tasks.clone()), self.upstream_health, requests);
        upstream.prepare();
        self.sinks.metrics.pool(upstream.pool_counts());
        let proxy = Arc::new(Proxy {
            upstream: Arc::new(upstream),
            tasks: tasks.clone(),
            draining: self.draining.clone(),
            sinks: self.sinks,
        });
        // Cancelled when accepting has ended on any listener, also if it panicked.
        let accepting_ended = CancellationToken::new();
        let listeners = self.sockets.into_iter().zip(self.tls).zip(self.current).zip(self.open);
        for (listener, (((socket, tls), current), open)) in listeners.enumerate() {
            let socket = Socket::new(socket)?;
            let acceptor = Acceptor {
                tls: tls.map(TlsAcceptor::from),
                capacity: self.capacity.clone(),
                listener,
                current,
                open,
                proxy: Arc::clone(&proxy),
            };
            let guard = accepting_ended.clone().drop_guard();
            tasks.spawn(Kind::Accept, async move {
                acceptor.run(socket).await;
                drop(guard);
            });
        }
        let mut draining = self.draining;
        let accepted = until_closing(&mut draining, &accepting_ended, ended).await;
        if tokio::time::timeout(self.drain_timeout, tasks.ended()).await.is_err() {
            tracing::error!(
                event = event::DRAIN_TIMED_OUT,
                remaining = tasks.remaining(),
                "drain.timeout passed; aborting the remaining requests"
            );
            // Before the runtime goes, and with it what counts.
            self.state.cut_off();
        }
        accepted
    }
}

/// Waits until accepting has to end. If it has ended on a listener before, `ended` is dropped at once, so that the process drains:
/// requests that this worker has in flight have as long as all others then.
///
/// # Errors
///
/// If accepting has ended before the drain.
async fn until_closing(
    draining: &mut DrainSignal,
    accepting_ended: &CancellationToken,
    ended: DropGuard,
) -> io::Result<()> {
    tokio::select! {
        () = draining.closing() => return Ok(()),
        () = accepting_ended.cancelled() => {}
    }
    // The listeners may have heard of the drain a moment before.
    if draining.is_closing() {
        return Ok(());
    }
    drop(ended);
    draining.closing().await;
    Err(io::Error::other("accepting callers has ended on one of the listeners"))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use super::*;
    use crate::drain::{self, Schedule};

    #[tokio::test]
    async fn a_worker_that_accepts_no_more_has_the_process_drain_and_stays_until_then() {
        let (drain, mut draining) = drain::channel();
        let (accepting_ended, ended) = (CancellationToken::new(), CancellationToken::new());
        let mut waiting = pin!(until_closing(&mut draining, &accepting_ended, ended.clone().drop_guard()));
        let mut is_pending = async || poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context).is_pending())).await;
        assert!(is_pending().await && !ended.is_cancelled());
        accepting_ended.cancel();
        assert!(is_pending().await, "what is in flight goes on");
        assert!(ended.is_cancelled(), "the process is told");
        drain.run(Schedule { delay: Duration::ZERO, timeout: Duration::ZERO }, || {}).await;
        assert!(waiting.await.is_err());
    }
}
