//! Files in answers: for any bytes, the reading of an execution's files agrees with a second reading. Whatever entries are cut, the
//! others stay as they are.

/// A second reading. The gateway's own tests compare it with the gateway, too.
#[path = "../../src/asteroid/file/oracle.rs"]
mod oracle;

use asteroid_gateway::asteroid::file::{Entry, cuts, read_files, staged};
use asteroid_gateway::asteroid::item::{Unreadable, cut};
use asteroid_gateway::json::Reason;
use serde::de::IgnoredAny;

use oracle::Directory;

pub(crate) fn check(body: &[u8]) {
    assert!(staged(body).len() <= body.len() / 36);
    let entries = match read_files(body) {
        // Serde reads raw values of any depth.
        Err(Unreadable::Malformed(malformed)) if malformed.reason() == Reason::Depth => return,
        read => read.ok(),
    };
    if entries.is_some() {
        assert!(serde_json::from_slice::<IgnoredAny>(body).is_ok());
    }
    // Serde reads no lone half of a surrogate pair and no huge exponent, where it reads an id.
    let Some(directories) = oracle::directories(body) else { return };
    let entries = entries.expect("what a second reader reads is readable");
    let shown = |entry: &Entry| {
        let raw = std::str::from_utf8(&body[entry.range.clone()]).expect("no character is cut");
        (raw.to_owned(), entry.execution.map(|id| id.to_string()))
    };
    let all: Vec<_> = directories.iter().filter_map(|(_, entries)| entries.as_ref()).flatten().cloned().collect();
    assert_eq!(entries.iter().map(shown).collect::<Vec<_>>(), all);
    for goes in [|_| true, |number| number == 0, |number| number % 2 == 1, |number| number % 3 != 1] {
        let mut number = 0;
        let ranges = cuts(body, &entries, |_| is_chosen(&mut number, goes));
        let mut passed = body.to_vec();
        cut(&mut passed, &ranges);
        assert_eq!(oracle::directories(&passed), Some(filtered(&directories, goes)));
    }
}

/// Counts an entry; returns whether it is chosen.
fn is_chosen(number: &mut usize, goes: fn(usize) -> bool) -> bool {
    *number += 1;
    goes(*number - 1)
}

/// Returns the directories without the entries of which `goes` says so.
fn filtered(directories: &[Directory], goes: fn(usize) -> bool) -> Vec<Directory> {
    let mut number = 0;
    let mut filter = |(name, entries): &Directory| {
        let mut stays = |_: &&oracle::Entry| !is_chosen(&mut number, goes);
        let entries = entries.as_ref().map(|entries| entries.iter().filter(&mut stays).cloned().collect());
        (name.clone(), entries)
    };
    directories.iter().map(&mut filter).collect()
}
