//! A started execution, as the simulator keeps it and as the API shows it.

use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::activity::{self, FAILURE, SUCCESS, URL_SIGNATURE, USER};
use super::api::Api;
use super::life::Life;
use super::status::Status;

/// The organisation of all executions. It is also used for ids on which nothing here depends.
pub const ORGANIZATION: &str = "5a3c1f0e-6f0b-4d57-8f1c-0d1b6a0c9e21";

/// The workflow version of the executions whose start names none.
pub const WORKFLOW_VERSION: &str = "c1d7f8a4-0b63-4c0e-a9a7-3a5a8f1d2e64";

/// The e-mail address of the user behind the API key.
pub const USER_EMAIL: &str = "owner-of-the-key@customer.invalid";

/// The id of the API key, whichever it is.
pub const API_KEY_ID: &str = "e9a0c3d2-7b18-4f67-8a55-6c2f9d0b1e43";

/// The name of the API key.
pub const API_KEY_NAME: &str = "the-key-of-the-gateway";

/// The text of a staff note.
pub const STAFF_COMMENT: &str = "Staff only: ask the customer before the next run.";

/// A started execution.
#[derive(Debug, Clone, Serialize)]
pub struct SimulatedExecution {
    /// Its id.
    pub id: String,
    /// The agent, if the request named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The workflow, if the request named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_id: Option<String>,
    /// The version of the workflow, if the request named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// The metadata, by which the listing finds it.
    pub metadata: Map<String, Value>,
    /// The inputs; `None` if the request had none, or more than 64 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Map<String, Value>>,
    /// The options of the request, up to the same length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<Map<String, Value>>,
    /// The login profile of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_id: Option<String>,
    /// The ids of the staged files of the request, the first hundred of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub temp_files: Vec<String>,
    /// The version of the workflow.
    pub version: i64,
    /// The time of its start, in RFC 3339.
    pub created_at: String,
    /// The execution that it repeats, or that the request named as its parent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Whether it was rerun.
    pub rerun: bool,
    /// Whether the listing shows it.
    pub listed: bool,
    /// Its status, and what has happened to it.
    #[serde(flatten)]
    pub life: Life,
}

impl SimulatedExecution {
    /// Returns the id of the agent or workflow.
    pub(super) fn started_by(&self) -> &str {
        self.agent_id.as_deref().or(self.workflow_id.as_deref()).unwrap_or_default()
    }

    /// Returns the id of the version of its workflow.
    fn version_id(&self) -> &str {
        self.version_id.as_deref().unwrap_or(WORKFLOW_VERSION)
    }

    /// Returns a uuid that is always the same for this execution and number.
    pub(super) fn derived_id(&self, number: u64) -> String {
        let own = Uuid::parse_str(&self.id).unwrap_or_default().as_u128();
        Uuid::from_u128(own ^ (u128::from(number) + 1)).to_string()
    }

    /// Returns the `AgentsExecutionExecutionResult` of an execution that ended by itself.
    pub(super) fn result(&self) -> Option<Value> {
        let (outcome, reasoning, result) = match self.life.status {
            Status::Completed => ("success", SUCCESS, activity::result()),
            Status::Failed => ("failure", FAILURE, Value::Null),
            Status::Cancelled
            | Status::Queued
            | Status::Starting
            | Status::Running
            | Status::Paused
            | Status::AwaitingConfirmation
            | Status::PausedByAgent => return None,
        };
        Some(json!({
            "id": self.derived_id(0),
            "executionId": self.id,
            "outcome": outcome,
            "reasoning": reasoning,
            "result": result,
            "createdAt": self.life.entered_at(),
        }))
    }

    /// Returns its `AgentsExecutionActivity`s, oldest first.
    pub(super) fn activities(&self) -> impl DoubleEndedIterator<Item = Value> {
        let file = self.derived_id(1 << 32);
        self.life.activities().map(move |activity| {
            json!({
                "id": self.derived_id(activity.number),
                "executionId": self.id,
                "timestamp": self.life.written(activity.at),
                "payload": activity.payload(&file),
            })
        })
    }

    /// Returns its `AgentsExecutionListItem`, with every member that its status allows.
    pub(super) fn item(&self, api: Api) -> Value {
        let life = &self.life;
        let started_by = self.started_by();
        let mut item = json!({
            "id": self.id,
            // The same id names both: the newer SDK describes its agentId filter as "Filter by workflow ID".
            "agentId": started_by,
            "agentName": "A simulated agent",
            "workflowId": if api.names_versions() { self.version_id() } else { started_by },
            "organizationId": ORGANIZATION,
            "status": life.status,
            "createdAt": self.created_at,
            "metadata": self.metadata,
            "humanLabels": self.labels(),
            "comments": self.comments(),
            "hasBeenRerun": self.rerun,
            "triggerContext": trigger_context(api),
        });
        let Value::Object(members) = &mut item else { return item };
        let mut add = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                members.insert(name.to_owned(), value);
            }
        };
        let profile = || self.profile_id.clone().map(Value::from);
        let profile_name = || self.profile_id.as_ref().map(|_| Value::from("A simulated profile"));
        add("inputs", self.inputs.clone().map(Value::from));
        add("executionOptions", self.options.clone().map(Value::from));
        add("agentProfileId", profile());
        add("agentProfileName", profile_name());
        add("parentExecutionId", self.parent.clone().map(Value::from));
        let url = |kind: &str| format!("https://{kind}.simulated.invalid/{}?signature={URL_SIGNATURE}", self.id);
        if life.status.is_terminal() {
            add("executionResult", self.result());
            add("terminalAt", Some(life.entered_at().into()));
            add("duration", Some(life.seconds().into()));
            add("recordingUrl", Some(url("recordings").into()));
            add("browserRecordingUrl", Some(url("recordings").into()));
        } else if life.first_run_at().is_some() {
            add("liveViewUrl", Some(url("live").into()));
            add("browserLiveViewUrl", Some(url("live").into()));
        }
        if api.has_workflows() {
            add("workflowName", Some("A simulated workflow".into()));
            add("workflowVersionId", Some(self.version_id().into()));
            add("workflowVersion", Some(self.version.into()));
            add("workflowVersionPublished", Some(true.into()));
            add("profileId", profile());
            add("profileName", profile_name());
            add("startedAt", life.first_run_at().map(Value::from));
            add("platformUrl", Some(format!("https://platform.simulated.invalid/executions/{}", self.id).into()));
        }
        item
    }

    fn labels(&self) -> Value {
        if !self.life.has_staff_notes() {
            return json!([]);
        }
        let (color, created_at) = ("#FF5733", self.life.created_at());
        json!([{ "id": LABEL, "organizationId": ORGANIZATION, "name": "Staff: reviewed", "color": color, "createdAt": created_at }])
    }

    fn comments(&self) -> Value {
        if !self.life.has_staff_notes() {
            return json!([]);
        }
        json!([{
            "id": self.derived_id(1 << 33),
            "executionId": self.id,
            "userId": USER,
            "content": STAFF_COMMENT,
            "public": false,
            "createdAt": self.life.created_at(),
        }])
    }
}

/// The id of the label among the staff notes.
pub(super) const LABEL: &str = "3d9b7c61-2e4f-4a08-b6d5-9f1e0c7a8b52";

/// Returns the context of an execution that was started with the API key.
fn trigger_context(api: Api) -> Value {
    let mut context = json!({
        "source": "api",
        "runner": { "userId": USER, "email": USER_EMAIL, "isAdmin": false },
        "apiKey": { "id": API_KEY_ID, "name": API_KEY_NAME },
    });
    if let (true, Value::Object(members)) = (api.has_workflows(), &mut context) {
        members.insert("actor".to_owned(), json!({ "kind": "api_key", "id": API_KEY_ID }));
    }
    context
}
