//! Sockets that listen, over TCP or at a Unix path, and accept connections.

use std::io;
use std::task::{Context, Poll, ready};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::caller::Peer;

use super::stream::Stream;

/// A listening socket that no runtime has yet. Its clones share one queue.
#[derive(Debug)]
pub enum Bound {
    /// Over TCP.
    Tcp(std::net::TcpListener),
    /// At a Unix path.
    Unix(std::os::unix::net::UnixListener),
}

impl Bound {
    /// Returns another handle on the same queue.
    ///
    /// # Errors
    ///
    /// If the process may have no more files open.
    pub fn try_clone(&self) -> io::Result<Bound> {
        match self {
            Bound::Tcp(socket) => socket.try_clone().map(Bound::Tcp),
            Bound::Unix(socket) => socket.try_clone().map(Bound::Unix),
        }
    }

    /// Accepts a connection that is in the queue already, and returns it with its peer. Must be called inside a runtime.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if the queue is empty; any other error is about that connection, or about all if the process lacks
    /// descriptors or memory.
    pub fn accept_queued(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Bound::Tcp(socket) => {
                let (stream, address) = socket.accept()?;
                stream.set_nonblocking(true)?;
                Ok((Stream::Left(TcpStream::from_std(stream)?), Peer::at(address)))
            }
            Bound::Unix(socket) => {
                let (stream, _) = socket.accept()?;
                stream.set_nonblocking(true)?;
                Ok(unix(UnixStream::from_std(stream)?))
            }
        }
    }
}

/// A listening socket of a runtime.
#[derive(Debug)]
pub enum Socket {
    /// Over TCP.
    Tcp(TcpListener),
    /// At a Unix path.
    Unix(UnixListener),
}

impl Socket {
    /// Registers a socket with the current runtime. Must be called inside one.
    ///
    /// # Errors
    ///
    /// If the runtime cannot watch it.
    pub fn new(bound: Bound) -> io::Result<Socket> {
        match bound {
            Bound::Tcp(socket) => TcpListener::from_std(socket).map(Socket::Tcp),
            Bound::Unix(socket) => UnixListener::from_std(socket).map(Socket::Unix),
        }
    }

    /// Accepts the next connection of the queue, and returns it with its peer.
    pub fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<(Stream, Peer)>> {
        Poll::Ready(Ok(match self {
            Socket::Tcp(socket) => {
                let (stream, address) = ready!(socket.poll_accept(context))?;
                (Stream::Left(stream), Peer::at(address))
            }
            Socket::Unix(socket) => {
                // The address is ignored: nearly every caller's own socket has no name.
                let (stream, _) = ready!(socket.poll_accept(context))?;
                unix(stream)
            }
        }))
    }

    /// Takes the socket back from the runtime, which may not have heard of the latest connections.
    ///
    /// # Errors
    ///
    /// If the system does not let go of it.
    pub fn into_bound(self) -> io::Result<Bound> {
        match self {
            Socket::Tcp(socket) => socket.into_std().map(Bound::Tcp),
            Socket::Unix(socket) => socket.into_std().map(Bound::Unix),
        }
    }
}

fn unix(stream: UnixStream) -> (Stream, Peer) {
    let peer = Peer::Unix(stream.peer_cred().ok().map(|credentials| credentials.uid()));
    (Stream::Right(stream), peer)
}
