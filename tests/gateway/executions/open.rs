//! The operations that the operator has opened, and those that this gateway does not serve.

use serde_json::json;

use super::{OPERATIONS, Teams};
use crate::harness::{AGENT, Asteroid};

#[test]
fn a_closed_operation_is_403_and_says_how_it_is_opened_and_a_tenant_s_own_setting_wins() {
    let closed = "operations: { start: false, read: false, list: false, control: false, message: false }";
    let teams = Teams::configured(Asteroid::start(), |configuration| {
        configuration.with(closed).billing("operations: { start: true, read: true, delete: true }")
    });
    let id = teams.execute("billing");
    let groups = ["read", "read", "read", "control", "control", "control", "message", "control", "delete"];
    for ((method, action, body), group) in OPERATIONS.into_iter().zip(groups) {
        for tenant in ["billing", "sales"] {
            let before = teams.count();
            let answer = teams.call(tenant, method, &format!("/executions/{id}{action}"), body);
            let is_open = tenant == "billing" && ["read", "delete"].contains(&group);
            if is_open {
                assert!([200, 202, 400].contains(&answer.status), "{tenant} {method} {action}: {}", answer.status);
                continue;
            }
            answer.assert_error(403, "operation-closed", "not_started");
            let message = answer.json()["message"].as_str().unwrap().to_owned();
            assert!(
                message.contains(&format!("`operations.{group}: true`")) && message.contains("operator"),
                "{message}"
            );
            assert_eq!(teams.count(), before);
        }
    }
    teams.get("billing", "/executions").assert_error(403, "operation-closed", "not_started");
    let start = format!("/agents/{AGENT}/execute");
    teams.call("sales", "POST", &start, "{}").assert_error(403, "operation-closed", "not_started");
}

#[test]
fn deletion_is_closed_unless_it_is_opened() {
    let teams = Teams::start();
    let id = teams.execute("billing");
    teams.call("billing", "DELETE", &format!("/executions/{id}"), "").assert_error(
        403,
        "operation-closed",
        "not_started",
    );
}

#[test]
fn an_operation_that_is_not_served_says_so_as_itself_and_counts_against_the_limits() {
    let teams = Teams::configured(Asteroid::start(), |configuration| {
        configuration.billing("limits: { requests: { rate: 6/d } }")
    });
    let id = teams.execute("billing");
    for (method, path) in [
        ("POST", format!("/executions/{id}/sync-execution")),
        ("GET", format!("/agents/{id}/shared-files")),
        ("POST", "/secrets".to_owned()),
        ("GET", "/api/v1/agents".to_owned()),
    ] {
        let answer = teams.call("billing", method, &path, "");
        answer.assert_error(404, "operation-not-served", "not_started");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(&format!("does not serve {method} \"{path}\"")), "{message}");
        assert!(message.contains("operator") && !message.contains("not found"), "{message}");
    }
    let line = teams.0.gateway.line(|line| line["path"] == "/api/v1/agents");
    assert_eq!((&line["method"], &line["error"]), (&json!("GET"), &json!("operation-not-served")));
    assert_eq!(teams.call("billing", "PUT", &format!("/executions/{id}"), "").header("allow"), Some("GET, DELETE"));
    teams.get("billing", "/nothing").assert_error(429, "limit", "not_started");
}

#[test]
fn polls_count_in_reads_and_cannot_spend_what_starts_need() {
    let teams = Teams::configured(Asteroid::start(), |configuration| {
        configuration.billing("limits: { requests: { rate: 3/d }, reads: { rate: 5/d } }")
    });
    let id = teams.execute("billing");
    for left in (0..5).rev() {
        let answer = teams.get("billing", &format!("/executions/{id}"));
        assert_eq!((answer.status, answer.header("ratelimit")), (200, Some(&*format!("\"reads\";r={left}"))));
    }
    let refused = teams.get("billing", "/executions");
    refused.assert_error(429, "limit", "not_started");
    assert_eq!(refused.json()["limit"], "reads");
    assert!(
        refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u64>().is_ok_and(|seconds| seconds >= 1))
    );
    assert_eq!(
        teams.call("billing", "POST", &format!("/executions/{id}/pause"), "").status,
        200,
        "a change is no read"
    );
    teams.execute("billing");
    teams.call("billing", "POST", &format!("/executions/{id}/pause"), "").assert_error(429, "limit", "not_started");
}
