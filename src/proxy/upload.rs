//! A body of files, which is streamed from its caller to the upstream, once and in constant memory.
//!
//! ```text
//! caller ──▶ checked part by part ──▶ upstream
//! ```
//!
//! Nothing is sent before the head of the first part was checked. The request is ended only if the whole body was in order: by the
//! last part of an announced length, or by the last chunk. Each step has a time-out, and the whole has none.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::Version;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use crate::asteroid::multipart::{Boundary, Checker};
use crate::facts::ErrorCode;
use crate::proxy::error::Error;
use crate::tasks::{TaskKind, Tasks};
use crate::transport::timer::SendProgress;

use super::generation::Generation;
use super::payload::{self, ReadError};

/// An upload, shared by its exchange and by the connection that sends it.
#[derive(Debug)]
pub(super) struct Upload {
    stream: Mutex<Stream>,
    progress: Arc<SendProgress>,
}

#[derive(Debug)]
struct Stream {
    /// The caller's body, until it has ended or failed.
    source: Option<UnsyncBoxBody<Bytes, ReadError>>,
    version: Version,
    checker: Checker,
    /// The longest body, in bytes.
    limit: u64,
    /// How long the caller may send nothing.
    timeout: Duration,
    stall_timer: Pin<Box<Sleep>>,
    /// Whether the stall timer runs: the caller could send, and has sent nothing since the timer was set.
    is_awaited: bool,
    /// The parts that were read and not sent yet.
    waiting: VecDeque<Bytes>,
    /// The last parts, until the caller has ended its body. An upstream could take it as whole once it has the last boundary, or the
    /// announced length.
    withheld: VecDeque<Bytes>,
    /// The length that the caller announced, if it did.
    announced: Option<u64>,
    read: u64,
    sent: u64,
    /// Whether the connection has asked for a part, which may have left.
    has_left: bool,
    /// Whether it was given up. Then it has no end that the upstream could take for that of a whole body.
    is_given_up: bool,
    /// The reason why it was given up, if that is on the caller's side.
    fault: Option<Error>,
}

/// The error that ends a request whose upload broke off. Over HTTP/2, the stream is reset with CANCEL then.
#[derive(Debug, thiserror::Error)]
#[error("the upload broke off")]
struct BrokenOff(#[source] h2::Error);

impl BrokenOff {
    fn error() -> ReadError {
        BrokenOff(h2::Reason::CANCEL.into()).into()
    }
}

/// Reads an upload until the head of its first part was checked, and returns it. Takes the body out of `body`, and counts the bytes
/// that it reads.
///
/// # Errors
///
/// [`Error::UploadTooLarge`], [`Error::Multipart`], [`Error::UploadStalled`], [`Error::BodyBroken`], [`Error::CallerLeft`]. A task
/// of `tasks` then discards the rest of the body.
pub(super) async fn begin<B>(
    body: &mut Option<B>,
    boundary: Boundary,
    generation: &Generation,
    version: Version,
    tasks: &Tasks,
    bytes_read: &mut usize,
) -> Result<Arc<Upload>, Error>
where
    B: Body<Data = Bytes, Error: Into<ReadError>> + Send + 'static,
{
    let source = body.take().map(|body| body.map_err(Into::into).boxed_unsync());
    let (limit, timeout) = (generation.upload_limit, generation.body_timeout);
    let mut stream = Stream::new(source, version, boundary, limit, timeout);
    let begun = poll_fn(|context| stream.poll_begin(context)).await;
    *bytes_read = usize::try_from(stream.read).unwrap_or(usize::MAX);
    match begun {
        Ok(()) => Ok(Arc::new(Upload { stream: Mutex::new(stream), progress: Arc::default() })),
        Err(error) => {
            stream.discard(tasks);
            Err(error)
        }
    }
}

impl Upload {
    /// Returns the body to send, unless a part of it has left.
    pub(super) fn body(self: &Arc<Upload>) -> Option<UploadBody> {
        (!self.has_left()).then(|| UploadBody(Arc::clone(self)))
    }

    /// Returns whether a part of it may have left.
    pub(super) fn has_left(&self) -> bool {
        self.lock().has_left
    }

    /// Returns the progress of sending it.
    pub(super) fn progress(&self) -> Arc<SendProgress> {
        Arc::clone(&self.progress)
    }

    /// Returns how many bytes of it were read.
    pub(super) fn bytes_read(&self) -> u64 {
        self.lock().read
    }

    /// Returns the code of the reason on its caller's side why it broke off.
    pub(super) fn fault_code(&self) -> Option<ErrorCode> {
        self.lock().fault.as_ref().map(Error::code)
    }

    /// Ends it: nothing more is sent. Returns how it ended. A task of `tasks` discards the rest of
    /// the body.
    pub(super) fn end(&self, tasks: &Tasks) -> UploadEnd {
        let mut stream = self.lock();
        if stream.source.is_none() && !stream.is_given_up {
            return UploadEnd::Complete;
        }
        stream.discard(tasks);
        stream.fault.take().map_or(UploadEnd::Unread, UploadEnd::BrokeOff)
    }

    fn lock(&self) -> MutexGuard<'_, Stream> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How an upload ended.
#[derive(Debug)]
pub(super) enum UploadEnd {
    /// Its caller sent all of it.
    Complete,
    /// The upstream answered before its caller had sent all of it.
    Unread,
    /// It broke off, for a reason on the caller's side.
    BrokeOff(Error),
}

impl Stream {
    fn new(
        source: Option<UnsyncBoxBody<Bytes, ReadError>>,
        version: Version,
        boundary: Boundary,
        limit: u64,
        timeout: Duration,
    ) -> Stream {
        Stream {
            announced: source.as_ref().and_then(|source| source.size_hint().exact()),
            source,
            version,
            checker: Checker::new(boundary),
            limit,
            timeout,
            stall_timer: Box::pin(sleep(timeout)),
            is_awaited: false,
            waiting: VecDeque::new(),
            withheld: VecDeque::new(),
            read: 0,
            sent: 0,
            has_left: false,
            is_given_up: false,
            fault: None,
        }
    }

    /// Reads until the head of the first part was checked.
    fn poll_begin(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while self.source.is_some() && !self.checker.has_first_head() {
            match self.poll_read(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads until another part can be sent, or the body has ended. Checks each part; at the end of the body, all of it.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            let Some(source) = &mut self.source else { return Poll::Ready(Ok(())) };
            let Poll::Ready(frame) = Pin::new(&mut *source).poll_frame(context) else {
                // Not reset before, as the caller is not slow while the upstream takes nothing.
                if !std::mem::replace(&mut self.is_awaited, true) {
                    self.stall_timer.as_mut().reset(Instant::now() + self.timeout);
                }
                return self.stall_timer.as_mut().poll(context).map(|()| Err(Error::UploadStalled(self.timeout)));
            };
            self.is_awaited = false;
            let Some(frame) = frame else {
                return Poll::Ready(self.finish());
            };
            let part = frame.map_err(payload::body_error)?.into_data().map_err(|_| payload::trailers())?;
            self.read += part.len() as u64;
            if self.read > self.limit {
                return Poll::Ready(Err(Error::UploadTooLarge { limit: self.limit }));
            }
            if self.announced.is_some_and(|announced| self.read > announced) {
                return Poll::Ready(Err(Error::BodyBroken("it is longer than announced".to_owned())));
            }
            self.checker.push(&part)?;
            if !part.is_empty() {
                self.withheld.push_back(part);
            }
            if self.source.as_ref().is_some_and(Body::is_end_stream) {
                return Poll::Ready(self.finish());
            }
            // The end may come in a frame of its own.
            if self.announced != Some(self.read) && !self.checker.has_last_boundary() && !self.withheld.is_empty() {
                self.waiting.append(&mut self.withheld);
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn finish(&mut self) -> Result<(), Error> {
        payload::check_end(self.version, self.source.take().as_ref().is_none_or(Body::is_end_stream))?;
        self.checker.finish()?;
        self.waiting.append(&mut self.withheld);
        Ok(())
    }

    /// Discards the rest of the caller's body, so that its caller reads the answer.
    fn discard(&mut self, tasks: &Tasks) {
        self.is_given_up = true;
        self.waiting.clear();
        self.withheld.clear();
        if let Some(rest) = self.source.take()
            && payload::has_rest(&rest)
        {
            tasks.spawn(TaskKind::Discard, payload::discard(rest));
        }
    }

    fn is_over(&self) -> bool {
        self.source.is_none() && self.waiting.is_empty() && !self.is_given_up
    }
}

/// The body of a request that sends an upload.
#[derive(Debug)]
pub(super) struct UploadBody(Arc<Upload>);

impl Body for UploadBody {
    type Data = Bytes;
    type Error = ReadError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ReadError>>> {
        let Upload { progress, .. } = &*self.0;
        let mut stream = self.0.lock();
        stream.has_left = true;
        if stream.is_given_up {
            // Its connection ends with the answer, which an error would cut off.
            return Poll::Pending;
        }
        if stream.waiting.is_empty() {
            match stream.poll_read(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(fault)) => {
                    stream.is_given_up = true;
                    stream.fault = Some(fault);
                    progress.break_off();
                    return Poll::Ready(Some(Err(BrokenOff::error())));
                }
                Poll::Pending => {
                    progress.pause();
                    return Poll::Pending;
                }
            }
        }
        let part = stream.waiting.pop_front();
        if stream.is_over() {
            progress.end()
        } else {
            progress.advance()
        }
        stream.sent += part.as_ref().map_or(0, |part| part.len() as u64);
        Poll::Ready(part.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().is_over()
    }

    fn size_hint(&self) -> SizeHint {
        let stream = self.0.lock();
        stream.announced.map_or_else(SizeHint::default, |length| SizeHint::with_exact(length - stream.sent))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream::{StreamExt, iter, pending};
    use http_body_util::StreamBody;
    use tokio::runtime::Handle;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    /// Creates an upload of which these parts come, and then nothing.
    fn upload(parts: &'static [&'static str]) -> Arc<Upload> {
        let frames = iter(parts).map(|part| Ok::<_, Infallible>(Frame::data(Bytes::from_static(part.as_bytes()))));
        let source = StreamBody::new(frames.chain(pending())).map_err(Into::into).boxed_unsync();
        let boundary = Boundary::of(b"multipart/form-data; boundary=b").unwrap();
        let stream = Stream::new(Some(source), Version::HTTP_11, boundary, 1000, TIMEOUT);
        Arc::new(Upload { stream: Mutex::new(stream), progress: Arc::default() })
    }

    async fn next(body: &mut UploadBody) -> Option<Result<Bytes, String>> {
        let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
        frame.map(|frame| frame.map(|frame| frame.into_data().unwrap()).map_err(|error| error.to_string()))
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_is_given_up_has_no_end() {
        let tasks = Tasks::new(Handle::current());
        let upload = upload(&["--b\r\n"]);
        let mut body = upload.body().unwrap();
        assert_eq!(next(&mut body).await, Some(Ok(Bytes::from_static(b"--b\r\n"))));
        assert!(upload.body().is_none(), "a part of it has left");
        assert!(matches!(upload.end(&tasks), UploadEnd::Unread));
        assert!(!body.is_end_stream());
        assert!(tokio::time::timeout(10 * TIMEOUT, next(&mut body)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_time_in_which_its_next_part_is_asked_for_counts_for_its_caller() {
        let tasks = Tasks::new(Handle::current());
        let upload = upload(&["--b\r\n"]);
        let mut body = upload.body().unwrap();
        next(&mut body).await.unwrap().unwrap();
        tokio::time::sleep(2 * TIMEOUT).await;
        let asked = Instant::now();
        assert_eq!(next(&mut body).await, Some(Err("the upload broke off".to_owned())));
        assert_eq!(asked.elapsed(), TIMEOUT);
        assert!(matches!(upload.end(&tasks), UploadEnd::BrokeOff(Error::UploadStalled(TIMEOUT))));
    }
}
