//! The checks that the bodies of all operations have in common: one JSON object in UTF-8 of bounded depth, rules as data, and
//! every fault with its place.

mod alike;
mod json_schema;
mod rules;
pub(super) mod schema;

use std::fmt;

use serde::Serialize;

use crate::json::{self, Kind, Malformed, Outline, Reason, Shape, Value};

pub(super) use alike::folded;
pub use alike::is_alike;
pub(super) use json_schema::of_members as json_schema;
pub(super) use rules::faults;

/// The most nested arrays and objects: more than any agent's inputs have, and few enough for every JSON parser behind
/// the gateway.
pub const MAX_DEPTH: usize = 128;

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

/// Reads a body, and notes the places of the members that `shape` lists.
///
/// # Errors
///
/// One fault with its byte, if the body is not JSON.
pub(super) fn scan<'a>(body: &'a [u8], shape: &'static Shape) -> Result<Outline<'a>, Refusal> {
    json::scan(body, shape, MAX_DEPTH).map_err(|malformed| Refusal::malformed(malformed, body))
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

    pub(super) fn of(value: Value<'_>, detail: impl Into<String>) -> Self {
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
