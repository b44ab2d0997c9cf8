//! Looking up at the upstream what became of a start that nobody here knows the outcome of.

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::{HeaderMap, Request, StatusCode};
use tokio::time::timeout;
use uuid::Uuid;

use crate::asteroid::execution::{self, Execution, Filter, Listed, Tag};
use crate::config::resolve::BODY_TAG;
use crate::credential::CredentialError;
use crate::facts::request_id::RequestId;
use crate::metrics::client::Target;
use crate::state::{BodyDigest, Digest};
use crate::tenant::Tenant;
use crate::trace::Trace;
use crate::transport::body::Body;
use crate::transport::error::{ConnectError, FailureCode, SendError};
use crate::transport::timer::ResponseTimer;
use crate::upstream::Upstream;

use super::generation::Snapshot;
use super::limit::Permit;
use super::{credential, outgoing};

/// The longest listing that is read: some executions with all that the API shows of each.
const LONGEST: usize = 8 * 1024 * 1024;

/// How many executions are asked for at first, and how many if there are more than that.
const SIZES: [usize; 2] = [2, 10];

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// No execution, which proves nothing where there was a start: listings may lag.
    Nothing,
    /// The execution of the first start.
    One {
        /// Its id.
        id: Uuid,
        /// The digest of the body that it was started with, if its tag says so.
        body: Option<BodyDigest>,
    },
    /// Some that do not show which was the first.
    Several,
}

impl Found {
    /// What the log calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Found::Nothing => "none",
            Found::One { .. } => "one",
            Found::Several => "several",
        }
    }

    /// Judges the executions that carry the tag.
    fn of(executions: &[Execution]) -> Found {
        match (executions, execution::first(executions)) {
            ([], _) => Found::Nothing,
            (_, Some(first)) => Found::One { id: first.id, body: first.tag(BODY_TAG).and_then(BodyDigest::parse) },
            (_, None) => Found::Several,
        }
    }
}

/// Why nobody knows.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no key to ask with.
    #[error(transparent)]
    NoKey(#[from] CredentialError),
    /// The upstream could not be reached.
    #[error("the upstream could not be reached: {0}. Try again with the same key")]
    Unreachable(ConnectError),
    /// The connection broke before the answer's end; the cause is for the log.
    #[error("the upstream broke off its answer. Try again with the same key")]
    Broke(String),
    /// No answer came in time.
    #[error("the upstream did not answer in time. Try again with the same key")]
    Timeout,
    /// The upstream does not let the key list executions.
    #[error("the upstream answered {0}: the operator of this gateway has to see that its key may list executions")]
    Denied(StatusCode),
    /// It was refused otherwise.
    #[error("the upstream answered {status}. Try again with the same key")]
    Refused {
        /// The upstream's status.
        status: StatusCode,
    },
    /// The upstream takes neither form of the filter.
    #[error(
        "the upstream answered 400 to both forms of the metadata filter: the operator of this gateway has to see whether its \
         key spans organisations, and write `upstream.organization_id`"
    )]
    Rejected,
    /// The answer is no listing.
    #[error("the upstream's answer is no listing of executions; the operator of this gateway has to see to that")]
    Unreadable,
    /// The listing is not limited to what was asked for.
    #[error(
        "the upstream's listing understands neither form of the metadata filter; the operator of this gateway has to turn \
         idempotency.recovery off"
    )]
    Unfiltered,
    /// The form of the filter that is known to find executions is not taken any more.
    #[error(
        "the upstream no longer takes the filter {} by which executions were found before, so it proves nothing that none is \
         listed; the operator of this gateway has to see whether the API has changed, and to restart the gateway", .0.name()
    )]
    Unproven(Filter),
}

impl Error {
    /// Returns its name in spans and in the log.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Error::NoKey(_) => "no-key",
            Error::Unreachable(_) => "unreachable",
            Error::Broke(_) => "broke",
            Error::Timeout => "timeout",
            Error::Refused { .. } => "refused",
            Error::Denied(_) => "denied",
            Error::Rejected => "rejected",
            Error::Unreadable => "unreadable",
            Error::Unfiltered => "unfiltered",
            Error::Unproven(_) => "unproven",
        }
    }
}

/// How a start's executions are looked up: as its tenant, and as a part of its admitted request.
#[derive(Debug, Clone, Copy)]
pub struct LookUp<'a> {
    /// Where.
    pub upstream: &'a Upstream,
    /// How.
    pub snapshot: &'a Snapshot,
    /// For whom.
    pub tenant: &'a Tenant,
    /// Under which count.
    pub permit: &'a Permit,
    /// On whose behalf.
    pub request_id: &'a RequestId,
    /// The part of that in a trace.
    pub trace: &'a Trace,
    /// What the caller sent, of which the trace context is passed on.
    pub caller: &'a HeaderMap,
}

impl LookUp<'_> {
    /// Looks for the executions that carry a digest, within `timeouts.response`.
    ///
    /// # Errors
    ///
    /// [`Error`]: then nothing is known.
    pub async fn find(&self, digest: Digest) -> Result<Found, Error> {
        let digest = digest.to_string();
        let found = timeout(self.snapshot.response_timeout, self.ask(&digest)).await;
        found.unwrap_or_else(|_| {
            self.trace.ended(Some(Error::Timeout.name()));
            Err(Error::Timeout)
        })
    }

    /// Asks with each form of the filter. There is no execution if none finds one and one of them was understood; if one is
    /// known to find executions, that one.
    async fn ask(&self, digest: &str) -> Result<Found, Error> {
        let proven = self.tenant.control.filter();
        let (mut is_none, mut unproven, mut is_ignored) = (false, None, false);
        for filter in Filter::ALL {
            match self.ask_by(filter, digest).await {
                Ok(Found::Nothing) if proven.is_none_or(|proven| proven == filter) => is_none = true,
                Ok(Found::Nothing) => unproven = proven,
                Ok(found) => return Ok(found),
                Err(Error::Unfiltered) => is_ignored = true,
                Err(Error::Rejected) => {}
                Err(error) => return Err(error),
            }
        }
        match (is_none, unproven) {
            (true, _) => Ok(Found::Nothing),
            (false, Some(proven)) => Err(Error::Unproven(proven)),
            (false, None) if is_ignored => Err(Error::Unfiltered),
            (false, None) => Err(Error::Rejected),
        }
    }

    /// Asks with one form of the filter, of which a server of the other era may know nothing.
    pub(super) async fn ask_by(&self, filter: Filter, digest: &str) -> Result<Found, Error> {
        let tag = Tag { name: &self.snapshot.idempotency.tag, value: digest };
        for size in SIZES {
            let path = filter.listing(tag, size, self.snapshot.organization);
            let body = match self.get(&path, Target::Listing).await {
                Err(Error::Refused { status: StatusCode::BAD_REQUEST, .. }) => return Err(Error::Rejected),
                got => got?,
            };
            match execution::listed(&body, tag).map_err(|_| Error::Unreadable)? {
                Listed::All(executions) => return Ok(Found::of(&executions)),
                Listed::Bare(ids) => return self.look_at(&ids, tag).await,
                Listed::More => {}
                Listed::Unfiltered => return Err(Error::Unfiltered),
            }
        }
        // The first of so many may be on a later page.
        Ok(Found::Several)
    }

    /// Looks at each of the executions itself.
    async fn look_at(&self, ids: &[Uuid], tag: Tag<'_>) -> Result<Found, Error> {
        let mut executions = Vec::new();
        for id in ids {
            let body = self.get(&execution::path(*id), Target::Execution).await?;
            let carrying = execution::carrying(&body, tag).map_err(|_| Error::Unreadable)?;
            executions.push(carrying.ok_or(Error::Unfiltered)?);
        }
        Ok(Found::of(&executions))
    }

    async fn get(&self, path: &str, target: Target) -> Result<Bytes, Error> {
        let credential = &self.tenant.credential;
        let mut request = outgoing::look_up(self.snapshot, path, self.request_id).map_err(|_| Error::Unreadable)?;
        let used = credential::inject(credential, self.permit, &mut request)?;
        self.trace.pass_on(self.caller, &mut request);
        let mut got = self.exchange(&request, target).await;
        let mut other = None;
        if let Err(Error::Denied(StatusCode::UNAUTHORIZED)) = got {
            other = credential::replace(credential, &used, &mut request).await;
        }
        if other.is_some() {
            self.trace.pass_on_again(&mut request);
            got = self.exchange(&request, target).await;
        }
        match &got {
            Ok(_) => credential.note_accepted(other.as_ref().unwrap_or(&used), other.is_some()),
            Err(Error::Denied(StatusCode::UNAUTHORIZED)) => credential.note_refused(other.is_some()),
            Err(_) => {}
        }
        got
    }

    async fn exchange(&self, request: &Request<Body>, target: Target) -> Result<Bytes, Error> {
        let got = self.ask_once(request, target).await;
        self.trace.ended(got.as_ref().err().map(Error::name));
        got
    }

    async fn ask_once(&self, request: &Request<Body>, target: Target) -> Result<Bytes, Error> {
        let timer = ResponseTimer::new(self.snapshot.response_timeout, None);
        let (response, mut upstream_timer, lease) =
            match self.upstream.send(&mut || request.clone(), target, &timer).await {
                Ok(answered) => answered,
                Err(SendError::NotSent(reason)) => return Err(Error::Unreachable(reason)),
                Err(SendError::Broke(reason)) => return Err(Error::Broke(reason.to_string())),
                Err(SendError::Timeout) => return Err(Error::Timeout),
            };
        let status = response.status();
        self.trace.answered(status, response.version());
        let body = Limited::new(response.into_body(), LONGEST).collect().await;
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
