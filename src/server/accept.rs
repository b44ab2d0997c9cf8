//! One listening socket, shared by all workers, so that none holds a queue of its own that closing would reset.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpSocket;
use tokio_rustls::TlsAcceptor;

use crate::peer::Peer;
use crate::proxy::Proxy;
use crate::proxy::snapshot::Current;
use crate::tasks::Kind;
use crate::telemetry::metrics::Gauge;

use super::capacity::{Capacity, Place};
use super::connection;
use super::socket::{Bound, Socket, Stream};

/// Connections that wait to be accepted, beyond which the kernel refuses more.
pub(super) const BACKLOG: u32 = 1024;

/// How long accepting pauses where the process has no descriptor left: the queue holds meanwhile.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// Binds an address; the socket may be cloned for each worker.
///
/// # Errors
///
/// Where the address is taken, not of this machine, or not allowed.
pub fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// Who accepts on one listener for one worker.
pub struct Acceptor {
    /// What speaks TLS, where callers do.
    pub tls: Option<TlsAcceptor>,
    /// How many callers the process takes.
    pub capacity: Capacity,
    /// What callers are served by.
    pub current: Arc<Current>,
    /// What counts them.
    pub open: Gauge,
    /// What serves them.
    pub proxy: Arc<Proxy>,
}

impl Acceptor {
    /// Accepts on this worker's clone of the listening socket until the drain closes it; what was queued by then is
    /// accepted too.
    ///
    /// Where no place is free, one caller waits for it here and the others in the queue.
    pub async fn run(self, socket: Socket) {
        let mut draining = self.proxy.draining.clone();
        let closing = draining.closing();
        tokio::pin!(closing);
        // Each begins an episode of which the log has one line.
        let (mut crowded, mut exhausted) = (false, false);
        loop {
            let next = poll_fn(|context| {
                let accepted = socket.poll_accept(context);
                crowded &= accepted.is_ready();
                accepted
            });
            let accepted = tokio::select! {
                biased;
                () = &mut closing => break,
                accepted = next => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    exhausted = false;
                    let place = self.place(&mut crowded).await;
                    self.serve(stream, peer, place);
                }
                Err(error) => failed(&error, &mut exhausted).await,
            }
        }
        let Ok(socket) = socket.into_bound() else { return };
        while let Some((stream, peer)) = queued(&socket) {
            let place = self.capacity.place().await;
            self.serve(stream, peer, place);
        }
    }

    async fn place(&self, crowded: &mut bool) -> Option<Place> {
        if let Some(place) = self.capacity.free_place() {
            return Some(place);
        }
        self.proxy.sinks.metrics.delayed.add();
        if !*crowded {
            tracing::error!(
                connections = self.capacity.most(),
                "as many callers are connected as may be; more wait. Raise the limit of open files (ulimit -Hn)"
            );
        }
        *crowded = true;
        self.capacity.place().await
    }

    fn serve(&self, stream: Stream, peer: Peer, place: Option<Place>) {
        let (current, proxy) = (Arc::clone(&self.current), Arc::clone(&self.proxy));
        // Boxed, because each future that only wraps another holds its memory twice.
        let served = Box::pin(connection::serve(stream, peer, current, proxy, self.tls.clone()));
        let open = self.open.open();
        self.proxy.tasks.spawn(Kind::Connection, async move {
            served.await;
            drop((place, open));
        });
    }
}

/// A connection that is already in the queue. The system is asked: the runtime learns of one only when it next waits.
fn queued(socket: &Bound) -> Option<(Stream, Peer)> {
    loop {
        match socket.queued() {
            Ok(accepted) => return Some(accepted),
            Err(error) if has_left(&error) => {}
            Err(_) => return None,
        }
    }
}

/// A caller that left the queue is its own affair; anything else is this machine's.
fn has_left(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

async fn failed(error: &io::Error, exhausted: &mut bool) {
    if has_left(error) {
        return;
    }
    if !*exhausted {
        tracing::error!(%error, "accepting a connection failed; is the limit of open files too low?");
    }
    *exhausted = true;
    tokio::time::sleep(EXHAUSTED).await;
}
