//! Files in answers: the ids of those that were staged for a later start, and the files of an execution.
//!
//! The files of an execution come in directories. One of them, `shared`, belongs to the agent, so it can hold files of other
//! executions, and of other tenants. Each entry names its execution, so such entries can be cut out. Nothing else of an answer
//! changes.

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

use std::ops::Range;

use uuid::Uuid;

use super::is_uuid;
use super::item::{MAX_DEPTH, Unreadable};
use crate::json::{Malformed, Token, Walk};

/// The most entries of all directories together. An answer that consists of short ones would take many times its length.
pub const MAX_ENTRIES: usize = 100_000;

const TEMP_FILES: &str = "tempFiles";
const ID: &str = "id";
const DIRECTORIES: &str = "directories";
const EXECUTION_ID: &str = "executionId";

/// A file in a directory of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The execution that it belongs to, if it names one.
    pub execution: Option<Uuid>,
    /// Its bytes in the answer.
    pub range: Range<usize>,
    /// Whether it is the first of its directory.
    is_first: bool,
}

/// Returns the ids of staged files in the answer to an upload, `{tempFiles: [{id, name}]}`. Of an answer that cannot
/// be read to its end, returns those before the fault.
#[must_use]
pub fn staged(body: &[u8]) -> Vec<Uuid> {
    let mut ids = Vec::new();
    // The rest of the answer changes nothing in the list.
    Walk::new(body, MAX_DEPTH).and_then(|mut walk| read_staged(&mut walk, &mut ids)).unwrap_or_default();
    ids
}

fn read_staged(walk: &mut Walk<'_>, ids: &mut Vec<Uuid>) -> Result<(), Malformed> {
    walk.object(|walk, name| {
        if name.text() != TEMP_FILES || !walk.is_array() {
            return walk.skip().map(drop);
        }
        walk.array(|walk| {
            if !walk.is_object() {
                return walk.skip().map(drop);
            }
            walk.object(|walk, name| {
                let token = walk.skip()?;
                ids.extend((name.text() == ID).then(|| uuid(&token)).flatten());
                Ok(())
            })
        })
    })
}

/// Reads the answer with the files of an execution, `{directories: {uploads: […], shared: […], …}}`; returns the entries of all
/// directories in their order. Directories of any name are read. One that occurs twice has the entries of both.
///
/// # Errors
///
/// If it is not such an answer, if its `directories` or an entry's `executionId` occurs twice, or if there are more than
/// [`MAX_ENTRIES`].
pub fn read_files(body: &[u8]) -> Result<Vec<Entry>, Unreadable> {
    let mut walk = Walk::new(body, MAX_DEPTH)?;
    if !walk.is_object() {
        return Err(Unreadable::Kind("the list of files", "an object"));
    }
    let mut entries = None;
    walk.object(|walk, name| {
        if name.text() != DIRECTORIES {
            return Ok(walk.skip().map(drop)?);
        }
        if entries.replace(read_directories(walk)?).is_some() { Err(Unreadable::Repeated(DIRECTORIES)) } else { Ok(()) }
    })?;
    walk.finish()?;
    entries.ok_or(Unreadable::Missing(DIRECTORIES))
}

fn read_directories(walk: &mut Walk<'_>) -> Result<Vec<Entry>, Unreadable> {
    if !walk.is_object() {
        return Err(Unreadable::Kind(DIRECTORIES, "an object"));
    }
    let mut entries = Vec::new();
    walk.object(|walk, _| {
        if !walk.is_array() {
            let is_null = walk.skip()?.raw() == "null";
            return if is_null { Ok(()) } else { Err(Unreadable::Kind("a directory", "an array or null")) };
        }
        let mut is_first = true;
        walk.array(|walk| {
            if entries.len() >= MAX_ENTRIES {
                return Err(Unreadable::TooMany("files", MAX_ENTRIES));
            }
            let (execution, range) = read_entry(walk)?;
            entries.push(Entry { execution, range, is_first });
            is_first = false;
            Ok(())
        })
    })?;
    Ok(entries)
}

/// Reads one entry; returns the execution that it names, and its bytes.
fn read_entry(walk: &mut Walk<'_>) -> Result<(Option<Uuid>, Range<usize>), Unreadable> {
    if !walk.is_object() {
        return Ok((None, walk.skip()?.span()));
    }
    let start = walk.at();
    let mut execution = None;
    walk.object(|walk, name| {
        let token = walk.skip()?;
        let is_repeated = name.text() == EXECUTION_ID && execution.replace(uuid(&token)).is_some();
        if is_repeated { Err(Unreadable::Repeated(EXECUTION_ID)) } else { Ok(()) }
    })?;
    Ok((execution.flatten(), start..walk.at()))
}

fn uuid(token: &Token<'_>) -> Option<Uuid> {
    let text = token.exact_text()?;
    if is_uuid(&text) { Uuid::try_parse(&text).ok() } else { None }
}

/// Returns the bytes to cut for the entries of an answer that are to go, in the order of the body: each with one comma, so that
/// the rest is JSON. `entries` are those of [`read_files`].
#[must_use]
pub fn cuts(body: &[u8], entries: &[Entry], mut goes: impl FnMut(&Entry) -> bool) -> Vec<Range<usize>> {
    let mut cuts = Vec::new();
    // Whether an entry of the directory stays before the one at hand.
    let mut follows = false;
    for entry in entries {
        follows &= !entry.is_first;
        if goes(entry) {
            cuts.push(if follows {
                with_comma_before(body, &entry.range)
            } else {
                with_comma_behind(body, &entry.range)
            });
        } else {
            follows = true;
        }
    }
    cuts
}

fn with_comma_before(body: &[u8], range: &Range<usize>) -> Range<usize> {
    let before = body.get(..range.start).unwrap_or_default().trim_ascii_end().strip_suffix(b",");
    before.map_or(range.start, <[u8]>::len)..range.end
}

fn with_comma_behind(body: &[u8], range: &Range<usize>) -> Range<usize> {
    let behind = body.get(range.end..).unwrap_or_default().trim_ascii_start().strip_prefix(b",");
    range.start..behind.map_or(range.end, |behind| body.len() - behind.len())
}
