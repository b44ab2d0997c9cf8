//! The query strings of operations. The rules are data (`parameter.rs`): a row for each parameter.
//!
//! A query is never forwarded as it came. Its names and values are decoded and judged, and what was understood is encoded anew.
//! So the upstream reads what was judged, however it takes a plus, a semicolon, a stray percent sign or a repeated name.

mod argument;
mod error;
mod listing;
mod parameter;
mod schema;

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

use std::time::Duration;

use uuid::Uuid;

use argument::{Argument, Writer};
use parameter::{ACTIVITIES, LIMIT_OF_WAIT, ORGANIZATION, Parameter, RECORDING, SYNC, TIMEOUT_SECONDS, UPLOAD};

pub use error::{Error, Excerpt};
pub use listing::{ListingScope, is_reserved, listing};
pub use schema::{ParameterSchema, parameters};

/// The longest query string, as received and as sent, in bytes.
pub const MAX_LENGTH: usize = 8 * 1024;

/// The longest time that the upstream holds an answer while it waits for the end of an execution.
pub const MAX_WAIT: Duration = Duration::from_secs(LIMIT_OF_WAIT);

/// The most parameters of a query string.
pub const MAX_PARAMETERS: usize = 100;

/// The largest page of a listing, unless the operator sets another.
pub const DEFAULT_MAX_PAGE_SIZE: u32 = 100;

/// The query string that an operation takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryRule {
    /// None at all.
    None,
    /// That of waiting for the end of an execution: [`sync`].
    Sync,
    /// That of an execution's activities: [`activities`].
    Activities,
    /// That of a recording: [`recording`].
    Recording,
    /// That of an upload: [`organization`].
    Organization,
    /// That of a listing of executions: [`listing()`].
    Listing,
}

/// Checks the query of an operation that takes none.
///
/// # Errors
///
/// If there is one.
pub fn none(query: Option<&str>) -> Result<(), Error> {
    if query.is_none() { Ok(()) } else { Err(Error::NoneTaken) }
}

/// The query of an operation that waits for the end of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LongPoll {
    /// How long the upstream may hold its answer.
    pub timeout: Duration,
    /// The query to send. It always names the time-out, so that no default of the upstream outlasts the gateway's deadline.
    pub query: String,
}

/// Returns the query of an operation that waits for the end of an execution.
///
/// # Errors
///
/// If there is more than `timeoutSeconds` from 1 to 25.
pub fn sync(query: Option<&str>) -> Result<LongPoll, Error> {
    let arguments = read(query, &SYNC)?;
    let seconds = arguments.first().and_then(|argument| argument.value.parse().ok()).unwrap_or(LIMIT_OF_WAIT);
    let mut sent = Writer::default();
    sent.push(TIMEOUT_SECONDS, &seconds.to_string());
    Ok(LongPoll { timeout: Duration::from_secs(seconds), query: sent.finish()? })
}

/// Returns the query to send for an execution's activities; an empty one if there are no parameters.
///
/// # Errors
///
/// If there is more than `order` and `limit`.
pub fn activities(query: Option<&str>) -> Result<String, Error> {
    let mut sent = Writer::default();
    read(query, &ACTIVITIES)?.iter().for_each(|argument| sent.push(&argument.name, &argument.value));
    sent.finish()
}

/// Checks the query of a recording. Its `token` is a credential for players that set no headers. It is not sent, as the gateway
/// sends its own.
///
/// # Errors
///
/// If there is more than `token`.
pub fn recording(query: Option<&str>) -> Result<(), Error> {
    read(query, &RECORDING).map(drop)
}

/// Returns the query to send for an upload, which names the organisation: the gateway's `own`, if it has one.
///
/// # Errors
///
/// If there is more than `organizationId`, or that is not the gateway's own.
pub fn organization(query: Option<&str>, own: Option<Uuid>) -> Result<Option<String>, Error> {
    let arguments = read(query, &UPLOAD)?;
    let sent = arguments.first().map(|argument| &*argument.value);
    sent.map_or(Ok(()), |sent| check_organization(sent, own))?;
    let organization = own.map(|own| own.to_string()).or_else(|| sent.map(str::to_owned));
    let mut writer = Writer::default();
    organization.iter().for_each(|organization| writer.push(ORGANIZATION, organization));
    Ok(Some(writer.finish()?).filter(|query| !query.is_empty()))
}

/// Refuses an organisation that is not the gateway's own, if it has one.
///
/// # Errors
///
/// [`Error::Organization`].
pub fn check_organization(sent: &str, own: Option<Uuid>) -> Result<(), Error> {
    match own {
        Some(own) if Uuid::try_parse(sent).ok() != Some(own) => Err(Error::Organization(Excerpt::new(sent))),
        _ => Ok(()),
    }
}

/// Returns the parameters of an operation that takes only those of a table, each at most once.
fn read<'q>(query: Option<&'q str>, table: &'static [Parameter]) -> Result<Vec<Argument<'q>>, Error> {
    let arguments = argument::read(query)?;
    for argument in &arguments {
        let Some(parameter) = parameter::find(table, &argument.name) else {
            let taken: Vec<&str> = table.iter().map(|parameter| parameter.name).collect();
            return Err(Error::NotTaken { name: Excerpt::new(&argument.name), taken: taken.join(" and ") });
        };
        parameter.check(&argument.value)?;
    }
    parameter::refuse_repeats(&arguments, table)?;
    Ok(arguments)
}
