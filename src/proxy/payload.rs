//! Reads a caller's body by the rule of its operation, within a limit and a time-out.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Version};
use tokio::time;

use crate::asteroid::change;
use crate::asteroid::multipart::Boundary;
use crate::asteroid::operation::BodyRule;
use crate::media_type::content_coding;
use crate::proxy::error::{Error, Expected};
use crate::record::Record;
use crate::state::{Hold, OverQuota};
use crate::tenant::Tenant;

use super::charged_body::ChargedBody;
use super::generation::Generation;

/// How many bytes of a refused body are read and discarded, so that its sender can read the answer.
pub const DISCARD_BYTES: usize = 4 * 1024 * 1024;
/// How long that reading may take.
pub const DISCARD_TIME: Duration = Duration::from_secs(1);

/// The memory of a request besides its head and its body: its task, its record, its part of the connection's buffers.
const REQUEST_BYTES: usize = 8 * 1024;

/// The memory of an upload, however long it is: its parts that were read and not sent, in the buffers of both its connections.
const UPLOAD_BYTES: usize = 512 * 1024;

/// The reason why a body cannot be read to its end.
pub type ReadError = Box<dyn StdError + Send + Sync>;

/// Errors of a connection that its caller has ended.
const HANG_UP_ERRORS: [io::ErrorKind; 4] = [
    io::ErrorKind::UnexpectedEof,
    io::ErrorKind::ConnectionReset,
    io::ErrorKind::ConnectionAborted,
    io::ErrorKind::BrokenPipe,
];

/// The part of a request that is received before it is forwarded.
#[derive(Debug)]
pub(super) enum Received {
    /// Its whole body.
    Body(Bytes),
    /// The head of an upload, with the boundary of its parts.
    Upload(Boundary),
}

/// Receives a request by the rule of its operation: its body, which is checked, or the head of an upload.
///
/// # Errors
///
/// Those of [`read`], [`check`] and [`begin_upload`].
pub(super) async fn receive<B>(
    rule: BodyRule,
    tenant: &Tenant,
    generation: &Generation,
    head: &Parts,
    body: &mut Option<B>,
    record: &mut Record,
) -> Result<Received, Error>
where
    B: Body<Data = Bytes, Error: Into<ReadError>> + Unpin,
{
    let Some(body) = body else { return Ok(Received::Body(Bytes::new())) };
    if rule == BodyRule::Files {
        return Ok(Received::Upload(begin_upload(tenant, generation, head, body, record)?));
    }
    let body = read(rule, tenant, generation, head, body, record).await?;
    check(rule, &body)?;
    Ok(Received::Body(body))
}

/// Reads the body of a request by the rule of its operation. Charges its tenant for the body, and for the request until its answer
/// is delivered.
///
/// # Errors
///
/// Those of [`check_media_type`] and [`collect`], [`Error::BodyMemory`], and [`Error::UnexpectedBody`].
async fn read<B>(
    rule: BodyRule,
    tenant: &Tenant,
    generation: &Generation,
    head: &Parts,
    body: &mut B,
    record: &mut Record,
) -> Result<Bytes, Error>
where
    B: Body<Data = Bytes, Error: Into<ReadError>> + Unpin,
{
    let has_none = rule == BodyRule::None;
    let may_be_absent = has_none || rule == BodyRule::Rerun;
    let is_absent = may_be_absent && body.is_end_stream();
    if !has_none && !is_absent {
        check_media_type(&head.headers)?;
    }
    record.memory = Some(charge(tenant, head, 0)?);
    if is_absent {
        return Ok(Bytes::new());
    }
    // A client may send an empty body in chunks.
    let limit = if has_none { 0 } else { generation.body_limit };
    let (hold, read) = (empty_hold(tenant)?, &mut record.facts.bytes_in);
    let body = collect(body, head.version, hold, limit, generation.body_timeout, read).await;
    body.map_err(|error| match error {
        Error::BodyTooLarge { .. } if has_none => Error::UnexpectedBody,
        error => error,
    })
}

/// Checks the head of an upload, and charges its tenant for the memory that it takes. Returns the boundary of its parts.
///
/// # Errors
///
/// [`Error::ContentCoding`], [`Error::MediaType`], [`Error::Multipart`], [`Error::BodyMemory`], and [`Error::UploadTooLarge`] if the
/// length is announced.
fn begin_upload(
    tenant: &Tenant,
    generation: &Generation,
    head: &Parts,
    body: &impl Body,
    record: &mut Record,
) -> Result<Boundary, Error> {
    let boundary = Boundary::of(sole_media_type(&head.headers, Expected::Files)?.as_bytes())?;
    record.memory = Some(charge(tenant, head, UPLOAD_BYTES)?);
    let (announced, limit) = (body.size_hint().lower(), generation.upload_limit);
    if announced > limit {
        return Err(Error::UploadTooLarge { limit });
    }
    Ok(boundary)
}

/// Checks the body of a change.
///
/// # Errors
///
/// [`Error::Body`].
fn check(rule: BodyRule, body: &[u8]) -> Result<(), Error> {
    match rule {
        // A start is checked when it is tagged, and files while they are sent.
        BodyRule::None
        | BodyRule::Start
        | BodyRule::SyncStart
        | BodyRule::VersionStart
        | BodyRule::Rerun
        | BodyRule::Files => Ok(()),
        BodyRule::Status => Ok(change::check_status(body)?),
        BodyRule::Message => Ok(change::check_message(body)?),
    }
}

/// Refuses a body that is not declared as JSON, or is declared as content-coded.
///
/// # Errors
///
/// [`Error::ContentCoding`], [`Error::MediaType`].
fn check_media_type(headers: &HeaderMap) -> Result<(), Error> {
    let value = sole_media_type(headers, Expected::Json)?;
    if is_json(value) { Ok(()) } else { Err(Error::MediaType { expected: Expected::Json, found: quote(value) }) }
}

/// Returns the media type of a body, which must have one and no content coding.
fn sole_media_type(headers: &HeaderMap, expected: Expected) -> Result<&HeaderValue, Error> {
    if let Some(value) = content_coding(headers) {
        return Err(Error::ContentCoding(quote(value)));
    }
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let found = match (types.next(), types.next()) {
        (Some(value), None) if expected == Expected::Json || is_multipart(value) => return Ok(value),
        (Some(value), None) => quote(value),
        (Some(_), Some(_)) => "more than one".to_owned(),
        (None, _) => "none".to_owned(),
    };
    Err(Error::MediaType { expected, found })
}

fn is_multipart(value: &HeaderValue) -> bool {
    let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"multipart/form-data")
}

/// Returns a header's value for a message: bounded, and escaped so that it cannot break a log line.
fn quote(value: &HeaderValue) -> String {
    const MAX_SHOWN: usize = 80;
    let text = String::from_utf8_lossy(value.as_bytes().get(..MAX_SHOWN).unwrap_or(value.as_bytes()));
    format!("{text:?}{}", if value.len() > MAX_SHOWN { "…" } else { "" })
}

fn is_json(value: &HeaderValue) -> bool {
    let mut parts = value.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let is_json = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case(b"application/json"));
    // A parser that honours another charset would read another body than the one that was checked.
    let other_charset = |parameter: &[u8]| {
        let mut sides = parameter.splitn(2, |byte| *byte == b'=').map(<[u8]>::trim_ascii);
        let (name, value) = (sides.next().unwrap_or_default(), sides.next().unwrap_or_default());
        let quoted = |quote: u8| value.strip_prefix(&[quote]).and_then(|value| value.strip_suffix(&[quote]));
        name.eq_ignore_ascii_case(b"charset") && !is_utf8(quoted(b'"').or_else(|| quoted(b'\'')).unwrap_or(value))
    };
    is_json && !parts.any(other_charset)
}

/// Returns whether a charset is UTF-8, in any spelling, or ASCII, which is a part of it.
fn is_utf8(charset: &[u8]) -> bool {
    let plain = charset.iter().filter(|byte| !matches!(byte, b'-' | b'_')).map(u8::to_ascii_lowercase);
    let is = |name: &[u8]| plain.clone().eq(name.iter().copied());
    [b"utf8".as_slice(), b"usascii", b"ascii"].into_iter().any(is)
}

/// Charges a request, its head and this much more to its tenant's share of `body_memory`, until its answer is delivered.
///
/// # Errors
///
/// [`Error::BodyMemory`].
fn charge(tenant: &Tenant, head: &Parts, more: usize) -> Result<Hold, Error> {
    let fields: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    tenant.state.body_memory.hold(REQUEST_BYTES + fields + target + more, tenant.is_only).map_err(over_quota)
}

/// Returns an empty hold on the tenant's share of `body_memory`, which grows with the body.
///
/// # Errors
///
/// [`Error::BodyMemory`], if a reload has just made the share smaller than what is held of it.
fn empty_hold(tenant: &Tenant) -> Result<Hold, Error> {
    tenant.state.body_memory.hold(0, tenant.is_only).map_err(over_quota)
}

/// Charges the answer to a refused request, and returns whether there is memory for it. A request without a known tenant is
/// charged to a share for all such requests.
///
/// An HTTP/1.1 connection has one answer at a time, for which the connection itself is charged.
pub fn charge_refusal(generation: &Generation, head: &Parts, record: &mut Record) -> bool {
    if record.memory.is_none() && head.version == Version::HTTP_2 {
        record.memory = generation.unidentified_share.hold(REQUEST_BYTES, false).ok();
    }
    record.memory.is_some() || head.version != Version::HTTP_2
}

fn over_quota(_: OverQuota) -> Error {
    Error::BodyMemory
}

/// Reads a body of at most `limit` bytes within a time-out. `read` counts its bytes, even if reading fails. The body keeps what
/// was charged to `hold` until its last part is dropped.
///
/// # Errors
///
/// [`Error::BodyTooLarge`], before anything is read if the length is announced; [`Error::BodyTimeout`];
/// [`Error::BodyBroken`]; [`Error::CallerLeft`]; [`Error::BodyMemory`].
async fn collect<B>(
    body: &mut B,
    version: Version,
    hold: Hold,
    limit: usize,
    timeout: Duration,
    read: &mut usize,
) -> Result<Bytes, Error>
where
    B: Body<Data = Bytes, Error: Into<ReadError>> + Unpin,
{
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(Error::BodyTooLarge { limit });
    }
    let mut whole = ChargedBody::new(hold);
    let reading = read_frames(body, &mut whole, limit, announced, read);
    time::timeout(timeout, reading).await.unwrap_or(Err(Error::BodyTimeout(timeout)))?;
    check_end(version, body.is_end_stream())?;
    Ok(whole.into())
}

/// Refuses a body that only seems to have ended: hyper reports a stream that is reset with NO_ERROR as one that has ended.
pub(super) fn check_end(version: Version, is_end_stream: bool) -> Result<(), Error> {
    if version == Version::HTTP_2 && !is_end_stream {
        return Err(Error::BodyBroken("the stream was closed before its end".to_owned()));
    }
    Ok(())
}

/// Returns the error for trailers of a body. hyper may begin to read trailers where another parser sees the end of the message. They
/// then reach to the end of the next request's head, and the body of that request would be read as a request of its own.
pub(super) fn trailers() -> Error {
    Error::BodyBroken("it has trailers, or no empty line after the last chunk".to_owned())
}

async fn read_frames<B>(
    body: &mut B,
    whole: &mut ChargedBody,
    limit: usize,
    announced: usize,
    read: &mut usize,
) -> Result<(), Error>
where
    B: Body<Data = Bytes, Error: Into<ReadError>> + Unpin,
{
    while let Some(frame) = body.frame().await {
        let data = frame.map_err(|failure| body_error(failure.into()))?.into_data().map_err(|_| trailers())?;
        *read += data.len();
        if *read > limit {
            return Err(Error::BodyTooLarge { limit });
        }
        whole.append(&data, if announced >= *read { announced } else { limit }).map_err(over_quota)?;
    }
    Ok(())
}

/// Returns the error of a body that broke off: the caller hung up in the middle, or the body is malformed.
pub(super) fn body_error(failure: ReadError) -> Error {
    let is_hang_up = |cause: &(dyn StdError + 'static)| {
        let by_io = cause.downcast_ref::<io::Error>().is_some_and(|error| HANG_UP_ERRORS.contains(&error.kind()));
        by_io || cause.downcast_ref::<h2::Error>().is_some_and(|error| error.is_remote() || error.is_io())
    };
    // hyper names neither if the connection failed elsewhere than in the body, or was dropped.
    let is_named = |cause: &(dyn StdError + 'static)| cause.is::<io::Error>() || cause.is::<h2::Error>();
    let left = sources(&*failure).any(is_hang_up) || !sources(&*failure).any(is_named);
    let cause = sources(&*failure).last().map(ToString::to_string).unwrap_or_default();
    if left { Error::CallerLeft(cause) } else { Error::BodyBroken(cause) }
}

/// Returns an error and its causes, the outermost first.
fn sources<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// Returns whether the body of a refused request has a rest that must be read before its sender reads the answer.
#[must_use]
pub fn has_rest(body: &impl Body) -> bool {
    !body.is_end_stream()
}

/// Reads and discards a bounded rest of a refused body. A connection that is closed with unread bytes is reset, and the reset
/// can overtake the answer.
pub async fn discard(mut body: impl Body<Data = Bytes> + Unpin) {
    let reading = async {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > DISCARD_BYTES {
                break;
            }
        }
    };
    // Either way the answer has been sent. If bytes are left, the connection is closed.
    drop(time::timeout(DISCARD_TIME, reading).await);
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use hyper::body::Frame;

    use super::*;

    /// A body that comes in parts of 64 KiB until this many bytes have come, and then stops without an end.
    struct Endless {
        left: usize,
    }

    impl Body for Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let part = self.left.min(64 * 1024);
            self.left -= part;
            if part == 0 { Poll::Pending } else { Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![b'x'; part]))))) }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_refused_body_at_most_4_mib_are_read_and_for_a_second() {
        let begun = tokio::time::Instant::now();
        let mut much = Endless { left: 1 << 30 };
        discard(&mut much).await;
        assert!(((1 << 30) - much.left) <= DISCARD_BYTES + 64 * 1024, "{} are left", much.left);
        assert!(begun.elapsed().is_zero());
        discard(&mut Endless { left: 1024 }).await;
        assert_eq!(begun.elapsed().as_secs(), 1);
    }
}
