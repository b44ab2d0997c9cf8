//! `Idempotency-Key`: what comes again with the same key is not started again.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Response};
use uuid::Uuid;

use crate::asteroid::answer as asteroid_answer;
use crate::asteroid::operation::Call;
use crate::asteroid::start::Tags;
use crate::config::resolve::Keys;
use crate::state::{BodyDigest, Claim, Claimed, Digest, Keyed as Meaning, Refused, Reply, Standing};
use crate::tenant::Tenant;

use super::answer::Body;
use super::generation::Snapshot;
use super::limit::{self, Now, Reservation};
use super::recovery::{self, Found, LookUp};

const NAME: HeaderName = HeaderName::from_static("idempotency-key");
/// On an answer that an earlier start with the same key got.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The longest key, in characters.
const LONGEST: usize = 255;

/// Why a start does not go out under its key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tenant's starts carry no keys.
    #[error(
        "no Idempotency-Key is taken from this tenant, so a retry could start twice; leave it out, or have `idempotency` set to optional"
    )]
    Off,
    /// The tenant's starts must carry a key.
    #[error("an Idempotency-Key is required: a new value for each start, and the same for its retries")]
    Missing,
    /// It came more than once.
    #[error("Idempotency-Key must come once")]
    Repeated,
    /// It is no key.
    #[error(
        "Idempotency-Key must be 1 to 255 characters of visible ASCII without comma, quote and backslash, or a quoted string"
    )]
    Malformed,
    /// See [`Refused::InFlight`].
    #[error("an earlier request with this Idempotency-Key is in flight; try again later, with the same key")]
    InFlight,
    /// See [`Refused::Mismatch`].
    #[error("this Idempotency-Key was used with another body; another start needs another key")]
    Mismatch,
    /// See [`Refused::Full`].
    #[error(
        "no further Idempotency-Key of this tenant can be remembered, so a retry could start twice; try again later, or have `idempotency.memory` raised"
    )]
    Full,
    /// The key's start may have started an execution.
    #[error(
        "an earlier start with this Idempotency-Key may have started an execution, so none is started now; its metadata would say {tag}: {digest}. If there is none, start with a new key"
    )]
    Unknown {
        /// The metadata key by which it can be found.
        tag: String,
        /// The value.
        digest: Digest,
    },
    /// There are executions with the key's digest that do not show which of them the first start made.
    #[error(
        "the executions that carry the tag of this Idempotency-Key ({tag}: {digest}) do not show which of them it started, \
         so none is started or named now; look at them"
    )]
    Several {
        /// The metadata key by which they can be found.
        tag: String,
        /// The value.
        digest: Digest,
    },
    /// It could not be found out.
    #[error(
        "whether an earlier start with this Idempotency-Key started an execution could not be looked up, so none is started \
         now: {0}"
    )]
    LookUp(recovery::Error),
}

impl Error {
    /// Returns what the metrics count it as; nothing if there was no key to be claimed.
    fn meaning(&self) -> Option<Meaning> {
        match self {
            Error::Off | Error::Missing | Error::Repeated | Error::Malformed => None,
            Error::InFlight => Some(Meaning::InFlight),
            Error::Mismatch => Some(Meaning::Mismatch),
            Error::Full => Some(Meaning::Full),
            Error::Unknown { .. } | Error::Several { .. } => Some(Meaning::Unknown),
            Error::LookUp(_) => Some(Meaning::LookUpFailed),
        }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Error {
        match refused {
            Refused::InFlight => Error::InFlight,
            Refused::Mismatch => Error::Mismatch,
            Refused::Full => Error::Full,
        }
    }
}

/// A start's idempotency key.
#[derive(Debug)]
pub struct Key<'h> {
    /// The digest under which this process remembers it: of the tenant's name, the operation with its ids, and the key.
    claim: Digest,
    /// The value of its tag: a digest of the same, with the tenant's name among all that share the organisation's credential.
    pub digest: Digest,
    text: Cow<'h, [u8]>,
}

/// An idempotency key and the body that came with it, by their digests.
#[derive(Debug, Clone, Copy)]
pub struct KeyDigests {
    claim: Digest,
    /// The value of the key's tag.
    pub digest: Digest,
    body: BodyDigest,
}

impl Key<'_> {
    /// Returns the key with the body that came with it, as it was sent.
    #[must_use]
    pub fn with(&self, body: &[u8]) -> KeyDigests {
        KeyDigests { claim: self.claim, digest: self.digest, body: BodyDigest::of(&self.text, body) }
    }
}

impl KeyDigests {
    /// Returns whether an execution with the same key was started with another body, if its tag says with which.
    #[must_use]
    pub fn differs_from(&self, found: Option<BodyDigest>) -> bool {
        found.is_some_and(|body| body != self.body)
    }
}

/// Returns a start's idempotency key, if it carries one.
///
/// The operation is meant with its ids: the same key for another agent is another key.
///
/// # Errors
///
/// [`Error::Off`], [`Error::Missing`], [`Error::Repeated`], [`Error::Malformed`].
pub fn key<'h>(tenant: &Tenant, call: &Call<'_>, headers: &'h HeaderMap) -> Result<Option<Key<'h>>, Error> {
    let mut values = headers.get_all(NAME).iter();
    let Some(value) = values.next() else {
        return if tenant.keys == Keys::Required { Err(Error::Missing) } else { Ok(None) };
    };
    if tenant.keys == Keys::Off {
        return Err(Error::Off);
    }
    if values.next().is_some() {
        return Err(Error::Repeated);
    }
    let text = parse(value.as_bytes()).ok_or(Error::Malformed)?;
    let (operation, id) = (call.operation.idempotency_name().as_bytes(), call.id.to_ascii_lowercase());
    let of = |tenant: &str| Digest::of(&[tenant.as_bytes(), operation, id.as_bytes(), &text]);
    Ok(Some(Key { claim: of(&tenant.name), digest: of(&tenant.tag), text }))
}

/// Returns the text that a value of the header stands for, or nothing if it is malformed. It is a string of RFC 8941, as in
/// draft-ietf-httpapi-idempotency-key-header-07, or the same without quotes.
#[must_use]
pub fn parse(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let text = match value {
        [b'"', quoted @ .., b'"'] => Cow::Owned(unescaped(quoted)?),
        bare if bare.iter().all(|byte| is_bare(*byte)) => Cow::Borrowed(bare),
        _ => return None,
    };
    (1..=LONGEST).contains(&text.len()).then_some(text)
}

/// A comma is what a proxy joins two headers with.
fn is_bare(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b',')
}

fn unescaped(quoted: &[u8]) -> Option<Vec<u8>> {
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

/// Returns the tags of a start. If it has a key, the digests of the key and of the body are among them.
#[must_use]
pub fn tags(tenant: &Tenant, keyed: Option<KeyDigests>) -> Cow<'_, Tags> {
    let Some(KeyDigests { digest, body, .. }) = keyed else { return Cow::Borrowed(&tenant.tags) };
    Cow::Owned(tenant.tags.with_reserved(&[&digest.to_string(), &body.to_string()]))
}

/// What is to be done with a start.
#[derive(Debug)]
pub enum Turn {
    /// It is the first with its key, or has none, and was counted by its tenant's limits.
    Send(Option<Claim>, Reservation),
    /// It was answered before.
    Replay(Arc<Reply>),
    /// It was found at the upstream; this is the answer that it must have got.
    Recovered(Arc<Reply>),
}

impl Turn {
    fn meaning(&self) -> Meaning {
        match self {
            Turn::Send(..) => Meaning::New,
            Turn::Replay(_) => Meaning::Replayed,
            Turn::Recovered(_) => Meaning::Recovered,
        }
    }
}

/// Claims the key of a start, if it has one, and counts the start by its tenant's limits, if it may be the first. A key
/// that is not known here is looked up, if the configuration wants that. The limits come before, so that a start that they refuse
/// costs the upstream nothing.
///
/// # Errors
///
/// [`Error::InFlight`], [`Error::Mismatch`], [`Error::Full`], [`Error::Unknown`], [`Error::Several`], [`Error::LookUp`], and a
/// limit that is reached. The key is as it was then, save that its outcome is unknown once several starts were found.
pub async fn claim(
    keyed: Option<KeyDigests>,
    look_up: &LookUp<'_>,
    looked_up: &mut Option<&'static str>,
    standing: &mut Standing,
) -> Result<Turn, crate::proxy::error::Error> {
    let Some(keyed) = keyed else {
        return Ok(Turn::Send(None, limit::reserve(look_up.tenant, Now::read(), standing)?));
    };
    let turn = turn(keyed, look_up, looked_up, standing).await;
    let meaning = match &turn {
        Ok(turn) => Some(turn.meaning()),
        Err(crate::proxy::error::Error::Idempotency(error)) => error.meaning(),
        // A limit: the key was new.
        Err(_) => Some(Meaning::New),
    };
    meaning.into_iter().for_each(|meaning| look_up.tenant.counts.meters.keyed(meaning));
    turn
}

async fn turn(
    keyed: KeyDigests,
    look_up: &LookUp<'_>,
    looked_up: &mut Option<&'static str>,
    standing: &mut Standing,
) -> Result<Turn, crate::proxy::error::Error> {
    let LookUp { snapshot, tenant, .. } = *look_up;
    let (recovery, bounds) = (snapshot.idempotency.recovery, snapshot.idempotency.bounds);
    let claimed = snapshot.claims.claim(&tenant.name, keyed.claim, keyed.body, bounds, Instant::now());
    match claimed.map_err(Error::from)? {
        Claimed::Answered(reply) => Ok(Turn::Replay(reply)),
        Claimed::Unknown(_) if !recovery => Err(unknown(snapshot, keyed))?,
        // It starts nothing, and is counted by no limit of starts.
        Claimed::Unknown(claim) => match Box::pin(found(claim, keyed, look_up, looked_up)).await? {
            Ok(reply) => Ok(Turn::Recovered(reply)),
            Err(_not_listed) => Err(unknown(snapshot, keyed))?,
        },
        Claimed::New(claim) => {
            let reservation = limit::reserve(tenant, Now::read(), standing)?;
            if !recovery {
                return Ok(Turn::Send(Some(claim), reservation));
            }
            // Boxed, as few starts need it and all would carry its future around.
            match Box::pin(found(claim, keyed, look_up, looked_up)).await {
                Ok(Ok(reply)) => {
                    reservation.undo(standing);
                    Ok(Turn::Recovered(reply))
                }
                Ok(Err(claim)) => Ok(Turn::Send(Some(claim), reservation)),
                Err(error) => {
                    reservation.release(standing);
                    Err(error.into())
                }
            }
        }
    }
}

fn unknown(snapshot: &Snapshot, keyed: KeyDigests) -> Error {
    Error::Unknown { tag: snapshot.idempotency.tag.clone(), digest: keyed.digest }
}

/// Returns the error for a key of which it cannot be told which execution it started.
#[must_use]
pub fn several(snapshot: &Snapshot, keyed: KeyDigests) -> Error {
    Error::Several { tag: snapshot.idempotency.tag.clone(), digest: keyed.digest }
}

/// Looks for the first start with a key at the upstream. Returns the answer that it must have got, or the claim where there
/// is none.
async fn found(
    claim: Claim,
    keyed: KeyDigests,
    look_up: &LookUp<'_>,
    looked_up: &mut Option<&'static str>,
) -> Result<Result<Arc<Reply>, Claim>, Error> {
    let found = look_up.find(keyed.digest).await;
    *looked_up = Some(found.as_ref().map_or("failed", |found| found.name()));
    match found.map_err(Error::LookUp)? {
        Found::One { id, body } => {
            let reply = Arc::new(recovered(id));
            claim.found(Arc::clone(&reply), body, Instant::now());
            if keyed.differs_from(body) { Err(Error::Mismatch) } else { Ok(Ok(reply)) }
        }
        Found::Nothing => Ok(Err(claim)),
        Found::Several => {
            claim.unknown(Instant::now());
            Err(several(look_up.snapshot, keyed))
        }
    }
}

/// Returns what is kept of a whole answer that names its execution.
#[must_use]
pub fn reply(response: &Response<Body>) -> Reply {
    Reply::new(response.status(), response.headers().get(CONTENT_TYPE), response.body().buffered())
}

/// Returns the answer that the start of an execution must have got.
#[must_use]
pub fn recovered(id: Uuid) -> Reply {
    let (status, media_type, text) = asteroid_answer::executed(id);
    Reply::new(status, Some(&HeaderValue::from_static(media_type)), text.as_bytes())
}

/// Returns what was kept as an answer.
#[must_use]
pub fn answer(reply: &Reply) -> Response<Body> {
    let mut response = Response::new(Body::whole(reply.body.clone()));
    *response.status_mut() = reply.status;
    response.headers_mut().extend(reply.content_type.clone().map(|media_type| (CONTENT_TYPE, media_type)));
    response
}

/// The answer again.
#[must_use]
pub fn replayed(reply: &Reply) -> Response<Body> {
    let mut response = answer(reply);
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}
