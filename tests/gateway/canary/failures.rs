//! Every error of the table: the tests cause it and search every output, or give the reason why they do not.

use std::collections::BTreeSet;

use asteroid_gateway::asteroid::operation::{Effect, Operation};
use asteroid_gateway::facts::ErrorCode;
use serde_json::{Value, json};

use super::{assert_answer_clean, assert_clean, path, requests};
use crate::harness::{AGENT, API_KEY, Asteroid, Caller, Configuration, Program};

/// The errors that are not caused here, with the reasons.
const NOT_DRIVEN: [(ErrorCode, &str); 3] = [
    (
        ErrorCode::Tagging,
        "the changes come from the same pass over the body that they are made to: only a fault there misplaces one",
    ),
    (
        ErrorCode::BodyMemory,
        "it takes many callers at once: tests/gateway/bounds.rs brings it about and searches the log",
    ),
    (
        ErrorCode::AuditShare,
        "it takes thousands of starts at once: tests/gateway/bounds.rs brings it about and searches the log",
    ),
];

/// Asserts that each error of the table is in this log, or has a reason not to be.
pub(super) fn assert_all_driven(output: &str) {
    let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let seen: BTreeSet<String> = lines.filter_map(|line| line["error"].as_str().map(str::to_owned)).collect();
    for error in ErrorCode::ALL {
        let reason = NOT_DRIVEN.iter().find(|(not, _)| not == error);
        assert!(
            seen.contains(error.as_str()) != reason.is_some(),
            "{error:?}: driven, or not with a reason: {reason:?}"
        );
    }
}

/// Causes the failures that need a separate gateway, and returns their logs.
pub(super) fn run_failures_of_separate_gateways() -> String {
    [without_a_key(), with_an_unreachable_upstream(), with_a_full_audit(), with_a_full_memory()].concat()
}

fn run(configuration: Configuration) -> Program {
    Program::run_with(configuration.with("operations: { rerun: true, delete: true }"), &["--log-level", "debug"], &[])
}

/// Sends each start with this idempotency key, and the other operations that `fails` names; each must fail with this error, or
/// because nobody knows whose the execution is. Searches every output, and returns the log.
fn fail(gateway: Program, idempotency_key: &str, error: &str, fails: fn(Effect) -> bool) -> String {
    for operation in Operation::ALL.into_iter().filter(|operation| fails(operation.rules().effect)) {
        let mut caller = Caller::connect(gateway.address());
        let is_start = operation.rules().effect == Effect::Start;
        let headers = if is_start { format!("Idempotency-Key: {idempotency_key}\r\n") } else { String::new() };
        caller.send(requests::request(operation, AGENT, "", &headers).as_bytes());
        let answer = caller.answer();
        let problem = answer.json();
        let (_, code) = problem["type"].as_str().unwrap().rsplit_once(':').unwrap();
        let has_owner = operation.template().contains("{executionId}");
        assert!(code == error || (has_owner && code == "ownership-unknown"), "{operation:?}: {problem}");
        assert_answer_clean(&answer);
    }
    for path in ["/readyz?verbose", "/metrics"] {
        assert_answer_clean(&gateway.admin(path));
    }
    let output = gateway.stop().output;
    assert_clean("the log", &output);
    output
}

/// Starts a gateway whose file contains an API key, but is not a valid one.
fn without_a_key() -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("key"), format!("{API_KEY} {API_KEY}")).unwrap();
    let file = dir.path().join("key");
    let nowhere = Configuration::for_upstream("http://127.0.0.1:1/agents/v2");
    fail(run(nowhere.set("/credentials/main/file", file.to_str().unwrap())), "k", "no-key", |_| true)
}

/// Tries an upstream whose port is closed, and one whose certificate is not trusted.
fn with_an_unreachable_upstream() -> String {
    let (refusing, _held) = crate::harness::asteroid::refused_address();
    let untrusted = Asteroid::start_tls("localhost");
    let each = [
        Configuration::for_upstream(&format!("http://{refusing}/agents/v2")),
        untrusted.configuration().remove("/upstream/ca_file"),
    ];
    each.map(|configuration| fail(run(configuration), "k", "unreachable", |_| true)).concat()
}

fn with_a_full_audit() -> String {
    let gateway = run(Configuration::smallest().with("audit: { file: /dev/full, when_full: refuse }"));
    crate::audit::fill(Caller::connect(gateway.address()));
    fail(gateway, "k", "audit-full", Effect::is_audited)
}

fn with_a_full_memory() -> String {
    let asteroid = Asteroid::start();
    asteroid.fail_always(json!({"then": {"answer": {"status": 500, "body": API_KEY}}}));
    let gateway = run(asteroid.configuration().with("idempotency: { memory: 1MiB }"));
    let mut caller = Caller::connect(gateway.address());
    let mut start = |n: u32| {
        caller.post(&path(Operation::AgentExecute), &[("Idempotency-Key", &format!("k{n}"))], b"{}").status == 500
    };
    assert!(!(0..6000).all(&mut start), "the memory has an end");
    drop(caller);
    fail(gateway, "another", "idempotency-full", |effect| effect == Effect::Start)
}
