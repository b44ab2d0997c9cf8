//! Whether a start whose key was refused ran all the same: asked before it is sent with another key.

use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Response};

use crate::asteroid::answer as asteroid_answer;
use crate::error::Error;
use crate::state::Digest;
use crate::telemetry::record::Record;
use crate::telemetry::request_id::RequestId;

use super::answer::Body;
use super::idempotency;
use super::recovery::{Found, LookUp};
use super::sending::Sending;
use super::snapshot::{Snapshot, Tenant};

/// A look-up of a start of one's own.
pub(super) struct Inquiry {
    snapshot: Arc<Snapshot>,
    tenant: Arc<Tenant>,
    digest: Digest,
    request_id: RequestId,
    caller: HeaderMap,
}

impl Inquiry {
    /// Creates it for a start with an idempotency key, if the configuration wants look-ups.
    pub(super) fn new(
        snapshot: &Arc<Snapshot>,
        tenant: &Arc<Tenant>,
        caller: &Parts,
        record: &Record,
    ) -> Option<Box<Inquiry>> {
        let digest = record.line.idempotency.filter(|_| snapshot.idempotency.recovery)?;
        Some(Box::new(Inquiry {
            snapshot: Arc::clone(snapshot),
            tenant: Arc::clone(tenant),
            digest,
            request_id: record.line.request_id.clone(),
            caller: caller.headers.clone(),
        }))
    }

    /// Looks the start up; returns the answer that it must have got, if it ran.
    ///
    /// # Errors
    ///
    /// [`idempotency::Error::Several`]; [`Error::KeyRefused`] if it could not be found out: then the start is not sent again, and
    /// its next retry looks before it is sent.
    pub(super) async fn answer(&self, sending: &Sending) -> Result<Option<Response<Body>>, Error> {
        let Inquiry { snapshot, tenant, digest, request_id, caller } = self;
        let Sending { upstream, permit, trace, progress, .. } = sending;
        let found = LookUp { upstream, snapshot, tenant, permit, request_id, trace, caller }.find(*digest).await;
        // Set once, as a start is looked up once on its way.
        progress.looked_up.set(found.as_ref().map_or("failed", |found| found.name())).ok();
        match found {
            Ok(Found::Nothing) => Ok(None),
            Ok(Found::One { id, .. }) => {
                let (status, media_type, body) = asteroid_answer::executed(id);
                let mut response = Response::new(Body::whole(Bytes::from(body)));
                *response.status_mut() = status;
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
                Ok(Some(response))
            }
            Ok(Found::Several) => {
                let tag = snapshot.idempotency.tag.clone();
                Err(idempotency::Error::Several { tag, digest: *digest }.into())
            }
            Err(_) => Err(Error::KeyRefused),
        }
    }
}
