//! An upstream that is away, slow or broken: what the caller is told of the money, and that nothing is sent twice.

use std::net::TcpListener;

use serde_json::json;

use crate::harness::{Asteroid, EXECUTE, Pair, Program, configuration};

#[test]
fn an_upstream_that_cannot_be_reached_has_started_nothing() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = Program::run(&configuration(&format!("http://{free}"), ""));
    let pair = Pair { asteroid: Asteroid::start(), gateway };
    let answer = pair.execute("{}");
    answer.assert_error(502, "unreachable", "not_started");
    assert!(answer.json()["detail"].as_str().unwrap().contains(&free.to_string()));
    assert_eq!(answer.header("proxy-status"), Some("asteroid-gateway; error=connection_refused"));
}

#[test]
fn a_name_that_does_not_resolve_has_started_nothing() {
    let gateway = Program::run(&configuration("https://no-such-host.invalid/agents/v2", ""));
    let pair = Pair { asteroid: Asteroid::start(), gateway };
    pair.execute("{}").assert_error(502, "unreachable", "not_started");
}

#[test]
fn an_upstream_that_never_accepts_is_given_up_after_the_connect_time_out() {
    // A listener whose queue is full drops what comes after: nobody answers the next connection.
    let (address, _held) = crate::harness::asteroid::unreachable();
    let gateway = Program::run(&configuration(&format!("http://{address}"), "timeouts: { connect: 200ms }"));
    let pair = Pair { asteroid: Asteroid::start(), gateway };
    let answer = pair.execute("{}");
    answer.assert_error(502, "unreachable", "not_started");
    assert_eq!(answer.header("proxy-status"), Some("asteroid-gateway; error=connection_timeout"));
}

#[test]
fn a_connection_that_breaks_after_the_request_was_written_leaves_the_outcome_unknown_and_nothing_is_sent_again() {
    let pair = Pair::start();
    for then in ["close", "reset"] {
        for run in [true, false] {
            let before = pair.asteroid.requests().len();
            pair.asteroid.next(json!({"run": run, "then": then}));
            pair.execute("{}").assert_error(504, "upstream-broke", "unknown");
            assert_eq!(pair.asteroid.requests().len(), before + 1);
        }
    }
    assert_eq!(pair.asteroid.executions().len(), 2);
    assert_eq!(pair.execute("{}").status, 202, "the next call is served as ever");
}

#[test]
fn a_connection_that_breaks_within_the_head_of_a_new_request_leaves_the_outcome_unknown() {
    let pair = Pair::start();
    for when in ["connected", "head"] {
        pair.asteroid.next(json!({"when": when, "then": "close"}));
        pair.execute("{}").assert_error(504, "upstream-broke", "unknown");
    }
}

#[test]
fn an_answer_that_breaks_off_is_never_passed_on_as_whole() {
    let pair = Pair::start();
    pair.asteroid.next(json!({"run": true, "then": "close_mid_answer"}));
    pair.execute("{}").assert_error(504, "upstream-broke", "unknown");
    let line = pair.gateway.request_line(504);
    assert_eq!((&line["outcome"], &line["error"]), (&json!("unknown"), &json!("upstream-broke")));
}

#[test]
fn an_answer_that_does_not_come_in_time_leaves_the_outcome_unknown() {
    let pair = Pair::with("timeouts: { response: 200ms }");
    pair.asteroid.next(json!({"run": true, "then": "stall"}));
    let answer = pair.execute("{}");
    answer.assert_error(504, "upstream-timeout", "unknown");
    assert_eq!(answer.header("proxy-status"), Some("asteroid-gateway; error=http_response_timeout"));
    assert_eq!(pair.execute("{}").status, 202);
    let connections: Vec<u64> = pair.asteroid.requests().iter().map(|request| request.connection).collect();
    assert_ne!(connections[0], connections[1], "a connection that owes an answer carries nothing else");
}

#[test]
fn a_kept_connection_that_the_upstream_has_closed_is_replaced_without_the_caller_noticing() {
    let pair = Pair::start();
    for _ in 0..20 {
        assert_eq!(pair.execute("{}").status, 202);
        pair.asteroid.close_connections();
    }
    assert_eq!(pair.asteroid.executions().len(), 20);
}

#[test]
fn a_key_that_the_upstream_refuses_is_the_gateways_affair_and_never_the_callers_401() {
    let pair = Pair::start();
    pair.asteroid.replace_key("ak-another");
    let answer = pair.execute("{}");
    answer.assert_error(502, "key-refused", "not_started");
    assert_eq!(answer.header("www-authenticate"), None);
    assert_eq!(pair.asteroid.executions().len(), 0);
    assert_eq!(pair.asteroid.requests().len(), 1);
}

#[test]
fn a_start_that_was_sent_is_finished_and_logged_although_the_caller_hung_up() {
    let pair = Pair::start();
    pair.asteroid.next(json!({"run": true, "then": "stall"}));
    let mut caller = pair.caller();
    caller.send_post(EXECUTE, &[("X-Request-Id", "left-early")], b"{}");
    pair.asteroid.wait_for_requests(1);
    caller.leave();
    pair.asteroid.clear_faults();
    let line = pair.gateway.line(|line| line["request_id"] == "left-early");
    assert_eq!(
        (&line["status"], &line["outcome"], &line["delivered"]),
        (&json!(202), &json!("answered"), &json!(false))
    );
    assert_eq!(line["execution_id"], pair.asteroid.executions()[0].id);
    assert_eq!(pair.asteroid.requests().len(), 1);
}

#[test]
fn a_caller_who_hangs_up_before_the_request_was_whole_starts_nothing_and_is_logged() {
    let pair = Pair::start();
    let mut caller = pair.caller();
    caller.send(format!("POST {EXECUTE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\nX-Request-Id: half\r\n\r\n{{").as_bytes());
    caller.leave();
    let line = pair.gateway.line(|line| line["request_id"] == "half");
    assert_eq!((&line["outcome"], &line["error"]), (&json!("not_started"), &json!("body-broken")));
    assert_eq!(pair.asteroid.requests().len(), 0);
}

#[test]
fn https_is_verified_against_the_configured_ca_and_the_name() {
    let asteroid = Asteroid::start_tls("localhost");
    let ca = asteroid.ca_file();
    let trusted = format!("{}, ca_file: {ca}", asteroid.url());
    let pair = Pair { gateway: Program::run(&configuration(&trusted, "")), asteroid };
    assert_eq!(pair.execute("{}").status, 202);
    assert!(pair.asteroid.only_request().authenticated);
}

#[test]
fn nothing_is_sent_to_an_upstream_whose_certificate_does_not_verify() {
    // Not signed by a known root; signed, but for another name.
    let unknown = Asteroid::start_tls("localhost");
    let other_name = Asteroid::start_tls("other.example");
    let urls = [unknown.url(), format!("{}, ca_file: {}", other_name.url(), other_name.ca_file())];
    for (url, asteroid) in urls.into_iter().zip([unknown, other_name]) {
        let pair = Pair { gateway: Program::run(&configuration(&url, "")), asteroid };
        let answer = pair.execute("{}");
        answer.assert_error(502, "unreachable", "not_started");
        assert_eq!(pair.asteroid.requests().len(), 0);
    }
}
