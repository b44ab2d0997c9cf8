//! The operations that change one execution or tell what happened to it, and the control over its status.
//!
//! Asked twice, they answer alike: to pause what is paused is no error. Only an execution that has ended refuses.

use std::time::Instant;

use hyper::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::activity::ActivityKind;
use super::answer::{ApiAnswer, Content};
use super::operation::{Call, Operation};
use super::refusal::Refusal;
use super::status::Status;
use super::{SimulatedExecution, Simulator};

/// The body of `POST /executions/{executionId}/status`.
#[derive(Deserialize)]
struct StatusBody {
    status: RequestedStatus,
}

/// A status that callers may ask for.
#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum RequestedStatus {
    Running,
    Paused,
    Cancelled,
}

/// The body of `POST /executions/{executionId}/user-messages`.
#[derive(Deserialize)]
struct MessageBody {
    message: String,
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::bad(format!("invalid body: {error}")))
}

impl Simulator {
    pub(super) fn change_status(&self, id: &str, body: &[u8], is_carried_out: bool) -> Result<ApiAnswer, Refusal> {
        let status = match read::<StatusBody>(body)?.status {
            RequestedStatus::Running => Status::Running,
            RequestedStatus::Paused => Status::Paused,
            RequestedStatus::Cancelled => Status::Cancelled,
        };
        self.enter(id, status, is_carried_out)?;
        Ok(ApiAnswer::new(StatusCode::OK, Content::Text("Execution status updated.".into())))
    }

    /// Cancels, pauses or resumes an execution, and returns an `AgentsExecutionExecutionStatusChange`.
    pub(super) fn order(&self, call: Call<'_>, is_carried_out: bool) -> Result<Value, Refusal> {
        let status = match call.operation {
            Operation::Cancel => Status::Cancelled,
            Operation::Pause => Status::Paused,
            _ => Status::Running,
        };
        self.enter(call.id, status, is_carried_out)?;
        Ok(json!({ "executionId": call.id, "status": status }))
    }

    pub(super) fn add_message(&self, id: &str, body: &[u8], is_carried_out: bool) -> Result<ApiAnswer, Refusal> {
        let message = read::<MessageBody>(body)?.message;
        self.change(id, is_carried_out, |execution, now| {
            execution.life.record(now, ActivityKind::MessageReceived(message));
        })?;
        Ok(ApiAnswer::new(StatusCode::CREATED, Content::Text("User message added.".into())))
    }

    /// Deletes an execution that has ended.
    pub(super) fn delete(&self, id: &str, is_carried_out: bool) -> Result<ApiAnswer, Refusal> {
        let mut state = self.lock();
        if !state.find(id)?.life.status.is_terminal() {
            return Err(Refusal::bad("only an execution that has ended can be deleted"));
        }
        if is_carried_out {
            state.executions.retain(|execution| execution.id != id);
            state.files.remove_execution(id);
        }
        Ok(ApiAnswer::new(StatusCode::NO_CONTENT, Content::Empty))
    }

    /// Returns the activities of an execution. Unless the query says otherwise, these are all, oldest first.
    pub(super) fn activities(&self, id: &str, query: &str) -> Result<Value, Refusal> {
        let (mut newest_first, mut limit) = (false, usize::MAX);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match (name.as_ref(), value.as_ref()) {
                ("order", "asc") => newest_first = false,
                ("order", "desc") => newest_first = true,
                ("order", _) => return Err(Refusal::bad("order must be asc or desc")),
                ("limit", value) => {
                    let number = value.parse().ok().filter(|limit| *limit >= 1);
                    limit = number.ok_or_else(|| Refusal::bad("limit must be an integer of at least 1"))?;
                }
                _ => {}
            }
        }
        self.find(id, |execution| {
            let activities = execution.activities();
            if newest_first { activities.rev().take(limit).collect() } else { activities.take(limit).collect() }
        })
    }

    /// Moves an execution to a status, whatever it was. Returns whether the execution is there.
    pub fn set_status(&self, id: &str, status: Status) -> bool {
        let mut state = self.lock();
        let found = state.find(id).map(|execution| execution.life.enter(status, Instant::now()));
        drop(state);
        self.changed.send_replace(());
        found.is_ok()
    }

    fn enter(&self, id: &str, status: Status, is_carried_out: bool) -> Result<(), Refusal> {
        self.change(id, is_carried_out, |execution, now| {
            if execution.life.status != status {
                execution.life.enter(status, now);
            }
        })
    }

    /// Changes an execution that has not ended.
    fn change(
        &self,
        id: &str,
        is_carried_out: bool,
        change: impl FnOnce(&mut SimulatedExecution, Instant),
    ) -> Result<(), Refusal> {
        let mut state = self.lock();
        let execution = state.find(id)?;
        let status = execution.life.status;
        if status.is_terminal() {
            return Err(Refusal::bad(format!("the execution has ended: it is {}", status.name())));
        }
        if is_carried_out {
            change(execution, Instant::now());
        }
        drop(state);
        self.changed.send_replace(());
        Ok(())
    }
}
