//! Looks up a start at the upstream if its outcome is not known here.

use hyper::StatusCode;
use tokio::time::timeout;
use uuid::Uuid;

use crate::asteroid::execution::{self, Execution, Filter, ListingPage, Tag};
use crate::asteroid::operation::Operation;
use crate::config::resolve::BODY_TAG;
use crate::facts::LookupOutcome;
use crate::state::BodyDigest;

use super::idempotency::IdempotencyDigests;
use super::inquiry::Inquiry;

pub use super::error::recovery::Error;

/// The size of the first page that is requested, and of others if there are more executions. Each rerun of an execution carries
/// the tags of the first.
const PAGE_SIZES: [usize; 3] = [2, 10, 100];

/// The result of a look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupResult {
    /// No execution. That proves nothing if there was a start, as listings may lag.
    None,
    /// The execution of the first start.
    One {
        /// Its id.
        id: Uuid,
        /// The digest of the body that it was started with, if its tag says so.
        body: Option<BodyDigest>,
        /// Its status, if that is known.
        status: Option<String>,
    },
    /// Several executions, which do not show which was the first.
    Several,
}

impl LookupResult {
    /// Returns the result for the executions that carry the tag. The start that is looked for continued this execution, if any.
    fn of(executions: &[Execution], parent: Option<Uuid>) -> LookupResult {
        match (executions, execution::first(executions, parent)) {
            ([], _) => LookupResult::None,
            (_, Some(first)) => LookupResult::One {
                id: first.id,
                body: first.tag(BODY_TAG).and_then(BodyDigest::parse),
                status: first.status().map(str::to_owned),
            },
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

/// Looks for executions that carry the digest of an idempotency key, within `timeouts.response`.
///
/// # Errors
///
/// [`Error`], which proves nothing about the start.
pub(super) async fn find(inquiry: &Inquiry<'_>, keyed: IdempotencyDigests) -> Result<LookupResult, Error> {
    let found = timeout(inquiry.generation.response_timeout, try_filters(inquiry, keyed)).await;
    found.unwrap_or_else(|_| {
        inquiry.trace.ended(Some(Error::Timeout.code()));
        Err(Error::Timeout)
    })
}

/// Lists executions with each filter, until one finds any. Returns [`LookupResult::None`] if none does and the upstream
/// understood at least one. If one is known to find executions, it must be that one.
async fn try_filters(inquiry: &Inquiry<'_>, keyed: IdempotencyDigests) -> Result<LookupResult, Error> {
    let digest = keyed.digest.to_string();
    let proven = inquiry.tenant.listing_check.filter();
    let (mut is_none, mut unproven, mut is_ignored) = (false, None, false);
    for filter in Filter::ALL {
        match list_by(inquiry, filter, &digest, keyed.parent).await {
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

/// Lists executions with one filter, which a server of another era may not know. The start that is looked for continued this execution,
/// if any.
pub(super) async fn list_by(
    inquiry: &Inquiry<'_>,
    filter: Filter,
    digest: &str,
    parent: Option<Uuid>,
) -> Result<LookupResult, Error> {
    let tag = Tag { name: &inquiry.generation.idempotency.tag, value: digest };
    for size in PAGE_SIZES {
        let path = filter.listing(tag, size, inquiry.generation.organization);
        let body = match inquiry.get(Operation::ExecutionList, &path).await.map_err(Error::from) {
            Err(Error::Refused { status: StatusCode::BAD_REQUEST, .. }) => return Err(Error::Rejected),
            got => got?,
        };
        match execution::parse_listing(&body, tag).map_err(|_| Error::Unreadable)? {
            ListingPage::All(executions) => return Ok(LookupResult::of(&executions, parent)),
            ListingPage::WithoutMetadata(ids) => return get_each(inquiry, &ids, tag, parent).await,
            ListingPage::Truncated => {}
            ListingPage::Unfiltered => return Err(Error::Unfiltered),
        }
    }
    // The first may be on a later page.
    Ok(LookupResult::Several)
}

/// Gets each of the executions, as their listing showed no metadata.
async fn get_each(
    inquiry: &Inquiry<'_>,
    ids: &[Uuid],
    tag: Tag<'_>,
    parent: Option<Uuid>,
) -> Result<LookupResult, Error> {
    let mut executions = Vec::new();
    for id in ids {
        let body = inquiry.get(Operation::ExecutionGet, &execution::path(*id)).await?;
        let execution = execution::parse_execution(&body, tag).map_err(|_| Error::Unreadable)?;
        executions.push(execution.ok_or(Error::Unfiltered)?);
    }
    Ok(LookupResult::of(&executions, parent))
}
