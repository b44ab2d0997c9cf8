//! What the gateway reads in the upstream's answers.

use hyper::StatusCode;
use serde::Deserialize;
use uuid::Uuid;

/// The execution that an answer to a start names: `ExecuteAgentResponse` of the specification.
///
/// Only for the log and only where it is a uuid: nothing else of a body may get there.
#[must_use]
pub fn execution_id(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct ExecuteAgentResponse {
        #[serde(rename = "executionId")]
        execution_id: Uuid,
    }
    let answer: ExecuteAgentResponse = serde_json::from_slice(body).ok()?;
    Some(answer.execution_id.to_string())
}

/// The answer to a start that began this execution: `ExecuteAgentResponse` of the specification, with its status and media
/// type.
#[must_use]
pub fn executed(id: Uuid) -> (StatusCode, &'static str, String) {
    (StatusCode::ACCEPTED, "application/json", format!("{{\"executionId\":\"{id}\"}}"))
}

/// Whether the upstream says that it did not accept the key. That it did no work then is an assumption of this gateway.
#[must_use]
pub fn refuses_key(status: StatusCode) -> bool {
    status == StatusCode::UNAUTHORIZED
}
