//! The body of an operation that starts an execution: `POST /agents/{agentId}/execute`, and `POST
//! /workflows/{workflowId}/execute`, which accepts the same body.
//!
//! The top level, `metadata`, `executionOptions` and each of `tempFiles` are read. `inputs`, `dynamicData` and members
//! that the specification does not name are only checked to be JSON; the upstream judges them.

mod schema;
mod tags;

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use uuid::Uuid;

use super::body::{self, Fault, Refusal};
use crate::json::{Outline, Shape, Splice, Value};

pub use tags::{OnConflict, Tags};

const METADATA: &str = "metadata";
const TEMP_FILES: &str = "tempFiles";
const PARENT_EXECUTION_ID: &str = "parentExecutionId";

static SHAPE: Shape = Shape::Object(&[
    (METADATA, Shape::Object(&[])),
    ("executionOptions", Shape::Object(&[])),
    (TEMP_FILES, Shape::Elements(&Shape::Object(&[]))),
]);

/// The body of a start that conforms to the rules.
#[derive(Debug)]
pub struct Start<'a> {
    outline: Outline<'a>,
}

impl<'a> Start<'a> {
    /// Reads a body and checks it against the rules.
    ///
    /// # Errors
    ///
    /// One fault with its byte if the body is not JSON, else every fault.
    pub fn parse(body: &'a [u8]) -> Result<Self, Refusal> {
        let (start, faults) = Self::read(body)?;
        if faults.is_empty() { Ok(start) } else { Err(Refusal { faults }) }
    }

    fn read(body: &'a [u8]) -> Result<(Self, Vec<Fault>), Refusal> {
        let outline = body::scan(body, &SHAPE)?;
        let faults = body::faults(&outline, &schema::BODY);
        Ok((Self { outline }, faults))
    }

    /// Returns the ids of the staged files that it uses, each with its index in `tempFiles`.
    pub fn temp_files(&self) -> impl Iterator<Item = (usize, Uuid)> {
        let files = self.outline.root().get(TEMP_FILES).into_iter().flat_map(Value::elements).enumerate();
        files.filter_map(|(index, file)| Some((index, uuid(file.get("id")?)?)))
    }

    /// Returns the execution that it says to follow, `parentExecutionId`, if it names one.
    #[must_use]
    pub fn parent_execution(&self) -> Option<Uuid> {
        self.outline.root().get(PARENT_EXECUTION_ID).and_then(uuid)
    }

    /// Returns the caller's metadata: an object, or `null`, which means the same as absent.
    fn metadata(&self) -> Option<Value<'_>> {
        self.outline.root().get(METADATA)
    }
}

/// Returns the id that a value is, if it is one.
fn uuid(value: Value<'_>) -> Option<Uuid> {
    let text = value.text().filter(|text| super::is_uuid(text))?;
    Uuid::try_parse(&text).ok()
}

/// Checks a body and returns the changes that write the tags into it.
///
/// # Errors
///
/// The faults of [`Start::parse`] and [`Start::tag`] together.
pub fn validate(body: &[u8], tags: &Tags, on_conflict: OnConflict) -> Result<Vec<Splice>, Refusal> {
    let (start, mut faults) = Start::read(body)?;
    match start.tag(tags, on_conflict) {
        Ok(changes) if faults.is_empty() => return Ok(changes),
        Ok(_) => {}
        Err(conflicts) => faults.extend(conflicts),
    }
    faults.truncate(Refusal::MAX_FAULTS);
    Err(Refusal { faults })
}
