//! A tenant: a team or a service on whose behalf starts are sent.

use std::sync::Arc;

use hyper::header::HeaderValue;

use crate::asteroid::start::{OnConflict, Tags};
use crate::config::resolve::IdempotencyMode;
use crate::credential::Credential;
use crate::state::{Limits, ListingCheck, TenantState};

/// On whose behalf a request is sent.
#[derive(Debug)]
pub struct Tenant {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Its name among all that share the organisation's key: the value of its own tag.
    pub tag: Box<str>,
    /// What is written into every body's metadata.
    pub tags: Tags,
    /// What happens where a caller sent another value for a tag.
    pub on_conflict: OnConflict,
    /// What is injected.
    pub credential: Arc<Credential>,
    /// What it may do.
    pub limits: Limits,
    /// The value of `RateLimit-Policy` in its answers.
    pub rate_limit_policy: Option<HeaderValue>,
    /// Its counts and claims.
    pub state: TenantState,
    /// Whether its starts carry idempotency keys.
    pub idempotency: IdempotencyMode,
    /// Whether the listing shows what its credential started.
    pub listing_check: Arc<ListingCheck>,
    /// Whether it is the only tenant, and so shares nothing.
    pub is_only: bool,
}
