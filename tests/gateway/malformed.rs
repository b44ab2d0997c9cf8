//! Malformed and unusual HTTP/1.1, as raw bytes with the expected result. Nothing is forwarded as it came: the request is
//! refused, or sent in the normal form in which the gateway writes every request.

use asteroid_gateway::event;

use crate::harness::{AGENT, Caller, EXECUTE, Pair};

/// An expected result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Must {
    /// It is sent to the upstream in the normal form, and the connection is kept.
    BeSent,
    /// The same, but the connection is closed.
    BeSentAndClosed,
    /// The gateway's own error; the connection is closed.
    Fail(u16, &'static str),
    /// The gateway's own error; the request was sound, so the connection is kept.
    FailAndBeKept(u16, &'static str),
    /// An answer without a body, made before there is a request; the connection is closed.
    BeRefused(u16),
    /// The connection is closed without an answer.
    BeClosed,
}
use Must::{BeClosed, BeRefused, BeSent, BeSentAndClosed, Fail, FailAndBeKept};

/// A case: its description, its bytes, and the expected result.
type Row = (&'static str, Vec<u8>, Must);

/// Returns a start with these lines in its head, and these bytes after its head.
fn start(lines: &str, body: &str) -> Vec<u8> {
    let fixed = "Host: localhost\r\nContent-Type: application/json\r\n";
    format!("POST {EXECUTE} HTTP/1.1\r\n{fixed}{lines}\r\n{body}").into_bytes()
}

/// Returns a valid start, except for these lines in its head.
fn lines(lines: &str) -> Vec<u8> {
    start(&format!("{lines}Content-Length: 2\r\n"), "{}")
}

/// Returns a start with these chunks as its body.
fn chunks(chunks: &str) -> Vec<u8> {
    start("Transfer-Encoding: chunked\r\n", chunks)
}

/// Returns a valid start, except for its first line.
fn line(line: &str) -> Vec<u8> {
    let rest = "Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    format!("{line}\r\n{rest}").into_bytes()
}

fn target(target: &str) -> Vec<u8> {
    line(&format!("POST {target} HTTP/1.1"))
}

fn protocols() -> Vec<Row> {
    let version = |version: &str| line(&format!("POST {EXECUTE} {version}"));
    let old = |more: &str| {
        let sound = String::from_utf8(lines(more)).unwrap();
        sound.replacen("HTTP/1.1", "HTTP/1.0", 1).into_bytes()
    };
    let type_and_length = "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    let hostless = format!("POST {EXECUTE} HTTP/1.0\r\n{type_and_length}").into_bytes();
    vec![
        ("a sound request", version("HTTP/1.1"), BeSent),
        ("HTTP/1.0", version("HTTP/1.0"), BeSentAndClosed),
        ("HTTP/1.0 that is to be kept", old("Connection: keep-alive\r\n"), BeSent),
        ("HTTP/1.0 that would not understand 100", old("Expect: 100-continue\r\n"), BeSentAndClosed),
        ("HTTP/1.0 without Host", hostless, Fail(400, "host")),
        ("HTTP/0.9", format!("GET {EXECUTE}\r\n\r\n").into_bytes(), BeRefused(400)),
        ("HTTP/1.2", version("HTTP/1.2"), BeRefused(400)),
        ("HTTP/2.0 in a line", version("HTTP/2.0"), BeRefused(400)),
        ("no version", version(""), BeRefused(400)),
        ("http in lower case", version("http/1.1"), BeRefused(400)),
        ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(), BeClosed),
        ("a TLS hello", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\x42\x17".to_vec(), BeRefused(400)),
        ("garbage", b"\xff\xfe\0\x01\x02\r\n\r\n".to_vec(), BeRefused(400)),
        ("an answer", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(), BeRefused(400)),
        ("empty lines before", [b"\r\n\r\n".as_slice(), &lines("")].concat(), BeSent),
        ("a space before", [b" ".as_slice(), &lines("")].concat(), BeRefused(400)),
        ("an upgrade to HTTP/2", lines("Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"), BeSent),
        ("an upgrade to WebSocket", lines("Connection: Upgrade\r\nUpgrade: websocket\r\n"), BeSent),
        ("an unknown expectation", lines("Expect: 200-ok\r\n"), Fail(400, "malformed")),
        ("two expectations", lines("Expect: 100-continue\r\nExpect: x\r\n"), Fail(400, "malformed")),
    ]
}

fn methods_and_targets() -> Vec<Row> {
    let found = |path: &str| target(&format!("/agents/{AGENT}{path}"));
    let bodiless = |line: &str| format!("{line} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes();
    vec![
        ("CONNECT", bodiless("CONNECT localhost:443"), Fail(400, "target")),
        ("TRACE", bodiless(&format!("TRACE {EXECUTE}")), FailAndBeKept(405, "method")),
        ("OPTIONS *", bodiless("OPTIONS *"), FailAndBeKept(404, "operation-not-served")),
        ("a body on GET", line(&format!("GET {EXECUTE} HTTP/1.1")), Fail(405, "method")),
        ("a space in the method", line(&format!("PO ST {EXECUTE} HTTP/1.1")), BeRefused(400)),
        ("a method that is no token", line(&format!("PO(ST {EXECUTE} HTTP/1.1")), BeRefused(400)),
        ("no method", line(&format!(" {EXECUTE} HTTP/1.1")), BeRefused(400)),
        ("two spaces", line(&format!("POST  {EXECUTE} HTTP/1.1")), BeRefused(400)),
        ("a tab", line(&format!("POST\t{EXECUTE} HTTP/1.1")), BeRefused(400)),
        ("an absolute target", target(&format!("http://localhost{EXECUTE}")), BeSent),
        ("another host's target", target(&format!("http://evil.example{EXECUTE}")), Fail(421, "misdirected")),
        ("a relative target", target("agents"), Fail(400, "target")),
        ("two slashes before", target(&format!("//evil.example{EXECUTE}")), Fail(404, "operation-not-served")),
        ("dots", found("/../execute"), Fail(404, "operation-not-served")),
        ("coded dots", found("/%2e%2e/execute"), Fail(404, "operation-not-served")),
        ("dots coded twice", found("/%252e%252e/execute"), Fail(404, "operation-not-served")),
        ("a backslash", found("\\execute"), Fail(404, "operation-not-served")),
        ("a parameter", found("/execute;x"), Fail(404, "operation-not-served")),
        ("a coded NUL", found("/execute%00"), Fail(404, "operation-not-served")),
        ("a NUL", found("/execute\0"), BeRefused(400)),
        ("a space in the target", found("/execute x"), BeRefused(400)),
        ("a letter beyond ASCII", found("/execute\u{e9}"), Fail(404, "operation-not-served")),
        ("a fragment", found("/execute#x"), BeSent),
        ("a long target", found(&"x".repeat(12_000)), Fail(404, "operation-not-served")),
        ("a target that is too long", found(&"x".repeat(100_000)), BeRefused(431)),
    ]
}

fn heads() -> Vec<Row> {
    let many = |count: usize| lines(&"X: y\r\n".repeat(count - 3));
    let long = |length: usize| lines(&format!("X: {}\r\n", "y".repeat(length)));
    let hosts = |hosts: &str| format!("POST {EXECUTE} HTTP/1.1\r\n{hosts}\r\n").into_bytes();
    let bare = String::from_utf8(lines("")).unwrap().replace("\r\n", "\n").into_bytes();
    vec![
        ("no Host", hosts(""), Fail(400, "host")),
        ("two Hosts", hosts("Host: localhost\r\nHost: localhost\r\n"), Fail(400, "host")),
        ("a Host that is none", hosts("Host: a b\r\n"), Fail(400, "host")),
        ("bare line feeds", bare, BeSent),
        ("a bare carriage return", lines("X: y\rZ: z\r\n"), BeRefused(400)),
        ("a carriage return in a name", lines("X\r: y\r\n"), BeRefused(400)),
        ("a folded line", lines("X: y\r\n z\r\n"), BeRefused(400)),
        ("a folded length", start("Content-Length:\r\n 2\r\n", "{}"), BeRefused(400)),
        ("a space before the first name", lines(" X: y\r\n"), BeRefused(400)),
        ("a space before the colon", start("Content-Length : 2\r\n", "{}"), BeRefused(400)),
        ("a tab before the colon", start("Content-Length\t: 2\r\n", "{}"), BeRefused(400)),
        ("a line without a colon", lines("X\r\n"), BeRefused(400)),
        ("no name", lines(": y\r\n"), BeRefused(400)),
        ("a control character in a name", lines("X\x01: y\r\n"), BeRefused(400)),
        ("a NUL in a name", lines("X\0: y\r\n"), BeRefused(400)),
        ("a letter beyond ASCII in a name", lines("X\u{e9}: y\r\n"), BeRefused(400)),
        ("a NUL in a value", lines("X: y\0z\r\n"), BeRefused(400)),
        ("a delete in a value", lines("X: y\x7fz\r\n"), BeRefused(400)),
        ("letters beyond ASCII in a value", lines("X: \u{e9}\r\n"), BeSent),
        ("a control character in a value", lines("X: y\x01z\r\n"), BeRefused(400)),
        ("as many headers as may be", many(100), BeSent),
        ("one header too many", many(101), BeRefused(431)),
        ("a long head", long(12_000), BeSent),
        ("a head that is too long", long(20_000), BeRefused(431)),
        (
            "a head without an end",
            format!("POST {EXECUTE} HTTP/1.1\r\nX: {}", "y".repeat(100_000)).into_bytes(),
            BeRefused(431),
        ),
    ]
}

fn lengths() -> Vec<Row> {
    let length = |value: &str| start(&format!("Content-Length: {value}\r\n"), "{}");
    vec![
        ("two lengths", start("Content-Length: 2\r\nContent-Length: 3\r\n", "{}"), BeRefused(400)),
        ("the same length twice", start("Content-Length: 2\r\nContent-Length: 2\r\n", "{}"), BeSent),
        ("a list of lengths", length("2, 2"), BeRefused(400)),
        ("a plus", length("+2"), BeRefused(400)),
        ("a minus", length("-2"), BeRefused(400)),
        ("a hexadecimal length", length("0x2"), BeRefused(400)),
        ("a fraction", length("2.0"), BeRefused(400)),
        ("an exponent", length("2e0"), BeRefused(400)),
        ("a space within", length("2 0"), BeRefused(400)),
        ("no length in it", length(""), BeRefused(400)),
        ("zeros before", length("0002"), BeSent),
        ("a length beyond 64 bits", length("18446744073709551618"), BeRefused(400)),
        ("the largest length", length("18446744073709551615"), BeRefused(431)),
        ("a length beyond the limit", length("9223372036854775807"), Fail(413, "body-too-large")),
    ]
}

fn codings() -> Vec<Row> {
    let both = "2\r\n{}\r\n0\r\n\r\n";
    let coding = |value: &str| start(&format!("Transfer-Encoding: {value}\r\n"), both);
    let old = "Host: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    vec![
        ("chunked", coding("chunked"), BeSent),
        ("Chunked", coding("Chunked"), BeSent),
        ("length before coding", start("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", both), BeSentAndClosed),
        ("length after coding", start("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", both), BeSentAndClosed),
        ("a coding within", coding("gzip, chunked"), Fail(400, "malformed")),
        ("chunked in a list", coding("chunked, chunked"), Fail(400, "malformed")),
        ("chunked twice", coding("chunked\r\nTransfer-Encoding: chunked"), Fail(400, "malformed")),
        ("identity, then chunked", coding("identity\r\nTransfer-Encoding: chunked"), Fail(400, "malformed")),
        ("chunked, then identity", coding("chunked\r\nTransfer-Encoding: identity"), BeRefused(400)),
        ("chunked not last", coding("chunked, gzip"), BeRefused(400)),
        ("an unknown coding", coding("xchunked"), BeRefused(400)),
        ("a vertical tab", coding("\x0bchunked"), BeRefused(400)),
        ("a quoted coding", coding("\"chunked\""), BeRefused(400)),
        ("a parameter", coding("chunked;q=1"), BeRefused(400)),
        ("no coding in it", coding(""), BeRefused(400)),
        ("with HTTP/1.0", format!("POST {EXECUTE} HTTP/1.0\r\n{old}{both}").into_bytes(), BeRefused(400)),
    ]
}

fn chunked() -> Vec<Row> {
    let broken = Fail(400, "body-broken");
    let extension = |length: usize| chunks(&format!("2;x={}\r\n{{}}\r\n0\r\n\r\n", "y".repeat(length)));
    vec![
        ("a trailer", chunks("2\r\n{}\r\n0\r\nX: y\r\n\r\n"), broken),
        (
            "trailers that no trailer may be",
            chunks("2\r\n{}\r\n0\r\nContent-Length: 9\r\nHost: evil.example\r\nX-Api-Key: forged\r\n\r\n"),
            broken,
        ),
        ("an empty line of a bare line feed", chunks("2\r\n{}\r\n0\r\n\n\r\n\r\n"), broken),
        ("a trailer that is none", chunks("2\r\n{}\r\n0\r\nX\r\n\r\n"), broken),
        (
            "trailers that are too long",
            chunks(&format!("2\r\n{{}}\r\n0\r\nX: {}\r\n\r\n", "y".repeat(100_000))),
            broken,
        ),
        ("a plus", chunks("+2\r\n{}\r\n0\r\n\r\n"), broken),
        ("a minus", chunks("-2\r\n{}\r\n0\r\n\r\n"), broken),
        ("a hexadecimal prefix", chunks("0x2\r\n{}\r\n0\r\n\r\n"), broken),
        ("a space before the size", chunks(" 2\r\n{}\r\n0\r\n\r\n"), broken),
        ("a space within the size", chunks("1 1\r\n{}\r\n0\r\n\r\n"), broken),
        ("a space behind the size", chunks("2 \r\n{}\r\n0\r\n\r\n"), BeSent),
        ("no size", chunks("\r\n{}\r\n0\r\n\r\n"), broken),
        ("a size beyond 64 bits", chunks("10000000000000002\r\n{}\r\n0\r\n\r\n"), broken),
        ("an extension", extension(10), BeSent),
        ("a huge extension", extension(100_000), broken),
        ("a line feed in an extension", chunks("2;x\n{}\r\n0\r\n\r\n"), broken),
        ("a bare line feed behind the size", chunks("2\n{}\r\n0\r\n\r\n"), broken),
        ("a bare line feed behind the data", chunks("2\r\n{}\n0\r\n\r\n"), broken),
        ("a bare carriage return", chunks("2\r{}\r\n0\r\n\r\n"), broken),
        ("more data than the size says", chunks("2\r\n{}{}\r\n0\r\n\r\n"), broken),
        ("less data than the size says", chunks("4\r\n{}\r\n0\r\n\r\n"), broken),
    ]
}

#[test]
fn each_protocol_and_expectation() {
    check(&protocols());
}

#[test]
fn each_method_and_target() {
    check(&methods_and_targets());
}

#[test]
fn each_head() {
    check(&heads());
}

#[test]
fn each_length() {
    check(&lengths());
}

#[test]
fn each_transfer_coding() {
    check(&codings());
}

#[test]
fn each_chunk() {
    check(&chunked());
}

#[test]
fn a_caller_who_goes_on_writing_gets_to_read_why_it_was_refused() {
    let pair = Pair::start();
    // More than the sockets' buffers hold: if the gateway did not read on, a reset would destroy the answer.
    let more = vec![b'x'; 3 * 1024 * 1024];
    let rows = [protocols(), methods_and_targets(), heads(), lengths(), codings(), chunked()].concat();
    let refused = rows.into_iter().filter(|row| matches!(row.2, BeRefused(_) | Fail(..)));
    for (what, bytes, must) in refused {
        let mut caller = pair.caller();
        caller.send(&[bytes, more.clone()].concat());
        expect(&mut caller, what, must);
    }
    assert_eq!(pair.asteroid.requests().len(), 0);
}

#[test]
fn what_stands_in_a_refused_body_or_behind_a_last_request_is_never_a_request() {
    let pair = Pair::with("body_limit: 1KiB");
    let smuggled = String::from_utf8(lines("")).unwrap();
    let padding = " ".repeat(2000);
    let length = format!("Content-Length: {}\r\n", padding.len() + smuggled.len());
    let too_large = start(&length, &format!("{padding}{smuggled}"));
    let not_json = start(&format!("Content-Encoding: gzip\r\n{length}"), &format!("{padding}{smuggled}"));
    for (what, bytes, must) in [
        ("behind a length", too_large, Fail(413, "body-too-large")),
        ("behind another media type", not_json, Fail(415, "media-type")),
        ("within a chunk", chunks(&format!("1000\r\n{padding}{smuggled}")), Fail(413, "body-too-large")),
        ("behind a broken chunk", chunks(&format!("x\r\n{smuggled}")), Fail(400, "body-broken")),
        ("behind a coding", start("Transfer-Encoding: gzip, chunked\r\n", &smuggled), Fail(400, "malformed")),
        ("behind no Host", format!("GET / HTTP/1.1\r\n\r\n{smuggled}").into_bytes(), Fail(400, "host")),
        ("behind an error", format!("GET / HTTP/9\r\n\r\n{smuggled}").into_bytes(), BeRefused(400)),
    ] {
        let mut caller = pair.caller();
        caller.send(&bytes);
        expect(&mut caller, what, must);
    }
    assert_eq!(pair.asteroid.requests().len(), 0);
    let both = start("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n");
    for last in [lines("Connection: close\r\n"), both] {
        let mut caller = pair.caller();
        caller.send(&[last, lines("")].concat());
        expect(&mut caller, "the last", BeSentAndClosed);
    }
    assert_eq!(pair.asteroid.requests().len(), 2);
}

#[test]
fn a_body_where_none_belongs_is_not_taken_for_a_request() {
    let pair = Pair::start();
    for method in ["GET", "TRACE", "OPTIONS", "HEAD"] {
        let mut caller = pair.caller();
        let inner = String::from_utf8(lines("")).unwrap();
        let request = format!(
            "{method} {EXECUTE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{inner}",
            inner.len()
        );
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

#[test]
fn the_operator_sees_who_sent_what_is_not_http_and_why_it_was_refused() {
    let pair = Pair::start();
    pair.caller().send(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03");
    let line = pair.gateway.event(event::REQUEST_MALFORMED);
    assert!(line["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
    assert_eq!(line["error"], "invalid HTTP method parsed");
}

fn check(rows: &[Row]) {
    let pair = Pair::start();
    for (what, bytes, must) in rows {
        let before = pair.asteroid.requests().len();
        let mut caller = pair.caller();
        caller.send(bytes);
        expect(&mut caller, what, *must);
        let sent = pair.asteroid.requests().split_off(before);
        let passed_on = usize::from(matches!(must, BeSent | BeSentAndClosed));
        let after_it = usize::from(matches!(must, BeSent | FailAndBeKept(..)));
        assert_eq!(sent.len(), passed_on + after_it, "{what}");
        for request in sent {
            assert_eq!(request.target, format!("/agents/v2{EXECUTE}"), "{what}");
            let framing = ["content-length", "transfer-encoding", "expect", "upgrade", "connection", "trailer"];
            let framing = framing.map(|name| request.header(name).is_some());
            assert_eq!(framing, [true, false, false, false, false, false], "{what}: {:?}", request.headers);
            assert!(!format!("{:?}", request.headers).contains("forged"), "{what}");
        }
    }
}

/// Reads the answer, and asserts that the connection is closed without a reset, or carries another request.
fn expect(caller: &mut Caller, what: &str, must: Must) {
    let answer = (must != BeClosed).then(|| caller.try_answer().unwrap_or_else(|| panic!("{what}: no answer")));
    if let Some(answer) = &answer {
        let told = (answer.header("connection"), answer.status);
        match must {
            BeSent | BeSentAndClosed => assert_eq!(answer.status, 202, "{what}: {answer:?}"),
            Fail(status, code) | FailAndBeKept(status, code) => answer.assert_error(status, code, "not_started"),
            BeRefused(status) => assert_eq!((told, answer.body.len()), ((Some("close"), status), 0), "{what}"),
            BeClosed => {}
        }
    }
    if matches!(must, BeSent | FailAndBeKept(..)) {
        assert_eq!(caller.execute("{}").status, 202, "{what}: the connection is kept");
    } else {
        assert_eq!(caller.rest().unwrap(), b"", "{what}: the connection is closed");
    }
}
