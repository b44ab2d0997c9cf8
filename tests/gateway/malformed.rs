//! Requests that are not quite HTTP: what happens to each, and that nothing of them reaches the upstream.

use crate::harness::{AGENT, EXECUTE, Pair};

/// A request up to where the case begins.
const HEAD: &str = "Host: localhost\r\nContent-Type: application/json\r\n";

/// What must happen; the connection is always closed after it.
#[derive(Debug, Clone, Copy)]
enum Expected {
    /// hyper answers, without a body.
    Bare(u16),
    /// The gateway answers.
    Error(u16, &'static str),
    /// Closed without an answer: it is another protocol.
    Closed,
}

use Expected::{Bare, Closed, Error};

fn post(rest: &str) -> String {
    format!("POST {EXECUTE} HTTP/1.1\r\n{HEAD}{rest}")
}

/// What would be a start of its own if the framing before it were misread.
fn smuggled() -> String {
    post("Content-Length: 2\r\n\r\n{}")
}

fn heads() -> Vec<(String, Expected)> {
    let line = |line: &str| format!("{line}\r\n{HEAD}Content-Length: 2\r\n\r\n{{}}");
    vec![
        ("garbage\r\n\r\n".into(), Bare(400)),
        ("\u{16}\u{3}\u{1}\u{0}\u{a5}\u{1}\u{0}\u{0}\u{a1}\u{3}\u{3}".into(), Bare(400)),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), Closed),
        (line(&format!("POST {EXECUTE} HTTP/1.2")), Bare(400)),
        (line(&format!("POST {EXECUTE} HTTP/2.0")), Bare(400)),
        (line(&format!("POST {EXECUTE}")), Bare(400)),
        (line(&format!("POST  {EXECUTE} HTTP/1.1")), Bare(400)),
        (line(&format!("POST {EXECUTE}\0 HTTP/1.1")), Bare(400)),
        (line(&format!("POST http://localhost{EXECUTE} HTTP/1.1")), Error(400, "target")),
        (line("CONNECT localhost:443 HTTP/1.1"), Error(400, "target")),
        (line(&format!("POST /{} HTTP/1.1", "a".repeat(20_000))), Bare(431)),
        (format!("POST {EXECUTE} HTTP/1.0\r\nContent-Length: 2\r\n\r\n{{}}"), Error(400, "host")),
        (post("X: a\rb\r\n\r\n"), Bare(400)),
        (post("X: a\r\n b\r\n\r\n"), Bare(400)),
        (post("X : a\r\n\r\n"), Bare(400)),
        (post("X\u{1}: a\r\n\r\n"), Bare(400)),
        (post("X: a\0b\r\n\r\n"), Bare(400)),
        (post(": a\r\n\r\n"), Bare(400)),
        (post("no colon\r\n\r\n"), Bare(400)),
        (post(&format!("X: {}\r\n\r\n", "a".repeat(20_000))), Bare(431)),
        (post(&format!("X: {}", "a".repeat(100_000))), Bare(431)),
        (post(&("X: a\r\n".repeat(101) + "\r\n")), Bare(431)),
        (post("Expect: the-unexpected\r\nContent-Length: 2\r\n\r\n{}"), Error(400, "malformed")),
    ]
}

fn framings() -> Vec<(String, Expected)> {
    let chunked = |chunks: &str| post(&format!("Transfer-Encoding: chunked\r\n\r\n{chunks}"));
    vec![
        (post("Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"), Bare(400)),
        (post("Content-Length: +2\r\n\r\n{}"), Bare(400)),
        (post("Content-Length: -2\r\n\r\n{}"), Bare(400)),
        (post("Content-Length: 2,2\r\n\r\n{}"), Bare(400)),
        (post("Content-Length: 0x2\r\n\r\n{}"), Bare(400)),
        (post("Content-Length: 99999999999999999999\r\n\r\n{}"), Bare(400)),
        (post("Content-Length: \r\n\r\n{}"), Bare(400)),
        (post("Transfer-Encoding: gzip\r\n\r\n2\r\n{}\r\n0\r\n\r\n"), Bare(400)),
        (post("Transfer-Encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"), Bare(400)),
        (post("Transfer-Encoding: chunked, gzip\r\n\r\n2\r\n{}\r\n0\r\n\r\n"), Bare(400)),
        (post("Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"), Error(400, "malformed")),
        (post("Transfer-Encoding: chunked, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"), Error(400, "malformed")),
        (
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
            Error(400, "malformed"),
        ),
        (post("Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n").replace("HTTP/1.1", "HTTP/1.0"), Bare(400)),
        (chunked("+2\r\n{}\r\n0\r\n\r\n"), Error(400, "body-broken")),
        (chunked("-2\r\n{}\r\n0\r\n\r\n"), Error(400, "body-broken")),
        (chunked("0x2\r\n{}\r\n0\r\n\r\n"), Error(400, "body-broken")),
        (chunked("10000000000000002\r\n{}\r\n0\r\n\r\n"), Error(400, "body-broken")),
        (chunked("2\n{}\n0\n\n"), Error(400, "body-broken")),
        (chunked("2\r\n{}0\r\n\r\n"), Error(400, "body-broken")),
        (chunked("2;a\nb\r\n{}\r\n0\r\n\r\n"), Error(400, "body-broken")),
        (chunked(&format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "a".repeat(40_000))), Error(400, "body-broken")),
        (chunked(&format!("2\r\n{{}}\r\n0\r\n{}\r\n", "X: a\r\n".repeat(4_000))), Error(400, "body-broken")),
    ]
}

#[test]
fn a_malformed_request_is_refused_readably_and_nothing_after_it_is_served() {
    let pair = Pair::start();
    for (request, expected) in heads().into_iter().chain(framings()) {
        let mut caller = pair.caller();
        // More than the gateway has read when it answers.
        caller.send(&[request.as_bytes(), smuggled().repeat(200).as_bytes()].concat());
        let shown = request.chars().take(300).collect::<String>();
        let answer = caller.try_answer();
        match (expected, answer) {
            (Bare(status), Some(answer)) => {
                assert_eq!((answer.status, answer.header("connection")), (status, Some("close")), "{shown}");
                assert_eq!(answer.header("content-length"), Some("0"), "{shown}");
            }
            (Error(status, slug), Some(answer)) => {
                answer.assert_error(status, slug, "not_started");
                assert_eq!(answer.header("connection"), Some("close"), "{shown}");
            }
            (Closed, None) => {}
            (expected, answer) => panic!("{shown}: {expected:?}, {answer:?}"),
        }
        assert!(caller.is_closed(), "{shown}");
        assert_eq!(pair.asteroid.requests().len(), 0, "{shown}");
    }
    assert_eq!(pair.execute("{}").status, 202);
    assert!(pair.gateway.output().contains("a malformed request was refused"));
}

#[test]
fn a_path_that_is_not_in_its_only_form_is_no_operation() {
    let pair = Pair::start();
    let (mut caller, id) = (pair.caller(), AGENT);
    for path in [
        format!("/agents/{id}/./execute"),
        format!("/x/../agents/{id}/execute"),
        format!("/agents/{id}/%2e%2e/{id}/execute"),
        format!("/agents/{id}/%2E/execute"),
        format!("/agents/{id}%2Fexecute"),
        format!("/agents/{id}/execute%00"),
        format!("/agents/{id}/execute%2500"),
        format!("/agents/{id}/%2565xecute"),
        format!("/agents;a=b/{id}/execute"),
        format!("\\agents\\{id}\\execute"),
        format!("/AGENTS/{id}/execute"),
        "*".to_owned(),
    ] {
        let answer = caller.post(&path, &[], b"{}");
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
        caller = pair.caller();
    }
    assert_eq!(pair.asteroid.requests().len(), 0);
}

#[test]
fn what_is_allowed_to_differ_is_put_into_one_form() {
    let pair = Pair::start();
    let body = "2\r\n{}\r\n0\r\n";
    for (request, keeps_alive) in [
        (smuggled(), true),
        // Bare line feeds in a head, which RFC 9112 lets a recipient take.
        (smuggled().replace("\r\n", "\n"), true),
        (smuggled().replace("HTTP/1.1", "HTTP/1.0"), false),
        (post("Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}"), true),
        (post("Transfer-Encoding: ChunkeD\r\n\r\n2;ext=1\r\n{}\r\n0\r\n\r\n"), true),
        (post(&format!("Transfer-Encoding: chunked\r\n\r\n{body}X-Api-Key: forged\r\n\r\n")), true),
        // The coding wins, and what follows is not trusted.
        (post(&format!("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n{body}\r\n")), false),
        (post(&format!("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{body}\r\n")), false),
        (
            post(
                "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\nContent-Length: 2\r\n\r\n{}",
            ),
            true,
        ),
    ] {
        let before = pair.asteroid.requests().len();
        let mut caller = pair.caller();
        caller.send(&[request.as_bytes(), smuggled().as_bytes()].concat());
        assert_eq!(caller.answer().status, 202, "{request}");
        if keeps_alive {
            assert_eq!(caller.answer().status, 202, "{request}");
        } else {
            assert!(caller.is_closed(), "{request}");
        }
        let sent = pair.asteroid.requests();
        assert_eq!(sent.len(), before + 1 + usize::from(keeps_alive), "{request}");
        let header = |name: &str| sent[before].header(name);
        assert_eq!((header("transfer-encoding"), header("x-api-key"), header("upgrade")), (None, None, None));
        assert_eq!(header("content-length"), sent[0].header("content-length"));
    }
}

#[test]
fn a_body_where_none_belongs_is_not_taken_for_a_request() {
    let pair = Pair::start();
    for method in ["GET", "TRACE", "OPTIONS", "HEAD"] {
        let mut caller = pair.caller();
        let inner = smuggled();
        let request = format!("{method} {EXECUTE} HTTP/1.1\r\n{HEAD}Content-Length: {}\r\n\r\n{inner}", inner.len());
        caller.send(request.as_bytes());
        if method == "HEAD" {
            drop(caller.try_answer());
            continue;
        }
        let answer = caller.answer();
        assert_eq!((answer.status, answer.header("connection")), (405, Some("close")), "{method}");
        assert!(caller.is_closed());
    }
    assert_eq!(pair.asteroid.requests().len(), 0);
}
