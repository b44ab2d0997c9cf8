//! The kinds of start, and the requests that they are sent with.

use asteroid_gateway::asteroid::operation::{BodyRule, Operation};
use serde_json::json;

use crate::harness::{AGENT, Asteroid, Caller, EXECUTE, Program};

/// The id of a version of the agent.
const VERSION: &str = "0b0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11";

/// The metadata key of the execution that is rerun.
const ORIGINAL: &str = "original";

/// A kind of start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind(Operation);

/// A start that can be sent.
pub(super) struct Start {
    pub(super) path: String,
    pub(super) body: &'static str,
}

impl Kind {
    pub(super) const AGENT: Kind = Kind(Operation::AgentExecute);

    /// Returns every kind, that of an agent first.
    pub(super) fn all() -> impl Iterator<Item = Kind> {
        Operation::starts().map(Kind)
    }

    /// Returns whether it is answered when the execution ends. Its time-out is longer than a test can wait.
    pub(super) fn waits(self) -> bool {
        self.0.rules().body == BodyRule::SyncStart
    }

    /// Returns whether it can be looked up: a rerun has no tag of its own.
    pub(super) fn is_tagged(self) -> bool {
        self.0 != Operation::ExecutionRerun
    }

    /// Returns the status of its answer. What is started ends at once.
    pub(super) fn success(self) -> u16 {
        if self.waits() { 200 } else { 202 }
    }

    /// Returns a start of this kind. A rerun repeats an execution that another gateway has started.
    pub(super) fn start(self, asteroid: &Asteroid) -> Start {
        asteroid.set_life(json!({ "duration": "1ms", "starting": "0s" }));
        let original = (!self.is_tagged()).then(|| {
            let other = Program::run(asteroid.configuration());
            let body = json!({ "metadata": { ORIGINAL: "yes" } }).to_string();
            let answer = Caller::connect(other.address()).post(EXECUTE, &[], body.as_bytes());
            answer.json()["executionId"].as_str().unwrap().to_owned()
        });
        let mut ids = [original.as_deref().unwrap_or(AGENT), VERSION].into_iter();
        let segments = self.0.template().split('/');
        let filled = segments.map(|segment| if segment.starts_with('{') { ids.next().unwrap() } else { segment });
        let body = match self.0.rules().body {
            BodyRule::VersionStart => r#"{"inputVariables": {"invoice": 4711}}"#,
            _ => r#"{"inputs": {"invoice": 4711}}"#,
        };
        Start { path: filled.collect::<Vec<_>>().join("/"), body }
    }
}

/// Returns the ids of the tenant's executions, in the order of their starts, without one that was started to be rerun.
pub(super) fn runs(asteroid: &Asteroid) -> Vec<String> {
    let own = asteroid.executions().into_iter().filter(|run| run.metadata["tenant"] == "billing");
    let tested = own.filter(|run| run.parent.is_some() || !run.metadata.contains_key(ORIGINAL));
    tested.map(|run| run.id).collect()
}
