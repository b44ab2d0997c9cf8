//! Looks up a start at the upstream if its outcome is not known here.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::{HeaderMap, StatusCode};
use tokio::time::timeout;
use uuid::Uuid;

use crate::asteroid::execution::{self, Execution, Filter, ListingPage, Tag};
use crate::asteroid::operation::Operation;
use crate::config::resolve::BODY_TAG;
use crate::facts::LookupOutcome;
use crate::facts::request_id::RequestId;
use crate::state::{BodyDigest, IdempotencyDigest, Permit};
use crate::tenant::Tenant;
use crate::trace::Trace;
use crate::transport::error::{FailureCode, SendError};
use crate::transport::timer::ResponseTimer;
use crate::upstream::Upstream;

use super::credential::ChosenVersion;
use super::generation::Generation;
use super::outgoing::Outgoing;

pub use super::error::recovery::Error;

/// The size of the first page that is requested, and of another one if there are more executions.
const PAGE_SIZES: [usize; 2] = [2, 10];

/// The result of a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupResult {
    /// No execution. That proves nothing if there was a start, as listings may lag.
    None,
    /// The execution of the first start.
    One {
        /// Its id.
        id: Uuid,
        /// The digest of the body that it was started with, if its tag says so.
        body: Option<BodyDigest>,
    },
    /// Several executions, which do not show which was the first.
    Several,
}

impl LookupResult {
    /// Returns the result for the executions that carry the tag.
    fn of(executions: &[Execution]) -> LookupResult {
        match (executions, execution::first(executions)) {
            ([], _) => LookupResult::None,
            (_, Some(first)) => {
                LookupResult::One { id: first.id, body: first.tag(BODY_TAG).and_then(BodyDigest::parse) }
            }
            (_, None) => LookupResult::Several,
        }
    }
}

/// Returns the outcome of a look-up, as it is recorded.
pub(super) fn outcome(result: &Result<LookupResult, Error>) -> LookupOutcome {
    match result {
        Ok(LookupResult::None) => LookupOutcome::None,
        Ok(LookupResult::One { .. }) => LookupOutcome::One,
        Ok(LookupResult::Several) => LookupOutcome::Several,
        Err(_) => LookupOutcome::Failed,
    }
}

/// What is needed to look up a start. The look-up is a part of the admitted request, and uses the credential of its tenant.
#[derive(Debug, Clone, Copy)]
pub struct Lookup<'a> {
    /// The upstream that lists executions.
    pub upstream: &'a Upstream,
    /// The configuration.
    pub generation: &'a Arc<Generation>,
    /// The tenant of the start.
    pub tenant: &'a Arc<Tenant>,
    /// The permit of the request.
    pub permit: &'a Permit,
    /// The id of the request.
    pub request_id: &'a RequestId,
    /// The trace of the request.
    pub trace: &'a Trace,
    /// The headers of the caller, whose trace context is passed on.
    pub caller: &'a HeaderMap,
}

impl Lookup<'_> {
    /// Looks for executions that carry a digest, within `timeouts.response`.
    ///
    /// # Errors
    ///
    /// [`Error`], which proves nothing about the start.
    pub async fn find(&self, digest: IdempotencyDigest) -> Result<LookupResult, Error> {
        let digest = digest.to_string();
        let found = timeout(self.generation.response_timeout, self.try_filters(&digest)).await;
        found.unwrap_or_else(|_| {
            self.trace.ended(Some(Error::Timeout.code()));
            Err(Error::Timeout)
        })
    }

    /// Lists executions with each filter, until one finds any. Returns [`LookupResult::None`] if none does and the upstream
    /// understood at least one. If one is known to find executions, it must be that one.
    async fn try_filters(&self, digest: &str) -> Result<LookupResult, Error> {
        let proven = self.tenant.listing_check.filter();
        let (mut is_none, mut unproven, mut is_ignored) = (false, None, false);
        for filter in Filter::ALL {
            match self.list_by(filter, digest).await {
                Ok(LookupResult::None) if proven.is_none_or(|proven| proven == filter) => is_none = true,
                Ok(LookupResult::None) => unproven = proven,
                Ok(found) => return Ok(found),
                Err(Error::Unfiltered) => is_ignored = true,
                Err(Error::Rejected) => {}
                Err(error) => return Err(error),
            }
        }
        match (is_none, unproven) {
            (true, _) => Ok(LookupResult::None),
            (false, Some(proven)) => Err(Error::Unproven(proven)),
            (false, None) if is_ignored => Err(Error::Unfiltered),
            (false, None) => Err(Error::Rejected),
        }
    }

    /// Lists executions with one filter, which a server of another era may not know.
    pub(super) async fn list_by(&self, filter: Filter, digest: &str) -> Result<LookupResult, Error> {
        let tag = Tag { name: &self.generation.idempotency.tag, value: digest };
        for size in PAGE_SIZES {
            let path = filter.listing(tag, size, self.generation.organization);
            let body = match self.get(Operation::ExecutionList, &path).await {
                Err(Error::Refused { status: StatusCode::BAD_REQUEST, .. }) => return Err(Error::Rejected),
                got => got?,
            };
            match execution::parse_listing(&body, tag).map_err(|_| Error::Unreadable)? {
                ListingPage::All(executions) => return Ok(LookupResult::of(&executions)),
                ListingPage::WithoutMetadata(ids) => return self.get_each(&ids, tag).await,
                ListingPage::Truncated => {}
                ListingPage::Unfiltered => return Err(Error::Unfiltered),
            }
        }
        // The first may be on a later page.
        Ok(LookupResult::Several)
    }

    /// Gets each of the executions, as their listing showed no metadata.
    async fn get_each(&self, ids: &[Uuid], tag: Tag<'_>) -> Result<LookupResult, Error> {
        let mut executions = Vec::new();
        for id in ids {
            let body = self.get(Operation::ExecutionGet, &execution::path(*id)).await?;
            let execution = execution::parse_execution(&body, tag).map_err(|_| Error::Unreadable)?;
            executions.push(execution.ok_or(Error::Unfiltered)?);
        }
        Ok(LookupResult::of(&executions))
    }

    /// Sends a read call and returns the body of its answer. If the API key is refused, another version is sent.
    async fn get(&self, operation: Operation, path: &str) -> Result<Bytes, Error> {
        let Lookup { generation, tenant, request_id, caller, .. } = *self;
        let outgoing = Outgoing::for_lookup(generation, operation, path, caller, request_id.clone());
        let outgoing = outgoing.map_err(|_| Error::Unreadable)?;
        let mut credential = ChosenVersion::first(&tenant.credential)?;
        let mut got = self.get_traced(&outgoing, &credential).await;
        if let Err(Error::Denied(StatusCode::UNAUTHORIZED)) = got
            && credential.replace_refused().await
        {
            got = self.get_traced(&outgoing, &credential).await;
        }
        match &got {
            Ok(_) => credential.note_accepted(),
            Err(Error::Denied(StatusCode::UNAUTHORIZED)) => credential.note_refused(),
            Err(_) => {}
        }
        got
    }

    /// Sends a read call once, and records its end in the trace.
    async fn get_traced(&self, outgoing: &Outgoing, credential: &ChosenVersion) -> Result<Bytes, Error> {
        let got = self.get_once(outgoing, credential).await;
        self.trace.ended(got.as_ref().err().map(Error::code));
        got
    }

    /// Sends a read call once and returns the body of its answer.
    async fn get_once(&self, outgoing: &Outgoing, credential: &ChosenVersion) -> Result<Bytes, Error> {
        let timer = ResponseTimer::new(self.generation.response_timeout, None);
        let mut recipe = || outgoing.request(self.trace, credential, self.permit);
        let (response, mut upstream_timer, lease) =
            match self.upstream.send(&mut recipe, outgoing.operation, &timer).await {
                Ok(answered) => answered,
                Err(SendError::NotSent(reason)) => return Err(Error::Unreachable(reason)),
                Err(SendError::Broke(reason)) => return Err(Error::Broke(reason.to_string())),
                Err(SendError::Timeout) => return Err(Error::Timeout),
            };
        let status = response.status();
        self.trace.answered(status, response.version());
        let max = outgoing.operation.rules().answer_head;
        let body = Limited::new(response.into_body(), max).collect().await;
        let body = body
            .inspect_err(|_| upstream_timer.failed(FailureCode::ConnectionTerminated))
            .map_err(|error| Error::Broke(error.to_string()))?
            .to_bytes();
        lease.release();
        match status {
            StatusCode::OK => Ok(body),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Error::Denied(status)),
            _ => Err(Error::Refused { status }),
        }
    }
}
