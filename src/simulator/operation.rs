//! The operations of the API, by method and path.

use hyper::{Method, StatusCode};
use serde::Deserialize;

use super::refusal::Refusal;

/// The prefix of the paths of the API.
const BASE: &str = "/agents/v2/";

/// The prefix of the paths of the API before it, whose errors look different.
const V1_BASE: &str = "/api/v1/";

/// The segments before the id of a file that is downloaded.
const DOWNLOADS: [&str; 4] = ["files", "agent-files", "context-files", "debug-files"];

/// An operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// `POST /agents/{agentId}/execute`, `POST /workflows/{workflowId}/execute`, the same with `/sync`,
    /// `POST /agents/{agentId}/workflows/{versionId}/execute` and `POST /workflows/{workflowId}/versions/{versionId}/execute`.
    Start,
    /// `POST /executions/{executionId}/rerun`.
    Rerun,
    /// `GET /executions`.
    List,
    /// `GET /executions/{executionId}`.
    Get,
    /// `GET /executions/{executionId}/sync`.
    Sync,
    /// `GET /executions/{executionId}/activities`.
    Activities,
    /// `POST /executions/{executionId}/status`.
    Status,
    /// `POST /executions/{executionId}/cancel`.
    Cancel,
    /// `POST /executions/{executionId}/pause`.
    Pause,
    /// `POST /executions/{executionId}/resume`.
    Resume,
    /// `POST /executions/{executionId}/user-messages`.
    Message,
    /// `DELETE /executions/{executionId}`.
    Delete,
    /// `POST /executions/{executionId}/context-files`.
    Upload,
    /// `POST /temp-files/{organizationId}` and `POST /temp-files`.
    Stage,
    /// `GET /executions/{executionId}/files` and `…/agent-files`.
    Files,
    /// `GET /executions/{executionId}/context-files`.
    ContextFiles,
    /// `GET /executions/{executionId}/files/{fileId}/download`, and the same of `agent-files`, `context-files` and
    /// `debug-files`.
    Download,
    /// `GET /executions/{executionId}/recording`.
    Recording,
    /// `GET /api/v1/execution/{executionId}/status`.
    V1Status,
    /// `GET /api/v1/execution/{executionId}/result`.
    V1Result,
    /// `GET /api/v1/execution/{executionId}/browser_session/recording`.
    V1Recording,
}

/// An operation, and the ids in its path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) operation: Operation,
    /// Empty for an operation without an id.
    pub(super) id: &'a str,
    /// The id behind it, of a workflow's version or a file; empty if there is none.
    pub(super) inner_id: &'a str,
    /// The segment between the two ids of a download.
    pub(super) collection: &'a str,
    /// Whether the first id is a workflow's.
    pub(super) is_workflow: bool,
    /// Whether a start is answered when the execution has ended.
    pub(super) is_sync: bool,
    /// Whether only the newer era has this path.
    pub(super) is_newer: bool,
}

impl Call<'_> {
    /// Returns the call that a method and a path make.
    pub(super) fn of<'p>(method: &Method, path: &'p str) -> Result<Call<'p>, Refusal> {
        let segments = |base| -> Vec<&'p str> { path.strip_prefix(base).unwrap_or_default().split('/').collect() };
        let (segments, v1) = (segments(BASE), segments(V1_BASE));
        let start: &[(&str, Operation)] = &[("POST", Operation::Start)];
        let (mut inner_id, mut collection) = ("", "");
        let (id, operations): (&str, &[(&str, Operation)]) = match (segments.as_slice(), v1.as_slice()) {
            (["agents" | "workflows", id, "execute"] | ["agents" | "workflows", id, "execute", "sync"], _) => {
                (id, start)
            }
            (
                ["agents", id, "workflows", version, "execute"] | ["workflows", id, "versions", version, "execute"],
                _,
            ) => {
                inner_id = version;
                (id, start)
            }
            (["executions"], _) => ("", &[("GET", Operation::List)]),
            (["executions", id], _) => (id, &[("GET", Operation::Get), ("DELETE", Operation::Delete)]),
            (["executions", id, "rerun"], _) => (id, &[("POST", Operation::Rerun)]),
            (["executions", id, "sync"], _) => (id, &[("GET", Operation::Sync)]),
            (["executions", id, "activities"], _) => (id, &[("GET", Operation::Activities)]),
            (["executions", id, "status"], _) => (id, &[("POST", Operation::Status)]),
            (["executions", id, "cancel"], _) => (id, &[("POST", Operation::Cancel)]),
            (["executions", id, "pause"], _) => (id, &[("POST", Operation::Pause)]),
            (["executions", id, "resume"], _) => (id, &[("POST", Operation::Resume)]),
            (["executions", id, "user-messages"], _) => (id, &[("POST", Operation::Message)]),
            (["temp-files"], _) => ("", &[("POST", Operation::Stage)]),
            (["temp-files", organization], _) => (organization, &[("POST", Operation::Stage)]),
            (["executions", id, "context-files"], _) => {
                (id, &[("GET", Operation::ContextFiles), ("POST", Operation::Upload)])
            }
            (["executions", id, "files" | "agent-files"], _) => (id, &[("GET", Operation::Files)]),
            (["executions", id, kind, file, "download"], _) if DOWNLOADS.contains(kind) => {
                (inner_id, collection) = (file, kind);
                (id, &[("GET", Operation::Download)])
            }
            (["executions", id, "recording"], _) => (id, &[("GET", Operation::Recording)]),
            (_, ["execution", id, "browser_session", "recording"]) => (id, &[("GET", Operation::V1Recording)]),
            (_, ["execution", id, "status"]) => (id, &[("GET", Operation::V1Status)]),
            (_, ["execution", id, "result"]) => (id, &[("GET", Operation::V1Result)]),
            _ => return Err(Refusal::new(StatusCode::NOT_FOUND, "no such path")),
        };
        let Some((_, operation)) = operations.iter().find(|(allowed, _)| *allowed == method.as_str()) else {
            let allowed: Vec<&str> = operations.iter().map(|(allowed, _)| *allowed).collect();
            let refusal = format!("only {} is allowed", allowed.join(" or "));
            return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, refusal));
        };
        let is_workflow = segments.first() == Some(&"workflows");
        let is_sync = *operation == Operation::Start && segments.last() == Some(&"sync");
        let is_newer = is_sync || (is_workflow && !inner_id.is_empty()) || segments == ["temp-files"];
        Ok(Call { operation: *operation, id, inner_id, collection, is_workflow, is_sync, is_newer })
    }
}

/// Returns whether a path is one of the API before this one.
pub(super) fn is_v1(path: &str) -> bool {
    path.starts_with(V1_BASE)
}
