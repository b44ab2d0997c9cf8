//! The simulated Asteroid behaves as the specification describes, and fails on command.

mod dev;
mod eras;
mod faults;
mod files;
pub(crate) mod form;
mod life;
mod listing;
mod starts;
mod uploads;

use serde_json::{Value, json};

use crate::harness::program::binary;
use crate::harness::{AGENT, API_KEY, Answer, Asteroid, Caller, Program};

const PATH: &str = "/agents/v2/agents/8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11/execute";

fn execute(asteroid: &Asteroid, body: &str) -> Answer {
    asteroid.caller().post(PATH, &[("X-Api-Key", API_KEY)], body.as_bytes())
}

/// Sends a control request below `/_simulator/`.
fn control(asteroid: &Asteroid, method: &str, path: &str, body: &str) -> Answer {
    let mut caller = asteroid.caller();
    let length = body.len();
    caller.send(
        format!("{method} /_simulator/{path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes(),
    );
    caller.answer()
}

/// Asserts that an answer is `{code, message}`, as the specification describes.
fn assert_contract(answer: &Answer, status: u16) {
    let error = answer.json();
    assert_eq!((answer.status, &error["code"]), (status, &status.into()), "{error}");
    assert!(error["message"].is_string(), "{error}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[test]
fn each_start_with_the_key_gets_an_execution_of_its_own() {
    let asteroid = Asteroid::start();
    let ids = [(); 2].map(|()| execute(&asteroid, r#"{"metadata":{"a":"b"}}"#).json()["executionId"].clone());
    assert_ne!(ids[0], ids[1]);
    let executions = asteroid.executions();
    assert_eq!(executions.len(), 2);
    assert_eq!((executions[1].id.as_str(), executions[1].agent_id.as_deref()), (ids[1].as_str().unwrap(), Some(AGENT)));
    assert_eq!(executions[1].metadata["a"], "b");

    let path = PATH.replace("v2/agents", "v2/workflows");
    assert_eq!(asteroid.caller().post(&path, &[("X-Api-Key", API_KEY)], b"{}").status, 202);
    let last = asteroid.executions().pop().unwrap();
    assert_eq!((last.agent_id, last.workflow_id.as_deref()), (None, Some(AGENT)));
}

#[test]
fn a_key_that_is_missing_wrong_or_repeated_is_401_and_starts_nothing() {
    let asteroid = Asteroid::start();
    let twice = [("X-Api-Key", API_KEY), ("X-Asteroid-Agents-Api-Key", API_KEY)];
    for headers in [&[] as &[_], &[("X-Api-Key", "wrong")], &[("Authorization", API_KEY)], &twice] {
        assert_contract(&asteroid.caller().post(PATH, headers, b"{}"), 401);
        assert_contract(&asteroid.caller().post("/agents/v2/agents", headers, b"{}"), 401);
    }
    assert!(asteroid.executions().is_empty());
    assert!(asteroid.requests().iter().all(|request| !request.authenticated));
}

#[test]
fn bodies_that_break_a_rule_of_the_specification_are_400() {
    let asteroid = Asteroid::start();
    let id = AGENT;
    let wrong = [
        json!([]),
        json!({"metadata": {"a": 1}}),
        json!({"metadata": []}),
        json!({"version": "1"}),
        json!({"version": 1.5}),
        json!({"inputs": []}),
        json!({"dynamicData": 1}),
        json!({"agentProfileId": "x"}),
        json!({"agentProfileId": id, "agentProfilePoolId": id}),
        json!({"tempFiles": [{"id": id}]}),
        json!({"tempFiles": {}}),
        json!({"executionOptions": {"softTimeoutMins": 0}}),
        json!({"executionOptions": {"sharedStorageKey": 1}}),
        json!({"executionOptions": {"variantKey": []}}),
        json!({"profileId": "x"}),
        json!({"profileId": id, "profileGroupId": id}),
        json!({"head": "yes"}),
        json!({"head": true, "version": 1}),
        json!({"onCapacityLimit": "wait"}),
        json!({"onCapacityLimit": "queue", "tempFiles": [{"id": id, "name": "a"}]}),
    ];
    for body in wrong {
        assert_contract(&execute(&asteroid, &body.to_string()), 400);
    }
    assert_contract(&execute(&asteroid, "{"), 400);
    let right = json!({
        "agentProfileId": id, "agentProfilePoolId": null, "version": 3, "inputs": {}, "unknown": [1],
        "tempFiles": [{"id": id, "name": "a"}], "executionOptions": {"softTimeoutMins": 1, "variantKey": "a"},
        "profileGroupId": id, "head": null, "onCapacityLimit": "reject"
    });
    assert_eq!(execute(&asteroid, &right.to_string()).status, 202);
}

#[test]
fn other_paths_methods_ids_and_media_types_are_refused_as_the_contract_has_it() {
    let asteroid = Asteroid::start();
    let key = ("X-Api-Key", API_KEY);
    assert_contract(&asteroid.caller().post("/agents/v2/agents", &[key], b"{}"), 404);
    assert_contract(&asteroid.caller().post(&PATH.replace("v2/agents", "v2/flows"), &[key], b"{}"), 404);
    assert_contract(&asteroid.caller().post(&PATH.replace(AGENT, "x"), &[key], b"{}"), 400);
    assert_contract(&asteroid.caller().post(PATH, &[key, ("Content-Type", "text/plain")], b"{}"), 415);
    let mut caller = asteroid.caller();
    caller.send(format!("GET {PATH} HTTP/1.1\r\nHost: x\r\nX-Api-Key: {API_KEY}\r\n\r\n").as_bytes());
    assert_contract(&caller.answer(), 405);
}

#[test]
fn it_is_told_to_fail_and_asked_what_arrived_over_http() {
    let asteroid = Asteroid::start();
    let control = |method: &str, path: &str, body: &str| control(&asteroid, method, path, body);
    let order =
        r#"{"times":2,"fault":{"then":{"answer":{"status":503,"headers":[["retry-after","1"]],"body":"busy"}}}}"#;
    assert_eq!(control("POST", "faults", order).status, 200);
    for _ in 0..2 {
        let answer = execute(&asteroid, "{}");
        assert_eq!(
            (answer.status, answer.header("retry-after"), answer.body.as_slice()),
            (503, Some("1"), &b"busy"[..])
        );
    }
    assert_eq!(execute(&asteroid, r#"{"inputs":{"n":10000000000000000000000}}"#).status, 202);

    let refused = control("POST", "faults", r#"{"fault":{"then":"explode"}}"#);
    assert_eq!(refused.status, 400);
    assert!(String::from_utf8(refused.body).unwrap().contains("close_mid_answer"), "it says what is accepted");

    let shown = String::from_utf8(control("GET", "requests", "").body).unwrap();
    assert!(shown.contains("10000000000000000000000") && shown.contains("x-api-key: (a valid API key)"), "{shown}");
    assert_eq!(control("GET", "executions", "").json().as_array().unwrap().len(), 1);
    assert_eq!(control("DELETE", "requests", "").status, 200);
    assert_eq!(control("GET", "requests", "").json(), json!([]));
    assert_eq!(control("GET", "", "").status, 200);
    assert_eq!(control("GET", "nothing", "").status, 404);
}

#[test]
fn what_is_held_is_answered_when_the_faults_are_cleared() {
    let asteroid = Asteroid::start();
    asteroid.fail_next(json!({"then": "stall"}));
    let mut held = asteroid.caller();
    held.send_post(PATH, &[("X-Api-Key", API_KEY)], b"{}");
    asteroid.wait_for_requests(1);
    assert_eq!(execute(&asteroid, "{}").status, 202, "others are served meanwhile");
    asteroid.clear_faults();
    assert_eq!(held.answer().status, 202);
}

/// Returns a fault that answers with this status.
fn status(status: u16, method: Option<&str>, when: &str) -> Value {
    json!({ "method": method, "when": when, "then": { "answer": { "status": status } } })
}

#[test]
fn a_fault_for_one_method_waits_for_it_and_holds_up_no_other() {
    let asteroid = Asteroid::start();
    let start = || execute(&asteroid, "{}").status;
    let list = || asteroid.get("/agents/v2/executions").status;
    asteroid.fail_next(status(501, Some("POST"), "head"));
    asteroid.fail_next(status(502, None, "body"));
    asteroid.fail_next(status(503, Some("GET"), "body"));
    asteroid.fail_next(status(504, Some("POST"), "body"));
    assert_eq!([list(), list(), list()], [502, 503, 200]);
    assert_eq!([start(), start(), start()], [501, 504, 202]);

    asteroid.fail_next(status(501, Some("POST"), "body"));
    asteroid.fail_next(json!({"when": "connected"}));
    let mut first = asteroid.caller();
    first.send_post(PATH, &[("X-Api-Key", API_KEY)], b"{}");
    assert!(first.try_answer().is_none(), "a connection is not held up either");
    assert_eq!([start(), start()], [501, 202]);

    asteroid.fail_next(status(501, Some("GET"), "body"));
    assert_eq!(start(), 202);
    asteroid.clear_faults();
    assert_eq!(list(), 200);
}

#[test]
fn a_fault_of_an_earlier_moment_does_not_overtake_one_of_a_later() {
    let asteroid = Asteroid::start();
    let start = || execute(&asteroid, "{}").status;
    asteroid.fail_next(status(501, None, "body"));
    asteroid.fail_next(status(502, None, "head"));
    assert_eq!([start(), start(), start()], [501, 502, 202]);

    asteroid.fail_next(status(501, Some("POST"), "body"));
    asteroid.fail_next(status(502, None, "head"));
    asteroid.fail_next(status(503, Some("POST"), "head"));
    assert_eq!([start(), start(), start(), start()], [501, 502, 503, 202]);
}

#[test]
fn a_fault_that_no_request_could_take_is_refused() {
    let asteroid = Asteroid::start();
    for wrong in [r#"{"method":"post"}"#, r#"{"method":"BREW"}"#, r#"{"method":"POST","when":"connected"}"#] {
        let refused = control(&asteroid, "POST", "faults", &format!(r#"{{"fault":{wrong}}}"#));
        assert_eq!(refused.status, 400, "{wrong}");
    }
    let order = r#"{"fault":{"method":"POST","then":{"answer":{"status":500}}}}"#;
    assert_eq!(control(&asteroid, "POST", "faults", order).status, 200);
    assert_eq!(asteroid.get("/agents/v2/executions").status, 200);
    assert_eq!([(); 2].map(|()| execute(&asteroid, "{}").status), [500, 202]);
}

#[test]
fn simulate_accepts_the_keys_of_its_files_and_prints_each_request_without_them() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    std::fs::write(&file, format!("{API_KEY}\n")).unwrap();
    let mut command = binary();
    command.args(["simulate", "--listen", "127.0.0.1:0", "--key-file"]).arg(&file);
    let simulator = Program::start(command, dir);
    let address = simulator.wait_for(|text| {
        let url = text.split_once("http://")?.1;
        url.split_once("/agents/v2")?.0.parse().ok()
    });
    assert_eq!(Caller::connect(address).post(PATH, &[("X-Api-Key", API_KEY)], b"{}").status, 202);
    assert_eq!(Caller::connect(address).post(PATH, &[("X-Api-Key", "other")], b"{}").status, 401);
    simulator.wait_for(|text| text.contains("without a valid API key").then_some(()));
    let ended = simulator.stop();
    assert!(ended.status.success());
    assert!(ended.output.contains("with a valid API key") && !ended.output.contains(API_KEY), "{}", ended.output);
}
