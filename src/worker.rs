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

use crate::drain::Draining;
use crate::proxy::Proxy;
use crate::proxy::snapshot::Current;
use crate::server::accept::Acceptor;
use crate::server::capacity::Capacity;
use crate::server::socket::{Bound, Socket};
use crate::state::State;
use crate::tasks::{Kind, Tasks};
use crate::telemetry::Sinks;
use crate::telemetry::metrics::Gauge;
use crate::upstream::Upstream;
use crate::upstream::connect::Connector;
use crate::upstream::reach::Reach;

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
    /// How it reaches the upstream.
    pub connector: Connector,
    /// What is known of reaching it.
    pub reach: Arc<Reach>,
    /// How long an unused connection to the upstream is kept.
    pub idle: Duration,
    /// When to stop.
    pub draining: Draining,
    /// How long the drain may take.
    pub drain_timeout: Duration,
    /// Where records go.
    pub sinks: Arc<Sinks>,
    /// What is in flight.
    pub state: Arc<State>,
}

impl Worker {
    /// Starts the worker's thread, which ends when the drain is over and drops `end` and `ended` then. If it ends before, or
    /// panics, it drops them as well.
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
            let result = runtime.block_on(self.run());
            // What is cut off is cut off now: a name that is still being resolved must not hold up the exit.
            runtime.shutdown_background();
            drop((end, ended));
            result
        };
        std::thread::Builder::new().name(format!("worker-{number}")).spawn(run)
    }

    async fn run(self) -> io::Result<()> {
        let tasks = Tasks::new(Handle::current());
        let requests = Arc::clone(&self.sinks.metrics.client);
        let upstream = Upstream::new(self.connector, self.idle, self.reach, tasks.clone(), requests);
        upstream.prepare();
        self.sinks.metrics.pool(upstream.pooled());
        let proxy = Arc::new(Proxy {
            upstream: Arc::new(upstream),
            tasks: tasks.clone(),
            draining: self.draining.clone(),
            sinks: self.sinks,
        });
        // Told when a listener is not accepted on any more, also where that panicked.
        let deaf = CancellationToken::new();
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
            let guard = deaf.clone().drop_guard();
            tasks.spawn(Kind::Accept, async move {
                acceptor.run(socket).await;
                drop(guard);
            });
        }
        let mut draining = self.draining;
        tokio::select! {
            () = draining.closing() => {}
            () = deaf.cancelled() => {}
        }
        // The listeners may have heard of the drain a moment before.
        if !draining.is_closing() {
            return Err(io::Error::other("accepting callers has ended on one of the listeners"));
        }
        if tokio::time::timeout(self.drain_timeout, tasks.ended()).await.is_err() {
            tracing::error!(remaining = tasks.remaining(), "drain.timeout passed; what remains is cut off");
            // Before the runtime goes, and with it what counts.
            self.state.cut_off();
        }
        Ok(())
    }
}
