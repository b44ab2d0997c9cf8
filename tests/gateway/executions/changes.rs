//! Changes of an execution: each is sent once, finished once begun, and recorded in the audit.

use asteroid_gateway::event;
use serde_json::json;

use super::{Teams, send};
use crate::harness::{AGENT, Asteroid};

#[test]
fn a_change_is_audited_with_its_subject_and_a_read_is_not() {
    let teams = Teams::configured(Asteroid::start(), |configuration| configuration.with("audit: { stdout: true }"));
    let id = teams.execute("billing");
    teams.get("billing", &format!("/executions/{id}"));
    teams.get("billing", "/executions");
    teams.call("billing", "POST", &format!("/executions/{id}/cancel"), "");
    teams.call("sales", "POST", &format!("/executions/{id}/resume"), "");
    teams.call("billing", "DELETE", &format!("/executions/{id}"), "");
    teams.0.gateway.nth_event(event::AUDIT_RECORDED, 4);
    let records = teams.0.gateway.events(event::AUDIT_RECORDED);
    let shown: Vec<_> = records
        .iter()
        .map(|record| {
            json!([record["operation"], record["decision"], record["outcome"], record["error"], record["status"]])
        })
        .collect();
    let expected = [
        json!(["AgentExecutePost", "sent", "answered", null, 202]),
        json!(["ExecutionCancel", "sent", "answered", null, 200]),
        json!(["ExecutionResume", "refused", "not_started", "not-found", 404]),
        json!(["ExecutionDelete", "refused", "not_started", "operation-closed", 403]),
    ];
    assert_eq!(shown, expected);
    assert!(records.iter().all(|record| record["execution_id"] == json!(id)), "{records:?}");
    let read = teams.0.gateway.line(|line| line["operation"] == "ExecutionGet");
    assert!(read.get("outcome").is_none(), "a read has no outcome: {read}");
    let request = [&read["method"], &read["route"], &read["execution_id"]];
    assert_eq!(request, [&json!("GET"), &json!("/executions/{executionId}"), &json!(id)]);
}

#[test]
fn a_change_is_finished_when_its_caller_hangs_up_and_a_read_ends_with_its_caller() {
    let teams = Teams::configured(Asteroid::start(), |configuration| configuration.with("audit: { stdout: true }"));
    let id = teams.execute("billing");
    teams.0.asteroid.fail_next(json!({ "operation": "cancel", "delay_ms": 500 }));
    let mut caller = teams.0.caller();
    let before = teams.count();
    send(&mut caller, "billing", "POST", &format!("/executions/{id}/cancel"), "");
    teams.0.asteroid.wait_for_requests(before + 1);
    caller.reset();
    let record =
        teams.0.gateway.line(|line| line["operation"] == "ExecutionCancel" && line["event"] == event::AUDIT_RECORDED);
    assert_eq!((&record["outcome"], &record["status"]), (&json!("answered"), &json!(200)), "{record}");
    assert_eq!(record["delivered"], false);
    assert_eq!(teams.get("billing", &format!("/executions/{id}")).json()["status"], "cancelled");

    teams.0.asteroid.fail_next(json!({ "operation": "sync", "then": "stall" }));
    let mut caller = teams.0.caller();
    let before = teams.count();
    send(&mut caller, "billing", "GET", &format!("/executions/{id}/sync"), "");
    teams.0.asteroid.wait_for_requests(before + 1);
    caller.reset();
    let line = teams.0.gateway.line(|line| line["operation"] == "ExecutionSyncGet");
    assert_eq!((&line["status"], &line["delivered"]), (&json!(0), &json!(false)), "{line}");
}

#[test]
fn an_idempotency_key_on_anything_but_a_start_is_refused() {
    let teams = Teams::start();
    let id = teams.execute("billing");
    let before = teams.count();
    for (method, path) in [("POST", format!("/executions/{id}/cancel")), ("GET", "/executions".to_owned())] {
        let mut caller = teams.0.caller();
        let host = caller.address();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nX-Tenant-Id: billing\r\nIdempotency-Key: k\r\nContent-Length: 0\r\n\r\n"
        );
        caller.send(head.as_bytes());
        caller.answer().assert_error(400, "idempotency-key", "not_started");
    }
    assert_eq!(teams.count(), before);
}

#[test]
fn a_read_is_sent_once_more_if_its_connection_breaks_and_a_change_is_not() {
    let teams = Teams::start();
    let id = teams.execute("billing");
    for then in ["close", "reset"] {
        for path in [format!("/executions/{id}"), format!("/executions/{id}/activities"), "/executions".to_owned()] {
            teams.0.asteroid.fail_next(json!({ "method": "GET", "then": then }));
            assert_eq!(teams.get("billing", &path).status, 200, "{then} {path}");
        }
        for (action, body) in [("pause", ""), ("user-messages", r#"{"message":"once"}"#)] {
            let before = teams.count();
            teams.0.asteroid.fail_next(json!({ "method": "POST", "run": true, "then": then }));
            let answer = teams.call("billing", "POST", &format!("/executions/{id}/{action}"), body);
            answer.assert_error(504, "upstream-broke", "unknown");
            assert!(answer.json()["message"].as_str().unwrap().contains("may have been changed"), "{}", answer.json());
            assert_eq!(teams.count(), before + 1, "{then} {action}");
        }
    }
    let path = format!("/executions/{id}/activities");
    teams.0.asteroid.fail_next(json!({ "method": "GET", "then": "close" }));
    teams.0.asteroid.fail_next(json!({ "method": "GET", "then": "close" }));
    teams.get("billing", &path).assert_error(504, "upstream-broke", "not_started");
}

#[test]
fn a_body_is_checked_and_passed_on_byte_by_byte_and_one_where_none_belongs_is_refused() {
    let teams = Teams::start();
    let id = teams.execute("billing");
    let path = |action: &str| format!("/executions/{id}/{action}");
    let message = "{ \"x\": 1.00, \"message\" : \"caf\\u00e9\" }";
    assert_eq!(teams.call("billing", "POST", &path("user-messages"), message).status, 201);
    assert_eq!(teams.0.asteroid.requests().last().unwrap().text(), message);
    let before = teams.count();
    for (action, body, pointer) in [
        ("status", "{}", ""),
        ("status", r#"{"status":"completed"}"#, "/status"),
        ("status", r#"{"status":"paused","status":"cancelled"}"#, "/status"),
        ("user-messages", r#"{"message":null}"#, "/message"),
        ("user-messages", "[", ""),
    ] {
        let answer = teams.call("billing", "POST", &path(action), body);
        answer.assert_error(400, "body", "not_started");
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{body}");
    }
    teams.call("billing", "POST", &path("cancel"), "{}").assert_error(400, "unexpected-body", "not_started");
    teams.call("billing", "POST", &path("user-messages"), "").assert_error(415, "media-type", "not_started");
    assert_eq!(teams.count(), before);
    let mut caller = teams.0.caller();
    let host = caller.address();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {host}\r\nX-Tenant-Id: billing\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        path("pause")
    );
    caller.send(head.as_bytes());
    assert_eq!(caller.answer().status, 200, "an empty body in chunks is none");
    assert!(teams.0.asteroid.requests().last().unwrap().header("content-length").is_some_and(|length| length == "0"));
}

#[test]
fn what_a_change_did_is_told_from_what_it_may_have_done() {
    let teams = Teams::start();
    let id = teams.execute("billing");
    for (status, outcome, header) in
        [(400, "not_started", None), (404, "not_started", None), (500, "unknown", Some("unknown"))]
    {
        let answer = json!({ "answer": { "status": status, "headers": [["retry-after", "3"]], "body": "{}" } });
        teams.0.asteroid.fail_next(json!({ "operation": "pause", "then": answer }));
        let got = teams.call("billing", "POST", &format!("/executions/{id}/pause"), "");
        assert_eq!((got.status, got.header("execution-outcome")), (status, header));
        let line = teams.0.gateway.line(|line| line["operation"] == "ExecutionPause" && line["status"] == status);
        assert_eq!(line["outcome"], outcome);
    }
    let started = teams.0.gateway.metrics().all("asteroid_gateway_executions_unknown_total");
    assert!(started.iter().all(|(_, count)| *count == 0.0), "a change is no start: {started:?}");
    assert_eq!(teams.0.asteroid.started(), 1, "{AGENT}");
}
