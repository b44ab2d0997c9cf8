//! A caller's connection, over TCP or a Unix socket, and what the system says of the caller's side of it.

use std::future::Future as _;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};
use tokio_io_timeout::TimeoutWriter;
use tokio_util::either::Either;

/// A caller's connection: over TCP on the left, over a Unix socket on the right. One type for both keeps one copy of the code
/// above it, and costs no allocation.
pub type Stream = Either<TcpStream, UnixStream>;

/// A connection whose writes fail if the caller takes nothing for too long. In a box, because its timer must not move.
pub type TimedStream = Pin<Box<TimeoutWriter<Stream>>>;

/// Lets each write to a connection wait for this long.
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

/// Has the system send at once whatever is written.
///
/// # Errors
///
/// If the caller has left already.
pub fn set_nodelay(stream: &Stream) -> io::Result<()> {
    match stream {
        Either::Left(stream) => stream.set_nodelay(true),
        // Nothing is held back there.
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

/// Returns the connection's error, which the system reports once.
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
        // All that was written is in the caller's queue.
        Either::Right(_) => true,
    }
}
