//! The starts: what their bodies may contain, and the executions that they make.
//!
//! Those of an agent or a workflow have one form, as the specification and the newer SDK describe it, and may be synchronous.
//! Those of a version have another, with `parentExecutionId`. A rerun has none of either, and a body may be missing.

mod check;

use std::time::Duration;

use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::answer::{ApiAnswer, ApiRequest, Wait};
use super::api::Api;
use super::life::Life;
use super::operation::Call;
use super::plan::LifePlan;
use super::refusal::Refusal;
use super::{SimulatedExecution, Simulator, sync};

use check::{Form, is_uuid, member};

/// The largest inputs and options that are remembered, in bytes of JSON.
const MAX_INPUTS: usize = 64 * 1024;

/// The staged files of one start that are remembered.
const MAX_TEMP_FILES: usize = 100;

impl Simulator {
    /// Returns the answer to a start, and the execution that it starts.
    pub(super) fn start(&self, call: Call<'_>, request: &ApiRequest<'_>) -> Result<ApiAnswer, Refusal> {
        let is_version = !call.inner_id.is_empty();
        if !is_uuid(call.id) || (is_version && !is_uuid(call.inner_id)) {
            return Err(Refusal::bad("the ids in the path must be uuids"));
        }
        let form = match (is_version, call.is_sync) {
            (true, _) => Form::Version { has_inputs: self.api.has_workflows() },
            (false, true) => Form::Sync,
            (false, false) => Form::Plain,
        };
        let body = read(request)?;
        form.check(&body).map_err(Refusal::bad)?;
        let mut execution = make(call, form, &body, self.life());
        if let Some(parent) = member(&body, "parentExecutionId").and_then(Value::as_str).filter(|_| is_version) {
            self.lock().find(parent)?.rerun |= request.is_carried_out;
            execution.parent = Some(parent.to_owned());
        }
        let answer = match form {
            Form::Sync => {
                let seconds = member(&body, "timeoutSeconds").and_then(Value::as_u64).unwrap_or(sync::MAX_TIMEOUT);
                let wait = Wait { id: execution.id.clone(), timeout: Duration::from_secs(seconds) };
                ApiAnswer { wait: Some(wait), ..sync::answer(&execution) }
            }
            Form::Plain if self.api == Api::New => {
                accepted(json!({ "executionId": execution.id, "status": "starting" }))
            }
            Form::Plain | Form::Version { .. } | Form::Rerun => accepted(json!({ "executionId": execution.id })),
        };
        Ok(ApiAnswer { execution: Some(execution), ..answer })
    }

    /// Returns the answer to a rerun, as the newer SDK describes it. The repeated execution's metadata is copied, including its
    /// tags, but not its files.
    pub(super) fn rerun(&self, id: &str, request: &ApiRequest<'_>) -> Result<ApiAnswer, Refusal> {
        let body = if request.body.is_empty() { Map::new() } else { read(request)? };
        Form::Rerun.check(&body).map_err(Refusal::bad)?;
        let life = Life::new(self.life());
        let mut state = self.lock();
        let first = state.find(id)?;
        first.rerun |= request.is_carried_out;
        let execution = SimulatedExecution {
            id: Uuid::new_v4().to_string(),
            inputs: if member(&body, "inputs").is_some() { small(&body, "inputs") } else { first.inputs.clone() },
            temp_files: Vec::new(),
            profile_id: profile(&body).or_else(|| first.profile_id.clone()),
            created_at: life.created_at(),
            parent: Some(first.id.clone()),
            rerun: false,
            life,
            ..first.clone()
        };
        let body = json!({ "executionId": execution.id });
        Ok(ApiAnswer { execution: Some(execution), ..accepted(body) })
    }
}

fn accepted(body: Value) -> ApiAnswer {
    ApiAnswer::json(StatusCode::ACCEPTED, body)
}

/// Reads the object that is the body of a start.
fn read(request: &ApiRequest<'_>) -> Result<Map<String, Value>, Refusal> {
    let media_type = request.head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !media_type.to_ascii_lowercase().starts_with("application/json") {
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json"));
    }
    match serde_json::from_slice(request.body).map_err(|error| Refusal::bad(format!("invalid JSON: {error}")))? {
        Value::Object(body) => Ok(body),
        _ => Err(Refusal::bad("the body must be an object")),
    }
}

/// Makes the execution of a body that keeps the rules.
fn make(call: Call<'_>, form: Form, body: &Map<String, Value>, plan: LifePlan) -> SimulatedExecution {
    let life = Life::new(plan);
    let metadata = member(body, "metadata").and_then(Value::as_object).cloned();
    let files = member(body, "tempFiles").and_then(Value::as_array);
    let id = |file: &Value| file.get("id").and_then(Value::as_str).map(str::to_owned);
    let inputs = form.inputs().iter().find(|name| member(body, name).is_some());
    SimulatedExecution {
        id: Uuid::new_v4().to_string(),
        agent_id: (!call.is_workflow).then(|| call.id.to_owned()),
        workflow_id: call.is_workflow.then(|| call.id.to_owned()),
        version_id: Some(call.inner_id.to_owned()).filter(|id| !id.is_empty()),
        metadata: metadata.unwrap_or_default(),
        inputs: inputs.and_then(|name| small(body, name)),
        options: small(body, "executionOptions"),
        profile_id: profile(body),
        temp_files: files.into_iter().flatten().filter_map(id).take(MAX_TEMP_FILES).collect(),
        version: member(body, "version").and_then(Value::as_i64).unwrap_or(1),
        created_at: life.created_at(),
        parent: None,
        rerun: false,
        listed: true,
        life,
    }
}

/// Returns a member that is an object and not too large to be remembered.
fn small(body: &Map<String, Value>, name: &str) -> Option<Map<String, Value>> {
    let members = member(body, name)?.as_object()?;
    serde_json::to_vec(members).is_ok_and(|json| json.len() <= MAX_INPUTS).then(|| members.clone())
}

fn profile(body: &Map<String, Value>) -> Option<String> {
    let profile = ["profileId", "agentProfileId"].into_iter().find_map(|name| member(body, name)?.as_str());
    profile.map(str::to_owned)
}
