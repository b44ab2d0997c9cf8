//! Which tenant is calling. A kept-alive connection is asked anew for each request.

mod fixed;

use std::sync::Arc;

use super::snapshot::Tenant;

pub use fixed::Fixed;

/// How a listener identifies the tenant.
#[derive(Debug)]
pub enum Source {
    /// By the address that was connected to.
    Fixed(Fixed),
}

impl Source {
    /// The tenant of a request.
    #[must_use]
    pub fn identify(&self) -> &Arc<Tenant> {
        match self {
            Source::Fixed(fixed) => fixed.identify(),
        }
    }
}
