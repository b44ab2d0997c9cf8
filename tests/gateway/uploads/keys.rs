//! Uploads whose API key the upstream refuses: they are not sent again, and the key is reported as for any other request.

use asteroid_gateway::event;
use serde_json::json;

use super::{MIB, STAGE, assert_nothing_is_left, begin, begin_chunks, chunks, content};
use crate::harness::{Asteroid, Pair, at_once};
use crate::simulated::form::{TYPE, form};

#[test]
fn an_upload_that_is_refused_for_its_key_is_not_sent_again_although_another_key_is_at_hand() {
    let upstreams = [Asteroid::start(), Asteroid::start_tls("localhost"), Asteroid::start_tls_http1("localhost")];
    at_once(upstreams, |asteroid| {
        let pair = Pair::before(asteroid, "");
        assert_eq!(pair.execute("{}").status, 202);
        // The key before this one stays at hand until this one is accepted, so a start is sent again with it.
        pair.asteroid.set_api_keys(&["ak-other-7d3e9f1a52"]);
        std::fs::write(pair.gateway.dir().join("key"), "ak-second-7d3e9f1a52").unwrap();
        pair.gateway.nth_event(event::CREDENTIAL_LOADED, 2);
        let before = pair.asteroid.requests().len();
        pair.execute("{}").assert_error(502, "key-refused", "not_started");
        let starts = |from: usize| pair.asteroid.starts().split_off(from);
        assert_eq!(starts(1).len(), 2, "{before}");
        let body = form(&[("a", &vec![b'x'; 8 * MIB])]);
        let refusal = json!({ "answer": { "status": 401, "body": "{}" } });
        for (n, stage) in [json!("head"), json!({ "bytes": MIB }), json!("body")].into_iter().enumerate() {
            pair.asteroid.fail_next(json!({ "operation": "stage", "when": stage, "then": refusal }));
            let mut caller = pair.caller();
            begin(&mut caller, body.len());
            caller.try_send(&body);
            caller.answer().assert_error(502, "key-refused", "not_started");
            assert_eq!(starts(3).len(), n + 1, "{stage}: it is sent once");
        }
        assert_nothing_is_left(&pair.gateway);
    });
}

#[test]
fn a_key_that_only_uploads_are_sent_with_is_rejected_when_it_is_refused_and_the_next_key_serves() {
    let pair = Pair::start();
    let body = form(&[("a", &content(MIB))]);
    let stage = || pair.caller().post(STAGE, &[("Content-Type", TYPE)], &body);
    assert_eq!(stage().status, 200);
    pair.asteroid.replace_api_key("ak-second-7d3e9f1a52");
    stage().assert_error(502, "key-refused", "not_started");
    let state = |state: &'static str| {
        let labels = [("credential", "main"), ("state", state)];
        pair.gateway.wait_for_metrics(|metrics| metrics.find("asteroid_gateway_credential_state", &labels), &Some(1.0));
    };
    state("rejected");
    let failures = pair.gateway.metrics().find("asteroid_gateway_upstream_auth_failures_total", &[]);
    assert_eq!(failures, Some(1.0));
    std::fs::write(pair.gateway.dir().join("key"), "ak-second-7d3e9f1a52").unwrap();
    state("fresh");
    assert_eq!(stage().status, 200);
}

#[test]
fn a_refusal_of_the_key_in_the_middle_ends_the_connection_of_the_caller() {
    let pair = Pair::start();
    let refusal = json!({ "answer": { "status": 401, "body": "{}" } });
    pair.asteroid.fail_next(json!({ "operation": "stage", "when": { "bytes": 1000 }, "then": refusal }));
    let mut caller = pair.caller();
    begin_chunks(&mut caller);
    caller.send(&chunks(&form(&[("a", &content(MIB))])));
    let answer = caller.answer();
    answer.assert_error(502, "key-refused", "not_started");
    assert_eq!((answer.header("connection"), caller.is_closed()), (Some("close"), true));
}
