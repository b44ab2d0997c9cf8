//! The tables of docs/CALLING.md.

use asteroid_gateway::asteroid::operation::{BodyRule, Operation, Part};
use asteroid_gateway::simulator::execution::ORGANIZATION;
use serde_json::json;

use super::FILE;
use crate::examples::read;
use crate::harness::{AGENT, Answer, Pair};
use crate::simulated::form::{TYPE, form};

/// The limits of a tenant that has all.
const LIMITS: &str = "limits: { requests: { rate: 100/s }, reads: { rate: 100/s }, executions: { rate: 100/s }, in_flight: 9, \
                      budget: { executions: 100, per: day } }\noperations: { delete: true, rerun: true }";

/// Calls an operation for an execution, and returns the answer.
fn call(pair: &Pair, operation: Operation, execution: &str) -> Answer {
    let rules = operation.rules();
    let mut path =
        path(operation).replace("{executionId}", execution).replace("{fileId}", &file(pair, operation, execution));
    for name in ["{agentId}", "{workflowId}", "{versionId}"] {
        path = path.replace(name, AGENT);
    }
    let path = path.replace("{organizationId}", ORGANIZATION);
    let body = match operation {
        Operation::AgentExecute
        | Operation::WorkflowExecute
        | Operation::AgentVersionExecute
        | Operation::WorkflowVersionExecute => json!({}),
        Operation::AgentExecuteSync | Operation::WorkflowExecuteSync => json!({"timeoutSeconds": 1}),
        Operation::ExecutionStatus => json!({"status": "running"}),
        Operation::ExecutionMessage => json!({"message": "Skip page 2"}),
        _ if rules.body == BodyRule::Files => {
            let upload = form(&[("invoice.pdf", b"%PDF")]);
            return pair.caller().post(&path, &[("Content-Type", TYPE)], &upload);
        }
        _ => return pair.caller().request(rules.method.as_str(), &path),
    };
    pair.caller().post(&path, &[], body.to_string().as_bytes())
}

/// Returns the id of a file of an execution that an operation can download.
fn file(pair: &Pair, operation: Operation, execution: &str) -> String {
    let directory = match operation {
        Operation::ContextFileDownload => "uploads",
        Operation::ExecutionFileDownload | Operation::AgentFileDownload => "downloads",
        Operation::DebugFileDownload => "debug",
        _ => return String::new(),
    };
    if directory == "uploads" {
        call(pair, Operation::ContextFilesUpload, execution);
    }
    let files = call(pair, Operation::ExecutionFiles, execution).json();
    files["directories"][directory][0]["id"].as_str().unwrap().to_owned()
}

fn path(operation: Operation) -> String {
    let base = if operation.rules().part == Part::V1 { "/api/v1" } else { "" };
    format!("{base}{}", operation.template())
}

/// Returns the names of the limits that counted the call with this answer.
fn counted_by(answer: &Answer) -> String {
    let header = answer.header("ratelimit").unwrap();
    let names = header.split(", ").map(|limit| format!("`{}`", limit.split('"').nth(1).unwrap()));
    names.collect::<Vec<_>>().join(", ")
}

/// Returns the row of an operation that was called, by its answers.
fn row(operation: Operation, answers: &[Answer]) -> String {
    let rules = operation.rules();
    let statuses: Vec<String> = answers.iter().map(|answer| answer.status.to_string()).collect();
    format!(
        "| {} | `{} {}` | `{}` | {} | {} |",
        rules.name,
        rules.method,
        path(operation),
        rules.group.code(),
        counted_by(&answers[0]),
        statuses.join(" or ")
    )
}

#[test]
fn the_table_of_operations_is_what_each_of_them_answers() {
    let pair = Pair::configured(|smallest| smallest.billing(LIMITS));
    let start = || call(&pair, Operation::AgentExecute, "").json()["executionId"].as_str().unwrap().to_owned();
    let rows = Operation::ALL.map(|operation| {
        let execution = start();
        let answers = match operation {
            Operation::ExecutionSync => {
                pair.asteroid.set_status(&execution, "paused");
                let open = call(&pair, operation, &execution);
                pair.asteroid.set_status(&execution, "completed");
                vec![call(&pair, operation, &execution), open]
            }
            Operation::AgentExecuteSync | Operation::WorkflowExecuteSync => {
                pair.asteroid.set_life(json!({"duration": "100ms"}));
                let ended = call(&pair, operation, "");
                pair.asteroid.set_life(json!({"duration": "never", "starting": "0s"}));
                vec![ended, call(&pair, operation, "")]
            }
            Operation::ExecutionDelete => {
                pair.asteroid.set_status(&execution, "completed");
                vec![call(&pair, operation, &execution)]
            }
            _ => vec![call(&pair, operation, &execution)],
        };
        row(operation, &answers)
    });
    let text = read(FILE);
    let shown = text.split_once("## What is served").unwrap().1.split_once("|---|---|---|---|---|\n").unwrap().1;
    let shown: Vec<&str> = shown.lines().take_while(|line| !line.is_empty()).collect();
    assert_eq!(shown, rows, "{FILE} must have these rows:\n{}", rows.join("\n"));
}
