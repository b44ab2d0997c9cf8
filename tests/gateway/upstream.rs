//! An upstream that is unreachable, slow or broken: the outcome that the caller is told is true, and nothing is sent twice.

use std::net::{Ipv4Addr, UdpSocket};

use asteroid_gateway::event;
use serde_json::json;

use crate::harness::asteroid::certificates;
use crate::harness::program::is_root;
use crate::harness::{Asteroid, Configuration, EXECUTE, Pair, Program};

/// The path of [`EXECUTE`] at the upstream.
const UPSTREAM_EXECUTE: &str = "/agents/v2/agents/8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11/execute";

/// Upstreams over HTTP/1.1 and over HTTP/2.
fn over_both() -> [Pair; 2] {
    [Pair::start(), Pair::tls("")]
}

#[test]
fn an_upstream_that_cannot_be_reached_has_started_nothing() {
    let (address, _held) = crate::harness::asteroid::refused_address();
    let pair = Pair::run(Asteroid::start(), Configuration::for_address(address));
    let answer = pair.execute("{}");
    answer.assert_error(502, "unreachable", "not_started");
    assert!(answer.json()["detail"].as_str().unwrap().contains(&address.to_string()));
    assert_eq!(answer.header("proxy-status"), Some("asteroid-gateway; error=connection_refused"));
}

#[test]
fn a_name_that_does_not_resolve_has_started_nothing() {
    let pair = Pair::run(Asteroid::start(), Configuration::for_upstream("https://no-such-host.invalid/agents/v2"));
    pair.execute("{}").assert_error(502, "unreachable", "not_started");
}

#[test]
fn an_upstream_that_never_accepts_is_given_up_after_the_connect_time_out() {
    // A listener with a full backlog drops further connection attempts.
    let (address, _held) = crate::harness::asteroid::unreachable_address();
    let pair = Pair::run(Asteroid::start(), Configuration::for_address(address).with("timeouts: { connect: 200ms }"));
    let answer = pair.execute("{}");
    answer.assert_error(502, "unreachable", "not_started");
    assert_eq!(answer.header("proxy-status"), Some("asteroid-gateway; error=connection_timeout"));
}

#[test]
fn an_address_that_is_silent_does_not_keep_the_next_one_from_being_tried() {
    let (address, _held) = crate::harness::asteroid::unreachable_address();
    // The other address of the same name is tried next.
    let asteroid = Asteroid::start_tls_at(&format!("[::1]:{}", address.port()), "localhost");
    let pair = Pair::before(asteroid, "timeouts: { connect: 1h }");
    assert_eq!(pair.execute("{}").status, 202);
}

#[test]
fn a_name_server_that_does_not_answer_is_named_and_has_started_nothing() {
    assert!(is_root(), "another resolv.conf is mounted by root alone: run the tests as root");
    // A loopback address that only this test uses.
    let address = Ipv4Addr::from_bits(0x7f50_0000 | (std::process::id() & 0xffff));
    let _silent = UdpSocket::bind((address, 53)).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, format!("nameserver {address}\n")).unwrap();
    let mount = format!("mount --bind {} /etc/resolv.conf && exec \"$@\"", file.path().display());
    let configuration =
        Configuration::for_upstream("https://upstream.test/agents/v2").with("timeouts: { connect: 300ms }");
    let gateway = Program::run_under(configuration, &format!("exec unshare --mount sh -c '{mount}' sh \"$@\" #"));
    let pair = Pair { asteroid: Asteroid::start(), gateway };
    let answer = pair.execute("{}");
    answer.assert_error(502, "unreachable", "not_started");
    assert_eq!(answer.header("proxy-status"), Some("asteroid-gateway; error=dns_error"));
    let detail = answer.json()["detail"].to_string();
    assert!(detail.contains("upstream.test was not resolved within 300ms"), "{detail}");
}

#[test]
fn a_connection_that_breaks_after_the_request_was_written_leaves_the_outcome_unknown_and_nothing_is_sent_again() {
    for pair in over_both() {
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
    for pair in over_both() {
        pair.asteroid.next(json!({"run": true, "then": "close_mid_answer"}));
        pair.execute("{}").assert_error(504, "upstream-broke", "unknown");
        let line = pair.gateway.request_line(504);
        assert_eq!((&line["outcome"], &line["error"]), (&json!("unknown"), &json!("upstream-broke")));
    }
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
    for pair in over_both() {
        for _ in 0..20 {
            assert_eq!(pair.execute("{}").status, 202);
            pair.asteroid.close_connections();
        }
        assert_eq!(pair.asteroid.executions().len(), 20);
    }
}

#[test]
fn a_key_that_the_upstream_refuses_is_the_gateways_affair_and_never_the_callers_401() {
    let pair = Pair::start();
    pair.asteroid.replace_key("ak-another-7d3e9f1a52");
    let answer = pair.execute("{}");
    answer.assert_error(502, "key-refused", "not_started");
    assert_eq!(answer.header("www-authenticate"), None);
    assert_eq!(pair.asteroid.executions().len(), 0);
    assert_eq!(pair.asteroid.starts().len(), 1);
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
    assert_eq!((&line["outcome"], &line["error"]), (&json!("not_started"), &json!("caller-left")));
    assert_eq!(pair.asteroid.requests().len(), 0);
}

#[test]
fn https_is_verified_against_the_configured_ca_and_the_name_and_the_upstream_chooses_the_protocol() {
    for (asteroid, version) in
        [(Asteroid::start_tls("localhost"), "HTTP/2.0"), (Asteroid::start_tls_http1("localhost"), "HTTP/1.1")]
    {
        let authority = asteroid.url().trim_start_matches("https://").trim_end_matches("/agents/v2").to_owned();
        let pair = Pair::before(asteroid, "");
        assert_eq!(pair.execute("{}").status, 202);
        let request = pair.asteroid.only_request();
        assert!(request.authenticated);
        assert_eq!((request.version.as_str(), request.target.as_str()), (version, UPSTREAM_EXECUTE));
        let host = (version == "HTTP/1.1").then_some(authority.as_str());
        assert_eq!(request.header("host"), host, "HTTP/2 has it in its target");
    }
}

#[test]
fn nothing_is_sent_to_an_upstream_whose_certificate_does_not_verify() {
    let unknown = Asteroid::start_tls("localhost");
    let other_name = Asteroid::start_tls("other.example");
    let configuration = unknown.configuration().remove("/upstream/ca_file");
    let unknown = (Pair::run(unknown, configuration), "no authority that is trusted here signed its certificate");
    let other_name = (Pair::before(other_name, ""), "its certificate is for another name");
    for (pair, said) in [unknown, other_name] {
        let answer = pair.execute("{}");
        answer.assert_error(502, "unreachable", "not_started");
        assert!(answer.json()["detail"].as_str().unwrap().contains(said), "{answer:?}");
        assert_eq!(pair.asteroid.requests().len(), 0);
    }
}

#[test]
fn a_ca_file_is_read_again_when_it_changes_and_a_bad_one_changes_nothing() {
    let asteroid = Asteroid::start_tls("localhost");
    let ca = std::fs::read(asteroid.ca_file()).unwrap();
    let other = certificates("localhost");
    std::fs::copy(other.path().join("ca.pem"), asteroid.ca_file()).unwrap();
    let pair = Pair::before(asteroid, "");
    let write = |bytes: &[u8]| std::fs::write(pair.asteroid.ca_file(), bytes).unwrap();
    pair.execute("{}").assert_error(502, "unreachable", "not_started");
    write(&ca);
    pair.gateway.nth_event(event::UPSTREAM_CA_REPLACED, 1);
    assert_eq!(pair.execute("{}").status, 202);
    write(b"no certificate");
    pair.gateway.nth_event(event::UPSTREAM_CA_REFUSED, 1);
    assert_eq!(pair.execute("{}").status, 202);
    // The connection from the time of the old CA is still open, but carries no new request.
    std::fs::copy(other.path().join("ca.pem"), pair.asteroid.ca_file()).unwrap();
    pair.gateway.nth_event(event::UPSTREAM_CA_REPLACED, 2);
    pair.execute("{}").assert_error(502, "unreachable", "not_started");
    assert_eq!(pair.asteroid.executions().len(), 2);
}

#[test]
fn many_calls_at_once_share_one_connection_where_the_upstream_speaks_http2() {
    let pair = Pair::tls("");
    for _ in 0..40 {
        pair.asteroid.next(json!({"then": "stall"}));
    }
    let mut callers: Vec<_> = (0..40).map(|_| pair.caller()).collect();
    for caller in &mut callers {
        caller.send_post(EXECUTE, &[], b"{}");
    }
    pair.asteroid.wait_for_requests(40);
    pair.asteroid.clear_faults();
    for caller in &mut callers {
        assert_eq!(caller.answer().status, 202);
    }
    assert!(pair.asteroid.requests().iter().all(|request| request.connection == 0));
    assert_eq!(pair.asteroid.executions().len(), 40);
}

#[test]
fn a_call_that_is_reset_leaves_the_others_of_its_http2_connection_alone() {
    let pair = Pair::tls("");
    assert_eq!(pair.execute("{}").status, 202);
    pair.asteroid.next(json!({"then": "reset"}));
    pair.execute("{}").assert_error(504, "upstream-broke", "unknown");
    assert_eq!(pair.execute("{}").status, 202);
    assert!(pair.asteroid.requests().iter().all(|request| request.connection == 0));
}

#[test]
fn the_log_names_what_broke_a_connection() {
    for (pair, then, named) in [
        (Pair::start(), "reset", "Connection reset by peer (os error 104)"),
        (Pair::start(), "close", "connection closed before message completed"),
        (Pair::tls(""), "reset", "received RST_STREAM with INTERNAL_ERROR"),
        (Pair::tls(""), "close_mid_answer", "peer closed connection without sending TLS close_notify\""),
    ] {
        pair.asteroid.next(json!({"then": then}));
        pair.execute("{}").assert_error(504, "upstream-broke", "unknown");
        let detail = pair.gateway.request_line(504)["detail"].to_string();
        assert!(detail.contains(named), "{then}: {detail}");
    }
}

#[test]
fn what_the_upstream_says_of_its_own_limits_reaches_no_caller() {
    let headers = [
        ["RateLimit", "\"all\";r=7"],
        ["RateLimit-Policy", "\"all\";q=100;w=60"],
        ["RateLimit-Limit", "100"],
        ["X-RateLimit-Remaining", "7"],
        ["x-ratelimit-reset", "60"],
        ["X-Rate-Limit-Remaining", "7"],
        ["X-Kept", "yes"],
    ];
    for pair in over_both() {
        for status in [202, 429, 500] {
            pair.asteroid.next(json!({"then": {"answer": {"status": status, "headers": headers, "body": "{}"}}}));
            let answer = pair.execute("{}");
            assert_eq!((answer.status, answer.header("x-kept")), (status, Some("yes")));
            let limits = answer.headers.iter().filter(|(name, _)| name.contains("rate"));
            assert_eq!(limits.count(), 0, "{answer:?}");
        }
    }
}

#[test]
fn callers_who_do_not_read_hold_up_nobody_else_on_their_http2_connection() {
    let pair = Pair::tls("");
    let body = "x".repeat(12 * 1024 * 1024);
    let slow: Vec<_> = (0..6)
        .map(|_| {
            pair.asteroid.next(json!({"then": {"answer": {"status": 200, "body": body}}}));
            let mut caller = pair.caller();
            caller.send_post(EXECUTE, &[], b"{}");
            caller
        })
        .collect();
    pair.asteroid.wait_for_requests(6);
    for _ in 0..20 {
        assert_eq!(pair.execute("{}").status, 202);
    }
    assert!(pair.asteroid.requests().iter().all(|request| request.connection == 0));
    for mut caller in slow {
        assert_eq!(caller.answer().body.len(), body.len());
    }
}

#[test]
fn an_unused_http2_connection_is_closed_after_the_idle_time_out() {
    let pair = Pair::tls("timeouts: { idle: 100ms }");
    assert_eq!(pair.execute("{}").status, 202);
    pair.asteroid.wait_for_no_connection();
    assert_eq!(pair.execute("{}").status, 202);
    assert_eq!(pair.asteroid.requests()[1].connection, 1);
}
