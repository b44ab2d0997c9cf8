//! A tenant: a team or a service on whose behalf starts are sent.

use std::sync::Arc;

use hyper::header::HeaderValue;

use crate::asteroid::execution::Tag;
use crate::asteroid::group::OpenGroups;
use crate::asteroid::start::{OnConflict, Tags};
use crate::config::resolve::IdempotencyMode;
use crate::credential::Credential;
use crate::state::{Limits, ListingCheck, OwnedExecutions, StagedFiles, TenantState};

/// The tenant on whose behalf a request is sent.
#[derive(Debug)]
pub struct Tenant {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// The name of its own tag.
    pub tag_name: Box<str>,
    /// Its name among all users of the organisation's API key: the value of its own tag.
    pub tag: Box<str>,
    /// The tags that are written into the metadata of each start.
    pub tags: Tags,
    /// The reaction to a caller that sent another value for a tag.
    pub on_conflict: OnConflict,
    /// The credential that its requests are sent with.
    pub credential: Arc<Credential>,
    /// The operations that it may use.
    pub operations: OpenGroups,
    /// The executions that are known to be its own.
    pub owned: Arc<OwnedExecutions>,
    /// The files that tenants have uploaded for a start.
    pub staged: Arc<StagedFiles>,
    /// Its limits.
    pub limits: Limits,
    /// The value of `RateLimit-Policy` in its answers.
    pub rate_limit_policy: Option<HeaderValue>,
    /// Its counts and claims.
    pub state: TenantState,
    /// Whether its starts may or must carry idempotency keys.
    pub idempotency: IdempotencyMode,
    /// The check whether the upstream lists the executions that its credential started.
    pub listing_check: Arc<ListingCheck>,
    /// Whether it is the only tenant, and so shares nothing.
    pub is_only: bool,
}

impl Tenant {
    /// Returns its own tag, which each of its executions carries.
    #[must_use]
    pub fn tag(&self) -> Tag<'_> {
        Tag { name: &self.tag_name, value: &self.tag }
    }
}
