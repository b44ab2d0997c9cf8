//! Every way to start an execution has the same promises.

mod bodies;
mod limits;
mod owners;
mod records;
mod recovery;
mod rerun;
mod retries;
mod waiting;

use std::cell::OnceCell;

use asteroid_gateway::asteroid::operation::{BodyRule, Operation};
use asteroid_gateway::simulator::received::ReceivedRequest;
use serde_json::{Value, json};

use crate::harness::{AGENT, API_KEY, Answer, Asteroid, Caller, Configuration, EXECUTE, Pair};

/// The id of a version of an agent.
const VERSION: &str = "0b0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11";

/// A gateway for the tenants `billing` and `sales`, whose callers name them in a header. All starts are open. What is started ends at
/// once, so that a start that waits is answered.
struct Starts {
    pair: Pair,
    /// An execution of `billing` that was not started through this gateway, and that it knows.
    original: OnceCell<String>,
}

impl Starts {
    fn new() -> Starts {
        Starts::configured(|configuration| configuration)
    }

    fn configured(change: impl FnOnce(Configuration) -> Configuration) -> Starts {
        let asteroid = Asteroid::start();
        let configuration = asteroid.configuration().with("operations: { rerun: true }").by_header().tenant("sales");
        Starts::run(asteroid, change(configuration))
    }

    fn run(asteroid: Asteroid, configuration: Configuration) -> Starts {
        asteroid.set_life(json!({ "duration": "1ms", "starting": "0s" }));
        Starts { pair: Pair::run(asteroid, configuration), original: OnceCell::new() }
    }

    /// Returns the execution that is rerun.
    fn original(&self) -> &str {
        self.original.get_or_init(|| {
            let id = start_elsewhere(&self.pair.asteroid, &json!({ "tenant": "billing", "ticket": "T-1" }));
            assert_eq!(self.get("billing", &format!("/executions/{id}")).status, 200);
            id
        })
    }

    /// Returns the path of a start of `billing`.
    fn path(&self, operation: Operation) -> String {
        let of_execution = operation.rules().body == BodyRule::Rerun;
        let ids = if of_execution { [self.original(), ""] } else { [AGENT, VERSION] };
        path(operation, ids)
    }

    /// Sends a start of `billing`.
    fn post(&self, operation: Operation, headers: &[(&str, &str)], body: &str) -> Answer {
        let headers = [&[("X-Tenant-Id", "billing")], headers].concat();
        self.pair.caller().post(&self.path(operation), &headers, body.as_bytes())
    }

    fn keyed(&self, operation: Operation, key: &str, body: &str) -> Answer {
        self.post(operation, &[("Idempotency-Key", key)], body)
    }

    /// Sends a start without reading its answer.
    fn begin(&self, operation: Operation, headers: &[(&str, &str)], body: &str) -> Caller {
        let headers = [&[("X-Tenant-Id", "billing")], headers].concat();
        let (mut caller, path, before) = (self.pair.caller(), self.path(operation), self.count());
        caller.send_post(&path, &headers, body.as_bytes());
        self.pair.asteroid.wait_for_requests(before + 1);
        caller
    }

    fn get(&self, tenant: &str, path: &str) -> Answer {
        let mut caller = self.pair.caller();
        let host = caller.address();
        caller.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Tenant-Id: {tenant}\r\n\r\n").as_bytes());
        caller.answer()
    }

    /// Returns the number of requests that the upstream received.
    fn count(&self) -> usize {
        self.pair.asteroid.requests().len()
    }

    /// Returns the requests that the upstream received after `before` others.
    fn sent(&self, before: usize) -> Vec<ReceivedRequest> {
        self.pair.asteroid.requests().split_off(before)
    }

    /// Returns those requests as method and path.
    fn asked(&self, before: usize) -> Vec<String> {
        self.sent(before).iter().map(|request| format!("{} {}", request.method, request.target)).collect()
    }

    /// Lets the next start fail at the upstream in this way.
    fn fail_start(&self, run: bool, then: &Value) {
        self.pair.asteroid.fail_next(json!({ "method": "POST", "run": run, "then": then }));
    }
}

/// Returns every start, and with it the status of its answer if the execution ends at once.
fn all() -> impl Iterator<Item = (Operation, u16)> {
    Operation::starts().map(|operation| (operation, if waits(operation) { 200 } else { 202 }))
}

fn waits(operation: Operation) -> bool {
    operation.rules().body == BodyRule::SyncStart
}

/// Returns every start that can be tagged: all but the rerun.
fn tagged() -> impl Iterator<Item = Operation> {
    Operation::starts().filter(|operation| *operation != Operation::ExecutionRerun)
}

/// Returns the path of an operation with these ids, of which it may need only the first.
fn path(operation: Operation, ids: [&str; 2]) -> String {
    let mut ids = ids.into_iter();
    let segments = operation.template().split('/');
    let filled = segments.map(|segment| if segment.starts_with('{') { ids.next().unwrap() } else { segment });
    filled.collect::<Vec<_>>().join("/")
}

/// Returns the name of the member with the inputs, as a server of the older era takes it.
fn inputs(operation: Operation) -> &'static str {
    if operation.rules().body == BodyRule::VersionStart { "inputVariables" } else { "inputs" }
}

/// Starts an execution without the gateway, with this metadata, and returns its id.
fn start_elsewhere(asteroid: &Asteroid, metadata: &Value) -> String {
    let body = json!({ "metadata": metadata }).to_string();
    let answer = asteroid.caller().post(&format!("/agents/v2{EXECUTE}"), &[("X-Api-Key", API_KEY)], body.as_bytes());
    id(&answer)
}

/// Returns the execution that an answer names.
fn id(answer: &Answer) -> String {
    answer.json()["executionId"].as_str().unwrap().to_owned()
}

#[test]
fn the_starts_are_those_of_the_released_sdks() {
    let names: Vec<&str> = Operation::starts().map(Operation::template).collect();
    assert_eq!(
        names,
        [
            "/agents/{agentId}/execute",
            "/workflows/{workflowId}/execute",
            "/agents/{agentId}/execute/sync",
            "/workflows/{workflowId}/execute/sync",
            "/agents/{agentId}/workflows/{workflowId}/execute",
            "/workflows/{workflowId}/versions/{versionId}/execute",
            "/executions/{executionId}/rerun",
        ]
    );
}
