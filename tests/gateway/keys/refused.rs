//! API keys that the upstream refuses, or may not know yet: the one with which a start is sent, and its reported state.

use std::fs::write;

use asteroid_gateway::event;
use serde_json::json;

use super::{nth_event, verbose, wait_for_state};
use crate::canary::assert_clean;
use crate::harness::{API_KEY, Asteroid, EXECUTE, Pair, Program};

/// Sends this many starts at the same time, and returns their statuses.
fn starts(pair: &Pair, count: usize) -> Vec<u16> {
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..count).map(|_| scope.spawn(|| pair.execute("{}").status)).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    })
}

#[test]
fn starts_whose_key_was_just_replaced_on_both_sides_are_sent_again_with_the_new_one() {
    let pair = Pair::with("audit: { stdout: true }");
    assert_eq!(pair.execute("{}").status, 202);
    pair.asteroid.replace_api_key("ak-second-7d3e9f1a52");
    // A new API key is used at the earliest 100 ms after it was seen, so these starts are refused first.
    write(pair.gateway.dir().join("key"), "ak-second-7d3e9f1a52").unwrap();
    assert_eq!(starts(&pair, 16), [202; 16]);
    assert_eq!(pair.asteroid.started(), 17);
    let second = nth_event(&pair.gateway, event::CREDENTIAL_LOADED, 2)["fingerprint"].clone();
    assert_eq!(
        nth_event(&pair.gateway, event::AUDIT_RECORDED, 17)["credential_fingerprint"],
        second,
        "the key that was accepted"
    );
    let metrics = pair.gateway.metrics();
    let refused = metrics.find("http_client_request_duration_seconds_count", &[("http_response_status_code", "401")]);
    assert!(refused.is_some_and(|refused| (1.0..=16.0).contains(&refused)), "{refused:?}");
    assert_eq!(
        metrics.find("asteroid_gateway_upstream_auth_failures_total", &[]),
        Some(0.0),
        "none was refused for good"
    );
}

#[test]
fn a_start_is_sent_again_once_at_most_and_a_refused_key_leaves_everything_as_it_was() {
    let pair = Pair::configured(|smallest| smallest.billing("limits: { budget: { executions: 1, per: day } }"));
    let keyed = || pair.caller().post(EXECUTE, &[("Idempotency-Key", "k")], b"{}");
    pair.asteroid.replace_api_key("ak-third-7d3e9f1a52");
    keyed().assert_error(502, "key-refused", "not_started");
    assert_eq!(pair.asteroid.starts().len(), 1, "there is no other key");

    write(pair.gateway.dir().join("key"), "ak-second-7d3e9f1a52").unwrap();
    nth_event(&pair.gateway, event::CREDENTIAL_LOADED, 2);
    keyed().assert_error(502, "key-refused", "not_started");
    assert_eq!(pair.asteroid.starts().len(), 3, "the new key, and the one before");
    assert_eq!(pair.gateway.metrics().find("asteroid_gateway_upstream_auth_failures_total", &[]), Some(2.0));

    write(pair.gateway.dir().join("key"), "ak-third-7d3e9f1a52").unwrap();
    nth_event(&pair.gateway, event::CREDENTIAL_LOADED, 3);
    assert_eq!(keyed().status, 202, "neither the key nor the budget was taken");
    assert_eq!(pair.asteroid.started(), 1);
}

#[test]
fn a_start_whose_second_key_is_refused_too_is_not_sent_a_third_time() {
    let pair = Pair::start();
    pair.asteroid.replace_api_key("ak-third-7d3e9f1a52");
    write(pair.gateway.dir().join("key"), "ak-second-7d3e9f1a52").unwrap();
    pair.execute("{}").assert_error(502, "key-refused", "not_started");
    assert_eq!(pair.asteroid.starts().len(), 2);
}

#[test]
fn a_look_up_whose_key_was_just_replaced_is_asked_again_with_the_new_one() {
    let pair = Pair::with("idempotency: { recovery: true }");
    let keyed = |key: &str| pair.caller().post(EXECUTE, &[("Idempotency-Key", key)], b"{}").status;
    assert_eq!(keyed("a"), 202);
    pair.asteroid.replace_api_key("ak-second-7d3e9f1a52");
    write(pair.gateway.dir().join("key"), "ak-second-7d3e9f1a52").unwrap();
    assert_eq!(keyed("b"), 202);
    assert_eq!(pair.asteroid.started(), 2);
}

#[test]
fn the_key_before_serves_until_the_new_one_was_accepted_once_and_is_then_forgotten() {
    let pair = Pair::with("idempotency: { recovery: true }");
    let keyed = |key: &str| pair.caller().post(EXECUTE, &[("Idempotency-Key", key)], b"{}").status;
    assert_eq!(pair.execute("{}").status, 202);
    write(pair.gateway.dir().join("key"), "ak-early-7d3e9f1a52").unwrap();
    nth_event(&pair.gateway, event::CREDENTIAL_LOADED, 2);
    assert_eq!(starts(&pair, 8), [202; 8], "the upstream knows the old key alone");
    assert_eq!(keyed("before"), 202);
    write(pair.gateway.dir().join("key"), "ak-second-7d3e9f1a52").unwrap();
    nth_event(&pair.gateway, event::CREDENTIAL_LOADED, 3);
    assert_eq!(pair.execute("{}").status, 202, "a key that was never accepted is not gone back to");

    pair.asteroid.replace_api_key("ak-second-7d3e9f1a52");
    assert_eq!(starts(&pair, 8), [202; 8]);
    assert_eq!(keyed("after"), 202);
    assert_eq!(pair.asteroid.started(), 20);
    let before = pair.asteroid.starts().len();
    pair.asteroid.replace_api_key(API_KEY);
    pair.execute("{}").assert_error(502, "key-refused", "not_started");
    assert_eq!(pair.asteroid.starts().len(), before + 1, "the key before is forgotten");
}

fn state(pair: &Pair, credential: &str) -> String {
    let report = verbose(&pair.gateway);
    let line = report.lines().find_map(|line| line.split_once(&format!("credential {credential}: ")));
    line.unwrap().1.split([',', ';']).next().unwrap().to_owned()
}

#[test]
fn one_request_that_is_refused_for_a_reason_of_its_own_does_not_mark_the_key_and_does_not_wait_for_another() {
    let pair = Pair::start();
    assert_eq!(pair.execute("{}").status, 202);
    pair.asteroid.fail_next(json!({"method": "POST", "then": {"answer": {"status": 401}}}));
    pair.execute("{}").assert_error(502, "key-refused", "not_started");
    let asked: Vec<_> = pair.asteroid.requests().into_iter().filter(|request| request.method == "GET").collect();
    let [asked] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(
        asked.target, "/agents/v2/executions?pageSize=1",
        "the read call was answered, so nobody waits for a key"
    );
    assert_eq!(state(&pair, "main"), "fresh");
    assert_eq!(pair.execute("{}").status, 202);
    assert!(pair.gateway.events(event::CREDENTIAL_REJECTED).is_empty());
}

#[test]
fn a_key_that_a_read_call_of_the_gateways_own_is_refused_with_is_rejected_until_one_is_accepted() {
    let pair = Pair::start();
    assert_eq!(pair.execute("{}").status, 202);
    pair.asteroid.replace_api_key("ak-second-7d3e9f1a52");
    pair.execute("{}").assert_error(502, "key-refused", "not_started");
    wait_for_state(&pair.gateway, "main", "rejected");
    let rejected = nth_event(&pair.gateway, event::CREDENTIAL_REJECTED, 1);
    assert_eq!((&rejected["level"], &rejected["state"]), (&json!("ERROR"), &json!("rejected")));
    assert!(verbose(&pair.gateway).contains("\n[!]credential main: rejected, API key "), "{}", verbose(&pair.gateway));
    assert_eq!(pair.gateway.admin("/readyz").status, 200, "other tenants may be served");

    pair.asteroid.replace_api_key(API_KEY);
    // This needs no traffic.
    wait_for_state(&pair.gateway, "main", "fresh");
    nth_event(&pair.gateway, event::CREDENTIAL_ACCEPTED, 1);
    assert_eq!(pair.execute("{}").status, 202);
}

#[test]
fn while_the_upstream_does_not_know_the_new_key_each_start_is_sent_once_with_the_one_before() {
    let pair = Pair::start();
    assert_eq!(pair.execute("{}").status, 202);
    write(pair.gateway.dir().join("key"), "ak-early-7d3e9f1a52").unwrap();
    nth_event(&pair.gateway, event::CREDENTIAL_NEW_VERSION_REJECTED, 1);
    let report = verbose(&pair.gateway);
    assert!(report.contains("is tried first, because the upstream refuses that API key"), "{report}");
    assert_eq!(starts(&pair, 8), [202; 8]);
    assert_eq!(pair.asteroid.starts().len(), 9);
}

#[test]
fn a_wrong_key_in_place_of_a_rejected_one_leaves_it_rejected_and_the_right_one_serves() {
    let pair = Pair::start();
    let put = |key: &str| write(pair.gateway.dir().join("key"), key).unwrap();
    pair.asteroid.replace_api_key("ak-right-7d3e9f1a52");
    pair.execute("{}").assert_error(502, "key-refused", "not_started");
    wait_for_state(&pair.gateway, "main", "rejected");
    put("ak-wrong-7d3e9f1a52");
    nth_event(&pair.gateway, event::CREDENTIAL_REPLACEMENT_REJECTED, 1);
    assert_eq!(state(&pair, "main"), "rejected");
    put("ak-right-7d3e9f1a52");
    nth_event(&pair.gateway, event::CREDENTIAL_LOADED, 3);
    assert_eq!(pair.execute("{}").status, 202);
    wait_for_state(&pair.gateway, "main", "fresh");
}

#[test]
fn where_a_read_call_does_not_tell_whether_the_key_is_refused_it_is_said_what_came_back_without_the_key() {
    let asteroid = Asteroid::start();
    let gateway = Program::run_with(asteroid.configuration(), &["--log-level", "debug"], &[]);
    let pair = Pair { asteroid, gateway };
    pair.asteroid.fail_next(json!({"method": "POST", "then": {"answer": {"status": 401}}}));
    let echo = json!({"answer": {"status": 403, "headers": [["x-echo", API_KEY]], "body": API_KEY}});
    pair.asteroid.fail_next(json!({"method": "GET", "then": echo}));
    pair.execute("{}").assert_error(502, "key-refused", "not_started");
    let unclear = "GET /executions?pageSize=1 was answered with 403 Forbidden";
    assert!(verbose(&pair.gateway).contains(unclear), "{}", verbose(&pair.gateway));
    nth_event(&pair.gateway, event::CREDENTIAL_VERIFICATION_INCONCLUSIVE, 1);
    let labels = [("credential", "main"), ("error", "unclear")];
    assert_eq!(pair.gateway.metrics().find("asteroid_gateway_credential_info", &labels), Some(1.0));
    assert_clean("the report", &verbose(&pair.gateway));
    assert_eq!(pair.execute("{}").status, 202);
    assert!(!verbose(&pair.gateway).contains("[!]"), "{}", verbose(&pair.gateway));
    assert_clean("the log", &pair.gateway.stop().output);
}
