//! What the gateway reads in the upstream's answers.

use hyper::StatusCode;
use serde::Deserialize;

/// The execution that an answer to a start names: `ExecuteAgentResponse` of the specification.
///
/// Only for the log and only where it is a uuid: nothing else of a body may get there.
#[must_use]
pub fn execution_id(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct ExecuteAgentResponse {
        #[serde(rename = "executionId")]
        execution_id: uuid::Uuid,
    }
    let answer: ExecuteAgentResponse = serde_json::from_slice(body).ok()?;
    Some(answer.execution_id.to_string())
}

/// Whether the upstream says that it did not accept the key. That it did no work then is an assumption of this gateway.
#[must_use]
pub fn refuses_key(status: StatusCode) -> bool {
    status == StatusCode::UNAUTHORIZED
}
