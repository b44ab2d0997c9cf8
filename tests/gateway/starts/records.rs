//! Every start has an audit record and a log line that say what was started.

use asteroid_gateway::asteroid::operation::Operation;
use asteroid_gateway::event;
use serde_json::{Value, json};

use super::{Starts, VERSION, all, id};
use crate::harness::AGENT;

/// Returns the ids of a start, as they are recorded.
fn ids(starts: &Starts, operation: Operation) -> Value {
    match operation {
        Operation::AgentExecute | Operation::AgentExecuteSync => json!({ "agent_id": AGENT }),
        Operation::WorkflowExecute | Operation::WorkflowExecuteSync => json!({ "workflow_id": AGENT }),
        Operation::AgentVersionExecute => json!({ "agent_id": AGENT, "workflow_id": VERSION }),
        Operation::WorkflowVersionExecute => json!({ "workflow_id": AGENT, "version_id": VERSION }),
        Operation::ExecutionRerun => json!({ "rerun_of": starts.original() }),
        other => panic!("{other:?} is no start"),
    }
}

#[test]
fn every_start_is_recorded_with_the_ids_of_its_path_and_the_execution_that_it_began() {
    let starts = Starts::configured(|configuration| configuration.with("audit: { stdout: true }"));
    for (operation, status) in all() {
        let name = operation.name();
        let answer = starts.post(operation, &[("X-Request-Id", name), ("Idempotency-Key", name)], "{}");
        assert_eq!(answer.status, status, "{operation:?}");
        for code in [event::AUDIT_RECORDED, event::REQUEST_COMPLETED] {
            let line = starts.pair.gateway.line(|line| line["event"] == code && line["request_id"] == name);
            let named = ["agent_id", "workflow_id", "version_id", "rerun_of"].into_iter();
            let named = named.filter_map(|id| Some((id.to_owned(), line.get(id)?.clone())));
            assert_eq!(Value::Object(named.collect()), ids(&starts, operation), "{code} {operation:?}");
            assert_eq!((&line["operation"], &line["route"]), (&json!(name), &json!(operation.template())));
            assert_eq!((&line["tenant"], &line["outcome"]), (&json!("billing"), &json!("answered")));
            assert_eq!((&line["status"], &line["execution_id"]), (&json!(status), &json!(id(&answer))), "{line}");
            assert_eq!(line["idempotency_outcome"], "answered");
        }
    }
}

#[test]
fn a_start_that_is_refused_or_whose_outcome_is_unknown_is_recorded_with_its_ids_too() {
    let starts = Starts::configured(|configuration| configuration.with("audit: { stdout: true }"));
    let recorded = |operation: Operation, request: &str, body: &str| {
        starts.post(operation, &[("X-Request-Id", request)], body);
        let is_record = |line: &Value| line["event"] == event::AUDIT_RECORDED && line["request_id"] == request;
        starts.pair.gateway.line(is_record)
    };
    for operation in Operation::starts() {
        let refused = recorded(operation, &format!("{}-refused", operation.name()), "[]");
        starts.fail_start(true, &json!("close"));
        let unknown = recorded(operation, &format!("{}-unknown", operation.name()), "{}");
        for (record, decision, outcome) in [(&refused, "refused", "not_started"), (&unknown, "sent", "unknown")] {
            assert_eq!((&record["decision"], &record["outcome"]), (&json!(decision), &json!(outcome)), "{record}");
            let Value::Object(ids) = ids(&starts, operation) else { panic!("{operation:?}") };
            ids.iter().for_each(|(name, id)| assert_eq!(&record[name], id, "{record}"));
            assert_eq!(record.get("execution_id"), None, "{record}");
        }
    }
}
