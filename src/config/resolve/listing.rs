//! The settings of listings: `upstream.list_parameters`, `max_page_size` and `answer_limit`.

use crate::asteroid::query;
use crate::config::finding::{Findings, Path};
use crate::config::{file, pasted};

use super::{BodyMemory, Section};

/// The most names of further query parameters, and the longest one, in bytes.
const MAX_PARAMETERS: usize = 50;
const MAX_PARAMETER: usize = 64;

/// The most executions that may be configured for one list.
const MAX_PAGE_SIZE: u32 = 1000;

const ANSWER_LIMIT: usize = 16 << 20;
const MIN_ANSWER_LIMIT: u64 = 64 << 10;
const MAX_ANSWER_LIMIT: u64 = 256 << 20;

/// Returns the names of further query parameters.
pub(super) fn parameters(
    written: Option<file::List<String>>,
    path: &Path,
    findings: &mut Findings,
) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut complete = true;
    for (number, (index, name)) in written.map(|file::List(names)| names).unwrap_or_default().into_iter().enumerate() {
        let at = path.index(index);
        let refusal = if number >= MAX_PARAMETERS {
            // Said once, however many there are.
            (number == MAX_PARAMETERS).then(|| format!("must be one of at most {MAX_PARAMETERS} names"))
        } else if !is_parameter(&name) {
            Some(format!(
                "must be the name of a query parameter: 1 to {MAX_PARAMETER} visible ASCII characters, without &, =, +, %, ; and #"
            ))
        } else if is_own(&name) {
            Some("the gateway judges this parameter itself; leave it out".to_owned())
        } else if names.contains(&name) {
            Some("is listed twice; keep one".to_owned())
        } else {
            names.push(name);
            continue;
        };
        complete = false;
        refusal.into_iter().for_each(|message| findings.faults.push(&at, message));
    }
    complete.then_some(names)
}

fn is_parameter(name: &str) -> bool {
    (1..=MAX_PARAMETER).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_graphic() && !b"&=+%;#".contains(&byte))
        && !pasted::may_be_api_key(name)
}

/// Returns whether a parameter is one that the gateway judges, for some server: in any spelling, or with an index, as in
/// `metadata[team]`.
fn is_own(name: &str) -> bool {
    query::is_reserved(name.split(['[', '.']).next().unwrap_or_default())
}

pub(super) fn max_page_size(written: Option<file::Number>, section: &mut Section<'_>) -> Option<u32> {
    let Some(file::Number(text)) = written else { return Some(query::DEFAULT_MAX_PAGE_SIZE) };
    match text.trim().parse().ok().filter(|size| (1..=MAX_PAGE_SIZE).contains(size)) {
        Some(size) => Some(size),
        None => section
            .findings
            .refuse(&section.path.join("max_page_size"), format!("must be a whole number from 1 to {MAX_PAGE_SIZE}")),
    }
}

/// Returns the largest answer that is judged. A default that `body_memory` cannot hold is lowered; a value that was written is
/// refused.
pub(super) fn answer_limit(
    written: Option<file::Quantity>,
    body_limit: Option<usize>,
    body_memory: Option<BodyMemory>,
    section: &mut Section<'_>,
) -> Option<usize> {
    const NAME: &str = "answer_limit";
    let max = body_memory.map_or(usize::MAX, |memory| memory.max_answer(u64::MAX, body_limit.unwrap_or(0)));
    if written.is_none() {
        return Some(ANSWER_LIMIT.min(max));
    }
    let bytes = section.size(NAME, written, 0, MIN_ANSWER_LIMIT, MAX_ANSWER_LIMIT)?;
    if bytes > max {
        let path = section.path.join(NAME);
        let message = "`body_memory` must hold three answers of this size; write a third of it at most, or raise it";
        return section.findings.refuse(&path, message);
    }
    Some(bytes)
}
