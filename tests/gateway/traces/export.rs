//! The export of spans: no collector makes a request fail, spans that it refuses are counted, and no span has a secret.

use asteroid_gateway::event;
use serde_json::json;

use crate::harness::asteroid::refused_address;
use crate::harness::collector::{CollectorReply, decode};
use crate::harness::configuration::replace_once;
use crate::harness::{API_KEY, Asteroid, Collector, EXECUTE, Pair, at_once};

#[test]
fn over_https_the_collector_is_trusted_as_the_upstream_is_and_gets_no_key() {
    let asteroid = Asteroid::start_tls("localhost");
    let url = replace_once(&asteroid.url(), "/agents/v2", "/v1/traces");
    let traces = format!("traces: {{ otlp: \"{url}\" }}");
    let trusting = Pair::before(asteroid, &traces);
    assert_eq!(trusting.execute("{}").status, 202);
    trusting.asteroid.wait_for_requests(2);
    let requests = trusting.asteroid.requests();
    let post = requests.iter().find(|request| request.target == "/v1/traces").unwrap();
    assert_eq!((post.version.as_str(), post.authenticated), ("HTTP/2.0", false));
    assert_eq!(decode([post.body.as_slice()]).len(), 2);

    let strict = Pair::with(&traces);
    assert_eq!(strict.execute("{}").status, 202);
    let told = strict.gateway.event(event::TRACE_EXPORT_FAILED);
    assert!(told["reason"].as_str().unwrap().contains("no authority that is trusted here"), "{told}");
    assert_eq!(trusting.asteroid.requests().len(), 2);
}

#[test]
fn a_batch_that_a_busy_collector_refused_comes_again_once_it_may_and_is_not_lost() {
    at_once([429, 502, 503, 504], |status| {
        let collector = Collector::start();
        collector.next(&[CollectorReply::Answer(status, "Retry-After: 0\r\n", Vec::new()), CollectorReply::Close]);
        let pair = Pair::with(&collector.traces(""));
        assert_eq!(pair.execute("{}").status, 202);
        assert_eq!(collector.spans(2).len(), 2);
        let posts = collector.posts(3);
        assert!(posts.iter().all(|post| post.body == posts[0].body), "{status}: the same batch came three times");
        assert_eq!(pair.gateway.event(event::TRACE_EXPORT_RESUMED)["dropped"], 0);
        assert_eq!(pair.gateway.events(event::TRACE_EXPORT_FAILED).len(), 1);
        let ended = pair.gateway.stop();
        assert!(!ended.logged(event::TRACE_SPANS_LOST), "{}", ended.output);
    });
}

#[test]
fn what_may_not_be_sent_again_is_dropped_counted_and_told_once() {
    let rejected = vec![0x0a, 0x02, 0x08, 0x01];
    let replies = [
        (CollectorReply::Answer(400, "", Vec::new()), 2),
        (CollectorReply::Answer(500, "", Vec::new()), 2),
        (CollectorReply::Answer(301, "Location: /\r\n", Vec::new()), 2),
        (CollectorReply::Answer(200, "", rejected), 1),
    ];
    at_once(replies, |(reply, lost)| {
        let collector = Collector::start();
        collector.next(&[reply]);
        let pair = Pair::with(&collector.traces(""));
        assert_eq!(pair.execute("{}").status, 202);
        collector.posts(1);
        let told = pair.gateway.event(event::TRACE_EXPORT_FAILED);
        assert!(told["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{told}");
        let ended = pair.gateway.stop();
        let lines = ended.events(event::TRACE_SPANS_LOST);
        assert!(lines.len() == 1 && lines[0]["dropped"] == lost, "{}", ended.output);
        assert!(ended.status.success());
    });
}

#[test]
fn every_2xx_is_success_whatever_else_is_in_the_answer() {
    let replies = [
        CollectorReply::Answer(200, "Content-Type: application/json\r\n", b"{\"partialSuccess\":{}}".to_vec()),
        CollectorReply::Answer(200, "", b"<html>It works!</html>".to_vec()),
        CollectorReply::Answer(200, "", vec![b'x'; 100_000]),
        CollectorReply::Answer(201, "", Vec::new()),
        CollectorReply::Answer(202, "", b"accepted".to_vec()),
        CollectorReply::Answer(204, "", Vec::new()),
        CollectorReply::Cut(200),
    ];
    at_once(replies, |reply| {
        let collector = Collector::start();
        collector.next(&[reply]);
        let pair = Pair::with(&collector.traces(""));
        assert_eq!(pair.execute("{}").status, 202);
        collector.posts(1);
        let ended = pair.gateway.stop();
        let failed = [event::TRACE_EXPORT_FAILED, event::TRACE_SPANS_LOST].iter().any(|code| ended.logged(code));
        assert!(!failed, "{}", ended.output);
        assert_eq!(collector.posts(1).len(), 1, "it is not sent again");
    });
}

#[test]
fn a_collector_that_stays_busy_is_asked_five_times() {
    let collector = Collector::start();
    collector.always(CollectorReply::Answer(503, "Retry-After: 0\r\n", Vec::new()));
    let pair = Pair::with(&collector.traces(""));
    assert_eq!(pair.execute("{}").status, 202);
    collector.posts(5);
    assert_eq!(pair.execute("{}").status, 202);
    let posts = collector.posts(6);
    assert!(posts[..5].iter().all(|post| post.body == posts[0].body) && posts[5].body != posts[0].body);
    let ended = pair.gateway.stop();
    let lost = &ended.events(event::TRACE_SPANS_LOST)[0];
    assert_eq!((&lost["dropped"], &lost["unsent"]), (&4.into(), &0.into()));
}

#[test]
fn requests_go_on_whatever_the_collector_does_and_the_end_is_not_held_up() {
    let (nowhere, _held) = refused_address();
    let collector = Collector::start();
    collector.always(CollectorReply::Hang);
    let away = format!("traces: {{ otlp: \"http://{nowhere}/v1/traces\" }}");
    for traces in [away, collector.traces("")] {
        let pair = Pair::with(&traces);
        let mut caller = pair.caller();
        for _ in 0..3000 {
            assert_eq!(caller.execute("{}").status, 202);
        }
        let ended = pair.gateway.stop();
        assert!(ended.status.success());
        let lost = ended.output.lines().find(|line| line.contains("spans were lost")).unwrap();
        let lost = crate::harness::json(lost.as_bytes());
        let [dropped, unsent] = ["dropped", "unsent"].map(|name| lost[name].as_u64().unwrap());
        assert_eq!(dropped + unsent, 6000, "every span is accounted for");
        assert!(dropped > 0, "the queue is bounded: {lost}");
        let told = ended.output.matches(event::TRACE_EXPORT_FAILED).count();
        assert!(told <= 1, "{told}");
    }
}

#[test]
fn the_end_flushes_what_is_waiting() {
    let collector = Collector::start();
    let pair = Pair::with(&collector.traces(""));
    for _ in 0..700 {
        assert_eq!(pair.execute("{}").status, 202);
    }
    let ended = pair.gateway.stop();
    assert!(!ended.logged(event::TRACE_SPANS_LOST), "{}", ended.output);
    assert_eq!(collector.spans(1400).len(), 1400);
}

#[test]
fn an_exchange_that_the_drain_cuts_off_has_its_spans_all_the_same() {
    let collector = Collector::start();
    let pair = Pair::with(&format!("{}\ndrain: {{ timeout: 200ms }}", collector.traces("")));
    pair.asteroid.next(json!({"run": true, "then": "stall"}));
    let mut caller = pair.caller();
    caller.send_post(EXECUTE, &[], b"{}");
    pair.asteroid.wait_for_requests(1);
    pair.gateway.stop();
    for span in collector.spans(2) {
        assert_eq!(span["attributes"]["error.type"], "cut-off", "{span:#}");
    }
}

#[test]
fn neither_a_key_nor_a_body_is_in_what_is_exported() {
    let collector = Collector::start();
    let more = format!("{}\nidempotency: {{ recovery: true }}\ntimeouts: {{ response: 300ms }}", collector.traces(""));
    let pair = Pair::with(&more);
    let body = br#"{"inputs":{"note":"BODY-CANARY"},"metadata":{"x":"BODY-CANARY"}}"#;
    let keyed = || pair.caller().post(EXECUTE, &[("Idempotency-Key", "KEY-CANARY")], body);
    for then in ["close", "stall", "close_mid_answer"] {
        pair.asteroid.next(json!({"method": "POST", "then": then}));
        keyed();
    }
    keyed();
    let wrong = br#"{"BODY-CANARY":1,"inputs":["BODY-CANARY"],"metadata":{"tenant":"BODY-CANARY"}}"#;
    assert_eq!(pair.caller().post(EXECUTE, &[("X-Api-Key", "KEY-CANARY")], wrong).status, 400);
    assert_eq!(pair.caller().post(&format!("{EXECUTE}?key=KEY-CANARY"), &[], b"{}").status, 400);
    pair.gateway.stop();
    let posts = collector.posts(1);
    let bytes: Vec<u8> = posts.iter().flat_map(|post| [post.head.as_bytes(), &post.body].concat()).collect();
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("asteroid_gateway.tenant"));
    for canary in [API_KEY, "KEY-CANARY", "BODY-CANARY"] {
        assert!(!text.contains(canary), "{canary}: {text}");
    }
}
