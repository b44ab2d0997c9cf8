//! A tenant: a team or a service on whose behalf starts are sent.

use std::sync::Arc;

use hyper::header::HeaderValue;

use crate::asteroid::start::{OnConflict, Tags};
use crate::config::resolve::Keys;
use crate::credential::Credential;
use crate::state::{Control, Counts, Limits};

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
    /// What callers are told of its limits.
    pub policy: Option<HeaderValue>,
    /// What it has done.
    pub counts: Counts,
    /// Whether its starts carry idempotency keys.
    pub keys: Keys,
    /// The positive control of its credential.
    pub control: Arc<Control>,
    /// Whether it is the only tenant, and so shares nothing.
    pub is_only: bool,
}
