//! The operations of the API, by method and path.

use hyper::{Method, StatusCode};
use serde::Deserialize;

use super::refusal::Refusal;

/// The prefix of the paths of the API.
const BASE: &str = "/agents/v2/";

/// The prefix of the paths of the API before it, whose errors look different.
const V1_BASE: &str = "/api/v1/";

/// An operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// `POST /agents/{agentId}/execute` and `POST /workflows/{workflowId}/execute`.
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
    /// `GET /api/v1/execution/{executionId}/status`.
    V1Status,
    /// `GET /api/v1/execution/{executionId}/result`.
    V1Result,
}

/// An operation, and the id in its path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) operation: Operation,
    /// Empty for an operation without an id.
    pub(super) id: &'a str,
    /// Whether the id is a workflow's.
    pub(super) is_workflow: bool,
}

impl Call<'_> {
    /// Returns the call that a method and a path make.
    pub(super) fn of<'p>(method: &Method, path: &'p str) -> Result<Call<'p>, Refusal> {
        let segments = |base| -> Vec<&'p str> { path.strip_prefix(base).unwrap_or_default().split('/').collect() };
        let (segments, v1) = (segments(BASE), segments(V1_BASE));
        let (id, operations): (&str, &[(&str, Operation)]) = match (segments.as_slice(), v1.as_slice()) {
            (["agents" | "workflows", id, "execute"], _) => (id, &[("POST", Operation::Start)]),
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
            (_, ["execution", id, "status"]) => (id, &[("GET", Operation::V1Status)]),
            (_, ["execution", id, "result"]) => (id, &[("GET", Operation::V1Result)]),
            _ => return Err(Refusal::new(StatusCode::NOT_FOUND, "no such path")),
        };
        let Some((_, operation)) = operations.iter().find(|(allowed, _)| *allowed == method.as_str()) else {
            let allowed: Vec<&str> = operations.iter().map(|(allowed, _)| *allowed).collect();
            let refusal = format!("only {} is allowed", allowed.join(" or "));
            return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, refusal));
        };
        Ok(Call { operation: *operation, id, is_workflow: segments.first() == Some(&"workflows") })
    }
}

/// Returns whether a path is one of the API before this one.
pub(super) fn is_v1(path: &str) -> bool {
    path.starts_with(V1_BASE)
}
