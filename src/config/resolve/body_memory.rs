//! `body_memory`: how much memory requests and their bodies may take together.

use super::Section;
use crate::config::file;
use crate::config::units;

/// What `auto` is at most, in bytes.
const MOST_OF_AUTO: u64 = 1 << 30;

/// How much memory requests and their bodies may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyMemory {
    /// A quarter of what the process may have, at most 1 GiB.
    Auto,
    /// So many bytes, at least two bodies of the largest size.
    Bytes(usize),
}

impl BodyMemory {
    /// Returns it in bytes for a process that may have `available` bytes of memory. Two of the largest bodies fit in any
    /// case: beside one tenant's, there is then room for another's.
    #[must_use]
    pub fn bytes(self, available: u64, body_limit: usize) -> usize {
        let bytes = match self {
            BodyMemory::Auto => usize::try_from((available / 4).min(MOST_OF_AUTO)).unwrap_or(usize::MAX),
            BodyMemory::Bytes(bytes) => bytes,
        };
        bytes.max(2 * body_limit)
    }
}

pub(super) fn resolve(
    written: Option<file::Quantity>,
    body_limit: Option<usize>,
    section: &mut Section<'_>,
) -> Option<BodyMemory> {
    const KEY: &str = "body_memory";
    let Some(file::Quantity(text)) = written else { return Some(BodyMemory::Auto) };
    if text.trim() == "auto" {
        return Some(BodyMemory::Auto);
    }
    if units::size(&text, 0, u64::MAX).is_err_and(|message| message.starts_with("is not a size")) {
        let path = section.path.key(KEY);
        return section.findings.fault(&path, "is not a size; write auto, or a number and its unit, such as 64MiB");
    }
    let bytes = section.size(KEY, Some(file::Quantity(text)), 0, 1 << 20, 64 << 30)?;
    if body_limit.is_some_and(|limit| bytes < 2 * limit) {
        let path = section.path.key(KEY);
        return section
            .findings
            .fault(&path, "must hold two bodies of the largest size; write at least twice `body_limit`");
    }
    Some(BodyMemory::Bytes(bytes))
}
