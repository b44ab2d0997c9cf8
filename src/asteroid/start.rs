//! The body of an operation that starts an execution, and the tags that are written into it.
//!
//! Source: `ExecuteAgentRequest` in the vendor's specification of `POST /agents/{agentId}/execute`. Read are the top level,
//! `metadata`, `executionOptions` and `tempFiles[]`; `inputs`, `dynamicData` and unknown members pass as they are.

mod tags;

use std::ops::Range;

use serde::Serialize;

use crate::json::{Kind, Outline, Shape, Splice, Value, scan};

pub use tags::{OnConflict, Tags};

static SHAPE: Shape = Shape::Object(&[
    ("metadata", Shape::Object(&[])),
    ("executionOptions", Shape::Object(&[])),
    ("tempFiles", Shape::Elements(&Shape::Object(&[]))),
]);

/// How deep a body may nest. Far beyond what inputs need; bounds the work of whoever reads it next.
pub const MAX_DEPTH: usize = 64;

/// How many faults of one body are listed. More help nobody, and an answer must not outgrow its request.
const LISTED: usize = 100;

/// One thing that is wrong with a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Where: a JSON pointer (RFC 6901), empty for the body as a whole.
    pub pointer: String,
    /// What, and what to do.
    pub detail: String,
}

/// A body that may start an execution, once its tags are written.
#[derive(Debug)]
pub struct Start<'a> {
    outline: Outline<'a>,
}

/// The body's own metadata.
enum Metadata<'o> {
    Absent { after_brace: usize, alone: bool },
    Null(Range<usize>),
    Object(Value<'o>),
}

impl<'a> Start<'a> {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// Every fault of it; the first only where it is no JSON.
    pub fn parse(body: &'a [u8]) -> Result<Start<'a>, Vec<Fault>> {
        let whole = |detail: String| vec![Fault { pointer: String::new(), detail }];
        let outline = scan(body, &SHAPE, MAX_DEPTH).map_err(|malformed| whole(malformed.to_string()))?;
        let mut faults = Vec::new();
        match outline.root() {
            Some(root) if root.kind() == Kind::Object => check(root, &mut faults),
            _ => return Err(whole("the body must be a JSON object".to_owned())),
        }
        for duplicate in outline.duplicates() {
            faults.push(fault(duplicate, "this name stands more than once in its object"));
        }
        if faults.is_empty() { Ok(Start { outline }) } else { Err(bounded(faults)) }
    }

    /// The changes that write the tags into the body.
    ///
    /// # Errors
    ///
    /// A fault for each tag that the body has with another value, where conflicts are rejected.
    pub fn tag(&self, tags: &Tags, on_conflict: OnConflict) -> Result<Vec<Splice>, Vec<Fault>> {
        match self.metadata() {
            Metadata::Absent { after_brace, alone } => Ok(vec![tags.member(after_brace, alone)]),
            Metadata::Null(at) => Ok(vec![tags.object(at)]),
            Metadata::Object(metadata) => tags.merge(metadata, on_conflict),
        }
    }

    fn metadata(&self) -> Metadata<'_> {
        let root = self.outline.root();
        match root.and_then(|root| root.get("metadata")) {
            Some(value) if value.kind() == Kind::Object => Metadata::Object(value),
            Some(value) => Metadata::Null(value.span()),
            None => {
                let start = root.map_or(0, |root| root.span().start);
                let alone = root.is_none_or(|root| root.children().next().is_none());
                Metadata::Absent { after_brace: start + 1, alone }
            }
        }
    }
}

fn check(root: Value<'_>, faults: &mut Vec<Fault>) {
    for member in root.children() {
        let name = member.name();
        if name == "metadata" {
            check_metadata(member, faults);
        } else if name.eq_ignore_ascii_case("metadata") {
            // Readers that ignore case, such as Go's, would let it overwrite the tags.
            faults.push(fault(member, "a name that differs from metadata only in case is refused; write metadata"));
        }
    }
}

fn check_metadata(metadata: Value<'_>, faults: &mut Vec<Fault>) {
    match metadata.kind() {
        Kind::Null => {}
        Kind::Object => {
            let wrong = metadata.children().filter(|value| value.kind() != Kind::String);
            faults.extend(wrong.map(|value| fault(value, "a value in metadata must be a string")));
        }
        _ => faults.push(fault(metadata, "metadata must be an object with strings as values")),
    }
}

fn fault(value: Value<'_>, detail: &str) -> Fault {
    Fault { pointer: value.pointer(), detail: detail.to_owned() }
}

fn bounded(mut faults: Vec<Fault>) -> Vec<Fault> {
    let more = faults.len().saturating_sub(LISTED);
    if more > 0 {
        faults.truncate(LISTED);
        faults.push(Fault { pointer: String::new(), detail: format!("{more} further faults are not listed") });
    }
    faults
}
