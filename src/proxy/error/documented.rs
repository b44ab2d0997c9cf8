//! Compares `docs/ERRORS.md` with the table of errors, in both directions.

use std::collections::BTreeSet;

use super::{Retry, examples};
use crate::facts::{ErrorCode, Outcome};

const DOCUMENT: &str = include_str!("../../../docs/ERRORS.md");

/// The heading of the last section that is not about one error.
const INDEX: &str = "## All errors\n";

/// What is said of an error, as the document writes it, in the order of these lines in its section.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    name: String,
    statuses: BTreeSet<String>,
    titles: BTreeSet<String>,
    outcomes: BTreeSet<String>,
    retries: BTreeSet<String>,
}

const RETRIES: [Retry; 4] = [Retry::SameKey, Retry::NewKey, Retry::Later, Retry::Never];

/// Returns what the table says of the errors with this code.
fn in_table(code: ErrorCode) -> Entry {
    let mut entry = Entry {
        name: code.as_str().to_owned(),
        statuses: BTreeSet::new(),
        titles: BTreeSet::new(),
        outcomes: BTreeSet::new(),
        retries: BTreeSet::new(),
    };
    for example in examples::all().into_iter().filter(|example| example.error.code() == code) {
        let row = example.error.row();
        entry.statuses.insert(row.status.as_str().to_owned());
        entry.titles.insert(row.title.to_owned());
        entry.outcomes.insert(example.error.outcome().code().to_owned());
        entry.retries.extend(example.retries.into_iter().flatten().map(|retry| retry.code().to_owned()));
    }
    entry
}

/// Returns the sections about errors: their headings and texts.
fn sections() -> Vec<(&'static str, &'static str)> {
    let (_, rest) = DOCUMENT.split_once(INDEX).unwrap();
    rest.split("\n## ").skip(1).map(|section| section.split_once('\n').unwrap()).collect()
}

/// Returns the value of a line of a section, such as `- Status: 400`.
fn value<'a>((name, text): (&str, &'a str), line: &str) -> &'a str {
    let values: Vec<&str> = text.lines().filter_map(|found| found.strip_prefix(&format!("- {line}: "))).collect();
    assert_eq!(values.len(), 1, "{name} must have one line `- {line}: `");
    values[0]
}

/// Returns the parts of an enumeration: `a, b or c`.
fn parts(text: &str) -> BTreeSet<String> {
    text.replace(" or ", ", ").split(", ").map(str::to_owned).collect()
}

/// Returns the codes of a closed set that a text has between backticks.
fn codes<'a>(text: &str, all: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    all.into_iter().filter(|code| text.contains(&format!("`{code}`"))).map(str::to_owned).collect()
}

/// Returns what the document says of an error in its section.
fn in_document(section: (&str, &str)) -> Entry {
    Entry {
        name: section.0.to_owned(),
        statuses: parts(value(section, "Status")),
        titles: parts(value(section, "Title")),
        outcomes: codes(value(section, "Outcome"), [Outcome::NotStarted, Outcome::Unknown].map(Outcome::code)),
        retries: codes(value(section, "Retry"), RETRIES.map(Retry::code)),
    }
}

#[test]
fn every_error_has_a_section_that_says_what_the_table_says_and_every_section_is_an_error() {
    let documented: Vec<Entry> = sections().into_iter().map(in_document).collect();
    for entry in &documented {
        let code = ErrorCode::ALL.iter().find(|code| code.as_str() == entry.name);
        assert!(code.is_some(), "docs/ERRORS.md has a section {:?}, and there is no such error", entry.name);
    }
    for code in ErrorCode::ALL {
        let expected = in_table(*code);
        let found: Vec<&Entry> = documented.iter().filter(|entry| entry.name == expected.name).collect();
        assert_eq!(found, [&expected], "docs/ERRORS.md must say this of {}", expected.name);
    }
}

#[test]
fn every_section_says_what_the_error_means_who_can_mend_it_and_what_to_do() {
    for section in sections() {
        let (name, text) = section;
        let menders = parts(value(section, "Mended by"));
        assert!(menders.iter().all(|mender| ["caller", "operator", "Asteroid"].contains(&mender.as_str())), "{name}");
        let [_, meaning, advice] = text.trim().split("\n\n").collect::<Vec<_>>().try_into().unwrap();
        assert!(meaning.ends_with('.') && !meaning.starts_with("**"), "{name} must say what it means");
        assert!(advice.starts_with("**What to do:** ") && advice.ends_with('.'), "{name} must say what to do");
    }
}

#[test]
fn the_sections_are_in_the_order_of_their_names_and_the_index_lists_each_as_it_is() {
    let rows: Vec<String> = sections()
        .into_iter()
        .map(|section| {
            let (name, retry) = (section.0, value(section, "Retry"));
            let mut retries = RETRIES.map(|retry| format!("`{}`", retry.code())).to_vec();
            retries.retain(|code| retry.contains(code.as_str()));
            retries.sort_by_key(|code| retry.find(code.as_str()));
            let (status, mended_by) = (value(section, "Status"), value(section, "Mended by"));
            format!("| [`{name}`](#{name}) | {status} | {} | {mended_by} |", retries.join(", "))
        })
        .collect();
    assert!(sections().is_sorted_by_key(|(name, _)| *name), "{rows:#?}");
    let (_, index) = DOCUMENT.split_once(INDEX).unwrap();
    let index: Vec<&str> =
        index.split("\n## ").next().unwrap().lines().filter(|line| line.starts_with("| [")).collect();
    assert_eq!(index, rows, "the index of docs/ERRORS.md must be\n{}", rows.join("\n"));
}
