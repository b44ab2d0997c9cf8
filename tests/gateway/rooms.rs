//! The order of the rooms of `src/` in `docs/ARCHITECTURE.md`, and the invariants there that can be read from the sources.

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use source::{Module, Source, sources};

/// The most lines a file may have.
const MAX_LINES: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document() -> String {
    fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap()
}

/// Returns the section of the document with this title.
fn section(document: &str, title: &str) -> String {
    let (_, rest) = document.split_once(&format!("\n## {title}\n")).expect(title);
    rest.split("\n## ").next().unwrap().to_owned()
}

/// Returns the layers of the rooms, the lowest first.
fn layers() -> Vec<Vec<String>> {
    let rooms = section(&document(), "Rooms");
    let order = rooms.split("```text\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the list of layers");
    order.lines().map(|layer| layer.split_whitespace().map(str::to_owned).collect()).collect()
}

fn room(module: &Module) -> &str {
    module.first().map_or("", String::as_str)
}

/// Returns the modules of `src/` that each of them imports.
fn imports(sources: &[Source]) -> BTreeMap<&Module, BTreeSet<&Module>> {
    let modules: BTreeSet<&Module> = sources.iter().map(|source| &source.module).collect();
    let resolve =
        |path: &Module| (1..=path.len()).rev().find_map(|length| modules.get(&path[..length].to_vec()).copied());
    let of = |source: &Source| {
        source.paths().iter().filter_map(resolve).filter(|module| **module != source.module).collect::<BTreeSet<_>>()
    };
    sources.iter().map(|source| (&source.module, of(source))).collect()
}

#[test]
fn a_room_imports_only_from_lower_layers() {
    let (layers, sources) = (layers(), sources());
    let layer = |room: &str| layers.iter().position(|layer| layer.iter().any(|listed| listed == room));
    let imports = imports(&sources);
    let pairs = imports.iter().flat_map(|(module, imported)| imported.iter().map(move |other| (*module, *other)));
    let between: Vec<_> = pairs.filter(|(module, other)| room(module) != room(other)).collect();
    assert!(between.len() > 200, "{} imports were found", between.len());
    let wrong: BTreeSet<String> = between
        .into_iter()
        .filter(|(module, other)| layer(room(other)) >= layer(room(module)))
        .map(|(module, other)| format!("{} imports {}", module.join("::"), other.join("::")))
        .collect();
    assert!(wrong.is_empty(), "not from a lower layer: {wrong:#?}");
}

#[test]
fn the_list_and_the_table_name_every_room_once_and_in_one_order() {
    let there: BTreeSet<String> = sources().iter().map(|source| room(&source.module).to_owned()).collect();
    let table = section(&document(), "Rooms");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let described: Vec<String> = rows.map(|(room, _)| room.to_owned()).collect();
    let mut listed = layers().concat();
    assert_eq!(described, listed);
    listed.sort();
    assert_eq!(listed, there.into_iter().collect::<Vec<_>>());
}

#[test]
fn files_of_a_room_do_not_import_each_other_in_a_circle() {
    let sources = sources();
    let mut edges = imports(&sources);
    // A file declares those in its folder, and they use its items: that is no circle.
    let is_part = |one: &Module, other: &Module| one.starts_with(other) || other.starts_with(one);
    for (module, imported) in &mut edges {
        imported.retain(|other| room(other) == room(module) && !is_part(module, other));
    }
    loop {
        let imported: BTreeSet<&Module> = edges.values().flatten().copied().collect();
        let left: BTreeMap<&Module, BTreeSet<&Module>> = edges
            .iter()
            .filter(|(module, _)| imported.contains(*module))
            .map(|(module, others)| {
                (*module, others.iter().copied().filter(|other| edges.contains_key(other)).collect())
            })
            .filter(|(_, others): &(_, BTreeSet<_>)| !others.is_empty())
            .collect();
        if left == edges {
            break;
        }
        edges = left;
    }
    let circles: Vec<String> = edges
        .iter()
        .flat_map(|(module, others)| {
            others.iter().map(|other| format!("{} imports {}", module.join("::"), other.join("::")))
        })
        .collect();
    assert!(circles.is_empty(), "circles, and what is between them: {circles:#?}");
}

#[test]
fn rooms_exit_print_spawn_and_read_the_environment_only_if_they_may() {
    let rules: [(&[&str], &[&str]); 10] = [
        (&["process", "::", "exit"], &[]),
        (&["stdout", "("], &["audit", "cli"]),
        (&["stderr", "("], &["cli"]),
        (&["tokio", "::", "spawn"], &[]),
        (&["spawn_blocking"], &[]),
        (&["spawn_local"], &[]),
        (&["spawn_on"], &["tasks"]),
        (&["JoinSet"], &["simulator"]),
        (&["env", "::", "var_os"], &["secret"]),
        (&["env", "::", "vars_os"], &["app", "config"]),
    ];
    let sources = sources();
    for (tokens, rooms) in rules {
        let using = sources.iter().filter(|source| source.contains(tokens)).map(|source| room(&source.module));
        assert_eq!(using.collect::<BTreeSet<_>>(), rooms.iter().copied().collect(), "{}", tokens.concat());
    }
}

#[test]
fn requests_meet_no_file_of_the_configuration_and_its_rules_read_none() {
    let sources = sources();
    for (module, imported) in imports(&sources) {
        let imports = |path: &str| imported.iter().any(|other| other.join("::").starts_with(path));
        assert!(room(module) != "proxy" || !imports("config::file"), "{} imports config::file", module.join("::"));
    }
    for source in &sources {
        let module = source.module.join("::");
        if room(&source.module) == "proxy" || module.starts_with("config::resolve") {
            assert!(!source.contains(&["fs", "::"]) && !source.contains(&["env", "::"]), "{module} does I/O");
        }
    }
}

#[test]
fn no_file_of_rust_is_too_long_to_be_read_at_once() {
    let files: Vec<_> =
        ["src", "tests", "benches", "fuzz"].iter().flat_map(|folder| source::files(&root().join(folder))).collect();
    assert!(files.len() > 200, "{} files were found", files.len());
    for file in files {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines, and may have {MAX_LINES}", file.display());
    }
}

/// Returns the texts in backticks outside of blocks of code.
fn quoted(document: &str) -> BTreeSet<String> {
    let prose: String = document.split("```").step_by(2).collect();
    prose.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_paths_that_the_document_names_are_there() {
    let is_path = |text: &str| {
        let lower = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_/.-".contains(c));
        lower && !text.starts_with('/') && (text.contains('/') || text.ends_with(".rs"))
    };
    let paths: Vec<String> = quoted(&document()).into_iter().filter(|text| is_path(text)).collect();
    assert!(paths.len() > 20, "{paths:?}");
    for path in paths {
        let places =
            [root().join(&path), root().join("src").join(&path), root().join("src").join(format!("{path}.rs"))];
        assert!(places.iter().any(|place| place.exists()), "{path} is neither in the project nor in src/");
    }
}

#[test]
fn the_types_that_the_document_names_are_in_the_sources() {
    let sources = sources();
    let known: BTreeSet<&str> = sources.iter().flat_map(|source| source.tokens.iter().map(String::as_str)).collect();
    let is_type = |word: &&str| {
        word.starts_with(|c: char| c.is_ascii_uppercase())
            && word.contains(|c: char| c.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_alphanumeric())
    };
    let document = document();
    let quoted = quoted(&document);
    let types: BTreeSet<&str> = quoted.iter().flat_map(|text| text.split("::")).filter(is_type).collect();
    assert!(types.len() > 10, "{types:?}");
    let unknown: Vec<_> = types.difference(&known).collect();
    assert!(unknown.is_empty(), "no source has these: {unknown:?}");
}
