//! `GET /executions/{executionId}/sync` and synchronous starts, which are held until the execution ends or the time is up.

use std::time::{Duration, Instant};

use hyper::StatusCode;
use serde_json::{Value, json};

use super::answer::{ApiAnswer, Wait};
use super::refusal::Refusal;
use super::{SimulatedExecution, Simulator};

/// The time for which a request is held, in seconds, if it does not say it. This is also the longest.
pub(super) const MAX_TIMEOUT: u64 = 25;

impl Simulator {
    /// Returns the answer without a wait, and the wait.
    pub(super) fn sync(&self, id: &str, query: &str) -> Result<ApiAnswer, Refusal> {
        let mut seconds = MAX_TIMEOUT;
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if name == "timeoutSeconds" {
                let number = value.parse().ok().filter(|number| (1..=MAX_TIMEOUT).contains(number));
                seconds = number.ok_or_else(|| Refusal::bad("timeoutSeconds must be an integer from 1 to 25"))?;
            }
        }
        let wait = Wait { id: id.to_owned(), timeout: Duration::from_secs(seconds) };
        Ok(ApiAnswer { wait: Some(wait), ..self.find(id, answer)? })
    }

    /// Waits until the execution has ended, or is paused or awaits a confirmation, or until the time is up.
    pub(super) async fn wait(&self, wait: &Wait, path: &str) -> ApiAnswer {
        let deadline = Instant::now() + wait.timeout;
        let mut changed = self.changed.subscribe();
        loop {
            let look = |execution: &SimulatedExecution| {
                let life = &execution.life;
                let is_over = life.status.is_terminal() || life.status.is_waiting() || Instant::now() >= deadline;
                let until = life.next_change().map_or(deadline, |change| change.min(deadline));
                if is_over { Ok(answer(execution)) } else { Err(until) }
            };
            let until = match self.find(&wait.id, look) {
                Ok(Ok(answer)) => return answer,
                Ok(Err(until)) => until,
                Err(refusal) => return self.refuse(refusal, path),
            };
            tokio::select! {
                // The sender lives as long as this simulator.
                _ = changed.changed() => {}
                () = tokio::time::sleep_until(until.into()) => {}
            }
        }
    }
}

/// Returns the present state as an `AgentsAgentExecuteAgentSyncResponse`.
pub(super) fn answer(execution: &SimulatedExecution) -> ApiAnswer {
    let life = &execution.life;
    let mut body = json!({ "executionId": execution.id, "status": life.status });
    if let (Some(result), Value::Object(members)) = (execution.result(), &mut body) {
        members.insert("executionResult".to_owned(), result);
    }
    ApiAnswer::json(if life.status.is_terminal() { StatusCode::OK } else { StatusCode::ACCEPTED }, body)
}
