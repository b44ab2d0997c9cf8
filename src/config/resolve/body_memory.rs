//! `body_memory`: the memory that requests and their bodies may take together.

use crate::config::file;

use super::Section;

/// The number of the largest bodies that must fit, and of the largest answers that are judged. One of several tenants may take
/// half, in which one must fit however it arrives.
const MIN_BODIES: usize = 3;

/// The most that `auto` gives, in bytes.
const MAX_AUTO: u64 = 1 << 30;

/// The memory that requests and their bodies may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyMemory {
    /// A quarter of the process's memory, at most 1 GiB.
    Auto,
    /// A number of bytes, at least three times `body_limit`.
    Bytes(usize),
}

impl BodyMemory {
    /// Returns the bytes for a process with `available` bytes of memory. At least three of the largest bodies fit.
    #[must_use]
    pub fn bytes(self, available: u64, body_limit: usize) -> usize {
        let bytes = match self {
            BodyMemory::Auto => usize::try_from((available / 4).min(MAX_AUTO)).unwrap_or(usize::MAX),
            BodyMemory::Bytes(bytes) => bytes,
        };
        bytes.max(MIN_BODIES * body_limit)
    }

    /// Returns the largest answer, in bytes, that a process with `available` bytes of memory can judge. A limit above it is
    /// lowered to it.
    #[must_use]
    pub fn max_answer(self, available: u64, body_limit: usize) -> usize {
        self.bytes(available, body_limit) / MIN_BODIES
    }
}

pub(super) fn resolve(
    written: Option<file::Quantity>,
    body_limit: Option<usize>,
    section: &mut Section<'_>,
) -> Option<BodyMemory> {
    const NAME: &str = "body_memory";
    let Some(file::Quantity(text)) = written else { return Some(BodyMemory::Auto) };
    if text.trim() == "auto" {
        return Some(BodyMemory::Auto);
    }
    if !text.contains(|character: char| character.is_ascii_digit()) {
        let path = section.path.join(NAME);
        return section.findings.refuse(&path, "is not a size; write auto, or a number and its unit, such as 64MiB");
    }
    let bytes = section.size(NAME, Some(file::Quantity(text)), 0, 1 << 20, 64 << 30)?;
    if body_limit.is_some_and(|limit| bytes < MIN_BODIES * limit) {
        let path = section.path.join(NAME);
        return section
            .findings
            .refuse(&path, "must hold three bodies of the largest size; write at least three times `body_limit`");
    }
    Some(BodyMemory::Bytes(bytes))
}
