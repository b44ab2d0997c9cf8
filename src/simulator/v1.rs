//! The two questions of the API before this one that older wait helpers still ask, with ids of this one.

use serde_json::{Value, json};

use super::SimulatedExecution;
use super::status::Status;

/// Returns the answer to `GET /api/v1/execution/{executionId}/status`.
pub(super) fn status(execution: &SimulatedExecution) -> Value {
    let mut answer = json!({
        "execution_id": execution.id,
        "status": execution.life.status,
        "updated_at": execution.life.entered_at(),
    });
    if let (Status::Cancelled, Value::Object(members)) = (execution.life.status, &mut answer) {
        members.insert("reason".to_owned(), "user_requested".into());
    }
    answer
}

/// Returns the answer to `GET /api/v1/execution/{executionId}/result`.
pub(super) fn result(execution: &SimulatedExecution) -> Value {
    let mut answer = json!({ "execution_id": execution.id, "status": execution.life.status });
    let Value::Object(members) = &mut answer else { return answer };
    let Some(result) = execution.result() else { return answer };
    match execution.life.status {
        Status::Failed => members.insert("error".to_owned(), json!(result.get("reasoning"))),
        _ => members.insert("execution_result".to_owned(), json!(result.get("result"))),
    };
    answer
}
