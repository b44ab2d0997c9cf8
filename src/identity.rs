//! Which tenant is calling. A kept-alive connection is asked anew for each request.

mod fixed;
mod header;

use std::sync::Arc;

use hyper::HeaderMap;
use hyper::header::HeaderName;
use ipnet::IpNet;

use crate::caller::Peer;
use crate::tenant::Tenant;

pub use fixed::Fixed;
pub use header::{Header, Tenants};

/// Why nobody can be charged for a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The peer is none of the trusted ones.
    #[error("this listener does not take the word of {0} for a tenant; its operator has to add it to `trusted_peers`")]
    Peer(String),
    /// The header that names the tenant is absent.
    #[error("the header {0} must name a tenant")]
    Missing(HeaderName),
    /// It came twice: somebody before the gateway may have added the right one to a forged one.
    #[error("the header {0} must come once")]
    Repeated(HeaderName),
    /// It names nobody.
    #[error("the header {0} names no tenant of this gateway")]
    Unknown(HeaderName),
}

/// How a listener identifies the tenant, and whom it believes.
#[derive(Debug)]
pub struct Source {
    /// Where the tenant's name comes from.
    pub named_by: NamedBy,
    /// Whom to believe; where it is empty, everybody: the configuration allows it where that is this machine alone.
    pub trusted_peers: Vec<IpNet>,
}

/// Where the tenant's name comes from.
#[derive(Debug)]
pub enum NamedBy {
    /// The address that was connected to.
    Fixed(Fixed),
    /// A header of the request.
    Header(Header),
}

impl Source {
    /// Whether a peer may be anybody's caller here.
    #[must_use]
    pub fn trusts(&self, peer: Peer) -> bool {
        let is_trusted = |ip| self.trusted_peers.iter().any(|network| network.contains(&ip));
        self.trusted_peers.is_empty() || peer.ip().is_some_and(is_trusted)
    }

    /// The tenant of a request.
    ///
    /// # Errors
    ///
    /// [`Error`]: the request must not be served on anybody's account.
    pub fn identify(&self, peer: Peer, headers: &HeaderMap) -> Result<&Arc<Tenant>, Error> {
        // Asked when the connection came, too; a reload may have changed the answer.
        if !self.trusts(peer) {
            return Err(Error::Peer(peer.ip().map_or_else(|| peer.to_string(), |ip| ip.to_string())));
        }
        match &self.named_by {
            NamedBy::Fixed(fixed) => Ok(fixed.identify()),
            NamedBy::Header(header) => header.identify(headers),
        }
    }
}
