//! A start that waits for the end of its execution.

use std::time::{Duration, Instant};

use asteroid_gateway::asteroid::operation::Operation;
use asteroid_gateway::event;
use serde_json::{Value, json};

use super::{Starts, id, waits};
use crate::harness::metrics::Metrics;
use crate::harness::{Answer, at_once};

/// The length of the longest answer that is kept for replays.
const KEPT: usize = 64 * 1024;

fn waiting() -> impl Iterator<Item = Operation> {
    Operation::starts().filter(|operation| waits(*operation))
}

/// Makes the answer to the next start this long. Its status comes behind most of it.
fn pad(starts: &Starts, length: usize) {
    starts.fail_start(true, &json!({ "pad": length }));
}

fn text(answer: &Answer) -> &str {
    std::str::from_utf8(&answer.body).unwrap()
}

#[test]
fn it_is_answered_with_200_and_the_result_if_it_ends_in_time_and_else_with_202() {
    at_once(waiting(), |operation| {
        let starts = Starts::new();
        let ended = starts.post(operation, &[], "{}");
        assert_eq!((ended.status, &ended.json()["status"]), (200, &json!("completed")), "{operation:?}");
        assert_eq!(ended.json()["executionResult"]["executionId"], ended.json()["executionId"]);
        starts.pair.asteroid.set_life(json!({ "duration": "never", "starting": "0s" }));
        let runs = starts.keyed(operation, "k", r#"{"timeoutSeconds":1}"#);
        assert_eq!((runs.status, runs.json()), (202, json!({ "executionId": id(&runs), "status": "running" })));
        let replayed = starts.keyed(operation, "k", r#"{"timeoutSeconds":1}"#);
        assert_eq!((replayed.status, &replayed.body), (202, &runs.body), "{operation:?}: a replay does not wait");
    });
}

#[test]
fn it_is_held_for_longer_than_timeouts_response() {
    at_once(waiting(), |operation| {
        let starts = Starts::configured(|configuration| configuration.with("timeouts: { response: 1s }"));
        starts.pair.asteroid.set_life(json!({ "duration": "2500ms" }));
        let begun = Instant::now();
        let answer = starts.keyed(operation, "k", "{}");
        assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("completed")), "{operation:?}");
        assert!(begun.elapsed() > Duration::from_secs(2));
        // One that does not wait has the time-out.
        starts.fail_start(false, &json!("stall"));
        starts.post(Operation::AgentExecute, &[], "{}").assert_error(504, "upstream-timeout", "unknown");
    });
}

#[test]
fn of_a_long_answer_the_id_and_the_status_are_kept_and_replayed_under_its_status() {
    at_once(waiting(), |operation| {
        let starts = Starts::new();
        for (life, length, status) in [
            (json!({ "duration": "1ms" }), KEPT, 200),
            (json!({ "duration": "1ms" }), KEPT + 1, 200),
            (json!({ "duration": "1ms", "end": "failed" }), 5 * 1024 * 1024, 200),
            (json!({ "duration": "never", "starting": "0s" }), 5 * 1024 * 1024, 202),
        ] {
            starts.pair.asteroid.set_life(life);
            let key = format!("{length}-{status}");
            pad(&starts, length);
            let first = starts.keyed(operation, &key, r#"{"timeoutSeconds":1}"#);
            assert_eq!((first.status, first.body.len()), (status, length), "{operation:?}");
            let state = first.json()["status"].clone();
            assert!(text(&first).ends_with(&format!("x\",\"status\":{state}}}")), "the status comes last");
            let before = starts.count();
            for _ in 0..2 {
                let again = starts.keyed(operation, &key, r#"{"timeoutSeconds":1}"#);
                assert_eq!((again.status, again.header("idempotent-replayed")), (status, Some("true")));
                assert_eq!(again.header("content-type"), Some("application/json"));
                let kept = json!({ "executionId": id(&first), "status": state });
                let expected = if length > KEPT { kept } else { first.json() };
                assert_eq!(again.json(), expected, "{operation:?} {key}");
            }
            assert_eq!(starts.count(), before);
        }
    });
}

/// Asserts that an answer came whole, that it is known what was started, and what its retry gets.
fn assert_passed_on(starts: &Starts, operation: Operation, key: &str, length: usize, replayed: &Value) {
    pad(starts, length);
    let answer = starts.post(operation, &[("Idempotency-Key", key), ("X-Request-Id", key)], "{}");
    assert_eq!((answer.status, answer.body.len()), (200, length), "{key}");
    assert!(text(&answer).ends_with("\"status\":\"completed\"}"), "{key}");
    assert_eq!((answer.header("execution-outcome"), answer.header("retry-after")), (None, None));
    let is_record = |line: &Value| line["event"] == event::REQUEST_COMPLETED && line["request_id"] == key;
    let line = starts.pair.gateway.line(is_record);
    assert_eq!((&line["execution_id"], &line["outcome"]), (&json!(id(&answer)), &json!("answered")), "{line}");
    let before = starts.count();
    let path = format!("/executions/{}/activities", id(&answer));
    assert_eq!(starts.get("billing", &path).status, 200);
    assert_eq!(starts.asked(before), [format!("GET /agents/v2{path}")], "it is known whose it is");
    let again = starts.keyed(operation, key, "{}");
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, Some("true")), "{key}");
    let mut expected = replayed.clone();
    expected["executionId"] = id(&answer).into();
    assert_eq!(again.json(), expected, "{key}");
}

#[test]
fn an_answer_beyond_answer_limit_is_passed_on_whole_and_kept_as_the_id_in_its_beginning() {
    let starts = Starts::configured(|configuration| configuration.with("answer_limit: 1MiB"));
    for operation in waiting() {
        let name = operation.name();
        assert_passed_on(&starts, operation, &format!("{name}-beyond"), 3 * 1024 * 1024, &json!({}));
        let within = json!({ "status": "completed" });
        assert_passed_on(&starts, operation, &format!("{name}-within"), 1024 * 1024, &within);
    }
}

#[test]
fn without_memory_for_the_answer_it_is_passed_on_whole_and_its_id_is_known() {
    let memory = "body_memory: 3MiB\nbody_limit: 1MiB\nanswer_limit: 1MiB";
    let starts = Starts::configured(|configuration| configuration.with(memory));
    let held = |metrics: &Metrics| metrics.find("asteroid_gateway_body_memory_bytes", &[]);
    // A body that lacks its last byte holds most of the tenant's memory.
    let mut caller = starts.pair.caller();
    let (host, body) = (caller.address(), "x".repeat(1024 * 1024 - 1));
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {host}\r\nX-Tenant-Id: billing\r\nContent-Type: application/json\r\n",
        starts.path(Operation::AgentExecute)
    );
    caller.send(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len() + 1).as_bytes());
    let is_held = |metrics: &Metrics| held(metrics).is_some_and(|bytes| bytes >= 1024.0 * 1024.0);
    starts.pair.gateway.wait_for_metrics(is_held, &true);
    for operation in waiting() {
        assert_passed_on(&starts, operation, operation.name(), 900 * 1024, &json!({}));
    }
}

#[test]
fn an_answer_that_breaks_off_is_504_and_its_key_stays_unknown() {
    let starts = Starts::new();
    for operation in waiting() {
        for then in ["close_mid_answer", "close", "reset"] {
            let (key, started) = (format!("{operation:?}-{then}"), starts.pair.asteroid.started());
            starts.fail_start(true, &json!(then));
            let answer = starts.keyed(operation, &key, "{}");
            answer.assert_error(504, "upstream-broke", "unknown");
            assert_eq!(answer.json()["retry"], "same-key");
            for _ in 0..2 {
                starts.keyed(operation, &key, "{}").assert_error(504, "idempotency-unknown", "unknown");
            }
            assert_eq!(starts.pair.asteroid.started(), started + 1, "{key}");
        }
    }
}

#[test]
fn a_caller_who_hangs_up_meanwhile_gets_the_end_by_its_retry() {
    at_once(waiting(), |operation| {
        let starts = Starts::new();
        starts.pair.asteroid.set_life(json!({ "duration": "1s" }));
        let caller = starts.begin(operation, &[("Idempotency-Key", "k"), ("X-Request-Id", "left")], "{}");
        caller.hang_up();
        starts.pair.gateway.line(|line| line["request_id"] == "left");
        let again = starts.keyed(operation, "k", "{}");
        assert_eq!((again.status, again.header("idempotent-replayed")), (200, Some("true")), "{operation:?}");
        assert_eq!((&again.json()["status"], starts.pair.asteroid.started()), (&json!("completed"), 1));
    });
}
