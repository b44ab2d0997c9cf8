//! The body of an operation that starts an execution. An agent and a workflow, as the newer era calls it, take the same body.
//!
//! The top level, `metadata`, `executionOptions` and each of `tempFiles` are read. `inputs`, `inputVariables`, `dynamicData` and
//! members that the specification does not name are only checked to be JSON; the upstream judges them.

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

use super::body::schema::Member;
use super::body::{self, Fault, Refusal};
use super::era::Era;
use crate::json::{Outline, Shape, Splice, Value};

pub use tags::{OnConflict, Tags};

const METADATA: &str = "metadata";
const TEMP_FILES: &str = "tempFiles";
const PARENT: &str = "parentExecutionId";

static SHAPE: Shape = Shape::Object(&[
    (METADATA, Shape::Object(&[])),
    ("executionOptions", Shape::Object(&[])),
    (TEMP_FILES, Shape::Elements(&Shape::Object(&[]))),
]);

/// The kind of a start, which its body depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartKind {
    /// Of an agent.
    Agent,
    /// Of an agent, with the wait for its end.
    Sync,
    /// Of one version of an agent.
    Version(Era),
}

impl StartKind {
    /// Returns the members of the body.
    pub(super) fn members(self) -> &'static [Member] {
        match self {
            StartKind::Agent => &schema::BODY,
            StartKind::Sync => &schema::SYNC_BODY,
            StartKind::Version(Era::Old) => &schema::OLD_VERSION_BODY,
            StartKind::Version(Era::New) => &schema::VERSION_BODY,
        }
    }
}

/// Returns the members of the body of a rerun.
pub(super) fn rerun_members() -> &'static [Member] {
    &schema::RERUN
}

/// The body of a start that conforms to the rules.
#[derive(Debug)]
pub struct Start<'a> {
    outline: Outline<'a>,
}

impl<'a> Start<'a> {
    /// Reads the body of a start of an agent and checks it against the rules.
    ///
    /// # Errors
    ///
    /// One fault with its byte if the body is not JSON, else every fault.
    pub fn parse(body: &'a [u8]) -> Result<Self, Refusal> {
        let (start, faults) = Self::read(body, StartKind::Agent)?;
        if faults.is_empty() { Ok(start) } else { Err(Refusal { faults }) }
    }

    fn read(body: &'a [u8], kind: StartKind) -> Result<(Self, Vec<Fault>), Refusal> {
        let outline = body::scan(body, &SHAPE)?;
        let faults = body::faults(&outline, kind.members());
        Ok((Self { outline }, faults))
    }

    /// Returns the caller's metadata: an object, or `null`, which means the same as absent.
    fn metadata(&self) -> Option<Value<'_>> {
        self.outline.root().get(METADATA)
    }

    fn references(&self) -> References {
        let uuid = |value: Value<'_>| value.text().and_then(|text| Uuid::try_parse(&text).ok());
        let files = self.outline.root().get(TEMP_FILES);
        References {
            parent: self.outline.root().get(PARENT).and_then(uuid),
            files: files.into_iter().flat_map(Value::elements).map(|file| file.get("id").and_then(uuid)).collect(),
        }
    }
}

/// The ids in a body that belong to a tenant: of the execution that it continues, and of files that were uploaded for it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct References {
    /// `parentExecutionId`.
    pub parent: Option<Uuid>,
    /// The id of each of `tempFiles`.
    pub files: Vec<Option<Uuid>>,
}

impl References {
    /// Returns the refusal of files that `is_foreign` says are another tenant's, if there are any.
    ///
    /// # Errors
    ///
    /// A fault for each of them.
    pub fn check_files(&self, is_foreign: impl Fn(Uuid) -> bool) -> Result<(), Refusal> {
        let foreign = self.files.iter().enumerate().filter(|(_, id)| id.is_some_and(&is_foreign));
        let faults: Vec<Fault> = foreign
            .take(Refusal::MAX_FAULTS)
            .map(|(at, _)| Fault {
                pointer: format!("/{TEMP_FILES}/{at}/id"),
                detail: "is a file that another tenant uploaded; upload it anew".to_owned(),
            })
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(Refusal { faults }) }
    }
}

/// A body that conforms to the rules.
#[derive(Debug, Default)]
pub struct ValidStart {
    /// The changes that write the tags into it.
    pub changes: Vec<Splice>,
    /// The ids in it that must be the tenant's.
    pub references: References,
}

/// Checks a body and returns the changes that write the tags into it.
///
/// # Errors
///
/// The faults of [`Start::parse`] and [`Start::tag`] together.
pub fn validate(body: &[u8], kind: StartKind, tags: &Tags, on_conflict: OnConflict) -> Result<ValidStart, Refusal> {
    let (start, mut faults) = Start::read(body, kind)?;
    match start.tag(tags, on_conflict) {
        Ok(changes) if faults.is_empty() => return Ok(ValidStart { changes, references: start.references() }),
        Ok(_) => {}
        Err(conflicts) => faults.extend(conflicts),
    }
    faults.truncate(Refusal::MAX_FAULTS);
    Err(Refusal { faults })
}

/// Checks the body of a rerun, which is sent as it is. Returns the ids in it that must be the tenant's.
///
/// # Errors
///
/// Every fault of the body.
pub fn check_rerun(body: &[u8]) -> Result<References, Refusal> {
    let outline = body::scan(body, &SHAPE)?;
    let faults = body::faults(&outline, &schema::RERUN);
    if faults.is_empty() { Ok(Start { outline }.references()) } else { Err(Refusal { faults }) }
}
