//! Uploads that either side breaks off: what each side learns of that, and that no upload is sent twice.

use asteroid_gateway::event;
use serde_json::{Value, json};

use super::{MIB, STAGE, assert_nothing_is_left, assert_whole, begin, begin_chunks, chunks, content, last_upload};
use crate::harness::metrics::Metrics;
use crate::harness::raw::{AfterAnswer, FirstExchange, RawUpstream};
use crate::harness::unruly::{Behaviour, REFUSED_STREAM, UnrulyUpstream};
use crate::harness::{Asteroid, Caller, Configuration, Pair, Program, TlsPair, at_once};
use crate::simulated::form::{TYPE, form};

/// Lets the upstream refuse the next upload in its middle.
fn refuse_in_the_middle(asteroid: &Asteroid) {
    let headers = json!([["content-type", "text/plain"], ["connection", "close"]]);
    let refusal = json!({ "answer": { "status": 413, "headers": headers, "body": "too large for this plan" } });
    asteroid.fail_next(json!({ "operation": "stage", "when": { "bytes": MIB }, "then": refusal }));
}

/// Returns how many requests for staging the metrics count that the upstream did not answer, by this reason.
fn unanswered(metrics: &Metrics, reason: &str) -> Option<f64> {
    let labels = [("url_template", "/temp-files"), ("error_type", reason)];
    metrics.find("http_client_request_duration_seconds_count", &labels)
}

fn audit_records(pair: &Pair) -> Vec<Value> {
    let lines = std::fs::read_to_string(pair.gateway.dir().join("audit.jsonl")).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_caller_that_hangs_up_leaves_the_upstream_a_broken_request_and_the_audit_a_record() {
    let upstreams = [Asteroid::start(), Asteroid::start_tls("localhost")];
    at_once(upstreams, |asteroid| {
        let pair = Pair::before(asteroid, "audit: { file: '{dir}/audit.jsonl' }");
        let body = form(&[("a", &content(2 * MIB))]);
        for (n, resets) in [false, true, false, true].into_iter().enumerate() {
            // The request is recorded when it is there.
            pair.asteroid.fail_next(json!({ "operation": "stage", "when": { "bytes": MIB }, "then": "proceed" }));
            let mut caller = pair.caller();
            if n < 2 {
                begin(&mut caller, body.len());
                caller.send(&body[..body.len() - 1]);
            } else {
                begin_chunks(&mut caller);
                // All but the last chunk: nothing but that says that it is whole.
                caller.send(&chunks(&body));
            }
            pair.asteroid.wait_for_requests(n + 1);
            if resets {
                caller.reset()
            } else {
                caller.hang_up()
            }
            let line = pair.gateway.nth_event(event::REQUEST_COMPLETED, n + 1);
            assert_eq!((&line["error"], &line["outcome"]), (&json!("caller-left"), &json!("not_started")), "{line}");
            assert_eq!((&line["status"], &line["delivered"]), (&json!(0), &json!(false)), "{line}");
            assert!(line["bytes_in"].as_u64().unwrap() >= MIB as u64, "{line}");
        }
        assert_nothing_is_left(&pair.gateway);
        let records = audit_records(&pair);
        assert_eq!(records.len(), 4);
        for record in &records {
            assert_eq!((&record["decision"], &record["error"]), (&json!("sent"), &json!("caller-left")), "{record}");
        }
        // The connection to the upstream may be shared, and is not to blame.
        pair.gateway.wait_for_metrics(|metrics| unanswered(metrics, "cancelled"), &Some(4.0));
        assert_eq!(unanswered(&pair.gateway.metrics(), "connection_terminated"), None);
        let good = form(&[("a", b"A")]);
        assert_eq!(pair.caller().post(STAGE, &[("Content-Type", TYPE)], &good).status, 200);
        let uploads: Vec<_> = pair.asteroid.requests().into_iter().map(|request| request.upload.unwrap()).collect();
        assert_eq!(uploads.iter().filter(|upload| upload.is_whole).count(), 1, "{uploads:?}");
        // A parser that streams takes an upload as whole at its last boundary.
        let broken = uploads.iter().filter(|upload| !upload.is_whole && upload.bytes < body.len() as u64);
        assert_eq!(broken.count(), 4, "{uploads:?}");
        assert_eq!(pair.asteroid.storage().files.len(), 1);
    });
}

#[test]
fn an_upstream_that_refuses_an_upload_in_its_middle_is_heard() {
    let upstreams = [Asteroid::start(), Asteroid::start_tls("localhost"), Asteroid::start_tls_http1("localhost")];
    at_once(upstreams, |asteroid| {
        let pair = Pair::before(asteroid, "");
        let body = form(&[("a", &vec![b'x'; 16 * MIB])]);
        // On the first use of a connection, and on one from the pool.
        for is_pooled in [false, true] {
            if is_pooled {
                assert_eq!(pair.caller().execute("{}").status, 202);
            }
            for framing in ["length", "chunks"] {
                let before = pair.asteroid.requests().len();
                refuse_in_the_middle(&pair.asteroid);
                let mut caller = pair.caller();
                if framing == "length" {
                    begin(&mut caller, body.len());
                    caller.try_send(&body);
                } else {
                    begin_chunks(&mut caller);
                    caller.try_send(&chunks(&body));
                }
                let answer = caller.answer();
                assert_eq!((answer.status, &answer.body[..]), (413, &b"too large for this plan"[..]), "{framing}");
                let headers = ["content-type", "connection"].map(|name| answer.header(name));
                assert_eq!(headers, [Some("text/plain"), Some("close")], "{framing}");
                assert!(caller.is_closed());
                assert_eq!(pair.asteroid.requests().len(), before + 1, "it is sent once");
                assert!(!last_upload(&pair.asteroid).is_whole);
                let line = pair.gateway.nth_event(event::REQUEST_COMPLETED, before + 1);
                assert_eq!((&line["outcome"], &line["status"]), (&json!("not_started"), &json!(413)), "{line}");
            }
        }
        assert_nothing_is_left(&pair.gateway);
    });
}

#[test]
fn a_caller_over_http2_gets_a_refusal_in_the_middle_and_keeps_its_connection() {
    let upstreams = [Asteroid::start(), Asteroid::start_tls("localhost"), Asteroid::start_tls_http1("localhost")];
    at_once(upstreams, |asteroid| {
        let pair = TlsPair::before(asteroid, "");
        refuse_in_the_middle(&pair.asteroid);
        let body = form(&[("a", &vec![b'x'; 16 * MIB])]);
        let mut http2 = pair.http2();
        let answer = http2.post_parts(STAGE, &[("content-type", TYPE)], body.chunks(16_000)).unwrap();
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (413, &b"too large for this plan"[..]));
        let good = form(&[("a", b"A")]);
        let answer = http2.post_parts(STAGE, &[("content-type", TYPE)], good.chunks(16_000)).unwrap();
        assert_eq!(answer.status(), 200);
        assert_whole(&pair.asteroid, &good);
        assert_nothing_is_left(&pair.gateway);
    });
}

#[test]
fn an_upload_that_the_upstream_breaks_off_may_have_taken_effect_and_is_not_sent_again() {
    let upstreams = [Asteroid::start(), Asteroid::start_tls("localhost"), Asteroid::start_tls_http1("localhost")];
    at_once(upstreams, |asteroid| {
        let pair = Pair::before(asteroid, "");
        let body = form(&[("a", &vec![b'x'; 16 * MIB])]);
        let mut count = 0;
        for stage in [json!("head"), json!({ "bytes": MIB }), json!("body")] {
            for then in ["reset", "close", "close_mid_answer"] {
                if then == "close_mid_answer" && stage == "head" {
                    // It reads the body before it answers.
                    continue;
                }
                pair.asteroid.fail_next(json!({ "operation": "stage", "when": stage, "then": then }));
                let mut caller = pair.caller();
                begin(&mut caller, body.len());
                caller.try_send(&body);
                let answer = caller.answer();
                answer.assert_error(504, "upstream-broke", "unknown");
                count += 1;
                assert_eq!(pair.asteroid.requests().len(), count, "{stage} {then}: it is sent once");
            }
        }
        assert_nothing_is_left(&pair.gateway);
    });
}

#[test]
fn a_connection_that_had_closed_costs_no_upload() {
    for asteroid in [Asteroid::start(), Asteroid::start_tls("localhost")] {
        let pair = Pair::before(asteroid, "");
        let body = form(&[("a", &content(MIB))]);
        for n in 1..=5 {
            assert_eq!(pair.execute("{}").status, 202);
            pair.asteroid.close_connections();
            assert_eq!(pair.caller().post(STAGE, &[("Content-Type", TYPE)], &body).status, 200);
            assert_whole(&pair.asteroid, &body);
            assert_eq!(pair.asteroid.requests().len(), 2 * n);
        }
    }
}

#[test]
fn over_http2_an_early_answer_closes_the_connection_of_the_upload_and_a_whole_upload_keeps_it() {
    let pair = Pair::tls("");
    // The upstream answers, and neither reads on nor resets the stream.
    let then = json!({ "answer": { "status": 400, "body": "no" } });
    let body = form(&[("a", &content(2 * MIB))]);
    for _ in 0..3 {
        assert_eq!(pair.execute("{}").status, 202);
        pair.asteroid.fail_next(json!({ "operation": "stage", "when": { "bytes": 1000 }, "then": then }));
        let mut caller = pair.caller();
        begin_chunks(&mut caller);
        // The rest never comes, so nothing but the answer tells the gateway to end the stream.
        caller.send(&chunks(&body[..MIB]));
        let answer = caller.answer();
        assert_eq!((answer.status, &answer.body[..], answer.header("connection")), (400, &b"no"[..], Some("close")));
    }
    for _ in 0..2 {
        assert_eq!(pair.execute("{}").status, 202);
        assert_eq!(pair.caller().post(STAGE, &[("Content-Type", TYPE)], &body).status, 200);
    }
    let connections: Vec<_> = pair.asteroid.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 1, 0, 2, 0, 3, 0, 4, 0, 4], "the starts share one, and each upload has one for itself");
    pair.gateway.wait_for_metrics(
        |metrics| {
            ["streams", "connections"].map(|of| metrics.find(&format!("asteroid_gateway_upstream_http2_{of}"), &[]))
        },
        &[Some(0.0), Some(2.0)],
    );
    assert_nothing_is_left(&pair.gateway);
}

#[test]
fn a_long_answer_to_a_part_of_an_upload_arrives_whole_and_the_upload_gets_no_end() {
    // More than is read before it is passed on.
    let long = "x".repeat(1_000_000);
    let upload = |caller: &mut Caller| {
        begin_chunks(caller);
        caller.send(&chunks(&form(&[("a", &content(MIB))])[..MIB]));
        let answer = caller.answer();
        assert_eq!((answer.status, answer.body.len(), answer.header("connection")), (400, long.len(), Some("close")));
        assert!(caller.is_closed());
    };
    let answer = format!("HTTP/1.1 400 Bad Request\r\nContent-Length: {}\r\n\r\n{long}", long.len());
    let upstream = RawUpstream::start(FirstExchange { early: true, answer: answer.into(), then: AfterAnswer::Keep });
    let gateway = Program::run(Configuration::for_address(upstream.address).with("answer_limit: 64KiB"));
    upload(&mut Caller::connect(gateway.address()));
    assert_nothing_is_left(&gateway);
    assert!(!upstream.rest_bytes().ends_with(b"0\r\n\r\n"), "nothing says that the upload is whole");

    let pair = Pair::tls("answer_limit: 64KiB");
    let then = json!({ "answer": { "status": 400, "body": long } });
    pair.asteroid.fail_next(json!({ "operation": "stage", "when": { "bytes": 1000 }, "then": then }));
    upload(&mut pair.caller());
    assert_nothing_is_left(&pair.gateway);
}

#[test]
fn an_upload_that_has_left_is_not_sent_again_although_the_upstream_says_it_has_not_looked_at_it() {
    let upstream = UnrulyUpstream::start(Some(&[]), &[Behaviour::Reset(REFUSED_STREAM)]);
    let gateway = Program::run(upstream.configuration());
    let body = form(&[("a", b"A")]);
    let answer = Caller::connect(gateway.address()).post(STAGE, &[("Content-Type", TYPE)], &body);
    answer.assert_error(502, "unreachable", "not_started");
    assert_eq!(upstream.seen().requests, 1);
    // A start, of which the gateway has a copy, is sent again.
    let upstream = UnrulyUpstream::start(Some(&[]), &[Behaviour::Reset(REFUSED_STREAM)]);
    let gateway = Program::run(upstream.configuration());
    assert_eq!(Caller::connect(gateway.address()).execute("{}").status, 202);
    assert_eq!(upstream.seen().requests, 2);
}

#[test]
fn an_upload_under_way_is_finished_by_a_drain_and_its_connection_ends() {
    let pair = Pair::configured(|smallest: Configuration| smallest.with("drain: { timeout: 30s }"));
    pair.asteroid.fail_next(json!({ "operation": "stage", "when": { "bytes": MIB }, "then": "proceed" }));
    let body = form(&[("a", &content(3 * MIB))]);
    let mut caller = pair.caller();
    begin(&mut caller, body.len());
    caller.send(&body[..2 * MIB]);
    pair.asteroid.wait_for_requests(1);
    pair.gateway.signal("TERM");
    pair.gateway.event(event::DRAIN_BEGUN);
    caller.send(&body[2 * MIB..]);
    let answer = caller.answer();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert!(caller.is_closed());
    assert_whole(&pair.asteroid, &body);
    let ended = pair.gateway.end();
    assert!(ended.status.success() && ended.logged(event::DRAIN_COMPLETED), "{}", ended.output);
}

#[test]
fn an_upload_that_a_drain_cuts_off_leaves_a_record_and_no_whole_request() {
    let pair = Pair::with("drain: { timeout: 2s }");
    let body = form(&[("a", &content(3 * MIB))]);
    pair.asteroid.fail_next(json!({ "operation": "stage", "when": { "bytes": MIB }, "then": "proceed" }));
    let mut caller = pair.caller();
    begin_chunks(&mut caller);
    caller.send(&chunks(&body));
    pair.asteroid.wait_for_requests(1);
    let ended = pair.gateway.stop();
    let [line] = ended.events(event::REQUEST_COMPLETED).try_into().unwrap();
    assert_eq!((&line["outcome"], &line["status"]), (&json!("unknown"), &json!(0)), "{line}");
    pair.asteroid.wait_for_no_connection();
    assert!(!last_upload(&pair.asteroid).is_whole);
}
