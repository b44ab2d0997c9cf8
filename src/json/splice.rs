//! Changing parts of a text while all other bytes stay where they lie.

use std::ops::Range;

use bytes::Bytes;

/// One change: these bytes in place of that range, which may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splice {
    /// What is replaced.
    pub at: Range<usize>,
    /// What is there instead.
    pub with: Bytes,
}

/// The pieces of the changed text, in order; those of the original share its memory.
///
/// Changes are in order and do not overlap. One that does not fit the text is a fault of the code and panics, so that
/// nothing wrong is sent.
#[must_use]
pub fn apply(text: &Bytes, changes: &[Splice]) -> Vec<Bytes> {
    let mut pieces = Vec::with_capacity(2 * changes.len() + 1);
    let mut kept = 0;
    for change in changes {
        pieces.push(text.slice(kept..change.at.start));
        pieces.push(change.with.clone());
        kept = change.at.end;
    }
    pieces.push(text.slice(kept..));
    pieces
}
