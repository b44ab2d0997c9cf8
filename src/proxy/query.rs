//! The stage that checks the query of a call, and makes the one that is sent.

use std::time::Duration;

use crate::asteroid::operation::{BodyRule, Call, IdName};
use crate::asteroid::query::{self, Error, ListingScope, LongPoll, QueryRule};
use crate::tenant::Tenant;

use super::generation::Generation;

/// How much longer the upstream may take than it was asked to wait.
const WAIT_MARGIN: Duration = Duration::from_secs(10);

/// The query of a call that may be sent.
#[derive(Debug)]
pub(super) struct Query {
    /// The query that is sent.
    pub(super) sent: Option<String>,
    /// How long the upstream may take to answer.
    pub(super) timeout: Duration,
}

/// Checks the query of a call. A listing gets the filter of its tenant.
///
/// # Errors
///
/// [`Error`].
pub(super) fn check(call: &Call<'_>, tenant: &Tenant, generation: &Generation) -> Result<Query, Error> {
    let timeout = generation.response_timeout;
    match call.rules().query {
        QueryRule::None => {
            query::none(call.query)?;
            if let Some(organization) = call.id(IdName::Organization) {
                query::check_organization(organization, generation.organization)?;
            }
            let waits = call.rules().body == BodyRule::SyncStart;
            let timeout = if waits { timeout.max(query::MAX_WAIT + WAIT_MARGIN) } else { timeout };
            Ok(Query { sent: None, timeout })
        }
        QueryRule::Recording => query::recording(call.query).map(|()| Query { sent: None, timeout }),
        QueryRule::Organization => {
            Ok(Query { sent: query::organization(call.query, generation.organization)?, timeout })
        }
        QueryRule::Sync => {
            let LongPoll { timeout: wait, query } = query::sync(call.query)?;
            Ok(Query { sent: Some(query), timeout: timeout.max(wait + WAIT_MARGIN) })
        }
        QueryRule::Activities => {
            let query = query::activities(call.query)?;
            Ok(Query { sent: Some(query).filter(|query| !query.is_empty()), timeout })
        }
        QueryRule::Listing => {
            let scope = ListingScope {
                era: generation.era,
                tag: tenant.tag(),
                max_page_size: generation.max_page_size,
                organization: generation.organization,
                further: &generation.list_parameters,
            };
            query::listing(call.query, &scope).map(|sent| Query { sent: Some(sent), timeout })
        }
    }
}
