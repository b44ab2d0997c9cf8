//! An HTTP/1.1 upstream that breaks the rules: its answer is forwarded whole or not at all, no caller gets another's
//! answer, and its connection is not used again.

use crate::harness::raw::{AfterAnswer, FirstExchange, RawUpstream};
use crate::harness::{Answer, Caller, Configuration, EXECUTE, Program};

/// The answer that the caller gets.
enum Sees {
    /// This answer, whole.
    Answer(u16, &'static str),
    /// A 504 that says `unknown`.
    Error(&'static str),
}

/// The connection that the next call uses.
#[derive(PartialEq)]
enum Next {
    Same,
    Fresh,
}

fn start(first: FirstExchange, more: &str) -> (RawUpstream, Program) {
    let upstream = RawUpstream::start(first);
    let gateway = Program::run(Configuration::for_address(upstream.address).with(more));
    (upstream, gateway)
}

fn execute(gateway: &Program, id: &str, body: &[u8]) -> Answer {
    Caller::connect(gateway.address()).post(EXECUTE, &[("X-Request-Id", id)], body)
}

/// Asserts that further calls get their own answers, and that then this many connections were made.
fn assert_others_are_right(upstream: &RawUpstream, gateway: &Program, connections: usize, case: &str) {
    for id in ["second", "third"] {
        let answer = execute(gateway, id, b"{}");
        assert_eq!((answer.status, String::from_utf8_lossy(&answer.body).as_ref()), (202, id), "after {case}");
    }
    assert_eq!(upstream.connections(), connections, "after {case}");
}

#[test]
fn whatever_comes_back_the_caller_gets_all_of_it_or_an_error_and_the_next_caller_its_own() {
    use AfterAnswer::{Close, Keep, Reset};
    use Next::{Fresh, Same};
    use Sees::{Answer, Error};
    const BROKE: Sees = Error("upstream-broke");
    const SECOND: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
    let accepted = |rest: &str| format!("HTTP/1.1 202 Accepted\r\n{rest}");
    let chunked = |rest: &str| accepted(&format!("Transfer-Encoding: chunked\r\n\r\n{rest}"));
    let whole = accepted("Content-Length: 2\r\n\r\n{}");
    let cases = [
        // Unusual, but allowed.
        ("no reason", "HTTP/1.1 202\r\nContent-Length: 2\r\n\r\n{}".to_owned(), Keep, Answer(202, "{}"), Same),
        ("bare line feeds", "HTTP/1.1 202 Accepted\nContent-Length: 2\n\n{}".to_owned(), Keep, Answer(202, "{}"), Same),
        (
            "interim answers",
            format!(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n{whole}"
            ),
            Keep,
            Answer(202, "{}"),
            Same,
        ),
        ("trailers", chunked("2;x=y\r\n{}\r\n0\r\nX-Trailer: 1\r\n\r\n"), Keep, Answer(202, "{}"), Same),
        (
            "the end announced",
            accepted("Connection: close\r\nContent-Length: 2\r\n\r\n{}"),
            Keep,
            Answer(202, "{}"),
            Fresh,
        ),
        ("the end not announced", whole.clone(), Close, Answer(202, "{}"), Fresh),
        ("HTTP/1.0", "HTTP/1.0 202 Accepted\r\nContent-Length: 2\r\n\r\n{}".to_owned(), Keep, Answer(202, "{}"), Fresh),
        ("HTTP/1.0 without a length", "HTTP/1.0 202 Accepted\r\n\r\n{}".to_owned(), Close, Answer(202, "{}"), Fresh),
        ("a coded body", accepted("Content-Encoding: x\r\nContent-Length: 2\r\n\r\n{}"), Keep, Answer(202, "{}"), Same),
        // Bytes without a request.
        ("a second answer", format!("{whole}{SECOND}"), Keep, Answer(202, "{}"), Fresh),
        (
            "a second answer after chunks",
            chunked(&format!("2\r\n{{}}\r\n0\r\n\r\n{SECOND}")),
            Keep,
            Answer(202, "{}"),
            Fresh,
        ),
        (
            "a body longer than its length",
            accepted("Content-Length: 2\r\n\r\n{} and more"),
            Keep,
            Answer(202, "{}"),
            Fresh,
        ),
        (
            "204 with a body",
            format!("HTTP/1.1 204 No Content\r\nContent-Length: 44\r\n\r\n{SECOND}"),
            Keep,
            Answer(204, ""),
            Fresh,
        ),
        (
            "304 with a body",
            format!("HTTP/1.1 304 Not Modified\r\nContent-Length: 44\r\n\r\n{SECOND}"),
            Keep,
            Answer(304, ""),
            Fresh,
        ),
        (
            "two kinds of length",
            accepted("Transfer-Encoding: chunked\r\nContent-Length: 7\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
            Keep,
            Answer(202, "{}"),
            Fresh,
        ),
        // No answer, or an incomplete one.
        ("nothing", String::new(), Close, BROKE, Fresh),
        ("a reset", String::new(), Reset, BROKE, Fresh),
        ("half a head", accepted("Content-Le"), Close, BROKE, Fresh),
        ("garbage", "garbage\r\n\r\n".to_owned(), Keep, BROKE, Fresh),
        ("another protocol", "SSH-2.0-OpenSSH_9.2\r\n".to_owned(), Keep, BROKE, Fresh),
        ("an unknown version", "HTTP/3.0 202 Accepted\r\nContent-Length: 2\r\n\r\n{}".to_owned(), Keep, BROKE, Fresh),
        (
            "a status of two digits",
            "HTTP/1.1 20 Accepted\r\nContent-Length: 2\r\n\r\n{}".to_owned(),
            Keep,
            BROKE,
            Fresh,
        ),
        (
            "a switch of protocols",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n".to_owned(),
            Keep,
            BROKE,
            Fresh,
        ),
        ("a folded header", accepted("X-Folded: a\r\n b\r\nContent-Length: 2\r\n\r\n{}"), Keep, BROKE, Fresh),
        ("a NUL in a header", accepted("X-Nul: a\0b\r\nContent-Length: 2\r\n\r\n{}"), Keep, BROKE, Fresh),
        (
            "a huge head",
            accepted(&format!("X-Huge: {}\r\nContent-Length: 2\r\n\r\n{{}}", "x".repeat(500_000))),
            Keep,
            BROKE,
            Fresh,
        ),
        (
            "too many headers",
            accepted(&format!("{}Content-Length: 2\r\n\r\n{{}}", "X-Many: 1\r\n".repeat(200))),
            Keep,
            BROKE,
            Fresh,
        ),
        (
            "gzip, then chunks",
            accepted("Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
            Keep,
            BROKE,
            Fresh,
        ),
        (
            "gzip and chunks in two fields",
            accepted("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
            Keep,
            BROKE,
            Fresh,
        ),
        ("gzip to the end", accepted("Transfer-Encoding: gzip\r\n\r\n{}"), Close, BROKE, Fresh),
        ("identity to the end", accepted("Transfer-Encoding: identity\r\n\r\n{}"), Close, BROKE, Fresh),
        (
            "chunks in chunks",
            accepted("Transfer-Encoding: chunked, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
            Keep,
            BROKE,
            Fresh,
        ),
        (
            "chunks in HTTP/1.0",
            "HTTP/1.0 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n".to_owned(),
            Keep,
            BROKE,
            Fresh,
        ),
        (
            "chunks in other letters",
            accepted("Transfer-Encoding: Chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
            Keep,
            Answer(202, "{}"),
            Same,
        ),
        (
            "interim answers without end",
            "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(100_000),
            Keep,
            BROKE,
            Fresh,
        ),
        ("two lengths", accepted("Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x"), Keep, BROKE, Fresh),
        ("a negative length", accepted("Content-Length: -2\r\n\r\n{}"), Keep, BROKE, Fresh),
        ("a signed length", accepted("Content-Length: +2\r\n\r\n{}"), Keep, BROKE, Fresh),
        ("a length beyond all numbers", accepted("Content-Length: 99999999999999999999\r\n\r\n{}"), Keep, BROKE, Fresh),
        ("a short body", accepted("Content-Length: 10\r\n\r\n{}"), Close, BROKE, Fresh),
        ("a reset within the body", accepted("Content-Length: 10\r\n\r\n{}"), Reset, BROKE, Fresh),
        ("a chunk without a size", chunked("zz\r\n{}\r\n0\r\n\r\n"), Keep, BROKE, Fresh),
        ("a chunk of a size beyond all numbers", chunked("fffffffffffffffff\r\n{}\r\n0\r\n\r\n"), Keep, BROKE, Fresh),
        ("a chunk longer than its size", chunked("1\r\n{}\r\n0\r\n\r\n"), Keep, BROKE, Fresh),
        ("chunks without an end", chunked("2\r\n{}\r\n"), Close, BROKE, Fresh),
        ("chunks that end in the trailers", chunked("2\r\n{}\r\n0\r\nX-Trailer: 1\r\n"), Close, BROKE, Fresh),
    ];
    for (case, answer, then, sees, next) in cases {
        let (upstream, gateway) = start(FirstExchange { answer: answer.into_bytes(), then, early: false }, "");
        let answer = execute(&gateway, "first", b"{}");
        match sees {
            Answer(status, body) => {
                assert_eq!((answer.status, String::from_utf8_lossy(&answer.body).as_ref()), (status, body), "{case}");
            }
            Error(code) => {
                assert_eq!(answer.status, 504, "{case}");
                answer.assert_error(504, code, "unknown");
            }
        }
        assert_others_are_right(&upstream, &gateway, if next == Same { 1 } else { 2 }, case);
    }
}

#[test]
fn an_answer_that_nobody_asked_for_on_a_waiting_connection_reaches_nobody() {
    for forged in ["HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged", "HTTP/1.1 100 Continue\r\n\r\n", "\r\n"] {
        let answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}".to_vec();
        let (upstream, gateway) = start(FirstExchange { answer, ..FirstExchange::default() }, "");
        assert_eq!(execute(&gateway, "first", b"{}").body, b"{}");
        upstream.write(forged.as_bytes());
        assert_others_are_right(&upstream, &gateway, 2, forged);
    }
}

#[test]
fn an_answer_that_drips_is_given_up_at_the_deadline() {
    for answer in ["HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 202 Accepted\r\nContent-Length: 999\r\n\r\n"] {
        let first = FirstExchange { answer: answer.into(), then: AfterAnswer::Drip, early: false };
        let (upstream, gateway) = start(first, "timeouts: { response: 300ms }");
        execute(&gateway, "first", b"{}").assert_error(504, "upstream-timeout", "unknown");
        assert_others_are_right(&upstream, &gateway, 2, answer);
    }
}

#[test]
fn an_answer_before_the_request_was_read_is_passed_on_and_its_connection_is_closed() {
    let answer = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\n\r\ntoo large".to_vec();
    let (upstream, gateway) =
        start(FirstExchange { answer, early: true, then: AfterAnswer::Keep }, "body_limit: 32MiB");
    // More than the sockets' buffers hold.
    let body = format!("{{\"inputs\": {{\"padding\": \"{}\"}}}}", "x".repeat(20 * 1024 * 1024));
    let answer = execute(&gateway, "first", body.as_bytes());
    assert_eq!((answer.status, &*answer.body), (413, &b"too large"[..]));
    assert_others_are_right(&upstream, &gateway, 2, "an early answer");
    assert!(upstream.rest() < body.len() / 2, "only what the sockets held: the rest is not sent any more");
}

#[test]
fn a_long_answer_that_breaks_off_is_cut_for_the_caller_too_and_recorded_as_unknown() {
    let part = "x".repeat(100_000);
    for (framing, then) in [
        ("Content-Length: 200000\r\n\r\n".to_owned(), AfterAnswer::Close),
        ("Transfer-Encoding: chunked\r\n\r\n186a0\r\n".to_owned(), AfterAnswer::Close),
        ("Transfer-Encoding: chunked\r\n\r\n186a0\r\n".to_owned(), AfterAnswer::Keep),
    ] {
        let answer = format!("HTTP/1.1 202 Accepted\r\n{framing}{part}").into_bytes();
        let first = FirstExchange { answer, then, early: false };
        let (upstream, gateway) = start(first, "timeouts: { response: 500ms }");
        let mut caller = Caller::connect(gateway.address());
        caller.send_post(EXECUTE, &[("X-Request-Id", "first")], b"{}");
        assert!(caller.try_answer().is_none(), "{framing}: a part is not taken for the whole");
        let line = gateway.line(|line| line["request_id"] == "first");
        let error = if matches!(then, AfterAnswer::Keep) { "upstream-timeout" } else { "upstream-broke" };
        assert_eq!((&line["status"], &line["outcome"]), (&202.into(), &"unknown".into()), "{line}");
        assert_eq!((&line["delivered"], &line["error"]), (&false.into(), &error.into()), "{line}");
        assert_others_are_right(&upstream, &gateway, 2, &framing);
    }
}
