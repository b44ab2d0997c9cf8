//! Callers' bodies without a proper end: no part of one is taken for a complete body or for another request.

use crate::harness::frames::{
    DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, StreamEnd, block, frame, start,
};
use crate::harness::{Asteroid, Caller, EXECUTE, Pair, Program, TlsPair};

/// Error codes of RST_STREAM and GOAWAY.
const NO_ERROR: [u8; 4] = [0; 4];
const CANCEL: [u8; 4] = 8_u32.to_be_bytes();

/// Starts a gateway that takes the tenant from a header, for two tenants.
fn two_tenants() -> (Asteroid, Program) {
    let Pair { asteroid, gateway } = Pair::configured(|smallest| smallest.by_header().tenant("sales"));
    (asteroid, gateway)
}

fn request(tenant: &str, lines: &str, body: &str) -> String {
    let head = "Host: localhost\r\nContent-Type: application/json\r\n";
    format!("POST {EXECUTE} HTTP/1.1\r\n{head}X-Tenant-Id: {tenant}\r\n{lines}\r\n{body}")
}

#[test]
fn a_body_that_ends_with_a_bare_line_feed_cannot_have_the_next_requests_body_run_as_a_request() {
    let (asteroid, gateway) = two_tenants();
    let chunked = "Transfer-Encoding: chunked\r\n";
    let inner = request("sales", "Content-Length: 2\r\n", "{}");
    let next = request("billing", &format!("Content-Length: {}\r\n", inner.len()), &inner);
    // The second is refused for its media type before its body is read, so that the rest is read and discarded.
    let discarded = "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n";
    for (lines, status) in [(chunked, 400), (discarded, 415)] {
        for end in ["0\r\n\n", "0\r\nx: y\r\n\n", "0\r\nx"] {
            let mut caller = Caller::connect(gateway.address());
            let first = request("billing", lines, &format!("2\r\n{{}}\r\n{end}"));
            caller.send((first + &next).as_bytes());
            assert_eq!(caller.answer().status, status, "{end:?}");
            assert_eq!(caller.rest().unwrap(), b"", "{end:?}: the connection is closed");
        }
    }
    assert_eq!(asteroid.requests().len(), 0);
}

#[test]
fn a_stream_that_is_closed_without_an_error_before_its_end_starts_nothing() {
    let secure = TlsPair::start();
    let goaway = frame(GOAWAY, 0, 0, &[[0; 4], NO_ERROR].concat());
    let reset = frame(RST_STREAM, 0, 1, &NO_ERROR);
    for (end, data) in [(&reset, "{}"), (&goaway, "{}"), (&reset, "")] {
        for length in [None, Some("2"), Some("9")] {
            let id = format!("{}-{}-{}", end[3], data.len(), length.unwrap_or("none"));
            let length = length.map(|length| ("content-length", length));
            let lines: Vec<_> = start().into_iter().chain([("x-request-id", id.as_str())]).chain(length).collect();
            let mut caller = secure.frames().begin();
            caller.send(&[frame(HEADERS, END_HEADERS, 1, &block(&lines)), frame(DATA, 0, 1, data.as_bytes())].concat());
            // A stream that is reset before it is processed is no request.
            while secure.gateway.metrics().find("asteroid_gateway_requests_in_flight", &[]) != Some(1.0) {
                std::thread::yield_now();
            }
            caller.send(end);
            if *end == goaway {
                drop(caller);
            }
            let line = secure.gateway.line(|line| line["request_id"] == id.as_str());
            assert_eq!(line["outcome"], "not_started", "{line}");
        }
    }
    assert_eq!(secure.asteroid.requests().len(), 0);
}

#[test]
fn a_body_over_http2_with_trailers_is_refused_and_others_on_its_connection_are_served() {
    let secure = TlsPair::start();
    let mut caller = secure.frames().begin();
    let headers = |stream| frame(HEADERS, END_HEADERS, stream, &block(&start()));
    let trailers = frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&[("x", "y")]));
    caller.send(&[headers(1), frame(DATA, 0, 1, b"{}"), trailers].concat());
    assert_eq!(caller.outcome(1), StreamEnd::Answered(0x8c));
    caller.send(&[headers(3), frame(DATA, END_STREAM, 3, b"{}")].concat());
    assert!(matches!(caller.outcome(3), StreamEnd::Answered(_)));
    assert_eq!(secure.asteroid.requests().len(), 1);
}

#[test]
fn a_caller_that_leaves_in_the_middle_of_its_body_is_logged_as_such_with_the_cause_and_without_a_status() {
    let (pair, secure) = (Pair::start(), TlsPair::start());
    let left = |gateway: &Program, id: &str, cause: &str| {
        let line = gateway.line(|line| line["request_id"] == id);
        assert_eq!((&line["error"], &line["status"]), (&"caller-left".into(), &0.into()), "{line}");
        assert_eq!((&line["outcome"], &line["delivered"]), (&"not_started".into(), &false.into()), "{line}");
        let detail = line["detail"].as_str().unwrap();
        assert!(detail.starts_with("the caller left") && detail.contains(cause), "{line}");
    };
    let begun = |id: &str, framing: &str, body: &str| {
        let fixed = "Host: localhost\r\nContent-Type: application/json\r\n";
        format!("POST {EXECUTE} HTTP/1.1\r\n{fixed}X-Request-Id: {id}\r\n{framing}\r\n\r\n{body}").into_bytes()
    };
    for (id, framing, body) in [
        ("length", "Content-Length: 10", "{"),
        ("chunk", "Transfer-Encoding: chunked", "5\r\n{"),
        ("size", "Transfer-Encoding: chunked", "1\r\n{\r\n"),
    ] {
        let mut caller = pair.caller();
        caller.send(&begun(id, framing, body));
        caller.leave();
        left(&pair.gateway, id, "");
        let mut caller = secure.caller();
        caller.send(&begun(id, framing, body));
        caller.leave();
        left(&secure.gateway, id, "");
    }
    let mut caller = pair.caller();
    caller.send(&begun("reset", "Content-Length: 10", "{"));
    caller.reset();
    left(&pair.gateway, "reset", "reset");
    let headers = frame(HEADERS, END_HEADERS, 1, &block(&[start(), vec![("x-request-id", "cancelled")]].concat()));
    let mut caller = secure.frames().begin();
    caller.send(&[headers, frame(DATA, 0, 1, b"{"), frame(RST_STREAM, 0, 1, &CANCEL)].concat());
    left(&secure.gateway, "cancelled", "");
    let metrics = pair.gateway.metrics();
    let counted = metrics.samples().iter().find(|sample| sample.label("error_type") == Some("caller-left")).unwrap();
    assert_eq!(counted.label("http_response_status_code"), None);
    assert_eq!(pair.asteroid.requests().len() + secure.asteroid.requests().len(), 0);
}
