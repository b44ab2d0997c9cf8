//! The errors of the gateway say whether to retry, and with which idempotency key.

use serde_json::json;

use crate::harness::{Answer, EXECUTE, Pair};

fn keyed(pair: &Pair, key: &str, body: &str) -> Answer {
    pair.caller().post(EXECUTE, &[("Idempotency-Key", key)], body.as_bytes())
}

fn assert_retry(answer: &Answer, status: u16, retry: &str) {
    assert_eq!((answer.status, &answer.json()["retry"]), (status, &json!(retry)), "{}", answer.json());
}

#[test]
fn a_start_of_unknown_outcome_may_be_retried_with_its_key_alone() {
    let pair = Pair::start();
    for _ in 0..2 {
        pair.asteroid.fail_next(json!({"run": true, "then": "close_mid_answer"}));
    }
    assert_retry(&pair.execute("{}"), 504, "never");
    assert_retry(&keyed(&pair, "k", "{}"), 504, "same-key");
    assert_retry(&keyed(&pair, "k", "{}"), 504, "same-key");
    assert_eq!(pair.asteroid.executions().len(), 2, "which starts nothing a second time");
}

#[test]
fn a_key_that_is_in_flight_is_retried_as_it_is_and_one_of_another_body_is_replaced() {
    let pair = Pair::start();
    pair.asteroid.fail_next(json!({"then": "stall"}));
    let mut first = pair.caller();
    first.send_post(EXECUTE, &[("Idempotency-Key", "k")], b"{}");
    pair.asteroid.wait_for_requests(1);
    assert_retry(&keyed(&pair, "k", "{}"), 409, "same-key");
    assert_retry(&keyed(&pair, "k", "{ }"), 422, "new-key");
    pair.asteroid.clear_faults();
    assert_eq!(first.answer().status, 202);
}

#[test]
fn what_was_not_sent_is_retried_later_and_what_is_wrong_never() {
    let pair = Pair::configured(|smallest| smallest.billing("limits: { requests: { rate: 3/d } }"));
    assert_retry(&pair.execute("[]"), 400, "never");
    assert_retry(&keyed(&pair, "k", "[]"), 400, "never");
    assert_retry(&pair.caller().request("GET", "/nothing"), 404, "never");
    assert_retry(&pair.execute("{}"), 429, "later");
    assert_retry(&keyed(&pair, "k", "{}"), 429, "later");
}

#[test]
fn a_read_that_got_no_answer_is_retried_later_and_a_change_never() {
    let pair = Pair::start();
    let id = pair.execute("{}").json()["executionId"].as_str().unwrap().to_owned();
    pair.asteroid.fail_always(json!({"then": "close_mid_answer"}));
    assert_retry(&pair.caller().request("GET", &format!("/executions/{id}")), 504, "later");
    let status = format!("/executions/{id}/status");
    assert_retry(&pair.caller().post(&status, &[], br#"{"status":"paused"}"#), 504, "never");
}
