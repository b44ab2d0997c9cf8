//! `POST /agents/{agentId}/execute` as the specification describes it, and `POST /workflows/{workflowId}/execute` as the
//! newer SDK describes it. Checks the id and the body, and makes the execution that they start.

use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::SimulatedExecution;
use super::answer::ApiRequest;
use super::life::Life;
use super::operation::Call;
use super::plan::LifePlan;
use super::refusal::Refusal;

/// The largest inputs and options that are remembered, in bytes of JSON.
const MAX_INPUTS: usize = 64 * 1024;

pub(super) fn start(call: Call<'_>, plan: LifePlan, request: &ApiRequest<'_>) -> Result<SimulatedExecution, Refusal> {
    if !is_uuid(call.id) {
        return Err(Refusal::bad("the id in the path must be a uuid"));
    }
    let media_type = request.head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !media_type.to_ascii_lowercase().starts_with("application/json") {
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json"));
    }
    let body: Value =
        serde_json::from_slice(request.body).map_err(|error| Refusal::bad(format!("invalid JSON: {error}")))?;
    let Value::Object(body) = body else { return Err(Refusal::bad("the body must be an object")) };
    check(&body).map_err(Refusal::bad)?;
    let object = |name: &str| member(&body, name).and_then(Value::as_object).cloned();
    let small = |name: &str| object(name).filter(|members| serde_json::to_vec(members).is_ok_and(is_small));
    let profile = ["profileId", "agentProfileId"].into_iter().find_map(|name| member(&body, name)?.as_str());
    let life = Life::new(plan);
    Ok(SimulatedExecution {
        id: Uuid::new_v4().to_string(),
        agent_id: (!call.is_workflow).then(|| call.id.to_owned()),
        workflow_id: call.is_workflow.then(|| call.id.to_owned()),
        metadata: object("metadata").unwrap_or_default(),
        inputs: small("inputs"),
        options: small("executionOptions"),
        profile_id: profile.map(str::to_owned),
        version: member(&body, "version").and_then(Value::as_i64).unwrap_or(1),
        created_at: life.created_at(),
        parent: None,
        rerun: false,
        listed: true,
        life,
    })
}

/// Returns an execution that repeats the first, as the newer SDK describes `POST /executions/{executionId}/rerun`. Its
/// metadata is copied, including the tags.
pub(super) fn rerun(first: &SimulatedExecution, plan: LifePlan) -> SimulatedExecution {
    let life = Life::new(plan);
    SimulatedExecution {
        id: Uuid::new_v4().to_string(),
        created_at: life.created_at(),
        parent: Some(first.id.clone()),
        rerun: false,
        life,
        ..first.clone()
    }
}

fn is_small(json: Vec<u8>) -> bool {
    json.len() <= MAX_INPUTS
}

/// Checks a body against `ExecuteAgentRequest` of both eras, including the rules that are only in its prose.
fn check(body: &Map<String, Value>) -> Result<(), String> {
    let rule = |holds: bool, says: &str| if holds { Ok(()) } else { Err(says.to_owned()) };
    let all = |name: &str, fits: fn(&Value) -> bool| member(body, name).is_none_or(fits);
    for name in ["agentProfileId", "agentProfilePoolId", "profileId", "profileGroupId"] {
        rule(all(name, is_uuid_value), &format!("{name} must be a uuid"))?;
    }
    for pair @ (one, other) in
        [("agentProfileId", "agentProfilePoolId"), ("profileId", "profileGroupId"), ("version", "head")]
    {
        let both = member(body, one).is_some() && member(body, other).is_some();
        rule(!both, &format!("{pair:?} are mutually exclusive"))?;
    }
    rule(all("dynamicData", Value::is_object), "dynamicData must be an object")?;
    rule(all("inputs", Value::is_object), "inputs must be an object")?;
    rule(all("version", Value::is_i64), "version must be an integer")?;
    rule(all("head", Value::is_boolean), "head must be a boolean")?;
    let capacity = |value: &Value| matches!(value.as_str(), Some("reject" | "queue"));
    rule(all("onCapacityLimit", capacity), "onCapacityLimit must be reject or queue")?;
    let strings = |value: &Value| value.as_object().is_some_and(|map| map.values().all(Value::is_string));
    rule(all("metadata", strings), "metadata must be an object with string values")?;
    let file =
        |file: &Value| file.get("id").is_some_and(is_uuid_value) && file.get("name").is_some_and(Value::is_string);
    let files =
        member(body, "tempFiles").is_none_or(|value| value.as_array().is_some_and(|files| files.iter().all(file)));
    rule(files, "tempFiles must be an array of objects with a uuid as id and a string as name")?;
    let Some(options) = member(body, "executionOptions") else { return Ok(()) };
    let Value::Object(options) = options else { return Err("executionOptions must be an object".to_owned()) };
    for name in ["sharedStorageKey", "variantKey"] {
        let is_string = member(options, name).is_none_or(Value::is_string);
        rule(is_string, &format!("executionOptions.{name} must be a string"))?;
    }
    let minutes = member(options, "softTimeoutMins").is_none_or(|value| value.as_i64().is_some_and(|mins| mins >= 1));
    rule(minutes, "executionOptions.softTimeoutMins must be an integer of at least 1")
}

/// Returns a member that is present; `null` counts as absent.
fn member<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).filter(|value| !value.is_null())
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && Uuid::parse_str(text).is_ok()
}

fn is_uuid_value(value: &Value) -> bool {
    value.as_str().is_some_and(is_uuid)
}
