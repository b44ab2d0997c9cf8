//! Each promise of the threat model, and each bound of the architecture, names tests that exist.

use std::collections::BTreeSet;
use std::path::Path;

/// Returns the names of all tests below a directory.
fn tests_in(directory: &Path, tests: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests_in(&path, tests);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let marked = ["#[test]", "#[tokio::test"].into_iter().flat_map(|mark| text.split(mark).skip(1));
            let functions = marked.filter_map(|rest| rest.split_once("fn ")?.1.split('(').next().map(str::to_owned));
            tests.extend(functions);
        }
    }
}

/// Asserts that the last cell of each row names tests that there are. Returns how many rows there are.
#[track_caller]
fn assert_shown(text: &str) -> usize {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = BTreeSet::new();
    for directory in ["src", "tests"] {
        tests_in(&root.join(directory), &mut tests);
    }
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| |"));
    rows.inspect(|row| {
        let (promise, shown_by) = row.trim_end_matches(" |").rsplit_once(" | ").unwrap();
        for name in shown_by.split(", ").map(|name| name.trim_matches('`')) {
            assert!(tests.contains(name), "`{name}` is no test, but is to show: {promise}");
        }
    })
    .count()
}

fn document(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)).unwrap()
}

#[test]
fn each_promise_of_the_threat_model_names_tests_that_there_are() {
    let promises = assert_shown(&document("SECURITY.md"));
    assert!(promises > 30, "the rows were read: {promises}");
}

#[test]
fn each_bound_names_tests_that_there_are() {
    let document = document("ARCHITECTURE.md");
    let section = document.split("\n## ").find(|section| section.starts_with("Bounds\n")).unwrap();
    let bounds = assert_shown(section);
    assert!(bounds > 35, "the rows were read: {bounds}");
}
