//! A worker: one thread with one `current_thread` runtime, a handle on each listener, and connections of its own to the upstream.
//!
//! No request crosses threads. This costs about a third less than one runtime over several threads.

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
use crate::proxy::generation::ActiveGeneration;
use crate::record::Sinks;
use crate::server::accept::Acceptor;
use crate::server::capacity::Capacity;
use crate::server::socket::{AsyncSocket, StdSocket};
use crate::state::State;
use crate::tasks::{TaskKind, Tasks};
use crate::transport::Transport;
use crate::transport::connect::Connector;
use crate::upstream::Upstream;
use crate::upstream::health::UpstreamHealth;

/// The parts of a worker that is not started yet.
#[derive(Debug)]
pub struct Worker {
    /// The listeners, in the order of the configuration.
    pub listeners: Vec<WorkerListener>,
    /// The connection permits of the process.
    pub capacity: Capacity,
    /// The connector to the upstream.
    pub connector: Connector,
    /// When the upstream last answered and last failed, shared by all workers.
    pub upstream_health: Arc<UpstreamHealth>,
    /// How long an unused connection to the upstream is kept.
    pub idle_timeout: Duration,
    /// The receiver of the drain's signals.
    pub draining: DrainSignal,
    /// How long its requests in flight may take in a drain.
    pub drain_timeout: Duration,
    /// Cancelled when its requests in flight are to be aborted at once.
    pub abort: CancellationToken,
    /// The sinks of its records.
    pub sinks: Arc<Sinks>,
    /// The state that all workers share.
    pub state: Arc<State>,
}

/// A worker's handle on a listener.
#[derive(Debug)]
pub struct WorkerListener {
    /// Its handle on the listening socket.
    pub socket: StdSocket,
    /// Present if callers speak TLS.
    pub tls: Option<Arc<ServerConfig>>,
    /// The listener's current configuration.
    pub active: Arc<ActiveGeneration>,
    /// The number of the listener's open connections.
    pub open: Gauge,
}

impl WorkerListener {
    fn try_clone(&self) -> io::Result<WorkerListener> {
        Ok(WorkerListener {
            socket: self.socket.try_clone()?,
            tls: self.tls.clone(),
            active: Arc::clone(&self.active),
            open: self.open.clone(),
        })
    }
}

impl Worker {
    /// Returns a clone with further handles on the same listening sockets.
    ///
    /// # Errors
    ///
    /// If the process has reached its limit of open files.
    pub fn try_clone(&self) -> io::Result<Worker> {
        Ok(Worker {
            listeners: self.listeners.iter().map(WorkerListener::try_clone).collect::<io::Result<_>>()?,
            capacity: self.capacity.clone(),
            connector: self.connector.clone(),
            upstream_health: Arc::clone(&self.upstream_health),
            idle_timeout: self.idle_timeout,
            draining: self.draining.clone(),
            drain_timeout: self.drain_timeout,
            abort: self.abort.clone(),
            sinks: Arc::clone(&self.sinks),
            state: Arc::clone(&self.state),
        })
    }

    /// Starts the worker's thread, and returns its handle. The worker drops `accepting` when it accepts no more callers, and
    /// `running` when it ends, even if it panics.
    ///
    /// # Errors
    ///
    /// If the system refuses the thread or its runtime.
    pub fn start(
        self,
        number: usize,
        running: mpsc::Sender<Infallible>,
        accepting: DropGuard,
    ) -> io::Result<JoinHandle<io::Result<()>>> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let run = move || {
            let result = runtime.block_on(self.run(accepting));
            // A host name that is still being resolved must not delay the exit.
            runtime.shutdown_background();
            drop(running);
            result
        };
        std::thread::Builder::new().name(format!("worker-{number}")).spawn(run)
    }

    async fn run(self, accepting: DropGuard) -> io::Result<()> {
        let tasks = Tasks::new(Handle::current());
        let client_metrics = Arc::clone(&self.sinks.metrics.client);
        let upstream = Upstream::new(
            Transport::new(self.connector, self.idle_timeout, tasks.clone()),
            self.upstream_health,
            client_metrics,
        );
        upstream.prepare();
        self.sinks.metrics.pool(upstream.pool_counts());
        let proxy = Arc::new(Proxy {
            upstream: Arc::new(upstream),
            tasks: tasks.clone(),
            draining: self.draining.clone(),
            sinks: self.sinks,
        });
        // Cancelled when accepting has ended on any listener, even by a panic.
        let accepting_ended = CancellationToken::new();
        for (listener, WorkerListener { socket, tls, active, open }) in self.listeners.into_iter().enumerate() {
            let socket = AsyncSocket::from_std(socket)?;
            let acceptor = Acceptor {
                tls: tls.map(TlsAcceptor::from),
                capacity: self.capacity.clone(),
                listener,
                active,
                open,
                proxy: Arc::clone(&proxy),
            };
            let guard = accepting_ended.clone().drop_guard();
            tasks.spawn(TaskKind::Accept, async move {
                acceptor.run(socket).await;
                drop(guard);
            });
        }
        let mut draining = self.draining;
        let drained = async {
            let accepted = until_closing(&mut draining, &accepting_ended, accepting).await;
            (accepted, tokio::time::timeout(self.drain_timeout, tasks.ended()).await.is_ok())
        };
        let (accepted, is_drained) = tokio::select! {
            drained = drained => drained,
            () = self.abort.cancelled() => {
                self.state.record_cut_off();
                return Ok(());
            }
        };
        if !is_drained {
            tracing::error!(
                event = event::DRAIN_TIMED_OUT,
                remaining = tasks.remaining(),
                "drain.timeout passed; aborting the remaining requests"
            );
            // Before the runtime ends, and with it the tasks that are counted.
            self.state.record_cut_off();
        }
        accepted
    }
}

/// Waits until accepting has to end. If it has ended on a listener before that, drops `accepting` at once, so that the process
/// drains; this worker's requests in flight then have the same deadline as all others.
///
/// # Errors
///
/// If accepting has ended on a listener before the drain.
async fn until_closing(
    draining: &mut DrainSignal,
    accepting_ended: &CancellationToken,
    accepting: DropGuard,
) -> io::Result<()> {
    tokio::select! {
        () = draining.closing() => return Ok(()),
        () = accepting_ended.cancelled() => {}
    }
    // The listeners may have received the drain's signal a moment earlier.
    if draining.is_closing() {
        return Ok(());
    }
    drop(accepting);
    draining.closing().await;
    Err(io::Error::other("one of the listeners stopped accepting callers before the drain"))
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
        assert!(ended.is_cancelled(), "the process drains");
        drain.run(Schedule { delay: Duration::ZERO, timeout: Duration::ZERO }, || {}).await;
        assert!(waiting.await.is_err());
    }
}
