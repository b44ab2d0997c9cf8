//! Uploads are streamed to the upstream byte for byte, or refused so that the upstream never gets a whole request.

mod bounds;
mod broken;
mod invalid;
mod keys;
mod memory;
mod refusals;

use asteroid_gateway::simulator::upload::ReceivedUpload;
use serde_json::json;

use crate::harness::{Asteroid, Caller, EXECUTE, Pair, Program, TlsPair, at_once};
use crate::simulated::form::{TYPE, form, sum};

const MIB: usize = 1024 * 1024;

const STAGE: &str = "/temp-files";

/// Returns the head of an upload with these further headers, each with its line end.
fn head(caller: &Caller, headers: &str) -> Vec<u8> {
    let host = caller.address();
    format!("POST {STAGE} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {TYPE}\r\n{headers}\r\n").into_bytes()
}

/// Sends the head of an upload of this length.
fn begin(caller: &mut Caller, length: usize) {
    let head = head(caller, &format!("Content-Length: {length}\r\n"));
    caller.send(&head);
}

/// Sends the head of an upload in chunks.
fn begin_chunks(caller: &mut Caller) {
    let head = head(caller, "Transfer-Encoding: chunked\r\n");
    caller.send(&head);
}

/// Returns bytes as chunks, without the last chunk.
fn chunks(bytes: &[u8]) -> Vec<u8> {
    let chunk = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    bytes.chunks(10_007).flat_map(chunk).collect()
}

/// Returns content in which nearly everything occurs that parsers look for.
fn content(length: usize) -> Vec<u8> {
    let noise = |n: usize| u8::try_from((n * n / 7 + n) % 256).unwrap();
    let mut content: Vec<u8> = (0..length).map(noise).collect();
    let texts = [&b"\r\n--"[..], b"\r\n--3f1c8d5b", b"--3f1c8d5b", b"\r\n\r\n", b"\0\r\n-"];
    for (n, text) in texts.iter().cycle().enumerate() {
        let Some(place) = content.get_mut(n * 997..n * 997 + text.len()) else { break };
        place.copy_from_slice(text);
    }
    content
}

/// Returns what the upstream received of the last upload.
fn last_upload(asteroid: &Asteroid) -> ReceivedUpload {
    asteroid.requests().pop().unwrap().upload.unwrap()
}

/// Asserts that the last upload reached the upstream whole and unchanged.
#[track_caller]
fn assert_whole(asteroid: &Asteroid, body: &[u8]) {
    let expected = ReceivedUpload { bytes: body.len() as u64, sha256: sum(body), is_whole: true };
    assert_eq!(last_upload(asteroid), expected);
}

/// Waits until the gateway holds no request and no body, and has no request in flight.
#[track_caller]
fn assert_nothing_is_left(gateway: &Program) {
    let names = ["asteroid_gateway_requests_in_flight", "asteroid_gateway_body_memory_bytes"];
    gateway.wait_for_metrics(|metrics| names.map(|name| metrics.find(name, &[])), &[Some(0.0); 2]);
}

#[test]
fn an_upload_arrives_byte_for_byte_whatever_protocol_and_framing_either_side_uses() {
    // The simulator takes a hundred files, and reads all.
    let forms = [
        (200, form(&[("one.bin", &content(3 * MIB + 7))])),
        (413, form(&vec![("many.bin", &content(1500)[..]); 1000])),
        (200, form(&[("empty.bin", b"")])),
    ];
    let upstreams = [Asteroid::start(), Asteroid::start_tls("localhost"), Asteroid::start_tls_http1("localhost")];
    at_once(upstreams, |asteroid| {
        let pair = TlsPair::before(asteroid, "");
        let (mut http1, mut http2) = (pair.caller(), pair.http2());
        for (status, body) in &forms {
            begin(&mut http1, body.len());
            http1.send(body);
            assert_eq!(http1.answer().status, *status);
            assert_whole(&pair.asteroid, body);
            begin_chunks(&mut http1);
            http1.send(&chunks(body));
            http1.send(b"0\r\n\r\n");
            assert_eq!(http1.answer().status, *status);
            assert_whole(&pair.asteroid, body);
            for length in [Some(body.len().to_string()), None] {
                let headers: Vec<_> = [("content-type", TYPE)]
                    .into_iter()
                    .chain(length.as_deref().map(|length| ("content-length", length)))
                    .collect();
                let answer = http2.post_parts(STAGE, &headers, body.chunks(10_007)).unwrap();
                assert_eq!(answer.status(), *status);
                assert_whole(&pair.asteroid, body);
            }
        }
        let sent = pair.asteroid.requests();
        assert_eq!(sent.len(), 12);
        for request in &sent {
            assert_eq!(request.header("content-type"), Some(TYPE));
            assert!(
                request.header("expect").is_none()
                    && request.header("transfer-encoding").is_none_or(|c| c == "chunked")
            );
        }
        // What has a length keeps it.
        assert_eq!(sent[0].header("content-length"), Some(forms[0].1.len().to_string().as_str()));
        assert_nothing_is_left(&pair.gateway);
    });
}

#[test]
fn a_caller_that_asks_first_is_told_to_go_on_and_an_upload_in_one_packet_arrives() {
    let pair = Pair::start();
    let body = form(&[("a.pdf", &content(MIB))]);
    let mut caller = pair.caller();
    let head = head(&caller, &format!("Content-Length: {}\r\nExpect: 100-continue\r\n", body.len()));
    caller.send(&head);
    assert_eq!(caller.answer().status, 100);
    caller.send(&body);
    assert_eq!(caller.answer().status, 200);
    assert_whole(&pair.asteroid, &body);
    let small = form(&[("a.pdf", b"A")]);
    caller.send(
        &[super::uploads::head(&caller, &format!("Content-Length: {}\r\n", small.len())), small.clone()].concat(),
    );
    assert_eq!(caller.answer().status, 200, "the connection is kept");
    assert_whole(&pair.asteroid, &small);
}

#[test]
fn nothing_is_sent_before_the_head_of_the_first_part_was_checked() {
    let pair = Pair::start();
    // The request is recorded as soon as its head has come.
    pair.asteroid.fail_next(json!({ "operation": "stage", "when": { "bytes": 0 }, "then": "stall" }));
    let body = form(&[("a.pdf", &content(MIB))]);
    let end_of_head = body.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    let mut caller = pair.caller();
    begin(&mut caller, body.len());
    caller.send(&body[..end_of_head - 1]);
    assert_eq!(pair.execute("{}").status, 202);
    assert_eq!(pair.asteroid.requests().len(), 1, "only the start was sent");
    caller.send(&body[end_of_head - 1..=end_of_head]);
    pair.asteroid.wait_for_requests(2);
    assert_eq!(pair.asteroid.requests()[1].target, "/agents/v2/temp-files");
    pair.asteroid.clear_faults();
    caller.send(&body[end_of_head + 1..]);
    assert_eq!(caller.answer().status, 200);
    assert_whole(&pair.asteroid, &body);
}

#[test]
fn files_are_added_to_an_execution_of_its_own_tenant() {
    let pair = Pair::start();
    let id = pair.execute("{}").json()["executionId"].as_str().unwrap().to_owned();
    let body = form(&[("a.pdf", &content(MIB)), ("b.pdf", b"B")]);
    let path = format!("/executions/{id}/context-files");
    let answer = pair.caller().post(&path, &[("Content-Type", TYPE)], &body);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    assert_whole(&pair.asteroid, &body);
    let listed = pair.caller().request("GET", &path);
    assert_eq!((listed.status, listed.json().as_array().unwrap().len()), (200, 2));
    let line = pair.gateway.line(|line| line["operation"] == "ExecutionContextFilesUpload");
    assert_eq!((&line["execution_id"], &line["bytes_in"]), (&json!(id), &json!(body.len())));
    assert_eq!((&line["outcome"], &line["delivered"]), (&json!("answered"), &json!(true)));
}

#[test]
fn an_upload_takes_no_idempotency_key() {
    let pair = Pair::with("idempotency: {}");
    let answer = pair.caller().post(STAGE, &[("Content-Type", TYPE), ("Idempotency-Key", "k")], &form(&[("a", b"A")]));
    answer.assert_error(400, "idempotency-key", "not_started");
    assert_eq!(pair.caller().post(EXECUTE, &[("Idempotency-Key", "k")], b"{}").status, 202);
    assert!(pair.asteroid.requests().iter().all(|request| request.upload.is_none()));
}
