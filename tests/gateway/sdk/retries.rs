//! Answers that make the SDKs send a request again, and those that must not be mistaken for others.

use std::collections::BTreeMap;

use asteroid_gateway::event;
use serde_json::json;

use super::{UNKNOWN, run_file};
use crate::harness::{EXECUTE, Pair, at_once};

const OLD: &str = "1.7.257";
const NEW: &str = "1.9.167";

/// Calls some methods of an SDK about an execution, and returns what its user gets.
fn call(sdk: &str, pair: &Pair, id: &str, calls: &str) -> Vec<String> {
    run_file(sdk, "retries.py", &[&format!("http://{}", pair.gateway.address()), id, calls])
}

fn start(pair: &Pair) -> String {
    let started = pair.caller().post(EXECUTE, &[], b"{}");
    started.json()["executionId"].as_str().unwrap().to_owned()
}

#[test]
fn a_read_that_a_limit_refuses_is_sent_again_by_the_sdk_and_succeeds_and_a_change_is_told_to_its_user() {
    at_once([OLD, NEW], |sdk| {
        let limits = "limits: { reads: { rate: 1/s, burst: 1 }, requests: { rate: 1/h, burst: 2 } }";
        let pair = Pair::configured(|smallest| smallest.billing(limits));
        let id = start(&pair);
        let lines = call(sdk, &pair, &id, "get get message message");
        assert_eq!(lines[..3], ["get running", "get running", "message User message added."], "{sdk}");
        let refused =
            "message 429 ApiException limit: tenant billing is at its limit of requests (1 per hour, burst 2)";
        assert!(lines[3].starts_with(refused), "{sdk}: {lines:?}");
        // Each is logged when its answer has been taken.
        pair.gateway.nth_event(event::REQUEST_COMPLETED, 6);
        let lines = pair.gateway.events(event::REQUEST_COMPLETED);
        let refused: Vec<_> = lines.iter().filter(|line| line["status"] == 429).map(|line| &line["method"]).collect();
        assert_eq!(refused, ["GET", "POST"], "{sdk}");
    });
}

#[test]
fn of_a_busy_upstream_the_sdks_read_four_times_and_change_once_whatever_it_says_in_retry_after() {
    let busy = [429, 503].into_iter().flat_map(|status| [(status, OLD), (status, NEW)]);
    at_once(busy, |(status, sdk)| {
        let pair = Pair::start();
        let id = start(&pair);
        // With a fraction, the SDKs would fail with an error that is none of theirs.
        let answer = json!({
            "status": status,
            "headers": [["Retry-After", "0.5"], ["Content-Type", "application/json"]],
            "body": r#"{"code":1,"message":"busy"}"#,
        });
        pair.asteroid.fail_always(json!({"then": {"answer": answer}}));
        let before = pair.asteroid.requests().len();
        let kind = if status == 429 { "ApiException" } else { "ServiceException" };
        let lines = call(sdk, &pair, &id, "get list message");
        assert_eq!(lines, ["get", "list", "message"].map(|name| format!("{name} {status} {kind} upstream: busy")));
        // Whose execution it is cannot be found out, which is no "no".
        let unknown = call(sdk, &pair, UNKNOWN, "activities").concat();
        assert!(
            unknown.starts_with("activities 503 ServiceException ownership-unknown: it is not known "),
            "{unknown}"
        );
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for request in pair.asteroid.requests().iter().skip(before) {
            let path = request.target.split('?').next().unwrap();
            *seen.entry(format!("{} {}", request.method, path.replace(&id, "ID"))).or_default() += 1;
        }
        let expected = [
            ("GET /agents/v2/executions".to_owned(), 4),
            (format!("GET /agents/v2/executions/{UNKNOWN}"), 4),
            ("GET /agents/v2/executions/ID".to_owned(), 4),
            ("POST /agents/v2/executions/ID/user-messages".to_owned(), 1),
        ];
        assert_eq!(seen, BTreeMap::from(expected), "{status} {sdk}");
    });
}

#[test]
fn an_operation_that_is_not_served_or_is_closed_is_told_from_an_execution_that_is_not_there() {
    at_once([(OLD, "pools get"), (NEW, "rerun pools delete get")], |(sdk, calls)| {
        let pair = Pair::start();
        let lines = call(sdk, &pair, UNKNOWN, calls);
        assert_eq!(lines.len(), calls.split(' ').count());
        for line in lines {
            let (name, _) = line.split_once(' ').unwrap();
            let says = match name {
                "get" => {
                    "get 404 NotFoundException not-found: this tenant has no execution with this id; correct the id"
                        .to_owned()
                }
                "delete" | "rerun" => {
                    let operation = if name == "delete" { "ExecutionDelete" } else { "ExecutionRerun" };
                    format!(
                        "{name} 403 ForbiddenException operation-closed: {operation} is closed for tenant billing; the operator of \
                         this gateway can open it with `operations.{name}: true`"
                    )
                }
                _ => {
                    let base = if sdk == OLD { "" } else { "/agents/v2" };
                    format!(
                        "{name} 404 NotFoundException operation-not-served: this gateway does not serve GET \
                         \"{base}/agent-profile-pools\"; that says nothing about any execution. Correct the path, or ask the operator \
                         of this gateway to serve this operation"
                    )
                }
            };
            assert_eq!(line, says, "{sdk}");
        }
        assert_eq!(pair.asteroid.requests().len(), 1, "only the read is asked for");
    });
}
