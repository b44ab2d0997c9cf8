//! An execution belongs to the tenant whose tag it carries. No other tenant learns that it is there.

use std::time::{Duration, Instant};

use asteroid_gateway::event;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{OPERATIONS, Teams, without_ids};
use crate::harness::{AGENT, API_KEY, Asteroid, Pair, Program};

/// Starts an execution without the gateway, with this metadata, and returns its id.
fn start_elsewhere(asteroid: &Asteroid, metadata: &Value) -> String {
    let mut caller = asteroid.caller();
    let path = format!("/agents/v2/agents/{AGENT}/execute");
    let answer = caller.post(&path, &[("X-Api-Key", API_KEY)], json!({ "metadata": metadata }).to_string().as_bytes());
    answer.json()["executionId"].as_str().unwrap().to_owned()
}

#[test]
fn everything_can_be_done_with_one_s_own_execution_and_the_upstream_is_asked_for_nothing_else() {
    for asteroid in [Asteroid::start(), Asteroid::start_tls("localhost"), Asteroid::start_tls_http1("localhost")] {
        let teams = Teams::configured(asteroid, |configuration| configuration.with("operations: { delete: true }"));
        let id = teams.execute("billing");
        let statuses = [200, 202, 200, 200, 200, 200, 201, 200, 204];
        for ((method, action, body), status) in OPERATIONS.into_iter().zip(statuses) {
            let before = teams.count();
            let answer = teams.call("billing", method, &format!("/executions/{id}{action}"), body);
            assert_eq!(answer.status, status, "{method} {action}: {}", String::from_utf8_lossy(&answer.body));
            assert_eq!(teams.sent(before), [format!("{method} /agents/v2/executions/{id}{action}")]);
        }
        assert_eq!(teams.get("billing", &format!("/executions/{id}")).status, 404, "it is deleted");
    }
}

#[test]
fn a_foreign_an_untagged_and_an_unknown_execution_get_the_same_404_from_every_operation() {
    let teams =
        Teams::configured(Asteroid::start(), |configuration| configuration.with("operations: { delete: true }"));
    let foreign = teams.execute("sales");
    let untagged = start_elsewhere(&teams.0.asteroid, &json!({}));
    let similar = start_elsewhere(&teams.0.asteroid, &json!({ "tenant": "billing2", "Tenant": "billing" }));
    let unknown = Uuid::new_v4().to_string();
    let v1 = ["status", "result"].map(|read| ("GET", read));
    let expected = without_ids(&teams.get("billing", &format!("/executions/{unknown}")));
    assert_eq!(expected.0, 404);
    assert_eq!(expected.2["type"], "urn:asteroid-gateway:error:not-found");
    for id in [&foreign, &untagged, &similar, &unknown] {
        let before = teams.count();
        for (method, action, body) in OPERATIONS {
            let answer = teams.call("billing", method, &format!("/executions/{id}{action}"), body);
            assert_eq!(without_ids(&answer), expected, "{method} {action} of {id}");
        }
        for (method, read) in v1 {
            let answer = teams.call("billing", method, &format!("/api/v1/execution/{id}/{read}"), "");
            assert_eq!(without_ids(&answer), expected, "{read} of {id}");
        }
        let own_questions = format!("GET /agents/v2/executions/{id}");
        assert!(teams.sent(before).iter().all(|sent| *sent == own_questions), "{:?}", teams.sent(before));
    }
    let still = teams.get("sales", &format!("/executions/{foreign}"));
    assert_eq!((still.status, &still.json()["status"]), (200, &json!("running")), "nothing was done to it");
}

#[test]
fn an_execution_that_this_gateway_did_not_start_is_looked_up_once() {
    let teams = Teams::start();
    let id = teams.execute("billing");
    let Teams(Pair { asteroid, gateway }) = teams;
    drop(gateway);
    let configuration = asteroid.configuration().by_header().tenant("sales");
    let teams = Teams(Pair { gateway: Program::run(configuration), asteroid });
    let path = format!("/executions/{id}/activities");
    let before = teams.count();
    assert_eq!([(); 3].map(|()| teams.get("billing", &path).status), [200; 3]);
    let asked = format!("GET /agents/v2/executions/{id}");
    let sent = format!("GET /agents/v2{path}");
    assert_eq!(teams.sent(before), [&asked, &sent, &sent, &sent].map(String::as_str));
}

#[test]
fn one_execution_is_judged_by_its_own_answer_which_then_proves_whose_it_is() {
    let teams = Teams::start();
    let id = start_elsewhere(&teams.0.asteroid, &json!({ "tenant": "billing" }));
    let before = teams.count();
    assert_eq!(teams.get("billing", &format!("/executions/{id}")).status, 200);
    assert_eq!(teams.call("billing", "POST", &format!("/executions/{id}/cancel"), "").status, 200);
    let sent = [format!("GET /agents/v2/executions/{id}"), format!("POST /agents/v2/executions/{id}/cancel")];
    assert_eq!(teams.sent(before), sent);
}

#[test]
fn a_listing_teaches_the_gateway_whose_its_executions_are() {
    let teams = Teams::start();
    let id = start_elsewhere(&teams.0.asteroid, &json!({ "tenant": "billing" }));
    teams.get("billing", "/executions");
    let before = teams.count();
    assert_eq!(teams.call("billing", "POST", &format!("/executions/{id}/pause"), "").status, 200);
    assert_eq!(teams.sent(before), [format!("POST /agents/v2/executions/{id}/pause")]);
}

#[test]
fn a_no_is_forgotten_after_a_second_as_an_execution_may_just_have_been_tagged() {
    let teams = Teams::start();
    let id = start_elsewhere(&teams.0.asteroid, &json!({ "tenant": "sales" }));
    let path = format!("/executions/{id}/activities");
    let before = teams.count();
    let begun = Instant::now();
    assert_eq!([(); 3].map(|()| teams.get("billing", &path).status), [404; 3]);
    if begun.elapsed() < Duration::from_secs(1) {
        assert_eq!(teams.sent(before).len(), 1, "it is remembered for a moment");
    }
    std::thread::sleep(Duration::from_millis(1100));
    let asked = teams.count();
    assert_eq!(teams.get("billing", &path).status, 404);
    assert_eq!(teams.count(), asked + 1);
}

#[test]
fn an_upstream_that_fails_while_it_is_asked_is_no_no() {
    let teams = Teams::configured(Asteroid::start(), |configuration| configuration.with("timeouts: { response: 1s }"));
    let answer = |status: u16, headers: Value| json!({ "answer": { "status": status, "headers": headers } });
    for (then, status, retry_after) in [
        (answer(500, json!([])), 502, None),
        (answer(403, json!([])), 502, None),
        (answer(400, json!([])), 502, None),
        (answer(429, json!([["retry-after", "7"]])), 503, Some("7")),
        (answer(503, json!([["retry-after", "0.5"]])), 503, Some("1")),
        (json!("close"), 504, None),
        (json!("stall"), 504, None),
        (json!("close_mid_answer"), 504, None),
    ] {
        for action in ["/activities", ""] {
            let id = start_elsewhere(&teams.0.asteroid, &json!({ "tenant": "billing" }));
            // A read is sent once more if its connection breaks, whether it is the caller's or a look-up.
            for _ in 0..2 {
                teams.0.asteroid.fail_next(json!({ "operation": "get", "then": then }));
            }
            let got = teams.get("billing", &format!("/executions/{id}{action}"));
            assert_eq!(got.status, status, "{then} {action}: {}", String::from_utf8_lossy(&got.body));
            assert_eq!(got.header("retry-after"), retry_after, "{then}");
            teams.0.asteroid.clear_faults();
            assert_eq!(teams.get("billing", &format!("/executions/{id}{action}")).status, 200, "{then}: it is no no");
        }
    }
}

#[test]
fn a_key_that_the_upstream_refuses_is_the_gateway_s_affair_and_no_no() {
    let teams = Teams::start();
    let id = start_elsewhere(&teams.0.asteroid, &json!({ "tenant": "billing" }));
    teams.0.asteroid.replace_api_key("ak-other-7d3e9f1a52");
    crate::harness::at_once(["/activities", "", "/cancel"], |action| {
        let method = if action == "/cancel" { "POST" } else { "GET" };
        let answer = teams.call("billing", method, &format!("/executions/{id}{action}"), "");
        answer.assert_error(502, "key-refused", "not_started");
    });
}

#[test]
fn an_execution_that_is_longer_than_the_limit_is_not_passed_on_and_is_nobody_s() {
    let small = |configuration: crate::harness::Configuration| configuration.with("answer_limit: 64KiB");
    let teams = Teams::configured(Asteroid::start(), small);
    let id = start_elsewhere(&teams.0.asteroid, &json!({ "tenant": "billing" }));
    for (action, code) in [("/activities", "ownership-unknown"), ("", "answer-too-large")] {
        teams.0.asteroid.fail_next(json!({ "operation": "get", "then": { "pad": 65 * 1024 } }));
        teams.get("billing", &format!("/executions/{id}{action}")).assert_error(502, code, "not_started");
    }
}

#[test]
fn an_answer_about_another_execution_than_asked_is_not_passed_on() {
    let teams = Teams::start();
    let id = teams.execute("billing");
    teams.0.asteroid.fail_next(json!({ "operation": "get", "then": "other_id" }));
    let answer = teams.get("billing", &format!("/executions/{id}"));
    answer.assert_error(502, "answer-unreadable", "not_started");
    let elsewhere = start_elsewhere(&teams.0.asteroid, &json!({ "tenant": "billing" }));
    teams.0.asteroid.fail_next(json!({ "operation": "get", "then": "other_id" }));
    teams.get("billing", &format!("/executions/{elsewhere}/activities")).assert_error(
        502,
        "answer-unreadable",
        "not_started",
    );
}

#[test]
fn guessing_ids_by_the_thousand_costs_the_guesser_and_nobody_else() {
    let teams = Teams::start();
    let own = teams.execute("billing");
    let before = teams.0.asteroid.requests().last().unwrap().number;
    let mut caller = teams.0.caller();
    let mut statuses = std::collections::BTreeMap::new();
    for n in 0..2000 {
        let path = format!("/executions/{}/{}", Uuid::new_v4(), if n % 2 == 0 { "activities" } else { "" });
        super::send(&mut caller, "billing", "GET", path.trim_end_matches('/'), "");
        let answer = caller.answer();
        if answer.status == 429 {
            assert_eq!((answer.json()["limit"].as_str(), answer.header("retry-after")), (Some("reads"), Some("1")));
        }
        *statuses.entry(answer.status).or_insert(0) += 1;
    }
    assert_eq!(statuses.keys().copied().collect::<Vec<_>>(), [404, 429], "{statuses:?}");
    let asked = teams.0.asteroid.requests().last().unwrap().number - before;
    assert_eq!(asked, statuses[&404], "each 404 cost the upstream a question");
    assert!(statuses[&429] > 1000, "{statuses:?}");
    assert_eq!(teams.get("billing", &format!("/executions/{own}")).status, 200, "one's own is known");
    let foreign = start_elsewhere(&teams.0.asteroid, &json!({ "tenant": "sales" }));
    assert_eq!(teams.get("sales", &format!("/executions/{foreign}")).status, 200, "others look up as before");
    let labels = [("limit", "reads"), ("tenant", "billing"), ("decision", "refused")];
    let refused = teams.0.gateway.metrics().find("asteroid_gateway_ratelimit_decisions_total", &labels);
    assert!(refused.is_some_and(|refused| refused > 1000.0), "{refused:?}");
    assert!(teams.0.gateway.events(event::LISTING_FOREIGN).is_empty());
}
