//! Admission: the proof that a request was counted, without which nothing is sent with the key.

use std::sync::Arc;

use crate::state::InFlight;

use super::snapshot::Tenant;

/// An admitted request. Held until its exchange is settled, also where the caller has left.
#[derive(Debug)]
pub struct Permit(Arc<InFlight>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Counts a request of a tenant.
#[must_use]
pub fn admit(tenant: &Tenant) -> Permit {
    tenant.in_flight.enter();
    Permit(Arc::clone(&tenant.in_flight))
}
