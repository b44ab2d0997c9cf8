//! The stage that makes sure that an execution belongs to the tenant that asks for it.
//!
//! An execution belongs to the tenant whose tag its metadata carries. An execution of another tenant, one without a tag, and one
//! that does not exist get the same answer.

use std::time::Instant;

use uuid::Uuid;

use crate::asteroid::answer::{is_no_execution, refuses_key};
use crate::asteroid::execution;
use crate::asteroid::item;
use crate::asteroid::operation::{AnswerRule, Call, Effect, IdName, Operation};
use crate::proxy::error::{Error, judgement};
use crate::tenant::Tenant;

use super::inquiry::{self, Inquiry};
use super::limit;

/// Whether the execution of a call belongs to its tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ownership {
    /// It does, or the call is about no execution.
    Proven,
    /// The answer shows that.
    ByAnswer,
}

/// Returns whether the execution of a call belongs to its tenant, as far as that is known. Asks the upstream if that is needed, and
/// remembers its answer.
///
/// # Errors
///
/// [`Error::NotFound`]; [`Error::Limit`], if the tenant asks for too many executions that are not known here;
/// [`Error::Ownership`] and [`Error::Answer`], if the upstream does not say it; [`Error::KeyRefused`].
pub(super) async fn check(call: &Call<'_>, inquiry: &Inquiry<'_>) -> Result<Ownership, Error> {
    let is_about_execution = call.ids.iter().flatten().any(|id| match id.name {
        IdName::Execution => true,
        // The gateway tags what is started. A file is one of the execution beside it. An organisation is judged with the query.
        IdName::Agent | IdName::Workflow | IdName::Version | IdName::File | IdName::Organization => false,
    });
    // The items of a listing are judged.
    let Some(id) = call.execution().filter(|_| is_about_execution) else { return Ok(Ownership::Proven) };
    let rules = call.rules();
    if rules.effect != Effect::Read || rules.answer != AnswerRule::Item {
        return check_execution(id, inquiry).await.map(|()| Ownership::Proven);
    }
    Ok(if recall(id, inquiry.tenant)? { Ownership::Proven } else { Ownership::ByAnswer })
}

/// Checks that an execution belongs to the tenant. Asks the upstream if that is not known here.
///
/// # Errors
///
/// As [`check`].
pub(super) async fn check_execution(id: Uuid, inquiry: &Inquiry<'_>) -> Result<(), Error> {
    if recall(id, inquiry.tenant)? {
        return Ok(());
    }
    // Boxed, as few requests need it and its future would make every request larger.
    Box::pin(look_up(id, inquiry)).await
}

/// Returns whether it is known here that an execution belongs to the tenant. If not, it may be looked up.
fn recall(id: Uuid, tenant: &Tenant) -> Result<bool, Error> {
    let now = Instant::now();
    match tenant.owned.get(id, now) {
        Some(true) => Ok(true),
        Some(false) => Err(Error::NotFound),
        None => limit::admit_lookup(tenant, now).map(|()| false),
    }
}

/// Asks the upstream whether an execution belongs to the tenant.
async fn look_up(id: Uuid, inquiry: &Inquiry<'_>) -> Result<(), Error> {
    let tenant = inquiry.tenant;
    let path = execution::path(id);
    let mut got = inquiry.get(Operation::ExecutionGet, &path).await;
    // A look-up is sent once more if its connection broke, as the read of a caller is.
    if let Err(inquiry::Error::Broke(_)) = got {
        got = inquiry.get(Operation::ExecutionGet, &path).await;
    }
    let body = match got {
        Ok(body) => body,
        Err(inquiry::Error::Status { status, .. }) if is_no_execution(status) => {
            tenant.owned.insert_not_owned(id, Instant::now());
            return Err(Error::NotFound);
        }
        Err(inquiry::Error::Status { status, .. }) if refuses_key(status) => return Err(Error::KeyRefused),
        Err(error) => return Err(error.into()),
    };
    let item = item::read_item(&body, tenant.tag()).map_err(judgement::Error::from)?;
    if item.id != id {
        return Err(judgement::Error::OtherExecution.into());
    }
    if item.is_owned {
        tenant.owned.insert(id);
        Ok(())
    } else {
        tenant.owned.insert_not_owned(id, Instant::now());
        Err(Error::NotFound)
    }
}
