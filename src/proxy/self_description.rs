//! The gateway's description of itself: which tenant its caller is, which operations are open for it, and what is left of its
//! limits.
//!
//! It is answered without a credential and without the upstream, and counts as a read.

use bytes::Bytes;
use hyper::body::Body;
use hyper::http::request::Parts;
use hyper::{Method, Uri};
use serde::{Serialize, Serializer};

use crate::asteroid::group::Group;
use crate::asteroid::operation::{self, BodyRule};
use crate::asteroid::query;
use crate::facts::Route;
use crate::proxy::error::Error;
use crate::record::Record;
use crate::state::{Allowance, Now};
use crate::tenant::Tenant;

use super::generation::Generation;
use super::{idempotency, limit, payload};

/// The methods that it is read with, as `Allow` lists them.
const ALLOW: &str = "GET, HEAD";

/// The description for one tenant.
#[derive(Serialize)]
struct Description<'a> {
    tenant: &'a str,
    operations: Members<bool>,
    limits: Members<Allowance>,
}

/// The members of an object, in the order in which they are written.
struct Members<T>(Vec<(&'static str, T)>);

impl<T: Serialize> Serialize for Members<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Returns whether a request is for the description.
pub(super) fn is_requested(target: &Uri) -> bool {
    target.path() == Route::SelfDescription.template()
}

/// Counts the request, and returns the description in JSON.
///
/// # Errors
///
/// Those of [`limit::admit_own_read`] and [`payload::receive`]; [`Error::Operation`], [`Error::Idempotency`], [`Error::Query`].
pub(super) async fn answer<B>(
    tenant: &Tenant,
    generation: &Generation,
    head: &Parts,
    body: &mut Option<B>,
    record: &mut Record,
) -> Result<Bytes, Error>
where
    B: Body<Data = Bytes, Error: Into<payload::ReadError>> + Unpin,
{
    record.facts.set_self_description();
    // It stays in flight until it is described, so that what is left is the same as in the header `RateLimit`.
    let _permit = limit::admit_own_read(tenant, &mut record.facts).await?;
    if ![Method::GET, Method::HEAD].contains(&head.method) {
        return Err(operation::Error::Method { allow: ALLOW.to_owned() }.into());
    }
    idempotency::refuse_header(&head.headers)?;
    query::none(head.uri.query())?;
    payload::receive(BodyRule::None, tenant, generation, head, body, record).await?;
    // The time at which it was counted.
    let now = Now { monotonic: record.facts.begun, ..Now::read() };
    Ok(describe(tenant, now))
}

fn describe(tenant: &Tenant, now: Now) -> Bytes {
    let allowances = tenant.state.allowances(&tenant.limits, now).into_iter();
    let description = Description {
        tenant: &tenant.name,
        operations: Members(Group::ALL.map(|group| (group.code(), tenant.operations.contains(group))).to_vec()),
        limits: Members(allowances.map(|(limit, allowance)| (limit.code(), allowance)).collect()),
    };
    // Serialising strings and numbers into memory does not fail.
    serde_json::to_vec(&description).unwrap_or_default().into()
}
