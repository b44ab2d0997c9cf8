//! `Idempotency-Key`: what comes again with the same key is not started again.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Response};

use crate::asteroid::answer as asteroid_answer;
use crate::asteroid::operation::Call;
use crate::asteroid::start::Tags;
use crate::config::resolve::Keys;
use crate::state::{Claim, Claimed, Digest, Keyed, Refused, Reply};

use super::answer::Body;
use super::recovery::{self, Found, LookUp};
use super::snapshot::{Snapshot, Tenant};

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
        "no further Idempotency-Key can be remembered, so a retry could start twice; try again later, or have `idempotency.memory` raised"
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
    /// There are executions with the key's digest, more than one.
    #[error(
        "more than one execution carries the tag of this Idempotency-Key ({tag}: {digest}), so none is started or named now; \
         look at them"
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
    /// What it says of a key that was claimed; nothing where it was none.
    fn keyed(&self) -> Option<Keyed> {
        match self {
            Error::Off | Error::Missing | Error::Repeated | Error::Malformed => None,
            Error::InFlight => Some(Keyed::InFlight),
            Error::Mismatch => Some(Keyed::Mismatch),
            Error::Full => Some(Keyed::Full),
            Error::Unknown { .. } | Error::Several { .. } => Some(Keyed::Unknown),
            Error::LookUp(_) => Some(Keyed::LookUpFailed),
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

/// The digest of a start's tenant, operation and key, if it carries a key.
///
/// The operation is meant with its ids: the same key for another agent is another key.
///
/// # Errors
///
/// [`Error::Off`], [`Error::Missing`], [`Error::Repeated`], [`Error::Malformed`].
pub fn key(tenant: &Tenant, call: &Call<'_>, headers: &HeaderMap) -> Result<Option<Digest>, Error> {
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
    let key = text(value.as_bytes()).ok_or(Error::Malformed)?;
    let id = call.id.to_ascii_lowercase();
    Ok(Some(Digest::of(&[tenant.tag.as_bytes(), call.operation.name().as_bytes(), id.as_bytes(), &key])))
}

/// The key of a header: a string of RFC 8941, as in draft-ietf-httpapi-idempotency-key-header-07, or the same without quotes.
fn text(value: &[u8]) -> Option<Cow<'_, [u8]>> {
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

/// The tags of a start: with a key, its digest among them.
#[must_use]
pub fn tags(tenant: &Tenant, key: Option<Digest>) -> Cow<'_, Tags> {
    key.map_or(Cow::Borrowed(&tenant.tags), |key| Cow::Owned(tenant.tags.with_reserved(&key.to_string())))
}

/// What is to be done with a start that carries a key.
#[derive(Debug)]
pub enum Turn {
    /// It is the first.
    Send(Claim),
    /// It was answered before.
    Replay(Arc<Reply>),
    /// It was found at the upstream; this is the answer that it must have got.
    Recovered(Arc<Reply>),
}

impl Turn {
    fn keyed(&self) -> Keyed {
        match self {
            Turn::Send(_) => Keyed::New,
            Turn::Replay(_) => Keyed::Replayed,
            Turn::Recovered(_) => Keyed::Recovered,
        }
    }
}

/// Claims the key of a start whose body, as it was sent, is given. What is not known here is looked up where the
/// configuration wants it.
///
/// # Errors
///
/// [`Error::InFlight`], [`Error::Mismatch`], [`Error::Full`], [`Error::Unknown`], [`Error::Several`], [`Error::LookUp`]; the key is
/// as it was, save that it stays unknown once several starts were found.
pub async fn claim(
    snapshot: &Snapshot,
    key: Digest,
    body: &[u8],
    look_up: &LookUp<'_>,
    looked_up: &mut Option<&'static str>,
) -> Result<Turn, Error> {
    let turn = turn(snapshot, key, body, look_up, looked_up).await;
    if let Some(keyed) = turn.as_ref().map_or_else(Error::keyed, |turn| Some(turn.keyed())) {
        look_up.tenant.counts.meters.keyed(keyed);
    }
    turn
}

async fn turn(
    snapshot: &Snapshot,
    key: Digest,
    body: &[u8],
    look_up: &LookUp<'_>,
    looked_up: &mut Option<&'static str>,
) -> Result<Turn, Error> {
    let bounds = snapshot.idempotency.bounds;
    let unknown = || Error::Unknown { tag: snapshot.idempotency.tag.clone(), digest: key };
    let (claim, first) = match snapshot.claims.claim(key, Digest::of(&[body]), bounds, Instant::now())? {
        Claimed::Answered(reply) => return Ok(Turn::Replay(reply)),
        Claimed::New(claim) if !snapshot.idempotency.recovery => return Ok(Turn::Send(claim)),
        Claimed::Unknown(_) if !snapshot.idempotency.recovery => return Err(unknown()),
        Claimed::New(claim) => (claim, true),
        Claimed::Unknown(claim) => (claim, false),
    };
    // Boxed, as few starts need it and all would carry its future around.
    let found = Box::pin(look_up.find(key)).await;
    *looked_up = Some(found.as_ref().map_or("failed", |found| found.name()));
    match found.map_err(Error::LookUp)? {
        Found::One(id) => {
            let (status, media_type, body) = asteroid_answer::executed(id);
            let media_type = HeaderValue::from_static(media_type);
            let reply = Arc::new(Reply::new(status, Some(&media_type), body.as_bytes()));
            claim.found(Arc::clone(&reply), Instant::now());
            Ok(Turn::Recovered(reply))
        }
        Found::Nothing if first => Ok(Turn::Send(claim)),
        Found::Nothing => Err(unknown()),
        Found::Several => {
            claim.unknown(Instant::now());
            Err(Error::Several { tag: snapshot.idempotency.tag.clone(), digest: key })
        }
    }
}

/// What is kept of a whole answer that names its execution.
#[must_use]
pub fn reply(response: &Response<Body>) -> Reply {
    Reply::new(response.status(), response.headers().get(CONTENT_TYPE), response.body().buffered())
}

/// The answer again.
#[must_use]
pub fn replayed(reply: &Reply) -> Response<Body> {
    let mut response = Response::new(Body::whole(reply.body.clone()));
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    headers.extend(reply.content_type.clone().map(|media_type| (CONTENT_TYPE, media_type)));
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    response
}
