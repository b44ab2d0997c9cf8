//! One listening socket, shared by all workers, so that none holds a queue of its own that closing would reset.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use tokio::net::TcpSocket;
use tokio_rustls::TlsAcceptor;

use crate::caller::Peer;
use crate::event;
use crate::metrics::{CloseReason, Gauge};
use crate::proxy::Proxy;
use crate::proxy::generation::Current;
use crate::tasks::Kind;

use super::bounds::BACKLOG;
use super::capacity::{Capacity, ConnectionPermit};
use super::connection;
use super::socket::{Bound, Socket};
use super::stream::Stream;

/// How long accepting pauses if the system has no descriptor or memory left: the queue holds meanwhile.
pub(crate) const EXHAUSTED: Duration = Duration::from_millis(100);

/// How often the log says that connections from outside `trusted_peers` are closed.
const OUTSIDERS: Duration = Duration::from_secs(60);

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

/// The acceptor of one listener on one worker.
pub struct Acceptor {
    /// What speaks TLS, where callers do.
    pub tls: Option<TlsAcceptor>,
    /// How many callers the process takes.
    pub capacity: Capacity,
    /// The listener's position among all.
    pub listener: usize,
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
    /// If no place is free and none can be made free, one caller waits for it here and the others in the queue.
    pub async fn run(self, socket: Socket) {
        let mut draining = self.proxy.draining.clone();
        let closing = draining.closing();
        tokio::pin!(closing);
        // Each begins an episode of which the log has one line.
        let (mut crowded, mut exhausted) = (false, false);
        let mut reminded = None;
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
                    if self.is_trusted(peer, &mut reminded) {
                        let permit = self.permit(peer, &mut crowded).await;
                        self.serve(stream, peer, permit);
                    }
                }
                Err(error) => failed(&error, &mut exhausted).await,
            }
        }
        let Ok(socket) = socket.into_bound() else { return };
        while let Some((stream, peer)) = queued(&socket) {
            if self.is_trusted(peer, &mut reminded) {
                let permit = self.capacity.permit(self.listener, peer).await;
                self.serve(stream, peer, permit);
            }
        }
    }

    /// Whether anything is read of this peer. One from outside `trusted_peers` can be no tenant, so its connection is closed
    /// before it takes a place.
    fn is_trusted(&self, peer: Peer, reminded: &mut Option<Instant>) -> bool {
        if self.current.load().listener.tenant.trusts(peer) {
            return true;
        }
        self.proxy.sinks.metrics.closed(CloseReason::Outsider);
        if reminded.is_none_or(|last| last.elapsed() >= OUTSIDERS) {
            *reminded = Some(Instant::now());
            tracing::warn!(
                event = event::LISTENER_PEER_REFUSED,
                %peer,
                "a connection from outside `trusted_peers` was closed; if the peer may call, add its address to the listener. \
                 Said once a minute at most"
            );
        }
        false
    }

    async fn permit(&self, peer: Peer, crowded: &mut bool) -> ConnectionPermit {
        if let Some(permit) = self.capacity.try_permit(self.listener, peer) {
            return permit;
        }
        if !self.capacity.evict_for(self.listener, peer) {
            self.proxy.sinks.metrics.delayed.add();
            if !*crowded {
                tracing::error!(
                    event = event::CONNECTION_LIMIT_REACHED,
                    connections = self.capacity.max(),
                    "as many callers are connected as may be, and all have requests under way; more wait. Raise the limit of \
                     open files (ulimit -Hn) or of memory"
                );
            }
            *crowded = true;
        }
        self.capacity.permit(self.listener, peer).await
    }

    fn serve(&self, stream: Stream, peer: Peer, permit: ConnectionPermit) {
        let (current, proxy) = (Arc::clone(&self.current), Arc::clone(&self.proxy));
        let activity = Arc::clone(permit.activity());
        // Boxed, because each future that only wraps another holds its memory twice.
        let served = Box::pin(connection::serve(stream, peer, activity, current, proxy, self.tls.clone()));
        let open = self.open.open();
        self.proxy.tasks.spawn(Kind::Connection, async move {
            served.await;
            drop((permit, open));
        });
    }
}

/// A connection that is already in the queue. The system is asked: the runtime learns of one only when it next waits.
fn queued(socket: &Bound) -> Option<(Stream, Peer)> {
    loop {
        match socket.accept_queued() {
            Ok(accepted) => return Some(accepted),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock || is_shortage(&error) => return None,
            Err(_) => {}
        }
    }
}

/// Whether accepting failed for want of descriptors or memory, so that the next try fails as well. Any other error is about
/// one connection, which is no longer in the queue.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    let Some(code) = error.raw_os_error() else { return false };
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM].contains(&Errno::from_raw_os_error(code))
}

async fn failed(error: &io::Error, exhausted: &mut bool) {
    if !is_shortage(error) {
        tracing::debug!(event = event::CONNECTION_FAILED, %error, "a connection ended before it was accepted");
        // Lets others run if such errors come without an end.
        return tokio::task::yield_now().await;
    }
    if !*exhausted {
        tracing::error!(event = event::LISTENER_ACCEPTING_FAILED, %error, "accepting a connection failed; is the limit of open files too low?");
    }
    *exhausted = true;
    tokio::time::sleep(EXHAUSTED).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepting_pauses_for_want_of_descriptors_or_memory_and_for_no_error_of_one_connection() {
        let error = |code: Errno| io::Error::from_raw_os_error(code.raw_os_error());
        for code in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            assert!(is_shortage(&error(code)), "{code}");
        }
        // Errors of the new connection that accept(2) lists, and those of firewalls and network limits.
        for code in [
            Errno::CONNABORTED,
            Errno::CONNRESET,
            Errno::PERM,
            Errno::PROTO,
            Errno::NETDOWN,
            Errno::NOPROTOOPT,
            Errno::HOSTDOWN,
            Errno::HOSTUNREACH,
            Errno::OPNOTSUPP,
            Errno::NETUNREACH,
            Errno::TIMEDOUT,
            Errno::INTR,
        ] {
            assert!(!is_shortage(&error(code)), "{code}");
        }
        assert!(!is_shortage(&io::ErrorKind::ConnectionAborted.into()));
    }
}
