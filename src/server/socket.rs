//! Listening sockets, over TCP or at a Unix path.

use std::io;
use std::task::{Context, Poll, ready};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::caller::Peer;

use super::stream::Stream;

/// A listening socket that is not registered with a runtime. Its clones share one queue.
#[derive(Debug)]
pub enum StdSocket {
    /// Over TCP.
    Tcp(std::net::TcpListener),
    /// At a Unix path.
    Unix(std::os::unix::net::UnixListener),
}

impl StdSocket {
    /// Returns another handle on the same queue.
    ///
    /// # Errors
    ///
    /// If the process has reached its limit of open files.
    pub fn try_clone(&self) -> io::Result<StdSocket> {
        match self {
            StdSocket::Tcp(socket) => socket.try_clone().map(StdSocket::Tcp),
            StdSocket::Unix(socket) => socket.try_clone().map(StdSocket::Unix),
        }
    }

    /// Accepts a connection that is already in the queue, and returns it with its peer. Must be called inside a runtime.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if the queue is empty. Any other error is about that connection, or about all if the process lacks file
    /// descriptors or memory.
    pub fn accept_queued(&self) -> io::Result<(Stream, Peer)> {
        match self {
            StdSocket::Tcp(socket) => {
                let (stream, address) = socket.accept()?;
                stream.set_nonblocking(true)?;
                Ok((Stream::Left(TcpStream::from_std(stream)?), Peer::at(address)))
            }
            StdSocket::Unix(socket) => {
                let (stream, _) = socket.accept()?;
                stream.set_nonblocking(true)?;
                Ok(with_user(UnixStream::from_std(stream)?))
            }
        }
    }
}

/// A listening socket that is registered with a runtime.
#[derive(Debug)]
pub enum AsyncSocket {
    /// Over TCP.
    Tcp(TcpListener),
    /// At a Unix path.
    Unix(UnixListener),
}

impl AsyncSocket {
    /// Registers a socket with the current runtime, and returns it. Must be called inside a runtime.
    ///
    /// # Errors
    ///
    /// If the runtime cannot watch it.
    pub fn from_std(socket: StdSocket) -> io::Result<AsyncSocket> {
        match socket {
            StdSocket::Tcp(socket) => TcpListener::from_std(socket).map(AsyncSocket::Tcp),
            StdSocket::Unix(socket) => UnixListener::from_std(socket).map(AsyncSocket::Unix),
        }
    }

    /// Accepts the next connection of the queue, and returns it with its peer.
    pub fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<(Stream, Peer)>> {
        Poll::Ready(Ok(match self {
            AsyncSocket::Tcp(socket) => {
                let (stream, address) = ready!(socket.poll_accept(context))?;
                (Stream::Left(stream), Peer::at(address))
            }
            AsyncSocket::Unix(socket) => {
                // The address is ignored, because nearly every caller's own socket has no name.
                let (stream, _) = ready!(socket.poll_accept(context))?;
                with_user(stream)
            }
        }))
    }

    /// Takes the socket back from the runtime, which may not have learnt of the latest connections, and returns it.
    ///
    /// # Errors
    ///
    /// If the system cannot deregister it.
    pub fn into_std(self) -> io::Result<StdSocket> {
        match self {
            AsyncSocket::Tcp(socket) => socket.into_std().map(StdSocket::Tcp),
            AsyncSocket::Unix(socket) => socket.into_std().map(StdSocket::Unix),
        }
    }
}

fn with_user(stream: UnixStream) -> (Stream, Peer) {
    let peer = Peer::Unix(stream.peer_cred().ok().map(|credentials| credentials.uid()));
    (Stream::Right(stream), peer)
}
