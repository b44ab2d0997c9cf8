//! An answer that arrives after the time-out: its caller was told that the outcome is unknown, but a retry with the
//! idempotency key gets the answer.

use std::time::Duration;

use asteroid_gateway::event;
use serde_json::{Value, json};

use crate::harness::{Answer, Asteroid, EXECUTE, Pair, Program};

/// Starts a gateway with this time-out and these limits of its tenant, in front of an upstream over HTTP/1.1 or HTTP/2.
fn pair(http2: bool, timeout: &str, limits: &str) -> Pair {
    let asteroid = if http2 { Asteroid::start_tls("localhost") } else { Asteroid::start() };
    let configuration = asteroid
        .configuration()
        .with(&format!("timeouts: {{ response: {timeout} }}"))
        .billing(&format!("limits: {{ {limits} }}"));
    Pair::run(asteroid, configuration)
}

fn keyed(pair: &Pair, key: &str) -> Answer {
    pair.caller().post(EXECUTE, &[("Idempotency-Key", key), ("X-Request-Id", key)], b"{}")
}

/// Sends a start whose answer does not arrive in time.
fn overdue(pair: &Pair, key: &str, fault: Value) {
    pair.asteroid.fail_next(fault);
    let answer = keyed(pair, key);
    answer.assert_error(504, "upstream-timeout", "unknown");
    assert_eq!((answer.header("execution-outcome"), answer.header("retry-after")), (Some("unknown"), None));
}

/// Waits for the end of a start, and returns its log line.
fn ended(gateway: &Program, key: &str) -> Value {
    gateway.line(|line| line["event"] == event::START_COMPLETED_LATE && line["request_id"] == key)
}

fn executions(pair: &Pair) -> Vec<String> {
    pair.asteroid.executions().into_iter().map(|execution| execution.id).collect()
}

#[test]
fn a_late_answer_that_names_an_execution_is_the_answer_of_the_next_retry() {
    for http2 in [false, true] {
        let pair = pair(http2, "300ms", "in_flight: 8, budget: { executions: 9, per: day }");
        overdue(&pair, "k", json!({"run": true, "then": "stall"}));
        let line = pair.gateway.request_line(504);
        assert_eq!((&line["outcome"], &line["idempotency_outcome"]), (&"unknown".into(), &"in_flight".into()));
        let meanwhile = keyed(&pair, "k");
        meanwhile.assert_error(409, "idempotency-in-flight", "not_started");
        let left = meanwhile.header("ratelimit").unwrap().split(',').next();
        assert_eq!(left, Some("\"in_flight\";r=6"), "it holds its place");
        pair.asteroid.clear_faults();
        let [id] = executions(&pair).try_into().unwrap();
        let line = ended(&pair.gateway, "k");
        assert_eq!((&line["outcome"], &line["idempotency_outcome"]), (&"answered".into(), &"answered".into()));
        assert_eq!((&line["execution_id"], &line["status"]), (&id.as_str().into(), &202.into()));
        let retry = keyed(&pair, "k");
        assert_eq!((retry.status, retry.header("idempotent-replayed")), (202, Some("true")));
        assert_eq!(retry.json()["executionId"], id.as_str());
        let left = retry.header("ratelimit").unwrap().split(',').next();
        assert_eq!(left, Some("\"in_flight\";r=7"), "and gives it back");
        assert_eq!(pair.asteroid.starts().len(), 1);
        let metrics = pair.gateway.metrics();
        assert_eq!(metrics.find("asteroid_gateway_executions_started_total", &[("tenant", "billing")]), Some(1.0));
    }
}

#[test]
fn a_late_answer_is_judged_like_any_other() {
    let pair = pair(false, "300ms", "budget: { executions: 9, per: day }");
    let late = |status: u16| json!({"delay_ms": 900, "then": {"answer": {"status": status, "body": "{}"}}});
    for (status, outcome, key) in [
        (422, "not_started", "free"),
        (408, "unknown", "unknown"),
        (500, "unknown", "unknown"),
        (202, "unknown", "unknown"),
    ] {
        let id = format!("k{status}");
        overdue(&pair, &id, late(status));
        let line = ended(&pair.gateway, &id);
        assert_eq!((&line["outcome"], &line["idempotency_outcome"]), (&outcome.into(), &key.into()), "{status}");
        let retry = keyed(&pair, &id);
        if key == "free" {
            assert_eq!((retry.status, retry.header("idempotent-replayed")), (202, None));
            let left = retry.header("ratelimit").unwrap();
            assert!(left.starts_with("\"budget\";r=8;"), "the first was given back: {left}");
        } else {
            retry.assert_error(504, "idempotency-unknown", "unknown");
        }
    }
}

#[test]
fn an_exchange_that_breaks_after_the_time_out_leaves_the_outcome_unknown() {
    for then in ["stall", "stall_mid_answer"] {
        let pair = pair(false, "300ms", "in_flight: 8");
        overdue(&pair, "k", json!({"run": true, "then": then}));
        keyed(&pair, "k").assert_error(409, "idempotency-in-flight", "not_started");
        pair.asteroid.close_connections();
        let line = ended(&pair.gateway, "k");
        assert_eq!((&line["outcome"], &line["error"]), (&"unknown".into(), &"upstream-broke".into()), "{line}");
        for _ in 0..2 {
            keyed(&pair, "k").assert_error(504, "idempotency-unknown", "unknown");
        }
        assert_eq!(executions(&pair).len(), 1);
    }
}

#[test]
fn a_caller_who_left_before_the_time_out_changes_nothing() {
    let pair = pair(false, "300ms", "in_flight: 8");
    pair.asteroid.fail_next(json!({"run": true, "then": "stall"}));
    let mut caller = pair.caller();
    caller.send_post(EXECUTE, &[("Idempotency-Key", "k"), ("X-Request-Id", "k")], b"{}");
    pair.asteroid.wait_for_requests(1);
    caller.reset();
    pair.gateway.request_line(504);
    pair.asteroid.clear_faults();
    assert_eq!(ended(&pair.gateway, "k")["outcome"], "answered");
    assert_eq!(keyed(&pair, "k").json()["executionId"], executions(&pair)[0].as_str());
}

#[test]
fn a_start_without_a_key_is_given_up_at_the_time_out() {
    let pair = pair(false, "300ms", "in_flight: 2");
    pair.asteroid.fail_next(json!({"run": true, "then": "stall"}));
    pair.execute("{}").assert_error(504, "upstream-timeout", "unknown");
    pair.asteroid.wait_for_no_connection();
    assert!(pair.execute("{}").header("ratelimit").unwrap().starts_with("\"in_flight\";r=1"));
}

#[test]
fn at_most_half_of_a_tenant_s_exchanges_are_read_on() {
    for (limit, read_on) in [(1, 0), (4, 2), (5, 2)] {
        let pair = pair(false, "300ms", &format!("in_flight: {limit}"));
        for n in 0..read_on + 2 {
            overdue(&pair, &format!("k{n}"), json!({"run": true, "then": "stall"}));
        }
        for n in 0..read_on + 2 {
            let retry = keyed(&pair, &format!("k{n}"));
            if n < read_on {
                retry.assert_error(409, "idempotency-in-flight", "not_started");
            } else {
                retry.assert_error(504, "idempotency-unknown", "unknown");
            }
        }
        pair.asteroid.clear_faults();
        (0..read_on).for_each(|n| drop(ended(&pair.gateway, &format!("k{n}"))));
        overdue(&pair, "another", json!({"run": true, "then": "stall"}));
        let status = if read_on == 0 { 504 } else { 409 };
        assert_eq!(keyed(&pair, "another").status, status, "there is room again");
    }
}

#[test]
fn a_process_that_stood_still_finds_the_answer_that_came_meanwhile() {
    let timeout = Duration::from_secs(2);
    let begin = |(http2, key): (bool, Option<&str>)| {
        let pair = pair(http2, "2s", "in_flight: 8");
        pair.asteroid.fail_next(json!({"then": "stall"}));
        let mut caller = pair.caller();
        let headers: Vec<_> = key.map(|key| ("Idempotency-Key", key)).into_iter().collect();
        caller.send_post(EXECUTE, &headers, b"{}");
        pair.asteroid.wait_for_requests(1);
        pair.gateway.signal("STOP");
        pair.asteroid.clear_faults();
        (format!("HTTP/2: {http2}, {key:?}"), pair, caller)
    };
    let stopped = [(false, None), (false, Some("k")), (true, None), (true, Some("k"))].map(begin);
    // The time-out passes while both processes are stopped.
    std::thread::sleep(timeout + Duration::from_millis(200));
    for (case, pair, mut caller) in stopped {
        pair.gateway.signal("CONT");
        let answer = caller.answer();
        assert_eq!((answer.status, answer.header("execution-outcome")), (202, None), "{case}");
    }
}

#[test]
fn the_drain_waits_for_no_answer_whose_caller_was_told_of_the_time_out() {
    let pair = pair(false, "300ms", "in_flight: 8");
    overdue(&pair, "k", json!({"run": true, "then": "stall"}));
    keyed(&pair, "k").assert_error(409, "idempotency-in-flight", "not_started");
    let end = pair.gateway.stop();
    assert!(end.status.success() && !end.logged(event::DRAIN_TIMED_OUT), "{}", end.output);
    let line = &end.events(event::START_ABANDONED)[0];
    assert_eq!((&line["request_id"], &line["idempotency_outcome"]), (&"k".into(), &"unknown".into()), "{line}");
}

#[test]
fn a_start_whose_time_out_passes_in_a_drain_is_not_read_on_and_its_record_says_so() {
    let pair = pair(false, "1s", "in_flight: 8");
    pair.asteroid.fail_next(json!({"run": true, "then": "stall"}));
    let mut caller = pair.caller();
    caller.send_post(EXECUTE, &[("Idempotency-Key", "k")], b"{}");
    pair.asteroid.wait_for_requests(1);
    pair.gateway.signal("TERM");
    caller.answer().assert_error(504, "upstream-timeout", "unknown");
    assert_eq!(pair.gateway.request_line(504)["idempotency_outcome"], "unknown");
    assert!(pair.gateway.end().status.success());
}
