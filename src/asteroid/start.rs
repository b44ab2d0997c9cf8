//! The body of an operation that starts an execution: `POST /agents/{agentId}/execute`, and `POST
//! /workflows/{workflowId}/execute`, which accepts the same body.
//!
//! The top level, `metadata`, `executionOptions` and each of `tempFiles` are read. `inputs`, `dynamicData` and members
//! that the specification does not name are only checked to be JSON; the upstream judges them.

mod alike;
mod rules;
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

use std::fmt;

use serde::Serialize;

use crate::json::{self, Kind, Malformed, Outline, Reason, Shape, Splice, Value};

pub use alike::is_alike;
pub use tags::{OnConflict, Tags};

/// The most nested arrays and objects: more than any agent's inputs have, and few enough for every JSON parser behind
/// the gateway.
pub const MAX_DEPTH: usize = 128;

const METADATA: &str = "metadata";

static SHAPE: Shape = Shape::Object(&[
    (METADATA, Shape::Object(&[])),
    ("executionOptions", Shape::Object(&[])),
    ("tempFiles", Shape::Elements(&Shape::Object(&[]))),
]);

/// The body of a start that conforms to the rules.
#[derive(Debug)]
pub struct Start<'a> {
    outline: Outline<'a>,
}

/// One fault of a body, as reported to the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The JSON pointer (RFC 6901) of the faulty value; empty for the body as a whole. A long one is truncated and ends
    /// in `…`.
    pub pointer: String,
    /// A phrase whose subject is the faulty value. It quotes no value.
    pub detail: String,
}

/// The refusal of a body; displayed as one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// All its faults, at least one; of very many, the first [`Refusal::MAX_FAULTS`].
    pub faults: Vec<Fault>,
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
        let outline = json::scan(body, &SHAPE, MAX_DEPTH).map_err(|malformed| Refusal::malformed(malformed, body))?;
        let faults = rules::faults(&outline);
        Ok((Self { outline }, faults))
    }

    /// Returns the caller's metadata: an object, or `null`, which means the same as absent.
    fn metadata(&self) -> Option<Value<'_>> {
        self.outline.root().get(METADATA)
    }
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

impl Refusal {
    /// The most faults that are listed, so that a small body cannot cause a huge answer.
    pub const MAX_FAULTS: usize = 100;

    fn malformed(malformed: Malformed, body: &[u8]) -> Self {
        let (line, column) = malformed.line_and_column(body);
        let place = format!("line {line}, column {column}");
        let detail = match malformed.reason() {
            Reason::ByteOrderMark => {
                "begins with a byte order mark, which JSON must not have (RFC 8259, section 8.1); send UTF-8 without it"
                    .to_owned()
            }
            Reason::Depth => {
                format!(
                    "has more than {MAX_DEPTH} nested arrays and objects, at byte {} ({place}); nest less",
                    malformed.offset()
                )
            }
            // The grammar allows these.
            Reason::LoneSurrogate | Reason::Length => format!("cannot be read {malformed} ({place})"),
            _ => format!("is not JSON {malformed} ({place})"),
        };
        Self { faults: vec![Fault { pointer: String::new(), detail }] }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.faults.as_slice() {
            [] => out.write_str("the body is refused"),
            [only] => write!(out, "{only}"),
            [first, ..] => write!(out, "{} faults in the body, the first: {first}", self.faults.len()),
        }
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = if self.pointer.is_empty() { "the body" } else { &self.pointer };
        write!(out, "{subject} {}", self.detail)
    }
}

impl Fault {
    /// The longest pointer that is shown, in bytes: the caller chooses the names, which may be most of a body.
    const MAX_POINTER: usize = 256;

    fn of(value: Value<'_>, detail: impl Into<String>) -> Self {
        let mut pointer = value.pointer();
        if pointer.len() > Self::MAX_POINTER {
            pointer.truncate(pointer.floor_char_boundary(Self::MAX_POINTER));
            pointer.push('…');
        }
        Self { pointer, detail: detail.into() }
    }
}

/// Returns the name of a kind for callers.
fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Null => "null",
        Kind::Bool => "a boolean",
        Kind::Number => "a number",
        Kind::String => "a string",
        Kind::Object => "an object",
        Kind::Array => "an array",
    }
}
