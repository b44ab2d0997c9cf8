//! One caller's connection over HTTP/1.1, until it closes, is unused for too long, or the drain ends it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::proxy::Proxy;
use crate::proxy::snapshot::Listener;

/// How long the head of a request may take from its first byte; the first one from the moment of connecting.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a drain waits for the first request of a connection that has not brought one.
const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// Serves a connection to its end.
pub async fn serve(stream: TcpStream, peer: SocketAddr, listener: Arc<Listener>, proxy: Arc<Proxy>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "the caller left before it was served");
        return;
    }
    let idle = proxy.snapshot.idle_timeout;
    let usage = Usage::default();
    let service = service_fn(|request| async {
        let _busy = usage.begin();
        Ok::<_, std::convert::Infallible>(proxy.handle(&listener, peer, request).await)
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let connection = server.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let mut draining = proxy.draining.clone();
    let leave = async {
        tokio::select! {
            () = async {
                draining.closing().await;
                // A connection that was just taken from the queue may carry a request that nobody has read yet.
                drop(timeout(FIRST_REQUEST, usage.begun.notified()).await);
            } => {}
            () = usage.idle_for(idle) => {}
        }
    };
    tokio::pin!(leave);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = leave => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "the connection ended early");
    }
}

/// When a connection was last used.
#[derive(Debug)]
struct Usage {
    /// Holds a permit from the first request on.
    begun: Notify,
    busy: AtomicBool,
    since: Mutex<Instant>,
}

impl Default for Usage {
    fn default() -> Usage {
        Usage { begun: Notify::new(), busy: AtomicBool::new(false), since: Mutex::new(Instant::now()) }
    }
}

impl Usage {
    fn begin(&self) -> Busy<'_> {
        self.begun.notify_one();
        self.busy.store(true, Ordering::Relaxed);
        Busy(self)
    }

    fn since(&self) -> Instant {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves when no request was served for `idle`. It wakes once in that time, not with every request.
    async fn idle_for(&self, idle: Duration) {
        loop {
            let busy = self.busy.load(Ordering::Relaxed);
            let from = if busy { Instant::now() } else { self.since() };
            if !busy && from.elapsed() >= idle {
                return;
            }
            tokio::time::sleep_until(from + idle).await;
        }
    }
}

/// A request is being served.
struct Busy<'a>(&'a Usage);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        *self.0.since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.busy.store(false, Ordering::Relaxed);
    }
}
