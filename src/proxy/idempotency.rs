//! The header `Idempotency-Key`: a retry with the same idempotency key starts nothing new.

use std::borrow::Cow;

use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Response};
use uuid::Uuid;

use super::answer::AnswerBody;
pub use super::error::idempotency::Error;
use super::generation::Generation;

use crate::asteroid::answer::{self as asteroid_answer, ReadPart};
use crate::asteroid::operation::{BodyRule, Call, Effect};
use crate::asteroid::start::Tags;
use crate::config::resolve::IdempotencyMode;
use crate::state::{BodyDigest, IdempotencyDigest, Reply};
use crate::tenant::Tenant;

const NAME: HeaderName = HeaderName::from_static("idempotency-key");
/// The header that marks an answer as the replay of an earlier one.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The longest idempotency key, in characters.
const MAX_LENGTH: usize = 255;

/// The longest answer that is kept for replays, in bytes.
const MAX_REPLAY_BODY: usize = 64 * 1024;

/// A start's idempotency key.
#[derive(Debug)]
pub struct IdempotencyKey<'h> {
    /// The digest under which this process remembers the key: of the tenant's name, the operation with its ids, and the key.
    claim: IdempotencyDigest,
    /// The value of its tag: the same digest, but with the value of the tenant's own tag instead of its name.
    pub digest: IdempotencyDigest,
    text: Cow<'h, [u8]>,
    /// The kind of start.
    rule: BodyRule,
}

/// The digests of an idempotency key and of the body that came with it.
#[derive(Debug, Clone, Copy)]
pub struct IdempotencyDigests {
    /// The digest under which this process remembers the key.
    pub(super) claim: IdempotencyDigest,
    /// The value of the key's tag.
    pub digest: IdempotencyDigest,
    /// The digest of the body.
    pub(super) body: BodyDigest,
    /// The execution that the start continues.
    pub(super) parent: Option<Uuid>,
    /// The kind of start.
    pub(super) rule: BodyRule,
}

impl IdempotencyKey<'_> {
    /// Returns the key with the body that came with it, as it was sent. The digest of the body covers also the kind of start, if that
    /// is not the ordinary one.
    #[must_use]
    pub fn with_body(&self, body: &[u8]) -> IdempotencyDigests {
        let Self { claim, digest, rule, .. } = *self;
        let kind: &[u8] = if rule == BodyRule::SyncStart { b"\0sync" } else { b"" };
        IdempotencyDigests { claim, digest, body: BodyDigest::of(&self.text, kind, body), parent: None, rule }
    }
}

impl IdempotencyDigests {
    /// Returns whether the execution carries the digests as tags, so that it can be looked up at the upstream.
    #[must_use]
    pub fn is_tagged(&self) -> bool {
        self.rule != BodyRule::Rerun
    }

    /// Returns whether an execution was started with another body, if its tag says so.
    #[must_use]
    pub fn differs_from(&self, found: Option<BodyDigest>) -> bool {
        found.is_some_and(|body| body != self.body)
    }
}

/// Returns a start's idempotency key, if it carries one.
///
/// The key is bound to the operation and its ids: the same text for another agent is another key. A start that waits for its end
/// and one that does not share their keys, so that neither is sent for the other; they differ in the digest of the body.
///
/// # Errors
///
/// [`Error::NotTaken`], [`Error::Off`], [`Error::Missing`], [`Error::Repeated`], [`Error::Malformed`].
pub fn read_header<'h>(
    tenant: &Tenant,
    call: &Call<'_>,
    headers: &'h HeaderMap,
) -> Result<Option<IdempotencyKey<'h>>, Error> {
    if call.rules().effect != Effect::Start {
        return refuse_header(headers).map(|()| None);
    }
    let mut values = headers.get_all(NAME).iter();
    let Some(value) = values.next() else {
        return if tenant.idempotency == IdempotencyMode::Required { Err(Error::Missing) } else { Ok(None) };
    };
    if tenant.idempotency == IdempotencyMode::Off {
        return Err(Error::Off);
    }
    if values.next().is_some() {
        return Err(Error::Repeated);
    }
    let text = parse_value(value.as_bytes()).ok_or(Error::Malformed)?;
    let ids: Vec<String> = call.ids.iter().flatten().map(|id| id.text.to_ascii_lowercase()).collect();
    let (operation, ids) = (call.operation.idempotency_name().as_bytes(), ids.join("/"));
    let of = |tenant: &str| IdempotencyDigest::of(&[tenant.as_bytes(), operation, ids.as_bytes(), &text]);
    Ok(Some(IdempotencyKey { claim: of(&tenant.name), digest: of(&tenant.tag), text, rule: call.rules().body }))
}

/// Refuses an idempotency key on a request that starts nothing.
///
/// # Errors
///
/// [`Error::NotTaken`].
pub(super) fn refuse_header(headers: &HeaderMap) -> Result<(), Error> {
    if headers.contains_key(NAME) { Err(Error::NotTaken) } else { Ok(()) }
}

/// Returns the text that a value of the header stands for, or `None` if the value is malformed. It is a string of RFC 8941, as
/// in draft-ietf-httpapi-idempotency-key-header-07, or the same without quotes.
#[must_use]
pub fn parse_value(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let text = match value {
        [b'"', quoted @ .., b'"'] => Cow::Owned(unescape(quoted)?),
        bare if bare.iter().all(|byte| is_bare(*byte)) => Cow::Borrowed(bare),
        _ => return None,
    };
    (1..=MAX_LENGTH).contains(&text.len()).then_some(text)
}

/// Returns whether a byte may stand in a value without quotes. A comma may not, as proxies join two headers with it.
fn is_bare(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b',')
}

fn unescape(quoted: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(quoted.len());
    let mut bytes = quoted.iter().copied();
    while let Some(byte) = bytes.next() {
        text.push(match byte {
            b'\\' => bytes.next().filter(|escaped| matches!(escaped, b'"' | b'\\'))?,
            b'"' => return None,
            b' '..=b'~' => byte,
            _ => return None,
        });
    }
    Some(text)
}

/// Returns the tags of a start. If it has an idempotency key, the digests of that and of the body are among them.
#[must_use]
pub fn tags(tenant: &Tenant, keyed: Option<IdempotencyDigests>) -> Cow<'_, Tags> {
    let Some(IdempotencyDigests { digest, body, .. }) = keyed else { return Cow::Borrowed(&tenant.tags) };
    Cow::Owned(tenant.tags.with_reserved(&[&digest.to_string(), &body.to_string()]))
}

/// Returns the error for an idempotency key whose earlier start may have started an execution.
pub(super) fn unknown(generation: &Generation, keyed: IdempotencyDigests) -> Error {
    if !keyed.is_tagged() {
        return Error::UnknownRerun;
    }
    Error::Unknown { tag: generation.idempotency.tag.clone(), digest: keyed.digest }
}

/// Returns the error for an idempotency key with several executions that do not show which of them it started.
#[must_use]
pub fn several(generation: &Generation, keyed: IdempotencyDigests) -> Error {
    Error::Several { tag: generation.idempotency.tag.clone(), digest: keyed.digest }
}

/// Returns the part of an answer that is kept for replays: all of it, or of a long one its id and its status.
#[must_use]
pub fn reply(response: &Response<AnswerBody>) -> Reply {
    let (status, body) = (response.status(), response.body());
    match body.read_part() {
        Some(ReadPart::Whole(whole)) if whole.len() <= MAX_REPLAY_BODY => {
            Reply::new(status, response.headers().get(CONTENT_TYPE), whole)
        }
        _ => {
            let short = asteroid_answer::short_response(body.buffered());
            Reply::new(status, Some(&HeaderValue::from_static("application/json")), short.as_bytes())
        }
    }
}

/// Returns the answer that the start of an execution must have got. If it waited for the end, that has the execution's status.
#[must_use]
pub fn recovered(id: Uuid, execution_status: Option<&str>, keyed: IdempotencyDigests) -> Reply {
    let execution_status = execution_status.filter(|_| keyed.rule == BodyRule::SyncStart);
    let (status, media_type, text) = asteroid_answer::start_response(id, execution_status);
    Reply::new(status, Some(&HeaderValue::from_static(media_type)), text.as_bytes())
}

/// Returns a kept answer as a response.
#[must_use]
pub fn response(reply: &Reply) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::whole(reply.body.clone()));
    *response.status_mut() = reply.status;
    response.headers_mut().extend(reply.content_type.clone().map(|media_type| (CONTENT_TYPE, media_type)));
    response
}

/// Returns a kept answer as a response that is marked as a replay.
#[must_use]
pub fn replay_response(reply: &Reply) -> Response<AnswerBody> {
    let mut response = response(reply);
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}
