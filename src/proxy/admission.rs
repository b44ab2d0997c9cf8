//! A request that its tenant's limits admit.

use std::sync::Arc;

use crate::asteroid::operation::Call;
use crate::record::AuditReservation;
use crate::state::Permit;
use crate::tenant::Tenant;

use super::generation::Generation;

/// An admitted request, with the proofs that it may be sent.
pub(super) struct Admission<'a> {
    pub(super) generation: &'a Arc<Generation>,
    pub(super) tenant: &'a Arc<Tenant>,
    pub(super) call: Call<'a>,
    pub(super) permit: Permit,
    pub(super) audited: AuditReservation,
}
