//! `tenant: { fixed: NAME }`: whoever reaches the listener is this tenant.
//!
//! The configuration allows it only where reaching the listener is itself the proof: on loopback.

use std::sync::Arc;

use crate::tenant::Tenant;

/// The one tenant of a listener.
#[derive(Debug)]
pub struct Fixed(pub Arc<Tenant>);

impl Fixed {
    pub(super) fn identify(&self) -> &Arc<Tenant> {
        &self.0
    }
}
