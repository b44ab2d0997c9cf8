//! The bounds of an upload: its length, and the pauses that either side may make. Its whole time has none.

use std::time::Duration;

use serde_json::json;

use super::{MIB, STAGE, assert_nothing_is_left, assert_whole, begin, begin_chunks, chunks, content, last_upload};
use crate::harness::{Asteroid, Pair, TlsPair, at_once};
use crate::simulated::form::{TYPE, form};

#[test]
fn an_upload_of_the_largest_length_passes_and_one_byte_more_is_413() {
    let pair = Pair::with("upload_limit: 1MiB\nbody_limit: 64KiB");
    let around = form(&[("a", b"")]).len();
    let body = form(&[("a", &content(MIB - around))]);
    assert_eq!(pair.caller().post(STAGE, &[("Content-Type", TYPE)], &body).status, 200);
    assert_whole(&pair.asteroid, &body);
    let longer = form(&[("a", &content(MIB - around + 1))]);
    // Announced, it is refused before a byte of it is read.
    let mut caller = pair.caller();
    begin(&mut caller, longer.len());
    let answer = caller.answer();
    answer.assert_error(413, "body-too-large", "not_started");
    assert!(answer.json()["detail"].as_str().unwrap().contains("1048576 bytes, the `upload_limit`"));
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(pair.asteroid.requests().len(), 1, "it was not sent");
    let mut caller = pair.caller();
    begin_chunks(&mut caller);
    caller.try_send(&[chunks(&longer), b"0\r\n\r\n".to_vec()].concat());
    let answer = caller.answer();
    answer.assert_error(413, "body-too-large", "not_started");
    assert_eq!((answer.header("connection"), caller.is_closed()), (Some("close"), true));
    pair.asteroid.wait_for_requests(2);
    assert!(!last_upload(&pair.asteroid).is_whole);
    assert_nothing_is_left(&pair.gateway);
}

#[test]
fn an_upload_without_an_end_is_read_up_to_the_limit_and_discarded_up_to_a_bound() {
    let pair = Pair::with("upload_limit: 1MiB");
    let body = form(&[("a", &content(MIB))]);
    let endless = || std::iter::once(&body[..100_000]).chain(std::iter::repeat_n(&[b'x'; 16_000][..], 4000));
    let mut caller = pair.caller();
    begin_chunks(&mut caller);
    endless().for_each(|part| caller.try_send(&chunks(part)));
    caller.answer().assert_error(413, "body-too-large", "not_started");
    assert!(caller.is_closed());
    let secure = TlsPair::with("upload_limit: 1MiB");
    let answer = secure.http2().post_parts(STAGE, &[("content-type", TYPE)], endless()).unwrap();
    assert_eq!(answer.status(), 413);
    for (asteroid, gateway) in [(&pair.asteroid, &pair.gateway), (&secure.asteroid, &secure.gateway)] {
        asteroid.wait_for_requests(1);
        assert!(!last_upload(asteroid).is_whole);
        assert_nothing_is_left(gateway);
        let line = gateway.request_line(413);
        let read = line["bytes_in"].as_u64().unwrap();
        assert!((MIB as u64..2 * MIB as u64).contains(&read), "{line}");
    }
}

#[test]
fn a_caller_that_stalls_has_its_408_and_the_upstream_no_whole_request() {
    let pair = Pair::with("timeouts: { body: 2s }");
    let body = form(&[("a", &content(MIB))]);
    // In the head of the first part, before the upstream hears of it, and in the middle of its content.
    at_once([50, body.len() / 2], |sent| {
        let mut caller = pair.caller();
        begin(&mut caller, body.len());
        caller.send(&body[..sent]);
        let answer = caller.answer();
        answer.assert_error(408, "body-timeout", "not_started");
        assert!(answer.json()["detail"].as_str().unwrap().contains("nothing more of the upload came for 2s"));
        assert_eq!((answer.header("connection"), caller.is_closed()), (Some("close"), true));
    });
    pair.asteroid.wait_for_requests(1);
    pair.asteroid.wait_for_no_connection();
    assert!(!last_upload(&pair.asteroid).is_whole);
    assert_eq!(pair.asteroid.requests().len(), 1);
    assert_nothing_is_left(&pair.gateway);
}

#[test]
fn a_steady_upload_may_take_longer_than_every_time_out() {
    for asteroid in [Asteroid::start(), Asteroid::start_tls("localhost")] {
        let pair = Pair::before(asteroid, "timeouts: { body: 2s, response: 2s }");
        let body = form(&[("a", &content(100_000))]);
        let mut caller = pair.caller();
        begin(&mut caller, body.len());
        for part in body.chunks(body.len() / 10) {
            caller.send(part);
            std::thread::sleep(Duration::from_millis(300));
        }
        assert_eq!(caller.answer().status, 200);
        assert_whole(&pair.asteroid, &body);
    }
}

#[test]
fn the_time_in_which_the_caller_sends_nothing_is_not_the_upstream_s() {
    for asteroid in [Asteroid::start(), Asteroid::start_tls("localhost")] {
        let pair = Pair::before(asteroid, "timeouts: { body: 30s, response: 2s }");
        let body = form(&[("a", &content(100_000))]);
        let mut caller = pair.caller();
        begin(&mut caller, body.len());
        caller.send(&body[..50_000]);
        std::thread::sleep(Duration::from_secs(3));
        caller.send(&body[50_000..]);
        assert_eq!(caller.answer().status, 200);
        assert_whole(&pair.asteroid, &body);
    }
}

#[test]
fn an_upstream_that_takes_nothing_more_is_given_up_after_the_time_out_and_the_outcome_is_unknown() {
    let upstreams = [Asteroid::start(), Asteroid::start_tls("localhost"), Asteroid::start_tls_http1("localhost")];
    at_once(upstreams, |asteroid| {
        let pair = Pair::before(asteroid, "timeouts: { response: 2s }");
        pair.asteroid.fail_next(json!({ "operation": "stage", "when": { "bytes": 100_000 }, "then": "stall" }));
        // More than the buffers of the system take.
        let body = form(&[("a", &vec![b'x'; 32 * MIB])]);
        let mut caller = pair.caller();
        begin(&mut caller, body.len());
        caller.try_send(&body);
        let answer = caller.answer();
        answer.assert_error(504, "upstream-timeout", "unknown");
        assert_eq!((answer.header("connection"), caller.is_closed()), (Some("close"), true));
        assert_eq!(pair.asteroid.requests().len(), 1, "it is not sent again");
        assert!(!last_upload(&pair.asteroid).is_whole);
        assert_nothing_is_left(&pair.gateway);
        pair.asteroid.clear_faults();
        let small = form(&[("a", b"A")]);
        assert_eq!(pair.caller().post(STAGE, &[("Content-Type", TYPE)], &small).status, 200);
    });
}

#[test]
fn an_upstream_that_has_the_whole_and_does_not_answer_is_given_up_too() {
    let pair = Pair::with("timeouts: { response: 2s }");
    pair.asteroid.fail_next(json!({ "operation": "stage", "then": "stall" }));
    let body = form(&[("a", &content(MIB))]);
    let answer = pair.caller().post(STAGE, &[("Content-Type", TYPE)], &body);
    answer.assert_error(504, "upstream-timeout", "unknown");
    assert_whole(&pair.asteroid, &body);
    assert_eq!(pair.asteroid.requests().len(), 1);
}

#[test]
fn the_time_in_which_the_upstream_takes_nothing_is_not_the_caller_s() {
    let pair = Pair::with("timeouts: { body: 2s, response: 30s }");
    pair.asteroid.fail_next(json!({ "operation": "stage", "when": { "bytes": 100_000 }, "delay_ms": 3000 }));
    let body = form(&[("a", &vec![b'x'; 32 * MIB])]);
    assert_eq!(pair.caller().post(STAGE, &[("Content-Type", TYPE)], &body).status, 200);
    assert_whole(&pair.asteroid, &body);
}

#[test]
fn an_upload_that_the_upstream_does_not_take_holds_up_no_other_request() {
    let upstreams = [Asteroid::start(), Asteroid::start_tls("localhost"), Asteroid::start_tls_http1("localhost")];
    at_once(upstreams, |asteroid| {
        let pair = Pair::before(asteroid, "");
        assert_eq!(pair.execute("{}").status, 202);
        let body = form(&[("a", &vec![b'x'; 16 * MIB])]);
        std::thread::scope(|scope| {
            let stall = |n: usize| {
                pair.asteroid.fail_next(json!({ "operation": "stage", "when": { "bytes": 1000 }, "then": "stall" }));
                let stalled = scope.spawn(|| {
                    let mut caller = pair.caller();
                    begin(&mut caller, body.len());
                    caller.send(&body);
                    caller.answer().status
                });
                pair.asteroid.wait_for_requests(n + 2);
                stalled
            };
            let stalled: Vec<_> = (0..5).map(stall).collect();
            let small = form(&[("b", b"B")]);
            for _ in 0..20 {
                assert_eq!(pair.execute("{}").status, 202);
                assert_eq!(pair.caller().post(STAGE, &[("Content-Type", TYPE)], &small).status, 200);
            }
            pair.asteroid.clear_faults();
            stalled.into_iter().for_each(|stalled| assert_eq!(stalled.join().unwrap(), 200));
        });
    });
}
