//! The stage that checks whether the operator has opened an operation for the tenant.

use std::sync::Arc;

use crate::asteroid::operation::Call;
use crate::proxy::error::Error;
use crate::tenant::Tenant;

/// Checks that the group of the called operation is open for the tenant.
///
/// # Errors
///
/// [`Error::OperationClosed`].
pub(super) fn check(tenant: &Tenant, call: &Call<'_>) -> Result<(), Error> {
    let rules = call.rules();
    if tenant.operations.contains(rules.group) {
        return Ok(());
    }
    Err(Error::OperationClosed { operation: rules.name, group: rules.group, tenant: Arc::clone(&tenant.name) })
}
