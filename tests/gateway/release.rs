//! The steps of a release that need no other machine: the published files are complete, reproducible, and of one version.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::configuration::replace_once;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const VERSION: &str = env!("CARGO_PKG_VERSION");
const WORKFLOW: &str = ".github/workflows/release.yaml";

/// Runs a step of the release in a tree.
fn step(tree: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(tree.join("deploy/release"));
    // A fixed time in the past, so that no time stamp is the current time.
    command.args(arguments).env("SOURCE_DATE_EPOCH", "1700000000").output().unwrap()
}

/// Runs a step of the release in the tested tree, and returns its output.
#[track_caller]
fn done(arguments: &[&str]) -> String {
    let output = step(Path::new(ROOT), arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

/// Makes a tree with the files that `check` reads, ready for a release.
fn ready() -> TempDir {
    let tree = tempfile::tempdir().unwrap();
    for directory in ["deploy/helm/asteroid-gateway", "fuzz"] {
        std::fs::create_dir_all(tree.path().join(directory)).unwrap();
    }
    for file in ["deploy/release", "Cargo.toml", "Cargo.lock", "fuzz/Cargo.lock"] {
        std::fs::copy(Path::new(ROOT).join(file), tree.path().join(file)).unwrap();
    }
    let chart = format!("apiVersion: v2\nname: asteroid-gateway\nversion: {VERSION}\nappVersion: \"{VERSION}\"\n");
    std::fs::write(tree.path().join("deploy/helm/asteroid-gateway/Chart.yaml"), chart).unwrap();
    let changelog =
        format!("# Changelog\n\n## Unreleased\n\n## {VERSION} - 2026-01-01\n\n- It is there.\n\n## 0.0.1\n");
    std::fs::write(tree.path().join("CHANGELOG.md"), changelog).unwrap();
    tree
}

#[test]
fn a_release_whose_versions_do_not_agree_is_refused_and_each_place_is_named() {
    assert_eq!(done(&["check"]).trim(), VERSION, "this tree agrees with itself");
    let tag = format!("v{VERSION}");
    let tree = ready();
    assert!(step(tree.path(), &["check", &tag]).status.success());
    assert_eq!(String::from_utf8(step(tree.path(), &["notes"]).stdout).unwrap().trim(), "- It is there.");
    let named = format!("name = \"asteroid-gateway\"\nversion = \"{VERSION}\"");
    let other = named.replace(VERSION, "9.9.9");
    for (file, from, to, fault) in [
        ("Cargo.lock", named.as_str(), other.as_str(), "Cargo.lock says 9.9.9"),
        ("fuzz/Cargo.lock", &named, &other, "fuzz/Cargo.lock says 9.9.9"),
        ("deploy/helm/asteroid-gateway/Chart.yaml", "\nversion: ", "\nversion: 1", "version in deploy/helm"),
        ("deploy/helm/asteroid-gateway/Chart.yaml", "appVersion: \"", "appVersion: \"1", "appVersion in deploy/helm"),
        ("CHANGELOG.md", "- It is there.", "", "CHANGELOG.md has nothing under"),
        ("CHANGELOG.md", &format!("## {VERSION} "), &format!("## {VERSION}1 "), "CHANGELOG.md has nothing under"),
    ] {
        let tree = ready();
        let path = tree.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, replace_once(&text, from, to)).unwrap();
        let output = step(tree.path(), &["check", &tag]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(fault) && said.lines().count() == 2, "{file}: {said}");
    }
    let output = step(tree.path(), &["check", "v9.9.9"]);
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("should be v"));
}

#[test]
fn an_archive_is_the_same_twice_and_what_was_changed_after_the_checksums_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    for directory in ["first", "second"] {
        // Packed at another time and from another directory. The real binary would take ten seconds to compress.
        std::fs::write(at(&format!("{directory}-binary")), "#!/bin/sh\necho runs\n").unwrap();
        done(&["pack", &at(&format!("{directory}-binary")), &at(directory)]);
    }
    let name = format!("asteroid-gateway-{VERSION}-linux-{}", std::env::consts::ARCH);
    let [first, second] =
        ["first", "second"].map(|directory| PathBuf::from(at(directory)).join(format!("{name}.tar.gz")));
    assert!(std::fs::read(&first).unwrap() == std::fs::read(second).unwrap(), "the archives differ");
    let list = Command::new("tar").arg("tvzf").arg(&first).env("TZ", "UTC").output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(list.lines().all(|line| line.contains(" 0/0 ") && line.contains(" 2023-11-14 22:13 ")), "{list}");
    let unpacked = Command::new("tar").arg("xzf").arg(&first).args(["-C", &at("")]).status().unwrap();
    let said = Command::new(dir.path().join(&name).join("asteroid-gateway")).output().unwrap();
    assert!(unpacked.success() && said.stdout == b"runs\n");
    for file in ["LICENSE", "SECURITY.md", "config/gateway.yaml", "docs/OPERATIONS.md"] {
        assert_eq!(std::fs::read_to_string(dir.path().join(&name).join(file)).unwrap(), read(file));
    }

    done(&["checksums", &at("first")]);
    done(&["verify", &at("first")]);
    let refused = |why: &str| {
        let output = step(Path::new(ROOT), &["verify", &at("first")]);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!output.status.success() && said.contains(why), "{said}");
    };
    std::fs::write(dir.path().join("first/unsaid"), "").unwrap();
    refused("unsaid");
    std::fs::remove_file(dir.path().join("first/unsaid")).unwrap();
    std::fs::write(&first, "another").unwrap();
    refused(&format!("{name}.tar.gz: FAILED"));
    std::fs::remove_file(&first).unwrap();
    refused("No such file");
}

#[test]
fn the_image_of_a_release_is_one_index_of_both_architectures_and_names_version_and_commit() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    for arch in ["x86_64", "aarch64"] {
        // The image contains any binary of the archive, because that of the other architecture cannot be built here.
        let name = format!("asteroid-gateway-{VERSION}-linux-{arch}");
        std::fs::create_dir_all(dir.path().join(&name)).unwrap();
        std::fs::write(dir.path().join(&name).join("asteroid-gateway"), arch).unwrap();
        let archive = at(&format!("{name}.tar.gz"));
        assert!(Command::new("tar").args(["czf", &archive, "-C", &at(""), &name]).status().unwrap().success());
    }
    // A separate storage that needs no overlay file system.
    let storage =
        format!("[storage]\ndriver = \"vfs\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n", at("storage"), at("run"));
    std::fs::write(at("storage.conf"), storage).unwrap();
    let mut command = Command::new(Path::new(ROOT).join("deploy/release"));
    command.args(["image", &at(""), &format!("oci:{}:release", at("layout"))]);
    let output = command.env("CONTAINERS_STORAGE_CONF", at("storage.conf")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let digest = String::from_utf8(output.stdout).unwrap();
    let blob = |digest: &str| -> Value {
        let path = dir.path().join("layout/blobs/sha256").join(digest.trim().strip_prefix("sha256:").unwrap());
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    let index = blob(&digest);
    let platforms: Vec<&str> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["platform"]["architecture"].as_str().unwrap())
        .collect();
    assert_eq!(platforms.iter().collect::<BTreeSet<_>>(), BTreeSet::from([&"amd64", &"arm64"]));
    for manifest in index["manifests"].as_array().unwrap() {
        let config = blob(blob(manifest["digest"].as_str().unwrap())["config"]["digest"].as_str().unwrap());
        assert_eq!(config["architecture"], manifest["platform"]["architecture"]);
        assert_eq!(config["config"]["User"], "65532:65532");
        let labels = &config["config"]["Labels"];
        assert_eq!(labels["org.opencontainers.image.version"], VERSION);
        assert_eq!(labels["org.opencontainers.image.revision"].as_str().unwrap().len(), 40);
    }
}

/// Returns the crates that are linked into the binary for this architecture, as `name version`.
fn linked() -> BTreeSet<String> {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}"]).current_dir(ROOT);
    let output = tree.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let names = text.lines().filter_map(|line| {
        let mut words = line.split(' ');
        Some(format!("{} {}", words.next()?, words.next()?.trim_start_matches('v')))
    });
    names.collect()
}

#[test]
fn the_bill_of_materials_names_every_crate_that_is_linked_and_no_path_of_this_machine() {
    let dir = tempfile::tempdir().unwrap();
    let text = ["first", "second"].map(|name| {
        done(&["sbom", dir.path().join(name).to_str().unwrap()]);
        let file = format!("asteroid-gateway-{VERSION}-linux-{}.cdx.json", std::env::consts::ARCH);
        std::fs::read_to_string(dir.path().join(name).join(file)).unwrap()
    });
    assert_eq!(text[0], text[1], "the same twice");
    assert!(!text[0].contains(ROOT), "a path of this machine");
    let bill: Value = serde_json::from_str(&text[0]).unwrap();
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let components = bill["components"].as_array().unwrap();
    let all = components.iter().chain([&bill["metadata"]["component"]]);
    let named: BTreeSet<String> = all
        .map(|component| {
            assert!(component["purl"].is_string() && component["licenses"].is_array(), "{component}");
            format!("{} {}", component["name"].as_str().unwrap(), component["version"].as_str().unwrap())
        })
        .collect();
    let linked = linked();
    let missing: Vec<&String> = linked.difference(&named).collect();
    assert!(linked.len() > 50 && missing.is_empty(), "{missing:?}");
}

#[test]
fn the_chart_of_a_release_is_packed_under_its_version() {
    let python = std::env::var("ASTEROID_MANIFESTS_PYTHON").expect("ASTEROID_MANIFESTS_PYTHON: run tests/run");
    let dir = tempfile::tempdir().unwrap();
    let helm = Path::new(&python).parent().unwrap();
    let path = format!("{}:{}", helm.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(Path::new(ROOT).join("deploy/release"));
    let output = command.arg("chart").arg(dir.path()).env("PATH", path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let packed = dir.path().join(format!("asteroid-gateway-{VERSION}.tgz"));
    let list = Command::new("tar").arg("tzf").arg(packed).output().unwrap();
    assert!(String::from_utf8(list.stdout).unwrap().lines().any(|name| name == "asteroid-gateway/values.schema.json"));
}

/// Runs a program of the tests' installation.
fn lint(name: &str, arguments: &[&str]) {
    let linters = std::env::var("ASTEROID_LINTERS").expect("ASTEROID_LINTERS: run tests/run, which installs them");
    let output = Command::new(Path::new(&linters).join(name)).args(arguments).current_dir(ROOT).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
}

#[test]
fn workflow_and_scripts_have_nothing_that_linters_find() {
    lint("check-jsonschema", &["--builtin-schema", "vendor.github-workflows", WORKFLOW]);
    lint("shellcheck", &["deploy/release", "tests/run", "tests/fuzz", ".ci/run"]);
}

#[test]
fn the_workflow_takes_actions_by_commit_the_compiler_of_the_crate_and_steps_that_there_are() {
    let workflow = read(WORKFLOW);
    let uses: Vec<&str> = workflow.lines().filter_map(|line| line.trim().strip_prefix("- uses: ")).collect();
    assert!(uses.len() >= 4);
    for action in uses {
        let commit = action.split_once('@').unwrap().1.split(' ').next().unwrap();
        assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{action}");
    }
    assert!(workflow.contains(&format!("rust:{}.", env!("CARGO_PKG_RUST_VERSION"))), "another compiler");
    let usage = String::from_utf8(step(Path::new(ROOT), &[]).stderr).unwrap();
    let steps = |text: &str| -> BTreeSet<String> {
        let after = text.split("deploy/release ").skip(1);
        after.map(|rest| rest.split(|letter: char| !letter.is_ascii_lowercase()).next().unwrap().to_owned()).collect()
    };
    assert_eq!(steps(&workflow), steps(&usage), "each step is made, and there is no other");
    let version = workflow.split_once("--version ").unwrap().1.split(' ').next().unwrap();
    assert!(read("tests/run").contains(&format!("tool cargo-cyclonedx {version}\n")), "another cargo-cyclonedx");
}
