//! Identifies the tenant of a request, anew for each request of a connection.

mod fixed;
mod header;

use std::sync::Arc;

use hyper::HeaderMap;
use hyper::header::HeaderName;

use crate::tenant::Tenant;

pub use fixed::FixedTenant;
pub use header::{Header, Tenants};

/// The reason why the tenant of a request is not identified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The peer is not in `trusted_peers`.
    #[error(
        "this listener does not accept the name of a tenant from {0}; the operator of this gateway must add it to `trusted_peers`"
    )]
    Peer(String),
    /// The header that names the tenant is absent.
    #[error("the header {0} is missing; it must name a tenant of this gateway")]
    Missing(HeaderName),
    /// The header came more than once: a proxy before the gateway may have added the right one to a forged one.
    #[error("the header {0} came more than once; send it once")]
    Repeated(HeaderName),
    /// The header names no tenant.
    #[error(
        "the header {0} names no tenant of this gateway; correct the name, or have the operator of this gateway add the tenant"
    )]
    Unknown(HeaderName),
}

/// The way in which a listener identifies the tenant of a request.
#[derive(Debug)]
pub enum Source {
    /// By the listener itself.
    Fixed(FixedTenant),
    /// By a header of the request.
    Header(Header),
}

impl Source {
    /// Returns the tenant of a request from a caller that is trusted.
    ///
    /// # Errors
    ///
    /// [`Error`] if the request names no tenant.
    pub fn identify(&self, headers: &HeaderMap) -> Result<&Arc<Tenant>, Error> {
        match self {
            Source::Fixed(fixed) => Ok(fixed.identify()),
            Source::Header(header) => header.identify(headers),
        }
    }
}
