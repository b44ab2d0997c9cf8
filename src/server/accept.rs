//! Accepting connections from one listening socket. All workers share it, because closing a socket resets the connections in its
//! queue.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use tokio::net::TcpSocket;
use tokio_rustls::TlsAcceptor;

use crate::caller::{Caller, Peer};
use crate::event;
use crate::metrics::{CloseReason, Gauge};
use crate::proxy::Proxy;
use crate::proxy::generation::ActiveGeneration;
use crate::tasks::TaskKind;
use crate::transport::endpoint::Scheme;

use super::bounds::BACKLOG;
use super::capacity::{Capacity, ConnectionPermit};
use super::connection;
use super::socket::{AsyncSocket, StdSocket};
use super::stream::Stream;

/// How long accepting pauses if the system has no file descriptor or memory left. Meanwhile, connections wait in the queue.
pub(crate) const SHORTAGE_PAUSE: Duration = Duration::from_millis(100);

/// The shortest time between two log lines about connections from outside `trusted_peers`.
const OUTSIDER_LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Binds an address, and returns a listening socket that can be cloned for each worker.
///
/// # Errors
///
/// If the address is in use, not one of this machine, or not permitted.
pub fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// The acceptor of one listener on one worker.
pub struct Acceptor {
    /// Present if callers speak TLS.
    pub tls: Option<TlsAcceptor>,
    /// The connection permits of the process.
    pub capacity: Capacity,
    /// The listener's position in the configuration.
    pub listener: usize,
    /// The listener's current configuration.
    pub active: Arc<ActiveGeneration>,
    /// The number of the listener's open connections.
    pub open: Gauge,
    /// This worker's proxy.
    pub proxy: Arc<Proxy>,
}

impl Acceptor {
    /// Accepts connections from this worker's clone of the listening socket until the drain is closing, then those in the queue.
    ///
    /// If no permit is free, one connection waits for it here, and the others wait in the queue.
    pub async fn run(self, socket: AsyncSocket) {
        let mut draining = self.proxy.draining.clone();
        let closing = draining.closing();
        tokio::pin!(closing);
        // Each is an episode, of which only the beginning is logged.
        let (mut is_full, mut is_short) = (false, false);
        let mut outsider_logged = None;
        loop {
            let next = poll_fn(|context| {
                let accepted = socket.poll_accept(context);
                is_full &= accepted.is_ready();
                accepted
            });
            let accepted = tokio::select! {
                biased;
                () = &mut closing => break,
                accepted = next => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    is_short = false;
                    if self.is_trusted(peer, &mut outsider_logged) {
                        let permit = self.acquire_permit(peer, &mut is_full).await;
                        self.serve(stream, peer, permit);
                    }
                }
                Err(error) => pause_after(&error, &mut is_short).await,
            }
        }
        let Ok(socket) = socket.into_std() else { return };
        while let Some((stream, peer)) = accept_queued(&socket) {
            if self.is_trusted(peer, &mut outsider_logged) {
                let permit = self.capacity.acquire(self.listener, peer, || ()).await;
                self.serve(stream, peer, permit);
            }
        }
    }

    /// Returns whether a peer may connect. One from outside `trusted_peers` cannot be a tenant, so its connection is closed before
    /// it takes a permit.
    fn is_trusted(&self, peer: Peer, logged: &mut Option<Instant>) -> bool {
        if self.active.load().listener.trusts(peer) {
            return true;
        }
        self.proxy.sinks.metrics.closed(CloseReason::Outsider);
        if logged.is_none_or(|last| last.elapsed() >= OUTSIDER_LOG_INTERVAL) {
            *logged = Some(Instant::now());
            tracing::warn!(
                event = event::LISTENER_PEER_REFUSED,
                %peer,
                "connection closed: the peer is not in `trusted_peers`. If it may connect, add its address to the \
                 listener. Logged at most once a minute"
            );
        }
        false
    }

    async fn acquire_permit(&self, peer: Peer, is_full: &mut bool) -> ConnectionPermit {
        let on_delay = || {
            self.proxy.sinks.metrics.delayed.add();
            if !std::mem::replace(is_full, true) {
                tracing::error!(
                    event = event::CONNECTION_LIMIT_REACHED,
                    limit = self.capacity.max(),
                    "the limit of connections is reached, and all have requests in flight; further callers wait. \
                     Raise the limit of open files (ulimit -Hn) or of memory"
                );
            }
        };
        self.capacity.acquire(self.listener, peer, on_delay).await
    }

    fn serve(&self, stream: Stream, peer: Peer, permit: ConnectionPermit) {
        let (active, proxy) = (Arc::clone(&self.active), Arc::clone(&self.proxy));
        let activity = Arc::clone(permit.activity());
        let scheme = if self.tls.is_some() { Scheme::Https } else { Scheme::Http };
        let caller = Arc::new(Caller { peer, scheme });
        // Boxed, because a future that wraps another one holds its memory twice.
        let served = Box::pin(connection::serve(stream, caller, activity, active, proxy, self.tls.clone()));
        let open = self.open.open();
        self.proxy.tasks.spawn(TaskKind::Connection, async move {
            served.await;
            drop((permit, open));
        });
    }
}

/// Returns a connection that is already in the queue, if there is one. Asks the system, because the runtime learns of a connection
/// only when it next waits.
fn accept_queued(socket: &StdSocket) -> Option<(Stream, Peer)> {
    loop {
        match socket.accept_queued() {
            Ok(accepted) => return Some(accepted),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock || is_shortage(&error) => return None,
            Err(_) => {}
        }
    }
}

/// Returns whether accepting failed for lack of file descriptors or memory, so that the next attempt would fail as well. Any other
/// error is about one connection, which is no longer in the queue.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    let Some(code) = error.raw_os_error() else { return false };
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM].contains(&Errno::from_raw_os_error(code))
}

/// Lets other tasks run after accepting has failed. Pauses if the system lacks file descriptors or memory.
async fn pause_after(error: &io::Error, is_short: &mut bool) {
    if !is_shortage(error) {
        tracing::debug!(event = event::CONNECTION_FAILED, %error, "the connection ended before it was accepted");
        // A caller can cause such errors without end.
        return tokio::task::yield_now().await;
    }
    if !*is_short {
        tracing::error!(
            event = event::LISTENER_ACCEPTING_FAILED,
            %error,
            "no connection can be accepted; raise the limit of open files (ulimit -Hn) or of memory"
        );
    }
    *is_short = true;
    tokio::time::sleep(SHORTAGE_PAUSE).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepting_pauses_for_lack_of_descriptors_or_memory_and_not_for_an_error_of_one_connection() {
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
