//! `tenant: { fixed: NAME }`: every caller of the listener is this tenant.
//!
//! The configuration allows it only if all callers of the listener are on this machine or in `trusted_peers`.

use std::sync::Arc;

use crate::tenant::Tenant;

/// The one tenant of a listener.
#[derive(Debug)]
pub struct FixedTenant(pub Arc<Tenant>);

impl FixedTenant {
    pub(super) fn identify(&self) -> &Arc<Tenant> {
        &self.0
    }
}
