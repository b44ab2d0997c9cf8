//! What is listened on, and the connections that come of it: over TCP, or over a Unix socket.
//!
//! All behind is one code for both: a generic would be there twice, and a box would cost each connection.

use std::future::Future as _;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::caller::Peer;

/// A socket that listens, before a worker's runtime has it; a clone of it shares its queue.
#[derive(Debug)]
pub enum Bound {
    /// Over TCP.
    Tcp(std::net::TcpListener),
    /// Over a Unix socket.
    Unix(std::os::unix::net::UnixListener),
}

impl Bound {
    /// Another handle on the same queue.
    ///
    /// # Errors
    ///
    /// Where the process may have no more files open.
    pub fn try_clone(&self) -> io::Result<Bound> {
        match self {
            Bound::Tcp(socket) => socket.try_clone().map(Bound::Tcp),
            Bound::Unix(socket) => socket.try_clone().map(Bound::Unix),
        }
    }
}

impl Bound {
    /// A connection that is in the queue already, and who made it. Called inside a runtime.
    ///
    /// # Errors
    ///
    /// `WouldBlock` where the queue is empty; else what speaks against that connection, or against any.
    pub fn queued(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Bound::Tcp(socket) => {
                let (stream, peer) = socket.accept()?;
                stream.set_nonblocking(true)?;
                Ok((Stream::Tcp(TcpStream::from_std(stream)?), Peer::at(peer)))
            }
            Bound::Unix(socket) => {
                let (stream, _) = socket.accept()?;
                stream.set_nonblocking(true)?;
                Ok(Stream::unix(UnixStream::from_std(stream)?))
            }
        }
    }
}

/// The same inside a runtime.
#[derive(Debug)]
pub enum Socket {
    /// Over TCP.
    Tcp(TcpListener),
    /// Over a Unix socket.
    Unix(UnixListener),
}

impl Socket {
    /// Makes it the present runtime's. Called inside one.
    ///
    /// # Errors
    ///
    /// Where the runtime cannot watch it.
    pub fn new(bound: Bound) -> io::Result<Socket> {
        match bound {
            Bound::Tcp(socket) => TcpListener::from_std(socket).map(Socket::Tcp),
            Bound::Unix(socket) => UnixListener::from_std(socket).map(Socket::Unix),
        }
    }

    /// The next connection of the queue, and who made it.
    pub fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<(Stream, Peer)>> {
        Poll::Ready(Ok(match self {
            Socket::Tcp(socket) => {
                let (stream, peer) = ready!(socket.poll_accept(context))?;
                (Stream::Tcp(stream), Peer::at(peer))
            }
            Socket::Unix(socket) => {
                // Nearly every caller's own socket has no name.
                let (stream, _) = ready!(socket.poll_accept(context))?;
                Stream::unix(stream)
            }
        }))
    }

    /// Takes it from the runtime, which may not know yet of what has come last.
    ///
    /// # Errors
    ///
    /// Where the system does not let go of it.
    pub fn into_bound(self) -> io::Result<Bound> {
        match self {
            Socket::Tcp(socket) => socket.into_std().map(Bound::Tcp),
            Socket::Unix(socket) => socket.into_std().map(Bound::Unix),
        }
    }
}

/// The state of the caller's side of a connection.
#[derive(Debug)]
pub enum Side {
    /// It may send and receive.
    Open,
    /// It sends nothing more. Whether it still receives shows when something is sent to it.
    Ended,
    /// It receives nothing more.
    Gone(io::Error),
}

/// A caller's connection.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
}

impl Stream {
    fn unix(stream: UnixStream) -> (Stream, Peer) {
        let peer = Peer::Unix(stream.peer_cred().ok().map(|credentials| credentials.uid()));
        (Stream::Unix(stream), peer)
    }

    /// Has what is written sent at once.
    ///
    /// # Errors
    ///
    /// Where the caller has left already.
    pub fn set_nodelay(&self) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.set_nodelay(true),
            // Nothing is held back there.
            Stream::Unix(_) => Ok(()),
        }
    }

    /// Returns the state of the caller's side, without reading from it; wakes the task when that may have changed.
    pub fn poll_caller(&self, context: &mut Context<'_>) -> Side {
        let (readable, interest) = match self {
            Stream::Tcp(stream) => (stream.poll_read_ready(context), Interest::READABLE | Interest::WRITABLE),
            Stream::Unix(stream) => (stream.poll_read_ready(context), Interest::READABLE | Interest::WRITABLE),
        };
        if readable.is_pending() {
            return Side::Open;
        }
        let ready = match self {
            Stream::Tcp(stream) => pin!(stream.ready(interest)).poll(context),
            Stream::Unix(stream) => pin!(stream.ready(interest)).poll(context),
        };
        match ready {
            Poll::Ready(Ok(ready)) if ready.is_write_closed() => {
                Side::Gone(self.failure().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into()))
            }
            // At a Unix socket, writing to a caller that has closed fails at once.
            Poll::Ready(Ok(ready)) if ready.is_read_closed() && matches!(self, Stream::Tcp(_)) => {
                self.failure().map_or(Side::Ended, Side::Gone)
            }
            _ => Side::Open,
        }
    }

    /// Returns the connection's error, which the system tells once.
    #[must_use]
    pub fn failure(&self) -> Option<io::Error> {
        let failure = match self {
            Stream::Tcp(stream) => stream.take_error(),
            Stream::Unix(stream) => stream.take_error(),
        };
        failure.unwrap_or_else(Some)
    }

    /// Returns whether both sides have ended the connection, and the caller's system has acknowledged all of it.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match self {
            Stream::Tcp(stream) => stream.peer_addr().is_err(),
            // All that was written is in the caller's queue.
            Stream::Unix(_) => true,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Stream::Unix(stream) => Pin::new(stream).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Tcp(stream) => stream.is_write_vectored(),
            Stream::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
