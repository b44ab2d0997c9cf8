//! `idempotency: { recovery: true }`: the gateway looks up a lost start at the upstream before it sends another.

mod proof;
mod refused_key;

use asteroid_gateway::event;
use serde_json::{Value, json};

use crate::harness::{Answer, Asteroid, Configuration, EXECUTE, Pair};

const RECOVERY: &str = "idempotency: { recovery: true }\ntimeouts: { response: 500ms }";

fn keyed(pair: &Pair, key: &str) -> Answer {
    pair.caller().post(EXECUTE, &[("Idempotency-Key", key)], b"{}")
}

/// Starts a gateway, and waits until its positive control has passed, so that it sends no further look-up of its own.
fn proven(more: &str) -> Pair {
    let pair = Pair::with(more);
    assert_eq!(keyed(&pair, "control").status, 202);
    pair.gateway.event(event::RECOVERY_PROVEN);
    pair
}

/// Starts another process with the same configuration, in front of the same upstream.
fn replaced(pair: Pair) -> Pair {
    let Pair { asteroid, gateway } = pair;
    gateway.signal("KILL");
    gateway.end();
    Pair::before(asteroid, RECOVERY)
}

/// Sends a start whose answer is lost.
fn lose(pair: &Pair, key: &str, run: bool) {
    pair.asteroid.fail_next(json!({"method": "POST", "run": run, "then": "close"}));
    keyed(pair, key).assert_error(504, "upstream-broke", "unknown");
}

#[track_caller]
fn assert_found(pair: &Pair, answer: &Answer) {
    let [execution] = pair.asteroid.executions().try_into().unwrap();
    assert_eq!((answer.status, answer.header("idempotent-replayed")), (202, Some("true")), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json(), json!({"executionId": execution.id}));
}

/// Returns the look-ups and starts that the upstream received.
fn asked(pair: &Pair) -> Vec<String> {
    pair.asteroid.requests().iter().map(|request| format!("{} {}", request.method, request.target)).collect()
}

#[test]
fn a_lost_answer_is_found_by_each_era_s_filter_and_then_replayed_without_asking_again() {
    for filters in ["both", "pair", "repeated"] {
        for shows_metadata in [true, false] {
            let pair = Pair::with(RECOVERY);
            // Executions that a server would list if it ignored the filter.
            for _ in 0..3 {
                assert_eq!(pair.execute("{}").status, 202);
            }
            pair.asteroid.set_listing(json!({"filters": filters, "shows_metadata": shows_metadata}));
            lose(&pair, "k", true);
            let found = keyed(&pair, "k");
            assert_eq!((found.status, found.header("idempotent-replayed")), (202, Some("true")), "{filters}");
            assert_eq!(found.json()["executionId"], pair.asteroid.executions()[3].id, "{filters}");
            let before = pair.asteroid.requests().len();
            assert_eq!(keyed(&pair, "k").body, found.body);
            assert_eq!(pair.asteroid.requests().len(), before);
            assert_eq!(pair.asteroid.executions().len(), 4);
        }
    }
}

#[test]
fn a_look_up_asks_with_the_key_for_the_starts_own_tag() {
    let pair = Pair::with(RECOVERY);
    lose(&pair, "k", true);
    assert_found(&pair, &keyed(&pair, "k"));
    let digest = pair.asteroid.executions()[0].metadata["idempotency_digest"].as_str().unwrap().to_owned();
    let listing = format!("GET /agents/v2/executions?metadataKey=idempotency_digest&metadataValue={digest}&pageSize=2");
    let execute = format!("POST /agents/v2{EXECUTE}");
    let newer = format!("GET /agents/v2/executions?metadata=idempotency_digest%3D{digest}&pageSize=2");
    assert_eq!(
        asked(&pair),
        [listing.clone(), newer, execute, listing],
        "that there is none, both filters have to say"
    );
    let requests = pair.asteroid.requests();
    for request in &requests {
        assert!(request.authenticated, "{request:?}");
        assert_eq!(request.header("host"), Some(pair.asteroid.authority().as_str()));
    }
    assert_eq!(requests[0].connection, requests[1].connection, "the look-up gives its connection back");
    assert_eq!(requests[0].header("x-request-id"), requests[1].header("x-request-id"));
    assert_eq!((requests[0].header("content-length"), requests[0].header("content-type")), (None, None));
}

#[test]
fn a_start_that_is_not_listed_stays_unknown_and_is_found_once_it_is() {
    let pair = Pair::with(RECOVERY);
    pair.asteroid.set_listing(json!({"lags": true}));
    lose(&pair, "k", true);
    for _ in 0..2 {
        keyed(&pair, "k").assert_error(504, "idempotency-unknown", "unknown");
    }
    pair.asteroid.set_listing(json!({"lags": false}));
    assert_found(&pair, &keyed(&pair, "k"));
}

#[test]
fn a_start_that_never_ran_stays_unknown_and_its_key_never_starts() {
    let pair = Pair::with(RECOVERY);
    lose(&pair, "k", false);
    for _ in 0..3 {
        keyed(&pair, "k").assert_error(504, "idempotency-unknown", "unknown");
    }
    assert_eq!(pair.asteroid.executions().len(), 0);
}

/// Reruns an execution with the operation of the API.
fn rerun(pair: &Pair, id: &str) -> Answer {
    let path = format!("/agents/v2/executions/{id}/rerun");
    pair.asteroid.caller().post(&path, &[("X-Api-Key", crate::harness::API_KEY)], b"")
}

#[test]
fn a_start_that_was_repeated_by_hand_is_still_found_and_its_repeat_never_is() {
    for shows_metadata in [true, false] {
        let pair = Pair::with(RECOVERY);
        assert_eq!(keyed(&pair, "k").status, 202);
        let first = pair.asteroid.executions()[0].id.clone();
        assert_eq!(rerun(&pair, &first).status, 202);
        assert_eq!(rerun(&pair, &first).status, 202);
        // An execution that has the tag and is not marked as a rerun.
        let metadata = Value::Object(pair.asteroid.executions()[0].metadata.clone());
        let copied = json!({ "metadata": metadata }).to_string();
        let key = ("X-Api-Key", crate::harness::API_KEY);
        assert_eq!(pair.asteroid.caller().post(&format!("/agents/v2{EXECUTE}"), &[key], copied.as_bytes()).status, 202);
        pair.asteroid.set_listing(json!({"shows_metadata": shows_metadata}));
        let pair = replaced(pair);
        let found = keyed(&pair, "k");
        assert_eq!((found.status, found.header("idempotent-replayed")), (202, Some("true")), "{found:?}");
        assert_eq!(found.json()["executionId"], *first);
        assert_eq!(pair.asteroid.executions().len(), 4);
    }
}

#[test]
fn a_repeat_whose_first_was_deleted_is_not_named_in_its_place_and_the_key_starts_nothing() {
    let pair = Pair::with(RECOVERY);
    assert_eq!(keyed(&pair, "k").status, 202);
    let first = pair.asteroid.executions()[0].id.clone();
    assert_eq!(rerun(&pair, &first).status, 202);
    pair.asteroid.delete(&first);
    let pair = replaced(pair);
    for _ in 0..2 {
        let answer = keyed(&pair, "k");
        answer.assert_error(504, "idempotency-unknown", "unknown");
        assert!(answer.json()["detail"].as_str().unwrap().contains("do not show which of them"), "{answer:?}");
    }
    let none = json!({"items": [], "total": 0, "page": 1, "pageSize": 2}).to_string();
    for _ in 0..2 {
        pair.asteroid.fail_next(json!({"method": "GET", "then": {"answer": {"status": 200, "body": none}}}));
    }
    keyed(&pair, "k").assert_error(504, "idempotency-unknown", "unknown");
    assert_eq!(pair.asteroid.executions().len(), 1);
}

#[test]
fn the_only_execution_there_is_is_not_taken_for_the_start_that_is_looked_for() {
    for shows_metadata in [true, false] {
        let pair = Pair::with(RECOVERY);
        assert_eq!(pair.execute("{}").status, 202);
        pair.asteroid.set_listing(json!({"filters": "repeated", "shows_metadata": shows_metadata}));
        assert_eq!(keyed(&pair, "k").header("idempotent-replayed"), None);
        assert_eq!(pair.asteroid.executions().len(), 2);
    }
}

#[test]
fn after_a_kill_a_retry_gets_the_execution_of_the_first_process() {
    let pair = Pair::with(RECOVERY);
    pair.asteroid.fail_next(json!({"method": "POST", "run": true, "then": "stall"}));
    let mut caller = pair.caller();
    caller.send_post(EXECUTE, &[("Idempotency-Key", "k")], b"{}");
    pair.asteroid.wait_for_requests(3);
    let pair = replaced(pair);
    pair.asteroid.clear_faults();
    assert_found(&pair, &keyed(&pair, "k"));
}

/// Returns ways in which a look-up fails, each with whether the caller is told to retry.
fn failures() -> Vec<(Value, bool)> {
    let answer = |answer: Value| json!({"method": "GET", "then": {"answer": answer}});
    let then = |then: &str| (json!({"method": "GET", "then": then}), true);
    let status = |status: u16, again| (answer(json!({"status": status})), again);
    let patient = answer(json!({"status": 429, "headers": [["retry-after", "9"]]}));
    vec![
        then("close"),
        then("reset"),
        then("stall"),
        then("close_mid_answer"),
        then("stall_mid_answer"),
        status(401, false),
        status(403, false),
        status(404, true),
        (patient, true),
        status(500, true),
        status(503, true),
        (answer(json!({"status": 200, "body": "{}"})), false),
        (answer(json!({"status": 200, "body": ""})), false),
        // Longer than what is read of it.
        (answer(json!({"status": 200, "body": " ".repeat(17 * 1024 * 1024)})), false),
    ]
}

#[test]
fn a_look_up_that_fails_starts_nothing_and_the_next_try_looks_again() {
    let pair = proven(RECOVERY);
    for (n, (fault, again)) in failures().into_iter().enumerate() {
        let (first, lost) = (format!("first{n}"), format!("lost{n}"));
        pair.asteroid.fail_next(fault.clone());
        let answer = keyed(&pair, &first);
        answer.assert_error(504, "idempotency-lookup", "unknown");
        assert_eq!(
            (answer.header("execution-outcome"), answer.header("retry-after")),
            (Some("unknown"), None),
            "{fault}"
        );
        let says_again = answer.json()["detail"].as_str().unwrap().contains("retry with the same key");
        assert_eq!(says_again, again, "{fault}");
        assert_eq!(pair.asteroid.executions().len(), 2 * n + 1, "{fault}");
        assert_eq!(keyed(&pair, &first).header("idempotent-replayed"), None, "{fault}");

        lose(&pair, &lost, true);
        pair.asteroid.fail_next(fault.clone());
        keyed(&pair, &lost).assert_error(504, "idempotency-lookup", "unknown");
        assert_eq!(keyed(&pair, &lost).header("idempotent-replayed"), Some("true"), "{fault}");
        assert_eq!(pair.asteroid.executions().len(), 2 * n + 3);
    }
}

#[test]
fn the_log_says_what_a_look_up_found() {
    let pair = proven(RECOVERY);
    let looked_up = |key: &str, id: &str| {
        let headers = [("Idempotency-Key", key), ("X-Request-Id", id)];
        pair.caller().post(EXECUTE, &headers, b"{}");
        pair.gateway.line(|line| line["request_id"] == id)["looked_up"].clone()
    };
    lose(&pair, "lost", true);
    assert_eq!(looked_up("new", "a"), "none");
    assert_eq!(looked_up("lost", "b"), "one");
    assert_eq!(looked_up("lost", "c"), Value::Null, "a replay from memory");
    pair.asteroid.fail_next(json!({"method": "GET", "then": "close"}));
    assert_eq!(looked_up("another", "d"), "failed");
}

#[test]
fn after_a_restart_a_retry_with_another_body_is_422_and_does_not_lock_out_the_right_one() {
    let pair = Pair::with(RECOVERY);
    assert_eq!(keyed(&pair, "k").status, 202);
    let pair = replaced(pair);
    let other = || pair.caller().post(EXECUTE, &[("Idempotency-Key", "k")], b"{ }");
    other().assert_error(422, "idempotency-mismatch", "not_started");
    assert_found(&pair, &keyed(&pair, "k"));
    let before = pair.asteroid.requests().len();
    other().assert_error(422, "idempotency-mismatch", "not_started");
    assert_eq!(pair.asteroid.requests().len(), before, "what was found is remembered, its body, too");
}

#[test]
fn a_server_that_refuses_the_older_filter_is_asked_with_the_newer_one_and_one_that_knows_neither_proves_nothing() {
    let pair = Pair::with(RECOVERY);
    let refused = json!({"method": "GET", "then": {"answer": {"status": 400}}});
    lose(&pair, "k", true);
    pair.asteroid.fail_next(refused.clone());
    assert_found(&pair, &keyed(&pair, "k"));

    pair.asteroid.fail_next(refused.clone());
    pair.asteroid.fail_next(refused);
    let answer = keyed(&pair, "another");
    answer.assert_error(504, "idempotency-lookup", "unknown");
    assert_eq!(answer.header("retry-after"), None);
    assert!(answer.json()["detail"].as_str().unwrap().contains("upstream.organization_id"), "{answer:?}");
    let id = pair.asteroid.executions()[0].id.clone();
    let others = json!({"items": [{"id": id, "metadata": {}}], "total": 1, "page": 1, "pageSize": 2}).to_string();
    for _ in 0..2 {
        pair.asteroid.fail_next(json!({"method": "GET", "then": {"answer": {"status": 200, "body": others}}}));
    }
    keyed(&pair, "another").assert_error(504, "idempotency-lookup", "unknown");
    assert_eq!(pair.asteroid.executions().len(), 1);
}

#[test]
fn while_one_retry_looks_another_is_409_and_a_caller_who_leaves_meanwhile_changes_nothing() {
    let pair = proven("idempotency: { recovery: true }");
    for lost in [false, true] {
        let key = format!("k{lost}");
        if lost {
            lose(&pair, &key, true);
        }
        let before = pair.asteroid.requests().len();
        pair.asteroid.fail_next(json!({"method": "GET", "then": "stall"}));
        let mut looking = pair.caller();
        let id = format!("left-{lost}");
        looking.send_post(EXECUTE, &[("Idempotency-Key", &key), ("X-Request-Id", &id)], b"{}");
        pair.asteroid.wait_for_requests(before + 1);
        keyed(&pair, &key).assert_error(409, "idempotency-in-flight", "not_started");
        looking.reset();
        pair.gateway.line(|line| line["request_id"] == id.as_str());
        pair.asteroid.clear_faults();
        let replayed = lost.then_some("true");
        assert_eq!(keyed(&pair, &key).header("idempotent-replayed"), replayed);
    }
    assert_eq!(pair.asteroid.executions().len(), 3);
}

#[test]
fn an_upstream_that_cannot_be_reached_leaves_the_key_as_it_was() {
    let (address, _held) = crate::harness::asteroid::refused_address();
    let pair = Pair::run(Asteroid::start(), Configuration::for_address(address).with(RECOVERY));
    for body in ["{}", "{ }"] {
        let answer = pair.caller().post(EXECUTE, &[("Idempotency-Key", "k")], body.as_bytes());
        answer.assert_error(504, "idempotency-lookup", "unknown");
        assert!(answer.json()["detail"].as_str().unwrap().contains("could not be reached"), "{answer:?}");
    }
}
