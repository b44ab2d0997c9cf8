//! docs/openapi.json: it is an OpenAPI document, the admin listener serves it, and a gateway behaves as it says.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::examples::read;
use crate::harness::{Asteroid, Pair};

const FILE: &str = "docs/openapi.json";

/// Every limit, so that each answer says what is left, and none is reached.
const SETTINGS: &str = "operations: { delete: true, rerun: true }\nlimits: { requests: { rate: 10000/s }, reads: { rate: 10000/s }, \
                        executions: { rate: 10000/s }, in_flight: 1000, budget: { executions: 100000, per: day } }";

/// Returns a command for one of the tools that judge OpenAPI documents.
fn tool(name: &str) -> Command {
    let tools = std::env::var("ASTEROID_SCHEMATHESIS").expect("tests/run installs the tools and names their directory");
    let mut command = Command::new(PathBuf::from(tools).join(name));
    // Otherwise Python would write bytecode into the source tree.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Runs a command, and asserts that it succeeds. Returns what it printed.
#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; tests/run installs it"));
    let printed = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success(), "{printed}");
    printed
}

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

#[test]
fn the_admin_listener_serves_the_document_of_the_repository() {
    let pair = Pair::start();
    let served = pair.gateway.admin("/openapi.json");
    assert_eq!((served.status, served.header("content-type")), (200, Some("application/json")));
    let document: Value = serde_json::from_str(&read(FILE)).unwrap();
    assert_eq!(served.json(), document);
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.contains_key("/agents/{agentId}/execute") && paths.len() > 10, "{paths:?}");
}

#[test]
fn the_document_is_one_of_openapi_3_1() {
    let printed = run(tool("openapi-spec-validator").args(["--schema", "3.1.0"]).arg(path(FILE)));
    assert!(printed.contains("OK"), "{printed}");
}

/// Thousands of requests, valid and invalid ones: none finds an answer that the document does not have, a valid request that is refused,
/// or an invalid one that is taken. tests/openapi/ says what is checked, and what is not.
#[test]
fn schemathesis_finds_nothing_in_which_a_gateway_differs_from_its_document() {
    let asteroid = Asteroid::start();
    // Long enough to change an execution before it ends, and short enough to wait often for its end.
    asteroid.set_life(json!({"duration": "300ms"}));
    let configuration = asteroid.configuration().upstream("api: new").billing(SETTINGS);
    let pair = Pair::run(asteroid, configuration);
    let printed = run(tool("schemathesis")
        .arg("--config-file")
        .arg(path("tests/openapi/schemathesis.toml"))
        .args(["run", "--no-color", "--url", &format!("http://{}", pair.gateway.address())])
        .arg(format!("http://{}/openapi.json", pair.gateway.admin_address()))
        .env("SCHEMATHESIS_HOOKS", path("tests/openapi/judge.py"))
        // It writes what it remembers into the current directory.
        .current_dir(tempfile::tempdir().unwrap().path()));
    for phase in ["Examples", "Coverage", "Fuzzing", "Stateful"] {
        assert!(printed.contains(&format!("✅  {phase}")), "{phase}: {printed}");
    }
    assert!(pair.asteroid.started() > 100, "{printed}");
}
