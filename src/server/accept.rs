//! One listening socket, shared by all workers, so that none holds a queue of its own that closing would reset.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::proxy::Proxy;
use crate::proxy::snapshot::Listener;
use crate::tasks::Kind;

use super::capacity::{Capacity, Place};
use super::connection;

/// Connections that wait to be accepted, beyond which the kernel refuses more.
const BACKLOG: u32 = 1024;

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
    /// This worker's clone of the listening socket.
    pub socket: TcpListener,
    /// What speaks TLS, where callers do.
    pub tls: Option<TlsAcceptor>,
    /// How many callers the process takes.
    pub capacity: Capacity,
    /// Who may call here.
    pub listener: Arc<Listener>,
    /// What serves them.
    pub proxy: Arc<Proxy>,
}

impl Acceptor {
    /// Accepts until the drain closes the listener; what was queued by then is accepted too.
    pub async fn run(self) {
        let mut draining = self.proxy.draining.clone();
        let closing = draining.closing();
        tokio::pin!(closing);
        loop {
            tokio::select! {
                biased;
                () = &mut closing => break,
                accepted = self.accept() => match accepted {
                    Ok((stream, peer, place)) => self.serve(stream, peer, place),
                    Err(error) => failed(&error).await,
                },
            }
        }
        while let Some((stream, peer)) = queued(&self.socket).await {
            self.serve(stream, peer, None);
        }
    }

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr, Option<Place>)> {
        let place = self.capacity.place().await;
        let (stream, peer) = self.socket.accept().await?;
        Ok((stream, peer, place))
    }

    fn serve(&self, stream: TcpStream, peer: SocketAddr, place: Option<Place>) {
        let (listener, proxy) = (Arc::clone(&self.listener), Arc::clone(&self.proxy));
        let served = connection::serve(stream, peer, listener, proxy, self.tls.clone());
        self.proxy.tasks.spawn(Kind::Connection, async move {
            served.await;
            drop(place);
        });
    }
}

/// A connection that is already in the queue.
async fn queued(socket: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    poll_fn(|context| match socket.poll_accept(context) {
        Poll::Ready(Ok(accepted)) => Poll::Ready(Some(accepted)),
        Poll::Ready(Err(_)) | Poll::Pending => Poll::Ready(None),
    })
    .await
}

async fn failed(error: &io::Error) {
    // A caller that left the queue is its own affair; anything else is this machine's.
    if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        return;
    }
    tracing::error!(%error, "accepting a connection failed; is the limit of open files too low?");
    tokio::time::sleep(EXHAUSTED).await;
}
