//! The delivery of answers to callers: which callers still get one, and what the log says about it.

use std::process::Command;

use asteroid_gateway::event;
use serde_json::{Value, json};

use crate::harness::raw::{FirstExchange, RawUpstream};
use crate::harness::{Caller, Configuration, EXECUTE, Pair, Program, TlsPair};

/// Waits for the log line of the request with this id.
fn line(gateway: &Program, id: &str) -> Value {
    gateway.line(|line| line["event"] == event::REQUEST_COMPLETED && line["request_id"] == id)
}

/// Sends a start, and ends the sending side before the answer arrives.
fn half_closed(caller: &mut Caller, id: &str, version: &str) {
    let head = format!("Host: localhost\r\nContent-Type: application/json\r\nX-Request-Id: {id}\r\n");
    caller.send(format!("POST {EXECUTE} HTTP/{version}\r\n{head}Content-Length: 2\r\n\r\n{{}}").as_bytes());
    caller.end_sending();
}

#[test]
fn a_caller_that_ends_its_sending_side_gets_its_answer_and_is_logged_as_served() {
    let (pair, secure) = (Pair::start(), TlsPair::start());
    for (asteroid, gateway, caller) in [
        (&pair.asteroid, &pair.gateway, &(|| pair.caller()) as &dyn Fn() -> Caller),
        (&secure.asteroid, &secure.gateway, &|| secure.caller()),
    ] {
        for version in ["1.1", "1.0"] {
            asteroid.fail_next(json!({"run": true, "then": "stall"}));
            let mut caller = caller();
            half_closed(&mut caller, &format!("half-{version}"), version);
            asteroid.wait_for_requests(if version == "1.1" { 1 } else { 2 });
            asteroid.clear_faults();
            assert_eq!(caller.answer().status, 202, "{version}");
            assert!(caller.is_closed());
            assert_eq!(line(gateway, &format!("half-{version}"))["delivered"], true);
        }
    }
    let mut probe = pair.gateway.probe();
    probe.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
    probe.end_sending();
    assert_eq!(probe.answer().body, b"ok\n");
    // Two pipelined requests.
    let mut caller = pair.caller();
    caller.send_post(EXECUTE, &[("X-Request-Id", "first")], b"{}");
    half_closed(&mut caller, "second", "1.1");
    assert_eq!([caller.answer().status, caller.answer().status], [202, 202]);
    assert!(caller.is_closed());
    for id in ["first", "second"] {
        assert_eq!(line(&pair.gateway, id)["delivered"], true);
    }
    // The same for a refusal and for a streamed answer.
    let mut caller = pair.caller();
    caller.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    caller.end_sending();
    caller.answer().assert_error(404, "operation-not-served", "not_started");
    let long = "x".repeat(4 * 1024 * 1024);
    pair.asteroid.fail_next(json!({"then": {"answer": {"status": 202, "body": long}}}));
    let mut caller = pair.caller();
    half_closed(&mut caller, "long", "1.1");
    assert_eq!(caller.answer().body.len(), long.len());
    assert_eq!(line(&pair.gateway, "long")["delivered"], true);
}

#[test]
fn a_caller_that_has_closed_is_logged_as_one_that_left_and_its_start_is_finished() {
    let (pair, secure) = (Pair::start(), TlsPair::start());
    for (asteroid, gateway, mut caller) in
        [(&pair.asteroid, &pair.gateway, pair.caller()), (&secure.asteroid, &secure.gateway, secure.caller())]
    {
        asteroid.fail_next(json!({"run": true, "then": "stall"}));
        caller.send_post(EXECUTE, &[("X-Request-Id", "gone")], b"{}");
        asteroid.wait_for_requests(1);
        caller.hang_up();
        asteroid.clear_faults();
        let line = line(gateway, "gone");
        assert_eq!((&line["status"], &line["delivered"]), (&202.into(), &false.into()), "{line}");
        assert_eq!(line["execution_id"], asteroid.executions()[0].id.as_str());
    }
}

#[test]
fn a_caller_that_is_killed_gives_its_connection_back_at_once_and_its_start_is_finished() {
    let pair = Pair::start();
    pair.asteroid.fail_next(json!({"run": true, "then": "stall"}));
    let mut caller = pair.caller();
    caller.send_post(EXECUTE, &[("X-Request-Id", "killed")], b"{}");
    pair.asteroid.wait_for_requests(1);
    caller.reset();
    let connections = || {
        let metrics = pair.gateway.metrics();
        metrics.all("asteroid_gateway_connections").iter().map(|(_, open)| open).sum::<f64>()
    };
    while connections() > 0.0 {
        std::thread::yield_now();
    }
    pair.asteroid.clear_faults();
    assert_eq!(line(&pair.gateway, "killed")["delivered"], false);
}

#[test]
fn a_drain_waits_for_the_answer_of_a_caller_that_has_ended_its_sending_side() {
    let pair = Pair::start();
    pair.asteroid.fail_next(json!({"run": true, "then": "stall"}));
    let mut caller = pair.caller();
    half_closed(&mut caller, "drained", "1.1");
    pair.asteroid.wait_for_requests(1);
    pair.gateway.signal("TERM");
    pair.gateway.event(event::DRAIN_BEGUN);
    pair.asteroid.clear_faults();
    assert_eq!(caller.answer().status, 202);
    assert!(pair.gateway.end().status.success());
}

#[test]
fn an_answer_without_content_is_delivered_when_its_head_is() {
    let answers: [&[u8]; 4] = [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 303 See Other\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
        b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
    ];
    for answer in answers {
        let upstream = RawUpstream::start(FirstExchange { answer: answer.to_vec(), ..FirstExchange::default() });
        let url = format!("http://{}/agents/v2", upstream.address);
        let dir = tempfile::tempdir().unwrap();
        let audit = dir.path().join("audit.jsonl");
        let gateway =
            Program::run(Configuration::for_upstream(&url).with(&format!("audit: {{ file: '{}' }}", audit.display())));
        let mut caller = Caller::connect(gateway.address());
        caller.send_post(EXECUTE, &[("X-Request-Id", "bare")], b"{}");
        let told = caller.answer();
        assert!(told.body.is_empty(), "{told:?}");
        let line = line(&gateway, "bare");
        assert_eq!((&line["delivered"], &line["status"]), (&true.into(), &told.status.into()), "{line}");
        assert!(gateway.stop().status.success());
        let record: Value = serde_json::from_slice(&std::fs::read(&audit).unwrap()).unwrap();
        assert_eq!(record["delivered"], true, "{record}");
    }
}

#[test]
fn head_gets_the_head_of_the_answer_over_either_protocol_and_counts_as_delivered() {
    let secure = TlsPair::start();
    let ca_file = secure.certificates().join("ca.pem");
    std::fs::write(&ca_file, &secure.authority.pem).unwrap();
    let url = format!("https://localhost:{}", secure.gateway.address().port());
    let mut lengths = Vec::new();
    for (protocol, id) in [("--http2", "head-2"), ("--http1.1", "head-1")] {
        for (path, status) in [(EXECUTE, "405"), ("/nowhere", "404")] {
            let id = format!("{id}-{status}");
            let mut curl = Command::new("curl");
            curl.args(["-sSI", protocol, "-m", "20", "-H", &format!("X-Request-Id: {id}"), "--cacert"]).arg(&ca_file);
            let output = curl.arg(format!("{url}{path}")).output().unwrap();
            let head = String::from_utf8(output.stdout).unwrap().to_ascii_lowercase();
            assert!(output.status.success(), "{protocol}: {}", String::from_utf8_lossy(&output.stderr));
            assert!(head.lines().next().unwrap().contains(status), "{head}");
            let length = |line: &str| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok();
            lengths.push(head.lines().find_map(length).unwrap());
            assert_eq!(line(&secure.gateway, &id)["delivered"], true);
        }
    }
    assert!(lengths.iter().all(|length| *length > 100) && lengths[..2] == lengths[2..], "{lengths:?}");
}

#[test]
fn an_answer_of_unknown_length_over_http_1_0_says_that_its_connection_ends_and_so_does_a_refusal() {
    let pair = Pair::start();
    let kept = |caller: &mut Caller, body: &str| {
        let fixed = "Host: localhost\r\nContent-Type: application/json\r\nConnection: keep-alive\r\n";
        let length = body.len();
        caller.send(format!("POST {EXECUTE} HTTP/1.0\r\n{fixed}Content-Length: {length}\r\n\r\n{body}").as_bytes());
    };
    let answer = format!(
        "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n11170\r\n{}\r\n0\r\n\r\n",
        "x".repeat(70_000)
    );
    let upstream = RawUpstream::start(FirstExchange { answer: answer.into_bytes(), ..FirstExchange::default() });
    let gateway = Program::run(Configuration::for_upstream(&format!("http://{}/agents/v2", upstream.address)));
    let mut caller = Caller::connect(gateway.address());
    kept(&mut caller, "{}");
    let answer = caller.answer();
    assert_eq!((answer.status, answer.header("connection")), (202, Some("close")));
    assert_eq!(caller.rest().unwrap().len(), 70_000);

    let mut caller = pair.caller();
    caller.send(format!("POST {EXECUTE} HTTP/1.0\r\nHost: a b\r\nConnection: keep-alive\r\n\r\n").as_bytes());
    assert_eq!(caller.answer().header("connection"), Some("close"));
    assert!(caller.is_closed());
    let mut caller = pair.caller();
    for _ in 0..2 {
        kept(&mut caller, "{}");
        let answer = caller.answer();
        assert_eq!((answer.status, answer.header("connection")), (202, Some("keep-alive")));
    }
}
