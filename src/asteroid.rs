//! Asteroid's Agents API. No other module knows it.

pub mod answer;
pub mod body;
pub mod change;
pub mod era;
pub mod execution;
pub mod file;
pub mod group;
pub mod item;
pub mod multipart;
pub mod operation;
pub mod query;
pub mod schema;
pub mod start;

/// An agent id for examples. No agent has it.
pub const EXAMPLE_AGENT: &str = "8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11";

/// The regular expression of the texts that [`is_uuid`] admits.
const UUID_PATTERN: &str = "^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$";

/// Returns whether a text is a hyphenated 36-character uuid, in any case.
pub(crate) fn is_uuid(text: &str) -> bool {
    let hyphen = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    let fits = |(at, byte): (usize, u8)| if hyphen(at) { byte == b'-' } else { byte.is_ascii_hexdigit() };
    text.len() == 36 && text.bytes().enumerate().all(fits)
}
