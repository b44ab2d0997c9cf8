//! Every operation of an execution's life, with the unmodified SDK of each era, as two tenants: each on its own executions, on
//! the other's, on one that belongs to nobody, and on one that does not exist.

use asteroid_gateway::simulator::SimulatedExecution;
use asteroid_gateway::simulator::api::Api;

use super::{UNKNOWN, run_file};
use crate::harness::{AGENT, API_KEY, Asteroid, Pair};

/// The calls of the SDK of the specification's era, and what each tenant gets. A `kept` execution is left alone, and a `steered`
/// one is paused and ended.
const OLD: &str = "
  start                   202 AgentsAgentExecuteAgentResponse
  start                   202 AgentsAgentExecuteAgentResponse
  get                     200 AgentsExecutionListItem running
  activities              200 AgentsExecutionActivitys status_changed status_changed step_started reasoning file_added
  activities, one         200 AgentsExecutionActivitys status_changed
  status, paused          200 str Execution status updated.
  get                     200 AgentsExecutionListItem paused
  list                    200 ExecutionsList200Response kept steered of 2
  list, paused            200 ExecutionsList200Response steered of 1
  list, running           200 ExecutionsList200Response kept of 1
  list, page 2            200 ExecutionsList200Response kept of 2
  list, page 3            200 ExecutionsList200Response nothing of 2
  list, agent             200 ExecutionsList200Response kept steered of 2
  list, other agent       200 ExecutionsList200Response nothing of 0
  list, pair              400 BadRequestException query
  list, own tag           200 ExecutionsList200Response kept steered of 2
  list, foreign tag       400 BadRequestException query
  status, running         200 str Execution status updated.
  message                 201 str User message added.
  activities, last        200 AgentsExecutionActivitys user_message_received
  status, cancelled       200 str Execution status updated.
  get                     200 AgentsExecutionListItem cancelled
  get                     200 AgentsExecutionListItem running";

/// The same of the newest SDK, which also deletes the `steered` execution. What is deleted is the upstream's to answer for.
const NEW: &str = "
  start                   202 WorkflowsWorkflowExecuteResponse starting
  start                   202 WorkflowsWorkflowExecuteResponse starting
  get                     200 AgentsExecutionListItem running
  activities              200 AgentsExecutionActivitys status_changed status_changed step_started reasoning file_added
  activities, one         200 AgentsExecutionActivitys status_changed
  status, paused          200 str Execution status updated.
  status, running         200 str Execution status updated.
  pause                   200 AgentsExecutionExecutionStatusChange paused
  sync, paused            202 AgentsAgentExecuteAgentSyncResponse paused
  list                    200 ExecutionsList200Response kept steered of 2
  list, paused            200 ExecutionsList200Response steered of 1
  list, active            200 ExecutionsList200Response kept steered of 2
  list, page 2            200 ExecutionsList200Response kept of 2
  list, page 3            200 ExecutionsList200Response nothing of 2
  list, workflow          200 ExecutionsList200Response kept steered of 2
  list, other workflow    200 ExecutionsList200Response nothing of 0
  list, pair              200 ExecutionsList200Response steered of 1
  list, metadata          200 ExecutionsList200Response steered of 1
  list, two of metadata   200 ExecutionsList200Response kept of 1
  list, own tag           200 ExecutionsList200Response kept steered of 2
  list, foreign tag       400 BadRequestException query
  resume                  200 AgentsExecutionExecutionStatusChange running
  sync, a second          202 AgentsAgentExecuteAgentSyncResponse running
  message                 201 str User message added.
  activities, last        200 AgentsExecutionActivitys user_message_received
  cancel                  200 AgentsExecutionExecutionStatusChange cancelled
  sync, cancelled         200 AgentsAgentExecuteAgentSyncResponse cancelled
  get                     200 AgentsExecutionListItem cancelled
  delete                  204 NoneType
  get, deleted            404 NotFoundException blank
  list                    200 ExecutionsList200Response kept of 1
  get                     200 AgentsExecutionListItem running";

/// The one answer to every call about an execution that is not the tenant's, without the id of the request.
const FOREIGN: &str = concat!(
    r#"404 NotFoundException {"code": 404, "message": "this tenant has no execution with this id; correct the id", "#,
    r#""type": "urn:asteroid-gateway:error:not-found", "title": "No such execution", "status": 404, "#,
    r#""detail": "this tenant has no execution with this id; correct the id", "outcome": "not_started", "retry": "never"}"#
);

/// Runs a script with the SDK of its era, and asserts its table.
fn assert_table(sdk: &str, script: &str, api: Api, each: &str) {
    let asteroid = Asteroid::start_api(api);
    // A filter that is not known of this era must not be sent.
    asteroid.set_listing(serde_json::json!({"unknown": "reject"}));
    let path = format!("/agents/v2/agents/{AGENT}/execute");
    let started = asteroid.caller().post(&path, &[("X-Api-Key", API_KEY)], br#"{"metadata":{"ticket":"T-1"}}"#);
    let of_nobody = started.json()["executionId"].as_str().unwrap().to_owned();
    let item = asteroid.get(&format!("/agents/v2/executions/{of_nobody}")).json();
    assert!(item["triggerContext"]["runner"]["email"].is_string(), "there is something to take out: {item}");
    let before = asteroid.requests().len();
    let era = match api {
        Api::Old => "api: old",
        Api::New | Api::Both => "api: new\ncredential_header: X-Api-Key",
    };
    let configuration = asteroid.configuration().upstream(era).by_header().tenant("sales");
    let pair = Pair::run(asteroid, configuration.with("operations: { delete: true }"));
    let host = format!("http://{}", pair.gateway.address());
    let lines = run_file(sdk, script, &[&host, AGENT, &of_nobody, UNKNOWN]);
    let expected = format!("billing{each}\nsales{each}\nforeign\n  every call              {FOREIGN}");
    assert_eq!(lines.join("\n"), expected, "{}", lines.join("\n"));

    // Nothing was changed but the executions of those that asked.
    let kept: Vec<SimulatedExecution> = pair.asteroid.executions().into_iter().filter(is_kept).collect();
    assert_eq!(kept.len(), 3, "one of nobody and one of each tenant");
    for request in pair.asteroid.requests().iter().skip(before) {
        assert!(request.authenticated, "{request:?}");
        let is_about_kept = kept.iter().any(|execution| request.target.contains(&execution.id));
        assert!(request.method == "GET" || !is_about_kept, "{request:?}");
    }
}

/// Returns whether an execution is as it was started.
fn is_kept(execution: &SimulatedExecution) -> bool {
    let shown = serde_json::to_value(execution).unwrap();
    shown["status"] == "running"
}

#[test]
fn with_the_sdk_of_the_specifications_era_two_tenants_follow_and_steer_their_executions_and_see_no_other() {
    assert_table("1.7.257", "old.py", Api::Old, OLD);
}

#[test]
fn with_the_newest_sdk_two_tenants_follow_steer_list_and_delete_their_executions_and_see_no_other() {
    assert_table("1.9.167", "new.py", Api::New, NEW);
}
