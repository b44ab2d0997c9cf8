//! Every way to start an execution.

use std::time::{Duration, Instant};

use asteroid_gateway::simulator::SimulatedExecution;
use asteroid_gateway::simulator::api::Api;
use serde_json::{Value, json};

use super::assert_contract;
use crate::harness::{AGENT, API_KEY, Answer, Asteroid, at_once};

const OTHER: &str = "0b0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11";

fn post(asteroid: &Asteroid, path: &str, body: &Value) -> Answer {
    asteroid.caller().post(&format!("/agents/v2{path}"), &[("X-Api-Key", API_KEY)], body.to_string().as_bytes())
}

fn item(asteroid: &Asteroid, id: &Value) -> Value {
    asteroid.get(&format!("/agents/v2/executions/{}", id.as_str().unwrap())).json()
}

fn last(asteroid: &Asteroid) -> SimulatedExecution {
    asteroid.executions().pop().unwrap()
}

#[test]
fn a_synchronous_start_is_answered_when_the_execution_ends_or_the_time_is_up() {
    let asteroid = Asteroid::start();
    asteroid.set_life(json!({"duration": "50ms"}));
    for kind in ["agents", "workflows"] {
        let path = format!("/{kind}/{AGENT}/execute/sync");
        let answer = post(&asteroid, &path, &json!({"metadata": {"a": "b"}, "inputs": {"n": 1}}));
        let body = answer.json();
        assert_eq!((answer.status, &body["status"]), (200, &json!("completed")), "{body}");
        assert_eq!(body["executionResult"]["executionId"], body["executionId"]);
        let execution = last(&asteroid);
        assert_eq!((&json!(execution.id), &execution.metadata["a"]), (&body["executionId"], &json!("b")));
        assert_eq!(execution.agent_id.is_some(), kind == "agents");
    }
    asteroid.set_life(json!({"duration": "never", "starting": "0s"}));
    let begun = Instant::now();
    let answer = post(&asteroid, &format!("/agents/{AGENT}/execute/sync"), &json!({"timeoutSeconds": 1}));
    assert_eq!((answer.status, answer.json()), (202, json!({"executionId": last(&asteroid).id, "status": "running"})));
    assert!(begun.elapsed() >= Duration::from_secs(1));
    at_once([json!(0), json!(26), json!("1"), json!(1.5)], |wrong| {
        let body = json!({ "timeoutSeconds": wrong });
        assert_contract(&post(&asteroid, &format!("/agents/{AGENT}/execute/sync"), &body), 400);
    });
    assert_eq!(asteroid.started(), 3);
    let answer = post(&asteroid, &format!("/agents/{AGENT}/execute"), &json!({"timeoutSeconds": 0}));
    assert_eq!(answer.status, 202, "another start does not know it");
}

#[test]
fn a_synchronous_start_that_fails_waits_for_nothing_unless_it_is_carried_out() {
    let asteroid = Asteroid::start();
    let path = format!("/agents/{AGENT}/execute/sync");
    let lost = |then: &str, run: bool| {
        asteroid.fail_next(json!({"operation": "start", "run": run, "then": then}));
        let body = br#"{"timeoutSeconds":1}"#;
        let path = format!("/agents/v2{path}");
        assert!(asteroid.caller().try_post(&path, &[("X-Api-Key", API_KEY)], body).is_none(), "{then}");
        asteroid.started()
    };
    assert_eq!(lost("close_mid_answer", false), 0);
    let answer = asteroid.only_request().answer;
    assert_eq!(answer.as_deref(), Some("half of 202, then a close"), "as if it had been carried out");
    assert_eq!([lost("close", false), lost("close", true)], [0, 1]);
    assert_eq!(lost("close_mid_answer", true), 2);
}

#[test]
fn a_version_of_an_agent_or_a_workflow_is_started_with_the_inputs_of_its_era() {
    let body = |name: &str| json!({name: {"n": 1}, "metadata": {"a": "b"}, "agentProfileId": OTHER});
    for api in [Api::Old, Api::Both, Api::New] {
        let asteroid = Asteroid::start_api(api);
        let path = format!("/agents/{AGENT}/workflows/{OTHER}/execute");
        let answer = post(&asteroid, &path, &body("inputVariables"));
        let execution = last(&asteroid);
        assert_eq!((answer.status, answer.json()), (202, json!({"executionId": execution.id})), "{api:?}");
        assert_eq!((execution.agent_id.as_deref(), execution.workflow_id), (Some(AGENT), None));
        let shown = item(&asteroid, &json!(execution.id));
        let version = if api == Api::Old { "workflowId" } else { "workflowVersionId" };
        assert_eq!((&shown["inputs"], &shown[version]), (&json!({"n": 1}), &json!(OTHER)), "{api:?}");

        assert_eq!(post(&asteroid, &path, &body("inputs")).status, 202);
        assert_eq!(last(&asteroid).inputs.is_some(), api != Api::Old, "the older era knows no inputs here: {api:?}");
        let both = json!({"inputs": {}, "inputVariables": {}});
        assert_eq!(post(&asteroid, &path, &both).status, if api == Api::Old { 202 } else { 400 });
    }
    let asteroid = Asteroid::start_api(Api::New);
    let path = format!("/workflows/{AGENT}/versions/{OTHER}/execute");
    let started = post(&asteroid, &path, &body("inputs")).json();
    assert_eq!(started, json!({"executionId": last(&asteroid).id}), "without a status");
    let shown = item(&asteroid, &started["executionId"]);
    assert_eq!((&shown["workflowId"], &shown["workflowVersionId"]), (&json!(AGENT), &json!(OTHER)));
    for wrong in [json!({"inputVariables": 1}), json!({"parentExecutionId": "x"}), json!({"metadata": {"a": 1}})] {
        assert_contract(&post(&asteroid, &path, &wrong), 400);
    }
    assert_eq!(post(&asteroid, &path, &json!({"version": "x", "head": 1, "onCapacityLimit": 1})).status, 202);
    assert_contract(&post(&asteroid, &path.replace(OTHER, "x"), &json!({})), 400);
    assert_contract(&asteroid.get(&format!("/agents/v2{path}")), 405);
}

#[test]
fn the_paths_that_came_with_the_newer_era_are_404_before_it() {
    let newer = [
        format!("/agents/{AGENT}/execute/sync"),
        format!("/workflows/{AGENT}/execute/sync"),
        format!("/workflows/{AGENT}/versions/{OTHER}/execute"),
    ];
    for (api, expected) in [(Api::Old, 404), (Api::Both, 202), (Api::New, 202)] {
        let asteroid = Asteroid::start_api(api);
        at_once(&newer, |path| {
            let answer = post(&asteroid, path, &json!({"timeoutSeconds": 1}));
            assert_eq!(answer.status, expected, "{api:?} {path}: {}", answer.json());
        });
    }
}

#[test]
fn a_parent_is_marked_as_rerun_and_an_unknown_one_starts_nothing() {
    let asteroid = Asteroid::start();
    let path = format!("/agents/{AGENT}/workflows/{OTHER}/execute");
    let parent = post(&asteroid, &path, &json!({})).json()["executionId"].clone();
    let body = json!({ "parentExecutionId": parent });
    asteroid.fail_next(json!({"then": {"answer": {"status": 503}}}));
    assert_eq!(post(&asteroid, &path, &body).status, 503);
    assert_eq!(item(&asteroid, &parent)["hasBeenRerun"], false);
    let child = post(&asteroid, &path, &body).json()["executionId"].clone();
    assert_eq!(item(&asteroid, &parent)["hasBeenRerun"], true);
    let shown = item(&asteroid, &child);
    assert_eq!((&shown["parentExecutionId"], &shown["hasBeenRerun"]), (&parent, &json!(false)));
    assert_contract(&post(&asteroid, &path, &json!({ "parentExecutionId": OTHER })), 404);
    assert_eq!(asteroid.started(), 2);
}

#[test]
fn a_rerun_repeats_the_first_but_for_what_its_body_says() {
    let asteroid = Asteroid::start();
    let body = json!({
        "inputs": {"n": 1}, "metadata": {"tenant": "billing", "digest": "d"}, "agentProfileId": AGENT,
        "executionOptions": {"variantKey": "k"},
    });
    let first = post(&asteroid, &format!("/agents/{AGENT}/execute"), &body).json()["executionId"].clone();
    let path = format!("/executions/{}/rerun", first.as_str().unwrap());
    let same = ["metadata", "executionOptions", "agentId", "inputs", "agentProfileId"];
    let original = item(&asteroid, &first);
    let again = |body: &[u8]| {
        let answer = asteroid.caller().post(&format!("/agents/v2{path}"), &[("X-Api-Key", API_KEY)], body);
        assert_eq!(answer.status, 202);
        item(&asteroid, &answer.json()["executionId"])
    };
    for empty in ["", "{}", r#"{"inputs":null}"#] {
        let shown = again(empty.as_bytes());
        assert!(same.iter().all(|member| shown[member] == original[member]), "{shown}");
        assert_eq!((&shown["parentExecutionId"], shown["id"] == first), (&first, false));
    }
    assert_eq!(item(&asteroid, &first)["hasBeenRerun"], true);
    for profile in ["profileId", "agentProfileId"] {
        let shown = again(json!({"inputs": {"m": 2}, profile: OTHER}).to_string().as_bytes());
        assert_eq!((&shown["inputs"], &shown["agentProfileId"]), (&json!({"m": 2}), &json!(OTHER)));
        assert_eq!(shown["metadata"], original["metadata"]);
    }
    for wrong in [json!([]), json!({"inputs": 1}), json!({"profileId": "x"})] {
        assert_contract(&post(&asteroid, &path, &wrong), 400);
    }
}
