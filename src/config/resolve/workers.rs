//! `workers`: the number of threads that serve callers.

use std::num::NonZero;

use crate::config::file;

use super::Section;

/// The most workers that can be configured, and the most that `auto` gives.
pub const MAX_WORKERS: usize = 256;

/// The number of threads that serve callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// One if every listener is on loopback or a Unix socket, else one for each core of the control group.
    Auto,
    /// A number of threads: 1 to [`MAX_WORKERS`].
    Count(NonZero<usize>),
}

pub(super) fn resolve(written: Option<file::Number>, section: &mut Section<'_>) -> Option<Workers> {
    let Some(file::Number(text)) = written else { return Some(Workers::Auto) };
    let text = text.trim();
    if text == "auto" {
        return Some(Workers::Auto);
    }
    match text.parse().ok().filter(|count: &NonZero<usize>| count.get() <= MAX_WORKERS) {
        Some(count) => Some(Workers::Count(count)),
        None => {
            let message = format!("must be auto or a whole number from 1 to {MAX_WORKERS}");
            section.findings.refuse(&section.path.join("workers"), message)
        }
    }
}
