//! What differs between the eras of the API.

use asteroid_gateway::simulator::api::Api;
use asteroid_gateway::simulator::{activity, execution};
use serde_json::{Value, json};

use super::execute;
use crate::harness::program::binary;
use crate::harness::{AGENT, API_KEY, Asteroid, Caller, Program};

/// The members of an item that came with the newer era.
const NEWER: [&str; 5] = ["workflowName", "workflowVersionId", "startedAt", "platformUrl", "workflowVersion"];

/// Starts an execution with these members, and returns its id.
fn start(asteroid: &Asteroid, body: Value) -> String {
    execute(asteroid, &body.to_string()).json()["executionId"].as_str().unwrap().to_owned()
}

fn list(asteroid: &Asteroid, query: &str) -> Value {
    asteroid.get(&format!("/agents/v2/executions{query}")).json()
}

#[test]
fn a_start_answers_with_its_status_in_the_newer_era_alone() {
    for (api, status) in [(Api::Old, None), (Api::New, Some(json!("starting"))), (Api::Both, None)] {
        let answer = execute(&Asteroid::start_api(api), "{}").json();
        assert_eq!(answer.get("status"), status.as_ref(), "{api:?}");
    }
}

#[test]
fn an_item_has_the_members_of_its_era_and_the_id_of_a_workflow_means_what_it_meant_then() {
    for (api, is_newer) in [(Api::Old, false), (Api::New, true), (Api::Both, true)] {
        let asteroid = Asteroid::start_api(api);
        let id = start(&asteroid, json!({}));
        let item = asteroid.get(&format!("/agents/v2/executions/{id}")).json();
        assert!(NEWER.iter().all(|name| item.get(name).is_some() == is_newer), "{api:?}: {item}");
        let workflow = if is_newer { AGENT } else { execution::WORKFLOW_VERSION };
        assert_eq!((&item["agentId"], &item["workflowId"]), (&json!(AGENT), &json!(workflow)), "{api:?}");
        assert_eq!(item["triggerContext"].get("actor").is_some(), is_newer, "{api:?}");
    }
}

#[test]
fn an_item_shows_its_start_and_who_is_behind_the_key() {
    let asteroid = Asteroid::start_api(Api::Old);
    let body = json!({
        "inputs": {"n": 1}, "metadata": {"a": "b"}, "agentProfileId": AGENT, "executionOptions": {"sharedStorageKey": "k"},
    });
    let id = start(&asteroid, body.clone());
    let item = asteroid.get(&format!("/agents/v2/executions/{id}")).json();
    for member in ["inputs", "metadata", "agentProfileId", "executionOptions"] {
        assert_eq!(item[member], body[member], "{member}");
    }
    let context = json!({
        "source": "api",
        "runner": {"userId": activity::USER, "email": execution::USER_EMAIL, "isAdmin": false},
        "apiKey": {"id": execution::API_KEY_ID, "name": execution::API_KEY_NAME},
    });
    assert_eq!(item["triggerContext"], context);

    asteroid.set_life(json!({"staff_notes": true}));
    let id = start(&asteroid, json!({"inputs": {"n": "x".repeat(70_000)}}));
    let item = asteroid.get(&format!("/agents/v2/executions/{id}")).json();
    assert_eq!(
        (&item["comments"][0]["executionId"], &item["comments"][0]["userId"]),
        (&json!(id), &json!(activity::USER))
    );
    assert!(item["humanLabels"][0]["name"].is_string(), "{item}");
    assert_eq!(item.get("inputs"), None, "so many are not remembered");
}

#[test]
fn the_older_era_knows_no_newer_parameter_and_says_so_only_if_it_is_told_to() {
    let newer = ["?metadata=a%3Dc", "?phase=terminal", "?workflowId=x", "?sort=wrong", "?batchId=x", "?profileIds=x"];
    let asteroid = Asteroid::start_api(Api::Old);
    start(&asteroid, json!({"metadata": {"a": "b"}}));
    let status = |query: &str| asteroid.get(&format!("/agents/v2/executions{query}")).status;
    for query in newer {
        assert_eq!(list(&asteroid, query)["total"], 1, "{query}");
    }
    assert_eq!(list(&asteroid, "?metadataKey=a&metadataValue=c")["total"], 0);
    asteroid.set_listing(json!({"unknown": "reject"}));
    assert!(newer.iter().all(|query| status(query) == 400));
    assert_eq!((status("?metadataKey=a&metadataValue=c&sortDirection=asc"), status("?Page=1")), (200, 400));

    let asteroid = Asteroid::start_api(Api::New);
    asteroid.set_listing(json!({"unknown": "reject"}));
    let status = |query: &str| asteroid.get(&format!("/agents/v2/executions{query}")).status;
    assert_eq!((status("?metadata=a%3Db&metadataKey=a&metadataValue=b"), status("?phases=active")), (200, 400));
}

#[test]
fn errors_have_the_members_of_a_problem_in_the_newer_era_alone() {
    let path = format!("/agents/v2/executions/{AGENT}");
    let error = |api| Asteroid::start_api(api).get(&path).json();
    let old = error(Api::Old);
    assert_eq!(old, json!({"code": 404, "message": old["message"]}));
    let new = error(Api::New);
    let problem = json!({
        "code": 404, "message": old["message"], "type": "about:blank", "title": "Not Found", "status": 404,
        "detail": old["message"], "instance": path,
    });
    assert_eq!(new, problem);
}

#[test]
fn simulate_serves_the_era_and_the_duration_that_it_is_told() {
    let mut command = binary();
    command.args(["simulate", "--listen", "127.0.0.1:0", "--api", "new", "--duration", "1ms"]);
    let simulator = Program::start(command, tempfile::tempdir().unwrap());
    let address = simulator.wait_for(|text| text.split_once("http://")?.1.split_once("/agents/v2")?.0.parse().ok());
    let path = format!("/agents/v2/agents/{AGENT}/execute");
    let started = Caller::connect(address).post(&path, &[("X-Api-Key", API_KEY)], b"{}").json();
    assert_eq!(started["status"], "starting");
    std::thread::sleep(std::time::Duration::from_millis(2));
    let shown = Caller::connect(address).request("GET", "/_simulator/executions").json();
    assert_eq!((&shown[0]["id"], &shown[0]["status"]), (&started["executionId"], &json!("completed")));
    assert!(simulator.stop().status.success());
}
