//! Callers get the upstream's answer unchanged, except for headers that apply to a single hop.

use serde_json::json;

use crate::harness::metrics::Metrics;
use crate::harness::{EXECUTE, Pair};

#[test]
fn status_media_type_and_body_of_every_answer_are_passed_on() {
    let pair = Pair::start();
    for status in [200, 201, 202, 303, 307, 400, 402, 403, 404, 409, 422, 429, 500, 503] {
        let body = format!("{{ \"code\":{status}, \"message\":\"as sent\", \"big\": 12345678901234567890 }}");
        let headers = json!([
            ["content-type", "application/vnd.asteroid+json; charset=utf-8"],
            ["location", "https://elsewhere.example/x"]
        ]);
        pair.asteroid.fail_next(json!({"then": {"answer": {"status": status, "headers": headers, "body": body}}}));
        let answer = pair.execute("{}");
        assert_eq!(answer.status, status);
        assert_eq!(String::from_utf8(answer.body.clone()).unwrap(), body);
        assert_eq!(answer.header("content-type"), Some("application/vnd.asteroid+json; charset=utf-8"));
        assert_eq!(answer.header("location"), Some("https://elsewhere.example/x"));
        assert_eq!(answer.header("proxy-status"), None, "the upstream's error is not marked as the gateway's");
    }
    assert_eq!(pair.asteroid.requests().len(), 14, "no redirect is followed and nothing is tried again");
}

#[test]
fn headers_that_end_at_this_hop_and_cookies_do_not_come_back() {
    let pair = Pair::start();
    let headers = json!([
        ["content-type", "application/json"],
        ["set-cookie", "session=1"],
        ["set-cookie", "other=2"],
        ["connection", "x-internal"],
        ["x-internal", "1"],
        ["keep-alive", "timeout=5"],
        ["x-request-id", "upstream's own"],
        ["x-kept", "yes"],
    ]);
    pair.asteroid.fail_next(json!({"then": {"answer": {"status": 202, "headers": headers, "body": "{}"}}}));
    let answer = pair.execute("{}");
    for gone in ["set-cookie", "x-internal", "keep-alive"] {
        assert_eq!(answer.header(gone), None);
    }
    assert_eq!(answer.header("x-kept"), Some("yes"));
    let id = answer.header("x-request-id").unwrap();
    assert_eq!(pair.asteroid.only_request().header("x-request-id"), Some(id));
}

#[test]
fn an_answer_beyond_what_is_buffered_arrives_whole_and_its_execution_is_logged() {
    let pair = Pair::start();
    for size in [40 * 1024, 200 * 1024, 3 * 1024 * 1024] {
        let body =
            json!({"executionId": "0b5ee0cf-9a5e-4b07-8f83-0f3f6ac5d4de", "padding": "x".repeat(size)}).to_string();
        pair.asteroid.fail_next(json!({"then": {"answer": {"status": 202, "headers": [["content-type", "application/json"]], "body": body}}}));
        let answer = pair.caller().post(EXECUTE, &[("X-Request-Id", &format!("size-{size}"))], b"{}");
        assert!(answer.body == body.as_bytes(), "{} of {} bytes", answer.body.len(), body.len());
        let line = pair.gateway.line(|line| line["request_id"] == format!("size-{size}"));
        assert_eq!(line["delivered"], true);
        assert_eq!(line["execution_id"], "0b5ee0cf-9a5e-4b07-8f83-0f3f6ac5d4de");
        assert_eq!(line["outcome"], "answered");
    }
}

#[test]
fn an_execution_that_is_longer_than_the_limit_is_not_passed_on_and_its_memory_is_given_back() {
    let pair = Pair::with("answer_limit: 64KiB");
    assert_eq!(pair.execute("{}").status, 202);
    let path = format!("/executions/{}", pair.asteroid.executions()[0].id);
    let get = |length: usize| {
        pair.asteroid.fail_next(json!({"method": "GET", "then": {"pad": length}}));
        pair.caller().request("GET", &path)
    };
    let longest = get(64 * 1024);
    assert_eq!((longest.status, longest.json()["status"].is_string()), (200, true));
    let answer = get(64 * 1024 + 1);
    assert_eq!((answer.status, answer.json()["type"].as_str().unwrap().ends_with("answer-too-large")), (502, true));
    let held = |metrics: &Metrics| metrics.find("asteroid_gateway_body_memory_bytes", &[]);
    pair.gateway.wait_for_metrics(held, &Some(0.0));
}

#[test]
fn one_connection_carries_many_calls_on_both_sides() {
    let pair = Pair::start();
    let mut caller = pair.caller();
    for _ in 0..20 {
        assert_eq!(caller.execute("{}").status, 202);
    }
    let connections: std::collections::BTreeSet<u64> = pair.asteroid.requests().iter().map(|r| r.connection).collect();
    assert_eq!(connections.len(), 1);
}

#[test]
fn pipelined_calls_are_answered_in_order() {
    let pair = Pair::start();
    let mut caller = pair.caller();
    for id in ["first", "second", "third"] {
        caller.send_post(EXECUTE, &[("X-Request-Id", id)], b"{}");
    }
    for id in ["first", "second", "third"] {
        let answer = caller.answer();
        assert_eq!((answer.status, answer.header("x-request-id")), (202, Some(id)));
    }
}
