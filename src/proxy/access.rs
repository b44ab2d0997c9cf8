//! The stage that checks whether an operation is served, and open for the tenant.

use std::sync::Arc;

use crate::asteroid::operation::{self, Call};
use crate::proxy::error::Error;
use crate::tenant::Tenant;

use super::generation::Generation;

/// Checks that the called operation is served in front of this upstream, and that its group is open for the tenant. `path` is the
/// path that was sent.
///
/// # Errors
///
/// [`Error::Operation`], [`Error::OperationClosed`].
pub(super) fn check(tenant: &Tenant, generation: &Generation, call: &Call<'_>, path: &str) -> Result<(), Error> {
    let rules = call.rules();
    if generation.base(rules.part).is_none() {
        return Err(operation::Error::not_served(rules.method, path).into());
    }
    if tenant.operations.contains(rules.group) {
        return Ok(());
    }
    Err(Error::OperationClosed { operation: rules.name, group: rules.group, tenant: Arc::clone(&tenant.name) })
}
