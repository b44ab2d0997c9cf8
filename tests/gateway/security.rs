//! Each promise of the threat model names a test that exists.

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
            let marked = ["#[test]", "#[tokio::test]"].into_iter().flat_map(|mark| text.split(mark).skip(1));
            let functions = marked.filter_map(|rest| rest.split_once("fn ")?.1.split('(').next().map(str::to_owned));
            tests.extend(functions);
        }
    }
}

#[test]
fn each_promise_of_the_threat_model_names_tests_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = BTreeSet::new();
    for directory in ["src", "tests"] {
        tests_in(&root.join(directory), &mut tests);
    }
    let document = std::fs::read_to_string(root.join("docs/SECURITY.md")).unwrap();
    let mut promises = 0;
    for row in document.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| |")) {
        let (promise, shown_by) = row.trim_end_matches(" |").rsplit_once(" | ").unwrap();
        let named: Vec<&str> = shown_by.split(", ").map(|name| name.trim_matches('`')).collect();
        for name in named {
            assert!(tests.contains(name), "`{name}` is no test, but is to show: {promise}");
        }
        promises += 1;
    }
    assert!(promises > 30, "the rows were read: {promises}");
}
