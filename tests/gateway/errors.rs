//! The errors of the gateway say whether to retry, and with which idempotency key. `docs/ERRORS.md` shows one.

use serde_json::json;

use crate::examples::{blocks, read};
use crate::harness::{Answer, EXECUTE, Pair};

const FILE: &str = "docs/ERRORS.md";

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

#[test]
fn the_error_that_the_document_shows_is_what_the_gateway_answers() {
    let pair = Pair::configured(|smallest| smallest.billing("limits: { in_flight: 2 }"));
    let mut callers = [pair.caller(), pair.caller()];
    for caller in &mut callers {
        pair.asteroid.fail_next(json!({"then": "stall"}));
        caller.send_post(EXECUTE, &[], b"{}");
    }
    pair.asteroid.wait_for_requests(2);
    let answer = pair.caller().post(EXECUTE, &[("X-Request-Id", "invoice-4711")], b"{}");
    let ([head], [body]) = (blocks(FILE, "http").try_into().unwrap(), blocks(FILE, "json").try_into().unwrap());
    let (status, headers) = head.trim_end().split_once('\n').unwrap();
    assert_eq!(status, format!("HTTP/1.1 {} Too Many Requests", answer.status));
    for header in headers.lines() {
        let (name, value) = header.split_once(": ").unwrap();
        assert_eq!(answer.header(&name.to_ascii_lowercase()), Some(value), "{name}");
    }
    assert_eq!(answer.json(), crate::harness::json(body.as_bytes()));
    pair.asteroid.clear_faults();
    assert!(callers.iter_mut().all(|caller| caller.answer().status == 202));
}

/// Returns the anchor of each heading in a Markdown file, as GitHub makes it.
fn anchors(file: &str) -> Vec<String> {
    let anchor = |heading: &str| {
        let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    let text = read(file);
    text.lines().filter(|line| line.starts_with('#')).map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

#[test]
fn every_link_of_the_document_leads_to_a_heading() {
    let text = read(FILE);
    let links: Vec<&str> = text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()).collect();
    assert!(links.len() > 50, "{}", links.len());
    for link in links {
        let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
        let file = if file.is_empty() { FILE.to_owned() } else { format!("docs/{file}") };
        assert!(anchor.is_empty() || anchors(&file).iter().any(|found| found == anchor), "{link}");
    }
}
