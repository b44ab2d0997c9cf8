//! The metrics of requests to the upstream, and of their results.

use serde_json::json;

use super::{CLIENT, ROUTE, SERVER, counted, ended};
use crate::harness::raw::{AfterAnswer, FirstExchange, RawUpstream};
use crate::harness::{Caller, Configuration, EXECUTE, Pair, Program};

#[test]
fn look_ups_of_the_gateway_s_own_are_told_from_starts() {
    let pair = Pair::with("idempotency: { recovery: true }\ntimeouts: { response: 500ms }");
    let keyed = |key: &str| pair.caller().post(EXECUTE, &[("Idempotency-Key", key)], b"{}").status;
    pair.asteroid.listing(json!({"shows_metadata": false}));
    pair.asteroid.next(json!({"method": "POST", "run": true, "then": "close"}));
    assert_eq!((keyed("a"), keyed("a"), keyed("a")), (504, 202, 202));
    pair.asteroid.next(json!({"method": "GET", "then": {"answer": {"status": 401}}}));
    assert_eq!(keyed("b"), 504);
    let metrics = pair.gateway.metrics();
    let asked = |template: &str, status: &str| {
        metrics.find(CLIENT, &[("url_template", template), ("http_response_status_code", status)])
    };
    assert_eq!(
        asked("/executions", "200"),
        Some(3.0),
        "by both filters for the first, by one for the one that was found"
    );
    assert_eq!(asked("/executions", "401"), Some(1.0));
    assert_eq!(asked("/executions/{executionId}", "200"), Some(1.0));
    assert_eq!(metrics.find(CLIENT, &[("url_template", ROUTE)]), Some(1.0), "the start that was lost");
    let results: Vec<_> =
        metrics.all("asteroid_gateway_idempotency_total").into_iter().filter(|(_, n)| *n > 0.0).collect();
    let expected =
        [("billing new", 1), ("billing replayed", 1), ("billing recovered", 1), ("billing lookup_failed", 1)];
    assert_eq!(results, counted(&expected));
    assert_eq!(metrics.find("asteroid_gateway_upstream_auth_failures_total", &[]), Some(1.0));
    assert_eq!(metrics.find("asteroid_gateway_executions_unknown_total", &[("tenant", "billing")]), Some(1.0));
}

#[test]
fn a_request_to_the_upstream_that_fails_says_how() {
    let (address, _held) = crate::harness::asteroid::refused_address();
    let refused = Program::run(Configuration::for_address(address));
    let mut caller = Caller::connect(refused.address());
    assert_eq!(caller.execute("{}").status, 502);
    assert_eq!(ended(&refused.metrics(), CLIENT), counted(&[("- connection_refused", 1)]));
    assert_eq!(ended(&refused.metrics(), SERVER), counted(&[("502 unreachable", 1)]));

    let pair = Pair::with("timeouts: { response: 300ms }");
    for fault in ["stall", "reset", "stall_mid_answer"] {
        pair.asteroid.next(json!({"run": true, "then": fault}));
        assert_eq!(pair.execute("{}").status, 504);
    }
    // This one is streamed.
    let long = "x".repeat(400_000);
    pair.asteroid.next(json!({"run": true, "then": {"answer": {"status": 202, "body": long}}}));
    assert_eq!(pair.execute("{}").status, 202);
    let expected = counted(&[
        ("- connection_terminated", 1),
        ("- http_response_timeout", 1),
        ("202 -", 1),
        ("202 http_response_timeout", 1),
    ]);
    pair.gateway.wait_for_metrics(|metrics| ended(metrics, CLIENT), &expected);
}

#[test]
fn an_answer_that_is_cut_off_after_its_beginning_was_passed_on_counts_as_one_that_failed() {
    for (then, failure, error) in [
        (AfterAnswer::Close, "connection_terminated", "upstream-broke"),
        (AfterAnswer::Keep, "http_response_timeout", "upstream-timeout"),
    ] {
        let head = "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 300000\r\n\r\n";
        let answer = (head.to_owned() + &"x".repeat(200_000)).into_bytes();
        let upstream = RawUpstream::start(FirstExchange { answer, then, early: false });
        let gateway = Program::run(Configuration::for_address(upstream.address).with("timeouts: { response: 500ms }"));
        let mut caller = Caller::connect(gateway.address());
        caller.send_post(EXECUTE, &[], b"{}");
        assert!(caller.try_answer().is_none());
        gateway.wait_for_metrics(|metrics| ended(metrics, CLIENT), &counted(&[(&format!("202 {failure}"), 1)]));
        assert_eq!(ended(&gateway.metrics(), SERVER), counted(&[(&format!("202 {error}"), 1)]));
        assert_eq!(
            gateway.metrics().find("asteroid_gateway_executions_unknown_total", &[("tenant", "billing")]),
            Some(1.0)
        );
        assert_eq!(gateway.metrics().all("asteroid_gateway_executions_started_total"), []);
    }
}
