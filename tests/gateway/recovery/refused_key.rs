//! A start whose API key the upstream refused: whether it is sent again with another one.

use asteroid_gateway::event;
use serde_json::json;

use super::keyed;
use crate::harness::{Asteroid, Caller, EXECUTE, Pair, Program};

/// Starts a gateway with two API keys. The upstream accepts the older one, and seems not to accept the newer one yet.
fn with_two_keys(recovery: bool) -> (Pair, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let before = dir.path().join("before");
    std::fs::write(&before, "ak-before-7d3e9f1a52").unwrap();
    let asteroid = Asteroid::start();
    asteroid.set_api_keys(&["ak-before-7d3e9f1a52", crate::harness::API_KEY]);
    asteroid.fail_next(json!({"method": "GET", "then": {"answer": {"status": 401}}}));
    let configuration = asteroid
        .configuration()
        .with(&format!("idempotency: {{ recovery: {recovery} }}"))
        .add("/credentials/main", &format!("previous_file: '{}'", before.display()));
    let pair = Pair::run(asteroid, configuration);
    pair.gateway.event(event::CREDENTIAL_NEW_VERSION_REJECTED);
    (pair, dir)
}

#[test]
fn a_start_that_ran_although_its_key_was_refused_is_found_before_it_is_sent_with_another() {
    for run in [true, false] {
        let (pair, _dir) = with_two_keys(true);
        pair.asteroid.fail_next(json!({"method": "POST", "run": run, "then": {"answer": {"status": 401}}}));
        let answer = pair.caller().post(EXECUTE, &[("Idempotency-Key", "k"), ("X-Request-Id", "first")], b"{}");
        let [execution] = pair.asteroid.executions().try_into().unwrap();
        assert_eq!((answer.status, &answer.json()["executionId"]), (202, &execution.id.into()), "{run}");
        assert_eq!(pair.asteroid.starts().len(), if run { 1 } else { 2 });
        let line = pair.gateway.line(|line| line["request_id"] == "first");
        assert_eq!((&line["outcome"], &line["idempotency_outcome"]), (&json!("answered"), &json!("answered")));
        assert_eq!(line["looked_up"], if run { "one" } else { "none" });
        assert_eq!(keyed(&pair, "k").body, answer.body);
    }
}

#[test]
fn a_start_whose_key_was_refused_is_not_sent_with_another_if_it_cannot_be_looked_up() {
    let (pair, _dir) = with_two_keys(true);
    for status in [403, 500] {
        // The first look-up is for an idempotency key without a record, with both filters.
        (0..2).for_each(|_| pair.asteroid.fail_next(json!({"method": "GET"})));
        pair.asteroid.fail_next(json!({"method": "POST", "run": true, "then": {"answer": {"status": 401}}}));
        pair.asteroid.fail_next(json!({"method": "GET", "then": {"answer": {"status": status}}}));
        let key = format!("k{status}");
        let before = pair.asteroid.started();
        keyed(&pair, &key).assert_error(502, "key-refused", "not_started");
        assert_eq!(keyed(&pair, &key).header("idempotent-replayed"), Some("true"), "{status}");
        assert_eq!(pair.asteroid.started(), before + 1, "{status}");
    }
    let failures = pair.gateway.metrics().find("asteroid_gateway_upstream_auth_failures_total", &[]);
    assert_eq!(failures, Some(2.0));
}

#[test]
fn a_start_whose_key_was_refused_does_not_get_an_execution_with_another_body() {
    let (pair, _dir) = with_two_keys(true);
    let elsewhere = Program::run(pair.asteroid.configuration());
    let other = Caller::connect(elsewhere.address()).post(EXECUTE, &[("Idempotency-Key", "k")], b"{ }");
    assert_eq!(other.status, 202);
    // The listing lags for the first look-up, with both filters.
    let none = json!({"items": [], "total": 0, "page": 1, "pageSize": 2}).to_string();
    let unlisted = json!({"method": "GET", "then": {"answer": {"status": 200, "body": none}}});
    (0..2).for_each(|_| pair.asteroid.fail_next(unlisted.clone()));
    pair.asteroid.fail_next(json!({"method": "POST", "then": {"answer": {"status": 401}}}));
    for _ in 0..2 {
        keyed(&pair, "k").assert_error(422, "idempotency-mismatch", "not_started");
    }
    assert_eq!(pair.asteroid.executions().len(), 1);
}

#[test]
fn without_recovery_a_refused_key_is_believed_to_have_done_no_work() {
    let (pair, _dir) = with_two_keys(false);
    pair.asteroid.fail_next(json!({"method": "POST", "then": {"answer": {"status": 401}}}));
    assert_eq!(keyed(&pair, "k").status, 202);
    assert_eq!((pair.asteroid.starts().len(), pair.asteroid.started()), (2, 1));
}
