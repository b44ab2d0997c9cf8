//! An API key that the upstream sends back is redacted, anywhere in an answer and however it is divided.

use asteroid_gateway::event;
use hyper::HeaderMap;
use serde_json::json;

use crate::canary::assert_clean;
use crate::harness::certificates::Authority;
use crate::harness::raw::{AfterAnswer, FirstExchange, RawUpstream};
use crate::harness::secure::Http2;
use crate::harness::unruly::{Behaviour, UnrulyUpstream};
use crate::harness::{API_KEY, Answer, Caller, Configuration, EXECUTE, Pair, Program};

/// More than the gateway reads of an answer before it forwards the beginning.
const STREAMED: usize = 70_000;

const ECHOES: &str = "asteroid_gateway_key_echoes_total";
const CODED: &str = "asteroid_gateway_content_coded_answers_total";

/// Returns a text with the API key redacted.
fn covered(text: &str) -> String {
    text.replace(API_KEY, &"*".repeat(API_KEY.len()))
}

/// Starts a gateway in front of an upstream that first answers with these bytes.
fn before(answer: Vec<u8>, then: AfterAnswer) -> (RawUpstream, Program) {
    let upstream = RawUpstream::start(FirstExchange { answer, then, ..FirstExchange::default() });
    let gateway = Program::run(Configuration::for_address(upstream.address));
    (upstream, gateway)
}

fn chunk(bytes: &str) -> String {
    format!("{:x}\r\n{bytes}\r\n", bytes.len())
}

/// Returns the parts of a body that is divided at every position of an API key; the last may be the beginning of one.
fn parts() -> Vec<String> {
    let cut = |at| [format!("<{}", API_KEY.split_at(at).0), format!("{}>", API_KEY.split_at(at).1)];
    let beginnings = (1..API_KEY.len()).map(|at| API_KEY.split_at(at).0.to_owned());
    let bytes = format!("{API_KEY}{API_KEY}");
    let parts = (0..=API_KEY.len()).flat_map(cut).chain(beginnings).chain(bytes.chars().map(String::from));
    parts.chain(["ak-can".to_owned()]).collect()
}

fn assert_covered(answer: &Answer, body: &str, what: &str) {
    assert!(answer.body == covered(body).as_bytes(), "{what}: {}", String::from_utf8_lossy(&answer.body));
}

#[test]
fn a_key_in_a_header_or_a_body_is_overwritten_counted_and_logged() {
    for (pair, protocol) in [(Pair::start(), "HTTP/1.1"), (Pair::tls(""), "HTTP/2")] {
        let body = format!(
            r#"{{"executionId": "8d0f7a52-1c5e-4b8e-9f59-000000000001", "a{API_KEY}": ["{API_KEY}{API_KEY}"]}}"#
        );
        let headers = json!([
            ["content-type", format!("application/json; key={API_KEY}")],
            ["x-echo", format!("Bearer {API_KEY},{API_KEY}")],
            ["x-echo", "kept"],
            ["x-other", API_KEY],
            [API_KEY, "a name"],
            ["content-encoding", "identity"],
        ]);
        for status in [202, 404, 500] {
            pair.asteroid.next(json!({"then": {"answer": {"status": status, "headers": headers, "body": body}}}));
            let answer = pair.execute("{}");
            assert_eq!(answer.status, status);
            assert_covered(&answer, &body, protocol);
            assert_eq!(answer.header("content-type"), Some(&*covered(&format!("application/json; key={API_KEY}"))));
            assert_eq!(answer.header("x-other"), Some(&*covered(API_KEY)));
            let echoes: Vec<&str> =
                answer.headers.iter().filter(|(name, _)| name == "x-echo").map(|(_, value)| value.as_str()).collect();
            assert_eq!(echoes, [&covered(&format!("Bearer {API_KEY},{API_KEY}")), "kept"]);
            assert_clean("an answer", &format!("{:?}", answer.headers));
            let is_key = |name: &str| name.eq_ignore_ascii_case(API_KEY);
            assert!(!answer.headers.iter().any(|(name, _)| is_key(name)), "{:?}", answer.headers);
            assert_eq!(pair.gateway.request_line(status)["key_echoed"], true);
        }
        assert_eq!(pair.execute("{}").status, 202);
        let line = pair.gateway.line(|line| line["event"] == event::REQUEST_COMPLETED && line["key_echoed"].is_null());
        assert_eq!(line["status"], 202);
        let metrics = pair.gateway.metrics();
        assert_eq!(metrics.find(ECHOES, &[("credential", "main")]), Some(3.0));
        assert_eq!(metrics.find(CODED, &[("credential", "main")]), Some(0.0));
        let events = pair.gateway.events(event::CREDENTIAL_ECHOED);
        assert_eq!(events.len(), 1, "one an episode: {events:?}");
        assert_eq!((&events[0]["level"], &events[0]["credential"]), (&json!("ERROR"), &json!("main")));
        assert_clean("the log", &pair.gateway.stop().output);
    }
}

#[test]
fn what_is_kept_for_retries_has_no_key_in_it() {
    let pair = Pair::start();
    let body = format!(r#"{{"executionId": "8d0f7a52-1c5e-4b8e-9f59-000000000001", "key": "{API_KEY}"}}"#);
    let headers = json!([["content-type", format!("application/json; key={API_KEY}")]]);
    pair.asteroid.next(json!({"then": {"answer": {"status": 202, "headers": headers, "body": body}}}));
    let keyed = || pair.caller().post(EXECUTE, &[("Idempotency-Key", "order-4711")], b"{}");
    for replayed in [None, Some("true")] {
        let answer = keyed();
        assert_eq!(answer.header("idempotent-replayed"), replayed);
        assert_covered(&answer, &body, "a replay");
        assert_eq!(answer.header("content-type"), Some(&*covered(&format!("application/json; key={API_KEY}"))));
    }
}

#[test]
fn a_long_answer_is_streamed_without_the_key_and_its_length_stays() {
    for (pair, protocol) in [(Pair::start(), "HTTP/1.1"), (Pair::tls(""), "HTTP/2")] {
        for pad in [0, 7] {
            // At every division there is an API key.
            let body = " ".repeat(pad) + &API_KEY.repeat(STREAMED / 5) + "ak-can";
            pair.asteroid.next(json!({"then": {"answer": {"status": 202, "body": body}}}));
            let answer = pair.execute("{}");
            assert_eq!(answer.header("content-length"), Some(&*body.len().to_string()));
            assert_covered(&answer, &body, protocol);
        }
        pair.gateway.wait_for_metrics(|metrics| metrics.find(ECHOES, &[]), &Some(2.0));
        pair.gateway.line(|line| line["key_echoed"] == true && line["delivered"] == true);
    }
}

#[test]
fn a_key_that_is_cut_into_chunks_or_frames_is_overwritten_at_every_place() {
    for before_it in [0, STREAMED] {
        let parts = [vec!["x".repeat(before_it / 5); 5], parts()].concat();
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let body = parts.concat();
        let chunks: String = parts.iter().map(|part| chunk(part)).collect();
        let head = "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n";
        let (_raw, gateway) = before(format!("{head}{chunks}0\r\n\r\n").into_bytes(), AfterAnswer::Keep);
        assert_covered(&Caller::connect(gateway.address()).execute("{}"), &body, "chunks");
        assert_eq!(gateway.metrics().find(ECHOES, &[]), Some(1.0));

        let frames: Vec<Vec<u8>> = parts.into_iter().map(String::into_bytes).collect();
        let behaviours = vec![Behaviour::Parts(Vec::leak(frames)), Behaviour::Answer];
        let upstream = UnrulyUpstream::start(Some(&[]), Vec::leak(behaviours));
        let gateway = Program::run(upstream.configuration());
        assert_covered(&Caller::connect(gateway.address()).execute("{}"), &body, "frames");
        assert_eq!(gateway.metrics().find(ECHOES, &[]), Some(1.0));
        assert_eq!(Caller::connect(gateway.address()).execute("{}").body, b"{}", "the next call is served as ever");
    }
}

/// Sends a start, and reads the head of its answer.
fn begun(gateway: &Program) -> Caller {
    let mut caller = Caller::connect(gateway.address());
    caller.send_post(EXECUTE, &[], b"{}");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(caller.bytes(1).unwrap());
    }
    caller
}

#[test]
fn nothing_is_held_back_but_what_may_be_the_beginning_of_the_key() {
    let (first, later) = ("x".repeat(STREAMED), ["ak-can", "ary-no key", "ak-", API_KEY.split_at(3).1, "ak-can"]);
    let length = first.len() + later.concat().len();
    let head = format!("HTTP/1.1 202 Accepted\r\nContent-Length: {length}\r\n\r\n");
    let (raw, gateway) = before(format!("{head}{first}").into_bytes(), AfterAnswer::Keep);
    let mut caller = begun(&gateway);
    assert!(caller.bytes(first.len()).unwrap() == first.as_bytes());
    raw.write(later[0].as_bytes());
    raw.write(later[1].as_bytes());
    let read = caller.bytes("ak-canary-no key".len()).unwrap();
    assert_eq!(String::from_utf8(read).unwrap(), "ak-canary-no key", "before anything else has come");
    raw.write(later[2].as_bytes());
    raw.write(later[3].as_bytes());
    assert_eq!(String::from_utf8(caller.bytes(API_KEY.len()).unwrap()).unwrap(), covered(API_KEY));
    raw.write(later[4].as_bytes());
    assert_eq!(caller.bytes(6).unwrap(), b"ak-can", "the end of an answer is no beginning");
}

#[test]
fn of_a_key_at_which_an_answer_breaks_off_nothing_is_passed_on() {
    let first = "x".repeat(STREAMED);
    let (cut, _) = API_KEY.split_at(API_KEY.len() - 1);
    let head = "HTTP/1.1 202 Accepted\r\nContent-Length: 100000\r\n\r\n";
    let (_raw, gateway) = before(format!("{head}{first}{cut}").into_bytes(), AfterAnswer::Close);
    let mut caller = begun(&gateway);
    let rest = caller.rest().unwrap_or_default();
    assert!(!String::from_utf8_lossy(&rest).contains("ak"), "{} bytes", rest.len());
    assert_eq!(gateway.request_line(202)["error"], "upstream-broke");
}

#[test]
fn a_key_in_the_reason_is_overwritten() {
    let answer = format!("HTTP/1.1 202 Not {API_KEY}\r\nContent-Length: 2\r\n\r\n{{}}");
    let (_raw, gateway) = before(answer.into_bytes(), AfterAnswer::Keep);
    let mut caller = Caller::connect(gateway.address());
    caller.send_post(EXECUTE, &[("Connection", "close")], b"{}");
    let answer = String::from_utf8(caller.rest().unwrap()).unwrap();
    assert!(answer.starts_with(&covered(&format!("HTTP/1.1 202 Not {API_KEY}\r\n"))), "{answer}");
    assert_clean("an answer", &answer);
}

#[test]
fn a_key_in_a_trailer_is_overwritten_and_what_was_held_back_comes_before_it() {
    let (authority, certificates) = (Authority::new(), tempfile::tempdir().unwrap());
    authority.write("localhost", certificates.path());
    let body = "x".repeat(STREAMED) + "ak-can";
    let head = "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = format!("{head}{}0\r\nx-echo: {API_KEY}!\r\nx-kept: yes\r\n\r\n", chunk(&body));
    let upstream = RawUpstream::start(FirstExchange { answer: answer.into_bytes(), ..FirstExchange::default() });
    let gateway = Program::run(Configuration::for_address(upstream.address).tls(certificates.path()));
    let answer = Http2::connect(gateway.address(), authority.client(b"h2")).post(&[], "{}").unwrap();
    assert!(answer.body() == body.as_bytes());
    let trailers = answer.extensions().get::<HeaderMap>().unwrap();
    assert_eq!(trailers["x-echo"], covered(&format!("{API_KEY}!")));
    assert_eq!(trailers["x-kept"], "yes");
    gateway.line(|line| line["key_echoed"] == true && line["delivered"] == true);
}

#[test]
fn an_answer_that_is_content_coded_is_passed_on_and_counted() {
    let pair = Pair::start();
    for (coding, count) in [("gzip", 1.0), ("identity", 1.0), ("identity, br", 2.0)] {
        let headers = json!([["content-encoding", coding]]);
        pair.asteroid.next(json!({"then": {"answer": {"status": 202, "headers": headers, "body": "as it came"}}}));
        let answer = pair.execute("{}");
        assert_eq!((answer.header("content-encoding"), &*answer.body), (Some(coding), &b"as it came"[..]));
        assert_eq!(pair.gateway.metrics().find(CODED, &[("credential", "main")]), Some(count));
    }
    assert_eq!(pair.gateway.metrics().find(ECHOES, &[]), Some(0.0));
}
