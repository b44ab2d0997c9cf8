//! The stage that makes sure that an execution belongs to the tenant that asks for it.
//!
//! An execution belongs to the tenant whose tag its metadata carries. An execution of another tenant, one without a tag, and one
//! that does not exist get the same answer.

use std::time::Instant;

use uuid::Uuid;

use crate::asteroid::answer::refuses_key;
use crate::asteroid::execution;
use crate::asteroid::item;
use crate::asteroid::operation::{AnswerRule, Call, Operation};
use crate::proxy::error::{Error, judgement};

use super::inquiry::{self, Inquiry};
use super::judgement::{Ownership, is_no_execution};
use super::limit;

/// Returns what is known of the execution that a call is about. Asks the upstream if that is needed, and remembers what it says.
///
/// # Errors
///
/// [`Error::NotFound`]; [`Error::Limit`], if the tenant asks for too many executions that are not known here;
/// [`Error::Ownership`] and [`Error::Answer`], if the upstream does not say it; [`Error::KeyRefused`].
pub(super) async fn check(call: &Call<'_>, inquiry: &Inquiry<'_>) -> Result<Ownership, Error> {
    let Some(id) = call.execution() else { return Ok(Ownership::Proven) };
    let (tenant, now) = (inquiry.tenant, Instant::now());
    match tenant.owned.get(id, now) {
        Some(true) => return Ok(Ownership::Proven),
        Some(false) => return Err(Error::NotFound),
        None => limit::admit_lookup(tenant, now)?,
    }
    if call.rules().answer == AnswerRule::Item {
        return Ok(Ownership::ByAnswer);
    }
    // Boxed, as few requests need it and its future would make every request larger.
    Box::pin(look_up(id, inquiry)).await.map(|()| Ownership::Proven)
}

/// Asks the upstream whether an execution belongs to the tenant.
async fn look_up(id: Uuid, inquiry: &Inquiry<'_>) -> Result<(), Error> {
    let tenant = inquiry.tenant;
    let body = match inquiry.get(Operation::ExecutionGet, &execution::path(id)).await {
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
