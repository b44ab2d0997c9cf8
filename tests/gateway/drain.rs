//! SIGTERM: requests in flight are finished, new ones go elsewhere, and the time to the end is bounded.

use asteroid_gateway::event;
use serde_json::json;

use crate::harness::configuration::directory;
use crate::harness::frames::{HEADERS, block, frame, start};
use crate::harness::{Caller, Configuration, EXECUTE, Pair, TlsPair};

#[test]
fn a_call_in_flight_is_finished_and_the_exit_is_0() {
    let pair = Pair::start();
    pair.asteroid.fail_next(json!({"run": true, "then": "stall"}));
    let mut caller = pair.caller();
    caller.send_post(EXECUTE, &[], b"{}");
    pair.asteroid.wait_for_requests(1);
    pair.gateway.signal("TERM");
    pair.gateway.event(event::DRAIN_BEGUN);
    pair.asteroid.clear_faults();
    let answer = caller.answer();
    assert_eq!(answer.status, 202);
    assert!(caller.is_closed());
    let ended = pair.gateway.end();
    assert!(ended.status.success(), "{}", ended.output);
    assert!(ended.logged(event::DRAIN_COMPLETED), "{}", ended.output);
}

#[test]
fn an_exchange_whose_caller_has_left_is_waited_for() {
    let pair = Pair::start();
    pair.asteroid.fail_next(json!({"run": true, "then": "stall"}));
    let mut caller = pair.caller();
    caller.send_post(EXECUTE, &[], b"{}");
    pair.asteroid.wait_for_requests(1);
    caller.hang_up();
    pair.gateway.signal("TERM");
    pair.gateway.event(event::DRAIN_BEGUN);
    pair.asteroid.clear_faults();
    let ended = pair.gateway.end();
    assert!(ended.status.success(), "{}", ended.output);
    assert!(ended.output.contains(&pair.asteroid.executions()[0].id), "{}", ended.output);
}

#[test]
fn readiness_turns_while_the_delay_is_served_and_answers_tell_callers_to_leave() {
    let pair = Pair::with("drain: { delay: 2s }");
    assert_eq!((pair.gateway.admin("/livez").status, pair.gateway.admin("/readyz").status), (200, 200));
    let mut kept = pair.caller();
    assert_eq!(kept.execute("{}").header("connection"), None);
    pair.gateway.signal("TERM");
    pair.gateway.event(event::DRAIN_BEGUN);
    assert_eq!((pair.gateway.admin("/livez").status, pair.gateway.admin("/readyz").status), (200, 503));
    let answer = kept.execute("{}");
    assert_eq!((answer.status, answer.header("connection")), (202, Some("close")));
    assert_eq!(pair.execute("{}").status, 202, "new connections are served until the delay is over");
    assert!(pair.gateway.end().status.success());
}

#[test]
fn a_request_that_crosses_the_end_of_accepting_on_a_kept_connection_is_answered() {
    let pair = Pair::start();
    let mut kept = pair.caller();
    assert_eq!(kept.execute("{}").header("connection"), None);
    pair.gateway.signal("TERM");
    // Without a delay, it no longer accepts connections by now; no answer has told this caller to leave.
    pair.gateway.event(event::DRAIN_BEGUN);
    let answer = kept.execute("{}");
    assert_eq!((answer.status, answer.header("connection")), (202, Some("close")));
    assert!(pair.gateway.end().status.success());
}

#[test]
fn an_idle_connection_does_not_hold_up_the_end() {
    let pair = Pair::start();
    let mut used = pair.caller();
    assert_eq!(used.execute("{}").status, 202);
    let mut unused = pair.caller();
    assert!(pair.gateway.stop().status.success());
    assert!(used.is_closed() && unused.is_closed());
}

#[test]
fn a_first_head_that_does_not_come_to_its_end_does_not_hold_up_the_end() {
    const HALF: &[u8] = b"POST / HTTP/1.1\r\nHost: loc";
    let (pair, secure) = (Pair::with("drain: { timeout: 5s }"), TlsPair::with("drain: { timeout: 5s }"));
    let (mut plain, mut encrypted, mut frames) = (pair.caller(), secure.caller(), secure.frames().begin());
    plain.send(HALF);
    encrypted.send(HALF);
    frames.send(&frame(HEADERS, 0, 1, &block(&start())));
    for gateway in [pair.gateway, secure.gateway] {
        gateway.signal("TERM");
        let ended = gateway.end();
        assert!(ended.status.success() && !ended.logged(event::DRAIN_TIMED_OUT), "{}", ended.output);
    }
}

#[test]
fn what_does_not_end_within_the_time_out_is_cut_off_counted_and_named() {
    let pair = Pair::with("drain: { timeout: 200ms }");
    for _ in 0..2 {
        pair.asteroid.fail_next(json!({"run": true, "then": "stall"}));
    }
    let mut callers = [pair.caller(), pair.caller()];
    for (caller, id) in callers.iter_mut().zip(["cut-off", "left"]) {
        caller.send_post(EXECUTE, &[("X-Request-Id", id), ("Idempotency-Key", id)], b"{}");
    }
    pair.asteroid.wait_for_requests(2);
    let [_held, left] = callers;
    left.hang_up();
    let ended = pair.gateway.stop();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.output);
    assert!(ended.events(event::DRAIN_REQUESTS_ABORTED)[0]["unsettled"] == "billing: 2", "{}", ended.output);
    assert!(!ended.logged(event::DRAIN_COMPLETED), "{}", ended.output);
    for id in ["cut-off", "left"] {
        let is_its = |line: &&str| line.contains(&format!(r#""request_id":"{id}""#));
        let line = ended.output.lines().find(is_its).unwrap();
        assert!(line.contains(r#""outcome":"unknown""#), "{line}");
        assert!(line.contains(r#""idempotency_outcome":"unknown""#), "{line}");
    }
}

#[test]
fn a_second_signal_ends_it_now_and_the_log_has_a_line_for_each_request_that_it_aborts() {
    let pair = Pair::with("drain: { timeout: 1h }");
    pair.asteroid.fail_next(json!({"run": true, "then": "stall"}));
    let mut caller = pair.caller();
    caller.send_post(EXECUTE, &[("X-Request-Id", "aborted")], b"{}");
    pair.asteroid.wait_for_requests(1);
    pair.gateway.signal("TERM");
    pair.gateway.event(event::DRAIN_BEGUN);
    pair.gateway.signal("INT");
    let ended = pair.gateway.end();
    assert!(ended.logged(event::DRAIN_ABORTED), "{}", ended.output);
    let completed = ended.events(event::REQUEST_COMPLETED);
    let aborted = completed.iter().find(|line| line["request_id"] == "aborted");
    assert_eq!(aborted.map(|line| &line["outcome"]), Some(&json!("unknown")), "{}", ended.output);
    assert!(ended.events(event::DRAIN_REQUESTS_ABORTED)[0]["unsettled"] == "billing: 1", "{}", ended.output);
}

#[test]
fn the_admin_listener_answers_whoever_operates_the_gateway_and_the_others_do_not() {
    let pair = Pair::start();
    assert_eq!(pair.gateway.admin("/livez").body, b"ok\n");
    assert_eq!(pair.gateway.admin(EXECUTE).status, 404);
    assert_eq!(pair.gateway.probe().request("POST", "/metrics").status, 405);
    for path in ["/livez", "/readyz", "/metrics", "/openapi.json", "/version"] {
        assert_eq!(pair.gateway.admin(path).status, 200);
        let data = Caller::connect(pair.gateway.address()).request("GET", path);
        data.assert_error(404, "operation-not-served", "not_started");
    }
}

#[test]
fn a_drain_is_long_enough_for_an_answer_that_comes_just_in_time_unless_it_is_configured_otherwise() {
    let check = |more: &str| {
        let dir = directory(Configuration::for_upstream("https://localhost/").with(more));
        let file = dir.path().join("gateway.yaml");
        let output = crate::harness::binary().arg("check").arg("--config").arg(file).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    for enough in ["", "timeouts: { response: 90s }\ndrain: { timeout: 95s }", "timeouts: { response: 30s }"] {
        assert_eq!(check(enough), "", "{enough}");
    }
    for (short, needed) in [
        ("drain: { timeout: 64999ms }", "1m 5s"),
        ("timeouts: { response: 60001ms }", "1m 5s 1ms"),
        ("drain: { timeout: 0s }", "1m 5s"),
    ] {
        let said = check(short);
        assert!(said.starts_with("warning: drain.timeout: ") && said.contains(&format!("write {needed}")), "{said}");
    }
}
