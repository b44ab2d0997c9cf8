//! A caller's connection, over TCP or a Unix socket, and the state of the caller's side of it.

use std::future::Future as _;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};
use tokio_io_timeout::TimeoutWriter;
use tokio_util::either::Either;

/// A caller's connection: over TCP on the left, over a Unix socket on the right. With one type for both, the code above it is
/// compiled once, and no connection needs an allocation.
pub type Stream = Either<TcpStream, UnixStream>;

/// A connection whose writes fail if the caller receives nothing for too long. Boxed, because its timer must not move.
pub type TimedStream = Pin<Box<TimeoutWriter<Stream>>>;

/// Returns the connection with a time-out for each write.
#[must_use]
pub fn with_write_timeout(stream: Stream, timeout: Duration) -> TimedStream {
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(timeout));
    Box::pin(stream)
}

/// The state of the caller's side of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallerSide {
    /// It may send and receive.
    Open,
    /// It sends nothing more. Whether it still receives shows when something is sent to it.
    HalfClosed,
    /// It receives nothing more.
    Closed,
}

/// Makes the system send everything at once that is written.
///
/// # Errors
///
/// If the caller has already hung up.
pub fn set_nodelay(stream: &Stream) -> io::Result<()> {
    match stream {
        Either::Left(stream) => stream.set_nodelay(true),
        // A Unix socket holds nothing back.
        Either::Right(_) => Ok(()),
    }
}

/// Returns the state of the caller's side without reading from it, and wakes the task when that may have changed. Leaves the
/// connection's error to the next read.
pub fn poll_caller_side(stream: &Stream, context: &mut Context<'_>) -> CallerSide {
    let readable = match stream {
        Either::Left(stream) => stream.poll_read_ready(context),
        Either::Right(stream) => stream.poll_read_ready(context),
    };
    if readable.is_pending() {
        return CallerSide::Open;
    }
    let interest = Interest::READABLE | Interest::WRITABLE;
    let ready = match stream {
        Either::Left(stream) => pin!(stream.ready(interest)).poll(context),
        Either::Right(stream) => pin!(stream.ready(interest)).poll(context),
    };
    match ready {
        Poll::Ready(Ok(ready)) if ready.is_write_closed() => CallerSide::Closed,
        // At a Unix socket, writing to a caller that has closed fails at once.
        Poll::Ready(Ok(ready)) if ready.is_read_closed() && matches!(stream, Either::Left(_)) => CallerSide::HalfClosed,
        _ => CallerSide::Open,
    }
}

/// Returns the connection's error, if it has one. The system reports each error only once.
#[must_use]
pub fn take_error(stream: &Stream) -> Option<io::Error> {
    let error = match stream {
        Either::Left(stream) => stream.take_error(),
        Either::Right(stream) => stream.take_error(),
    };
    error.unwrap_or_else(Some)
}

/// Returns whether both sides have ended the connection, and the caller's system has acknowledged all of it.
#[must_use]
pub fn is_over(stream: &Stream) -> bool {
    match stream {
        Either::Left(stream) => stream.peer_addr().is_err(),
        // Everything that was written is in the caller's queue.
        Either::Right(_) => true,
    }
}
