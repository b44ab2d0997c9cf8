//! The callers and operations that are allowed, and the parts of a request that never reach the upstream.

use crate::harness::{AGENT, API_KEY, EXECUTE, Pair};

#[test]
fn a_web_page_cannot_use_the_gateway() {
    let pair = Pair::start();
    for header in [
        ("Origin", "http://localhost:3000"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-origin"),
    ] {
        pair.caller().post(EXECUTE, &[header], b"{}").assert_error(403, "browser", "not_started");
    }
    assert_eq!(pair.asteroid.requests().len(), 0);
}

#[test]
fn the_headers_that_undici_and_address_bars_send_do_not_make_a_browser() {
    let pair = Pair::start();
    let headers = [("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Site", "none")];
    assert_eq!(pair.caller().post(EXECUTE, &headers, b"{}").status, 202);
}

#[test]
fn a_name_that_was_rebound_to_loopback_is_misdirected() {
    let pair = Pair::start();
    for host in
        ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", "[::2]"]
    {
        pair.caller().post(EXECUTE, &[("Host", host)], b"{}").assert_error(421, "misdirected", "not_started");
    }
    assert_eq!(pair.asteroid.requests().len(), 0);
}

#[test]
fn every_name_of_loopback_is_answered_for_on_any_port() {
    let pair = Pair::start();
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1:99", "127.8.9.1", "[::1]:8080", "[::1]"] {
        assert_eq!(pair.caller().post(EXECUTE, &[("Host", host)], b"{}").status, 202, "{host}");
    }
}

#[test]
fn a_host_that_is_missing_repeated_or_no_host_is_refused() {
    let pair = Pair::start();
    let body = "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    for hosts in
        ["", "Host: localhost\r\nHost: localhost\r\n", "Host: a b\r\n", "Host: user@localhost\r\n", "Host: \r\n"]
    {
        let mut caller = pair.caller();
        caller.send(format!("POST {EXECUTE} HTTP/1.1\r\n{hosts}{body}").as_bytes());
        caller.answer().assert_error(400, "host", "not_started");
    }
    assert_eq!(pair.asteroid.requests().len(), 0);
}

#[test]
fn a_further_name_of_the_listener_is_answered_for() {
    let pair = Pair::start();
    pair.caller().post(EXECUTE, &[("Host", "gateway.test")], b"{}").assert_error(421, "misdirected", "not_started");
    let named = Pair::with_listener("hosts: [gateway.test]");
    assert_eq!(named.caller().post(EXECUTE, &[("Host", "Gateway.Test:8080")], b"{}").status, 202);
}

#[test]
fn what_is_not_exactly_an_operation_is_not_found_and_never_forwarded() {
    let pair = Pair::start();
    for path in [
        "/".to_owned(),
        "/agents/v2".to_owned(),
        "/admin/agents".to_owned(),
        format!("/agents/{AGENT}"),
        format!("/agents/{AGENT}/execute/"),
        format!("/agents/{AGENT}/../{AGENT}/execute"),
        format!("/agents/{AGENT}/%2e%2e/{AGENT}/execute"),
        format!("/agents/{AGENT}/%252e%252e/{AGENT}/execute"),
        format!("/agents/{AGENT}/..%2fexecute"),
        format!("/agents/v2/../agents/{AGENT}/execute"),
        format!("/agents/v2/%2e/agents/{AGENT}/execute"),
        format!("/agents/{AGENT}/%65xecute"),
        format!("/agents/{AGENT}/%2565xecute"),
        format!("/agents/{AGENT}%2fexecute"),
        format!("/agents/{AGENT}/execute;x=1"),
        format!("/agents/{AGENT}/execute%00"),
        format!("/agents/{AGENT}/execute%3Fx=1"),
        format!("/agents/{AGENT}\\execute"),
        format!("/agents/{AGENT}/x\\..\\execute"),
        format!("/agents/{AGENT}//execute"),
        format!("/agents/v2/agents/{AGENT}/execute/async"),
        format!("/workflows/{AGENT}/versions/execute"),
        format!("/workflows/{AGENT}/../../agents/{AGENT}/execute"),
    ] {
        let answer = pair.caller().post(&path, &[], b"{}");
        answer.assert_error(404, "operation-not-served", "not_started");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with("this gateway does not serve POST \"/"), "{message}");
    }
    assert_eq!(pair.asteroid.requests().len(), 0);
}

#[test]
fn an_id_that_is_no_uuid_is_told_so_under_its_name_in_the_specification() {
    let pair = Pair::start();
    for id in ["my-agent", "", "..", "%2e%2e", "%252e%252e", "..\\x", "%00"]
        .into_iter()
        .map(str::to_owned)
        .chain(["%00", ";x=1", "\\", "%20", "%2Fx"].map(|behind| format!("{AGENT}{behind}")))
    {
        for (kind, parameter) in [("agents", "agentId"), ("workflows", "workflowId")] {
            let answer = pair.caller().post(&format!("/agents/v2/{kind}/{id}/execute"), &[], b"{}");
            answer.assert_error(400, "id", "not_started");
            assert!(answer.json()["detail"].as_str().unwrap().contains(parameter), "{id}");
        }
    }
    assert_eq!(pair.asteroid.requests().len(), 0);
}

#[test]
fn another_method_is_told_which_is_allowed() {
    let pair = Pair::start();
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "BREW"] {
        let answer = pair.caller().request(method, EXECUTE);
        answer.assert_error(405, "method", "not_started");
        assert_eq!(answer.header("allow"), Some("POST"));
    }
}

#[test]
fn a_query_is_refused() {
    let pair = Pair::start();
    pair.caller().post(&format!("{EXECUTE}?api_key=x"), &[], b"{}").assert_error(400, "query", "not_started");
    assert_eq!(pair.asteroid.requests().len(), 0);
}

#[test]
fn only_the_allowed_headers_of_a_caller_reach_the_upstream() {
    let pair = Pair::start();
    let headers = [
        ("Accept", "application/json"),
        ("User-Agent", "billing/1"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("tracestate", "a=b"),
        ("X-Request-Id", "caller-1"),
        ("X-Asteroid-Agents-Api-Key", "forged"),
        ("X-Asteroid-Agents-Api-Key", "forged-again"),
        ("X-Api-Key", "forged"),
        ("Authorization", "Bearer forged"),
        ("Cookie", "session=1"),
        ("Proxy-Authorization", "Basic Zm9yZ2Vk"),
        ("X-Tenant-Id", "other"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("X-Forwarded-Host", "evil.example"),
        ("Accept-Encoding", "gzip, br"),
        ("Idempotency-Token", "x"),
        ("Connection", "keep-alive, X-Api-Key"),
        ("Anything", "else"),
    ];
    let answer = pair.caller().post(EXECUTE, &headers, b"{}");
    assert_eq!(answer.status, 202);
    assert_eq!(answer.header("x-request-id"), Some("caller-1"));
    let sent = pair.asteroid.only_request();
    assert!(sent.authenticated, "the gateway's own key arrived, once");
    let mut names: Vec<&str> = sent.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let expected = [
        "accept",
        "accept-encoding",
        "content-length",
        "content-type",
        "host",
        "traceparent",
        "tracestate",
        "user-agent",
        "x-asteroid-agents-api-key",
        "x-request-id",
    ];
    assert_eq!(names, expected);
    assert_eq!(sent.header("host"), Some(pair.asteroid.authority().as_str()));
    assert_eq!(sent.header("accept-encoding"), Some("identity"));
    assert_eq!(sent.header("x-request-id"), Some("caller-1"));
    assert!(!format!("{:?}", sent.headers).contains("forged"));
    assert!(!format!("{:?}", sent.headers).contains(API_KEY));
}

#[test]
fn a_request_id_that_could_break_a_log_is_replaced_and_the_new_one_is_the_same_everywhere() {
    let pair = Pair::start();
    let answer = pair.caller().post(EXECUTE, &[("X-Request-Id", "a\"b c")], b"{}");
    let id = answer.header("x-request-id").unwrap();
    assert_eq!(id.len(), 36);
    assert_eq!(pair.asteroid.only_request().header("x-request-id"), Some(id));
    assert_eq!(pair.gateway.request_line(202)["request_id"], id);
}

#[test]
fn the_key_goes_into_the_header_that_the_configuration_names() {
    let pair = Pair::configured(|smallest| smallest.upstream("credential_header: X-Api-Key"));
    assert_eq!(pair.execute("{}").status, 202);
    let sent = pair.asteroid.only_request();
    assert!(
        sent.header("x-api-key").is_some() && sent.header("x-asteroid-agents-api-key").is_none(),
        "{:?}",
        sent.headers
    );
}

#[test]
fn a_connection_without_a_request_is_closed_after_the_idle_time_out_and_so_is_a_head_that_does_not_end() {
    let pair = Pair::with("timeouts: { caller_idle: 200ms, idle: 1h }");
    let mut silent = pair.caller();
    let mut dripping = pair.caller();
    dripping.send(b"POST / HTTP/1.1\r\nHost:");
    let mut used = pair.caller();
    assert_eq!(used.execute("{}").status, 202);
    assert!(silent.is_closed() && dripping.is_closed() && used.is_closed());
}

#[test]
fn a_callers_connection_outlives_the_idle_time_out_of_those_to_the_upstream() {
    let pair = Pair::with("timeouts: { idle: 100ms }");
    let mut caller = pair.caller();
    for upstream in 0..2 {
        assert_eq!(caller.execute("{}").status, 202, "over the same connection");
        pair.asteroid.wait_for_no_connection();
        assert_eq!(pair.asteroid.requests()[upstream].connection, upstream as u64);
    }
}
