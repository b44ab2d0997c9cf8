//! Looks up a start that was answered 401 before it is sent again with another API key: it may have run all the same.

use std::sync::{Arc, OnceLock};

use hyper::{HeaderMap, Response, StatusCode};

use crate::facts::LookupOutcome;
use crate::facts::request_id::RequestId;
use crate::proxy::error::Error;
use crate::record::Record;
use crate::state::Permit;
use crate::tenant::Tenant;
use crate::trace::Trace;
use crate::upstream::Upstream;

use super::answer::AnswerBody;
use super::generation::Generation;
use super::idempotency::{self, IdempotencyDigests};
use super::inquiry::Inquiry;
use super::recovery::{self, LookupResult};

/// What is needed to look up a start before it is sent again.
pub(super) struct ResendCheck {
    generation: Arc<Generation>,
    tenant: Arc<Tenant>,
    keyed: IdempotencyDigests,
    request_id: RequestId,
    /// The trace context of the caller.
    context: HeaderMap,
}

impl ResendCheck {
    /// Creates the check of a start with an idempotency key, if `idempotency.recovery` is on.
    pub(super) fn new(
        generation: &Arc<Generation>,
        tenant: &Arc<Tenant>,
        keyed: Option<IdempotencyDigests>,
        caller: &HeaderMap,
        record: &Record,
    ) -> Option<Box<ResendCheck>> {
        let keyed = keyed.filter(|keyed| generation.idempotency.recovery && keyed.is_tagged())?;
        Some(Box::new(ResendCheck {
            generation: Arc::clone(generation),
            tenant: Arc::clone(tenant),
            keyed,
            request_id: record.facts.request_id.clone(),
            context: Trace::context_of(caller),
        }))
    }

    /// Looks the start up. Returns the answer that it must have got, if it ran.
    ///
    /// # Errors
    ///
    /// [`idempotency::Error::Mismatch`], [`idempotency::Error::Several`]; [`Error::KeyRefused`] if the look-up failed. The start
    /// is not sent again then, and its next retry is looked up first.
    pub(super) async fn find_answer(
        &self,
        upstream: &Upstream,
        permit: &Permit,
        trace: &Trace,
        outcome: &OnceLock<LookupOutcome>,
    ) -> Result<Option<Response<AnswerBody>>, Error> {
        let ResendCheck { generation, tenant, keyed, request_id, context: caller } = self;
        let inquiry = Inquiry { upstream, generation, tenant, permit, request_id, trace, caller };
        let found = recovery::find(&inquiry, *keyed).await;
        // Not set before, as a start is sent again only once.
        outcome.set(recovery::outcome(&found)).ok();
        match found {
            Ok(LookupResult::None) => Ok(None),
            Ok(LookupResult::One { body, .. }) if keyed.differs_from(body) => Err(idempotency::Error::Mismatch.into()),
            Ok(LookupResult::One { id, status, .. }) => {
                tenant.owned.insert(id);
                Ok(Some(idempotency::response(&idempotency::recovered(id, status.as_deref(), *keyed))))
            }
            Ok(LookupResult::Several) => Err(idempotency::several(generation, *keyed).into()),
            Err(error) => {
                // A look-up that was answered 401 has counted that itself.
                if !matches!(error, recovery::Error::Denied(StatusCode::UNAUTHORIZED)) {
                    tenant.credential.note_refused(false);
                }
                Err(Error::KeyRefused)
            }
        }
    }
}
