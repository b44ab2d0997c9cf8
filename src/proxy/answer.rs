//! The answer to the caller: its end-to-end headers, and a body whose end writes the record.

mod beginning;
pub mod outcome;

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as _, Frame, SizeHint};
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, PROXY_AUTHENTICATE, SET_COOKIE, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use hyper::{HeaderMap, Method, Response, StatusCode};
use tokio::time::{Instant, Sleep};

use crate::asteroid::answer::ReadPart;
use crate::asteroid::operation::Effect;
use crate::facts::Outcome;
use crate::metrics::client::UpstreamTimer;
use crate::proxy::error::Error;
use crate::record::Record;
use crate::state::{Hold, Permit};
use crate::transport::cause::Cause;
use crate::transport::error::FailureCode;
use crate::transport::lease::Lease;
use crate::transport::response::ResponseBody;
use crate::transport::timer::ResponseTimer;

use super::delivery::Deliveries;
use super::redact::KeyRedactor;

pub(super) use beginning::Beginning;

/// Headers that are removed from an answer: they concern one connection only, no service has a use for them, or only the gateway
/// writes them.
const REMOVED_HEADERS: [HeaderName; 11] = [
    CONNECTION,
    CONTENT_LENGTH,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    // It would pass the upstream's own errors off as the gateway's.
    HeaderName::from_static("proxy-status"),
    SET_COOKIE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Removes the headers that concern only the upstream's connection, and those about its rate limits. hyper adds the framing of
/// the caller's connection.
pub fn strip_hop_headers(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> =
        headers.get_all(CONNECTION).iter().flat_map(|value| parse_names(value.as_bytes())).collect();
    for name in REMOVED_HEADERS.iter().chain(&named) {
        headers.remove(name);
    }
    let rate_limits: Vec<HeaderName> = headers.keys().filter(|name| is_rate_limit_header(name)).cloned().collect();
    for name in &rate_limits {
        headers.remove(name);
    }
}

/// Returns whether a field is about the upstream's own limits. They would show a caller how others use the shared API key.
fn is_rate_limit_header(name: &HeaderName) -> bool {
    ["ratelimit", "x-ratelimit", "x-rate-limit"].iter().any(|prefix| name.as_str().starts_with(prefix))
}

/// Ends an answer after its head if HTTP allows it no content, as for HEAD, 204 and 304, or if its body is empty.
pub fn omit_content(method: &Method, response: &mut Response<AnswerBody>) {
    let length = response.body().size_hint().exact();
    let has_none = matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    response.body_mut().head_only = method == Method::HEAD || has_none || length == Some(0);
    // A GET would have been answered with this length.
    if let (&Method::HEAD, false, Some(length)) = (method, has_none, length) {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}

fn parse_names(value: &[u8]) -> impl Iterator<Item = HeaderName> {
    value.split(|byte| *byte == b',').filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
}

/// The body of an answer: the part that was read, and the part that is still to come.
#[derive(Debug)]
pub struct AnswerBody {
    buffered: Option<Bytes>,
    rest: Option<Box<BodyStream>>,
    record: Option<Box<Record>>,
    /// The charge for the request, until its caller has taken the answer. The record may end before.
    memory: Option<Hold>,
    /// Whether the API key was redacted in the part that was read.
    redacted: bool,
    /// Whether the answer ends with its head.
    head_only: bool,
    /// Records whether the answer arrives. Without it, an answer counts as delivered once hyper has taken its last byte.
    deliveries: Option<Arc<Deliveries>>,
}

/// The part of an answer that is streamed. Its tenant's permit is held until it ends.
#[derive(Debug)]
struct BodyStream {
    incoming: ResponseBody,
    redactor: KeyRedactor,
    /// The trailers, which follow bytes that were withheld.
    trailers: Option<HeaderMap>,
    ended: bool,
    upstream_timer: UpstreamTimer,
    lease: Option<Lease>,
    _permit: Permit,
    timeout: Duration,
    stall_timer: Pin<Box<Sleep>>,
}

impl AnswerBody {
    /// Creates a body that is complete.
    #[must_use]
    pub fn whole(body: Bytes) -> AnswerBody {
        AnswerBody::new(body, None, false)
    }

    fn new(buffered: Bytes, rest: Option<Box<BodyStream>>, redacted: bool) -> AnswerBody {
        AnswerBody {
            buffered: Some(buffered),
            rest,
            record: None,
            memory: None,
            redacted,
            head_only: false,
            deliveries: None,
        }
    }

    /// Reads the beginning of an answer, as long as the timer allows. The rest is streamed, and breaks off if nothing comes within
    /// the time-out.
    ///
    /// # Errors
    ///
    /// [`Error::UpstreamBroke`], [`Error::UpstreamTimeout`].
    pub(super) async fn begin(
        mut incoming: ResponseBody,
        (beginning, effect): (Beginning, Effect),
        mut redactor: KeyRedactor,
        mut upstream_timer: UpstreamTimer,
        lease: Lease,
        permit: Permit,
        timer: &ResponseTimer,
    ) -> Result<AnswerBody, Error> {
        let timeout = timer.timeout();
        let reading = timer.run(beginning.read(&mut incoming, effect), || lease.retire()).await;
        let (buffered, ended) =
            reading.unwrap_or(Err(Error::UpstreamTimeout(timeout, effect))).inspect_err(|error| {
                upstream_timer.failed(if let Error::UpstreamTimeout(..) = error {
                    FailureCode::ResponseTimeout
                } else {
                    FailureCode::ConnectionTerminated
                });
            })?;
        let (buffered, redacted) = (redactor.redact(buffered, !ended), redactor.has_redacted());
        if ended {
            lease.release();
            return Ok(AnswerBody::new(buffered, None, redacted));
        }
        let stall_timer = Box::pin(tokio::time::sleep(timeout));
        let lease = Some(lease);
        let rest = BodyStream {
            incoming,
            redactor,
            trailers: None,
            ended: false,
            upstream_timer,
            lease,
            _permit: permit,
            timeout,
            stall_timer,
        };
        Ok(AnswerBody::new(buffered, Some(Box::new(rest)), redacted))
    }

    /// Creates the body of an answer that was read as a whole.
    pub(super) fn redacted(whole: Bytes, mut redactor: KeyRedactor) -> AnswerBody {
        let bytes = redactor.redact(whole, false);
        AnswerBody::new(bytes, None, redactor.has_redacted())
    }

    /// Returns the part that was read before the answer is passed on.
    #[must_use]
    pub fn buffered(&self) -> &[u8] {
        self.buffered.as_deref().unwrap_or_default()
    }

    /// Returns the part that was read before the answer is passed on, and whether it is all.
    #[must_use]
    pub fn read_part(&self) -> Option<ReadPart<'_>> {
        let read = self.buffered.as_deref()?;
        Some(if self.rest.is_none() { ReadPart::Whole(read) } else { ReadPart::Beginning(read) })
    }

    /// Removes the content, so that no memory is held until the caller takes it.
    #[must_use]
    pub fn without_content(mut self) -> AnswerBody {
        self.buffered = Some(Bytes::new());
        self
    }

    /// Lets the record be written when this body ends.
    #[must_use]
    pub fn with_record(mut self, mut record: Box<Record>) -> AnswerBody {
        record.facts.key_echoed = self.redacted;
        self.memory = record.memory.take();
        self.record = Some(record);
        self
    }

    /// Lets the caller's connection record whether it delivered the answer.
    #[must_use]
    pub fn with_deliveries(mut self, deliveries: Arc<Deliveries>) -> AnswerBody {
        self.deliveries = Some(deliveries);
        self
    }

    /// Records that the answer was delivered, or leaves that to [`Deliveries`].
    fn record_delivery(&mut self) {
        let Some(mut record) = self.record.take() else { return };
        match &self.deliveries {
            Some(deliveries) => deliveries.push(record),
            None => record.facts.delivered = true,
        }
    }

    /// Records that the answer broke off after its beginning was passed on, which leaves its outcome unknown.
    fn record_failure(&mut self, error: &StreamError) {
        let Some(record) = &mut self.record else { return };
        let Some(effect) = record.facts.operation.map(|operation| operation.rules().effect) else { return };
        let error = match error {
            StreamError::Upstream(reason) => Error::UpstreamBroke(reason.to_string(), effect),
            StreamError::Stalled(timeout) => Error::UpstreamTimeout(*timeout, effect),
        };
        // A head that proves that nothing was started proves it without its body, and a beginning that names the execution without
        // the rest.
        let is_proven = match record.facts.outcome {
            Outcome::NotStarted => true,
            Outcome::Answered => effect == Effect::Start,
            Outcome::Unknown => false,
        };
        if !is_proven {
            record.facts.outcome = error.outcome();
        }
        record.facts.error = Some(error.code());
        record.facts.detail = Some(error.logged());
    }
}

impl hyper::body::Body for AnswerBody {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        if let Some(bytes) = self.buffered.take() {
            if self.rest.is_none() {
                self.record_delivery();
            }
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        let AnswerBody { rest: Some(rest), record, .. } = &mut *self else { return Poll::Ready(None) };
        let frame = ready!(rest.poll(context));
        if let (true, Some(record)) = (rest.redactor.has_redacted(), record) {
            record.facts.key_echoed = true;
        }
        // hyper does not poll again after the last frame if it knows the length.
        if rest.is_over() {
            if let Some(lease) = rest.lease.take() {
                lease.release();
            }
            self.rest = None;
            self.record_delivery();
        }
        if let Some(Err(broken)) = &frame {
            self.record_failure(broken);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.head_only || self.buffered.is_none() && self.rest.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let buffered = self.buffered().len() as u64;
        let Some(rest) = &self.rest else { return SizeHint::with_exact(buffered) };
        let read = buffered + rest.redactor.withheld() as u64;
        rest.incoming.size_hint().exact().map_or_else(SizeHint::default, |left| SizeHint::with_exact(read + left))
    }
}

impl Drop for AnswerBody {
    /// Records the delivery of an answer without content, as hyper does not poll a body that it does not send.
    fn drop(&mut self) {
        if self.head_only {
            self.record_delivery();
        }
    }
}

impl BodyStream {
    /// Returns whether nothing more comes.
    fn is_over(&self) -> bool {
        self.trailers.is_none() && (self.ended || self.incoming.is_end_stream())
    }

    /// Returns the next frame, in which the API key is redacted. If the answer breaks off, bytes that are withheld are not
    /// returned: they may be most of the API key.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        loop {
            if let Some(trailers) = self.trailers.take() {
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            let bytes = match ready!(self.receive(context)).map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(bytes))) => self.redactor.redact(bytes, !self.incoming.is_end_stream()),
                Some(Ok(Err(frame))) => {
                    // Nothing follows trailers, and hyper does not poll for it.
                    self.ended = true;
                    self.trailers = frame.into_trailers().ok();
                    if let Some(trailers) = &mut self.trailers {
                        self.redactor.redact_headers(trailers);
                    }
                    self.redactor.rest()
                }
                Some(Err(broken)) => return Poll::Ready(Some(Err(broken))),
                None => {
                    self.ended = true;
                    self.redactor.rest()
                }
            };
            if !bytes.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
        }
    }

    /// Receives the next frame from the upstream, within the time-out.
    fn receive(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(context) else {
            ready!(self.stall_timer.as_mut().poll(context));
            if let Some(lease) = &self.lease {
                lease.retire();
            }
            self.upstream_timer.failed(FailureCode::ResponseTimeout);
            return Poll::Ready(Some(Err(StreamError::Stalled(self.timeout))));
        };
        self.stall_timer.as_mut().reset(Instant::now() + self.timeout);
        if let Some(Err(_)) = frame {
            self.upstream_timer.failed(FailureCode::ConnectionTerminated);
        }
        Poll::Ready(frame.map(|frame| frame.map_err(StreamError::Upstream)))
    }
}

/// The reason why an answer broke off. The caller's connection is closed before the answer's end, so that no caller takes a part
/// for the whole.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The upstream's connection broke.
    #[error("the upstream broke off its answer: {0}")]
    Upstream(Cause),
    /// Nothing came within the time-out.
    #[error("the upstream sent nothing for {}", humantime::format_duration(*.0))]
    Stalled(Duration),
}
