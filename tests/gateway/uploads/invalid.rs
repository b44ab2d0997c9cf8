//! Bodies that are no uploads: each has a clear answer, the upstream never gets a whole request, and nothing is left over.

use super::{MIB, STAGE, assert_nothing_is_left, assert_whole, begin, begin_chunks, chunks, content, head};
use crate::harness::{Answer, Asteroid, Caller, Pair, TlsPair, at_once};
use crate::simulated::form::{TYPE, form, sum};

/// A body that is no upload.
struct Invalid {
    name: &'static str,
    body: Vec<u8>,
    /// The words that its answer has.
    says: &'static str,
    /// Whether a part of it has been sent to the upstream by the time it is refused.
    begins: bool,
}

fn invalid(name: &'static str, body: impl Into<Vec<u8>>, says: &'static str, begins: bool) -> Invalid {
    Invalid { name, body: body.into(), says, begins }
}

/// Returns the head of a part with this field and these further headers.
fn part(field: &str, headers: &str) -> Vec<u8> {
    let disposition = format!("Content-Disposition: form-data; name=\"{field}\"; filename=\"a\"\r\n");
    format!("--3f1c8d5a\r\n{disposition}{headers}\r\n").into_bytes()
}

/// Returns every body that is no upload, whatever framing it has.
fn all() -> Vec<Invalid> {
    let first = [part("files", ""), content(MIB), b"\r\n".to_vec()].concat();
    let end = b"--3f1c8d5a--\r\n".to_vec();
    let long = format!("X-Long: {}", "x".repeat(20_000));
    let many = form(&vec![("a", &[b'x'; 300][..]); 10_000]);
    vec![
        invalid("JSON", "{}", "must begin with two hyphens", false),
        invalid("no part", end.clone(), "has no part", false),
        invalid("another field", [part("file", ""), end.clone()].concat(), "its field is not `files`", false),
        invalid(
            "another field later",
            [first.clone(), part("metadata", ""), b"x\r\n".to_vec(), end.clone()].concat(),
            "part 2 of the body: its field is not `files`",
            true,
        ),
        invalid("an endless head", [part("files", &long), end.clone()].concat(), "longer than 8192 bytes", false),
        invalid("an endless head later", [first.clone(), part("files", &long)].concat(), "part 2 of the body", true),
        invalid("10,000 parts", many, "more than 1000 parts", true),
        invalid("a boundary in the content", [&first[..], b"--3f1c8d5ab\r\n", &end].concat(), "boundary occurs", true),
        invalid("no end", first.clone(), "the body ends in part 1", true),
        invalid("half an end", [&first[..], b"--3f1c8d5a"].concat(), "the body ends in part 1", true),
        invalid("more than its end", [&first[..], &end, b"more"].concat(), "goes on after its last boundary", true),
        invalid(
            "a whole one behind its end",
            [&first[..], &end, &first, &end].concat(),
            "goes on after its last",
            true,
        ),
    ]
}

/// Asserts that an upload was refused, and that the connection ends with that.
#[track_caller]
fn assert_refused(caller: &mut Caller, name: &str, says: &str) {
    let answer = caller.answer();
    assert_multipart(&answer, name, says);
    assert_eq!(answer.header("connection"), Some("close"), "{name}");
    assert!(caller.is_closed(), "{name}: nothing more is answered");
}

#[track_caller]
fn assert_multipart(answer: &Answer, name: &str, says: &str) {
    answer.assert_error(400, "multipart", "not_started");
    let problem = answer.json();
    assert!(problem["detail"].as_str().unwrap().contains(says), "{name}: {problem}");
}

/// Asserts that no request has reached the upstream as a whole, and waits until it has this many.
#[track_caller]
fn assert_no_whole_request(asteroid: &Asteroid, count: usize) {
    asteroid.wait_for_requests(count);
    asteroid.wait_for_no_connection();
    let uploads: Vec<_> = asteroid.requests().into_iter().map(|request| request.upload.unwrap()).collect();
    assert_eq!(uploads.len(), count);
    assert!(uploads.iter().all(|upload| !upload.is_whole), "{uploads:?}");
    assert!(asteroid.storage().files.is_empty());
}

#[test]
fn a_body_that_is_no_upload_is_refused_and_never_sent_to_its_end() {
    at_once(all(), |Invalid { name, body, says, begins }| {
        // With one at a time, the good upload at the end shows that none is still counted.
        let pair = Pair::configured(|smallest| smallest.billing("limits: { in_flight: 1 }"));
        let mut caller = pair.caller();
        begin(&mut caller, body.len());
        caller.try_send(&body);
        assert_refused(&mut caller, name, says);
        let mut caller = pair.caller();
        begin_chunks(&mut caller);
        caller.try_send(&[chunks(&body), b"0\r\n\r\n".to_vec()].concat());
        assert_refused(&mut caller, name, says);
        assert_no_whole_request(&pair.asteroid, if begins { 2 } else { 0 });
        assert_nothing_is_left(&pair.gateway);
        let good = form(&[("a", b"A")]);
        assert_eq!(pair.caller().post(STAGE, &[("Content-Type", TYPE)], &good).status, 200, "{name}");
        assert_whole(&pair.asteroid, &good);
    });
}

#[test]
fn over_http2_a_body_that_is_no_upload_is_refused_and_its_stream_to_the_upstream_reset() {
    at_once(all(), |Invalid { name, body, says, begins }| {
        // Over HTTP/2 on both sides, and over HTTP/1.1 with a length to the upstream.
        for asteroid in [Asteroid::start_tls("localhost"), Asteroid::start()] {
            let pair = TlsPair::before(asteroid, "");
            let mut http2 = pair.http2();
            let length = body.len().to_string();
            for headers in [&[("content-type", TYPE)][..], &[("content-type", TYPE), ("content-length", &length)]] {
                let answer = http2.post_parts(STAGE, headers, body.chunks(16_000)).unwrap();
                let (head, body) = answer.into_parts();
                let headers = head
                    .headers
                    .iter()
                    .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap().to_owned()));
                let answer = Answer { status: head.status.as_u16(), headers: headers.collect(), body: body.to_vec() };
                assert_multipart(&answer, name, says);
            }
            let good = form(&[("a", b"A")]);
            let answer = http2.post_parts(STAGE, &[("content-type", TYPE)], good.chunks(16_000)).unwrap();
            assert_eq!(answer.status(), 200, "{name}: the connection is kept");
            assert_nothing_is_left(&pair.gateway);
            // A stream may be reset before anything was written.
            let uploads: Vec<_> = pair.asteroid.requests().into_iter().map(|request| request.upload.unwrap()).collect();
            assert!(begins || uploads.len() == 1, "{name}: {uploads:?}");
            let whole: Vec<_> =
                uploads.into_iter().filter(|upload| upload.is_whole).map(|upload| upload.sha256).collect();
            assert_eq!(whole, [sum(&good)], "{name}");
        }
    });
}

#[test]
fn an_upload_must_say_that_it_is_one_and_where_its_parts_end() {
    let pair = Pair::start();
    let body = form(&[("a", b"A")]);
    for (media_type, says) in [
        ("multipart/form-data", "has no boundary"),
        ("multipart/form-data; boundary=a; boundary=3f1c8d5a", "more than one boundary"),
        ("multipart/form-data; boundary=\"3f1c8d5a \"", "1 to 70 letters"),
    ] {
        let mut caller = pair.caller();
        caller.send_post(STAGE, &[("Content-Type", media_type)], &body);
        assert_refused(&mut caller, media_type, says);
    }
    let json = [("Content-Type", "application/json")];
    let mixed = [("Content-Type", "multipart/mixed; boundary=3f1c8d5a")];
    let compressed = [("Content-Type", TYPE), ("Content-Encoding", "gzip")];
    let twice = [("Content-Type", TYPE), ("Content-Type", "text/plain")];
    for headers in [&json[..], &mixed, &compressed, &twice] {
        let mut caller = pair.caller();
        caller.send_post(STAGE, headers, &body);
        let answer = caller.answer();
        answer.assert_error(415, "media-type", "not_started");
        assert_eq!((answer.header("connection"), caller.is_closed()), (Some("close"), true), "{headers:?}");
    }
    assert!(pair.asteroid.requests().is_empty());
    assert_nothing_is_left(&pair.gateway);
}

#[test]
fn a_length_that_is_too_short_refuses_the_upload_and_the_rest_is_no_request() {
    let pair = Pair::start();
    let smuggled = format!("GET /executions HTTP/1.1\r\nHost: {}\r\n\r\n", pair.gateway.address());
    let body = form(&[("a", &[&content(MIB), smuggled.as_bytes()].concat())]);
    let end = b"\r\n--3f1c8d5a--\r\n".len();
    for (short, says) in [(3, "ends in part 1"), (end + smuggled.len(), "ends in part 1")] {
        let mut caller = pair.caller();
        begin(&mut caller, body.len() - short);
        caller.try_send(&body);
        assert_refused(&mut caller, "too short", says);
    }
    assert_no_whole_request(&pair.asteroid, 2);
    // What stands behind an upload that is in order is a request of its own, and must be one.
    let good = form(&[("a", b"A")]);
    let mut caller = pair.caller();
    let head = head(&caller, &format!("Content-Length: {}\r\n", good.len()));
    caller.send(&[&head[..], &good, b"more\r\n\r\n"].concat());
    assert_eq!([caller.answer().status, caller.answer().status], [200, 400]);
    assert!(caller.is_closed());
}

#[test]
fn a_length_that_is_too_long_waits_for_the_rest_and_no_longer_than_the_time_out() {
    let pair = Pair::with("timeouts: { body: 2s }");
    let body = form(&[("a", &content(MIB))]);
    let mut caller = pair.caller();
    begin(&mut caller, body.len() + 1);
    caller.send(&body);
    caller.answer().assert_error(408, "body-timeout", "not_started");
    assert!(caller.is_closed());
    assert_no_whole_request(&pair.asteroid, 1);
    assert_nothing_is_left(&pair.gateway);
}

#[test]
fn over_http2_the_last_bytes_are_sent_only_when_the_caller_has_ended_its_stream() {
    use crate::harness::frames::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, StreamEnd, block, frame,
    };
    const { assert!(CONTINUATION > DATA) };
    let pair = TlsPair::start();
    let body = form(&[("a", b"A")]);
    let length = body.len().to_string();
    let headers = block(&[
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", STAGE),
        ("content-type", TYPE),
        ("content-length", &length),
    ]);
    let mut frames = pair.frames().begin();
    let whole = |stream| [frame(HEADERS, END_HEADERS, stream, &headers), frame(DATA, 0, stream, &body)].concat();
    // It is reset as if it were over, and then it is ended.
    frames.send(&[whole(1), frame(RST_STREAM, 0, 1, &[0; 4])].concat());
    frames.send(&[whole(3), frame(DATA, 0, 3, b""), frame(DATA, END_STREAM, 3, b"")].concat());
    assert!(matches!(frames.outcome(3), StreamEnd::Answered(_)));
    assert_whole(&pair.asteroid, &body);
    assert_nothing_is_left(&pair.gateway);
    let uploads = pair.asteroid.requests();
    let whole = uploads.iter().filter(|request| request.upload.as_ref().unwrap().is_whole).count();
    assert_eq!(whole, 1, "{uploads:?}");
}
