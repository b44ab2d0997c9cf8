//! What is started belongs to its tenant, and so must what its body names.

use asteroid_gateway::asteroid::operation::Operation;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Starts, all, id, start_elsewhere, tagged};
use crate::harness::{Answer, EXECUTE};

/// Returns an error without what differs between two requests.
fn without_ids(answer: &Answer) -> (u16, Vec<(String, String)>, Value) {
    let mut body = answer.json();
    body.as_object_mut().unwrap().remove("instance").unwrap();
    let is_own =
        |name: &str| ["x-request-id", "date", "content-length"].contains(&name) || name.starts_with("ratelimit");
    let headers = answer.headers.iter().filter(|(name, _)| !is_own(name)).cloned().collect();
    (answer.status, headers, body)
}

#[test]
fn what_is_started_is_its_tenant_s_without_a_look_up_and_nobody_else_s() {
    let starts = Starts::new();
    for (operation, status) in all() {
        let answer = starts.post(operation, &[], "{}");
        assert_eq!(answer.status, status);
        let (path, before) = (format!("/executions/{}/activities", id(&answer)), starts.count());
        assert_eq!(starts.get("billing", &path).status, 200, "{operation:?}");
        assert_eq!(starts.asked(before), [format!("GET /agents/v2{path}")], "{operation:?}");
        starts.get("sales", &path).assert_error(404, "not-found", "not_started");
        assert_eq!(starts.get("billing", path.trim_end_matches("/activities")).status, 200, "{operation:?}");
    }
}

/// Returns a body that continues this execution.
fn continuing(parent: &str) -> String {
    json!({ "parentExecutionId": parent }).to_string()
}

#[test]
fn a_parent_that_is_foreign_untagged_or_unknown_is_the_same_404_and_counts_as_no_start() {
    let starts = Starts::configured(|configuration| {
        configuration.billing("limits: { executions: { rate: 1/d }, budget: { executions: 1, per: day } }")
    });
    let asteroid = &starts.pair.asteroid;
    let foreign = id(&starts.pair.caller().post(EXECUTE, &[("X-Tenant-Id", "sales")], b"{}"));
    let untagged = start_elsewhere(asteroid, &json!({}));
    let similar = start_elsewhere(asteroid, &json!({ "tenant": "billing2" }));
    let unknown = Uuid::new_v4().to_string();
    let expected = without_ids(&starts.get("billing", &format!("/executions/{unknown}")));
    assert_eq!((expected.0, &expected.2["type"]), (404, &json!("urn:asteroid-gateway:error:not-found")));
    let started = asteroid.started();
    for operation in Operation::starts() {
        starts.path(operation);
        for parent in [&foreign, &untagged, &similar, &unknown, &foreign.to_uppercase()] {
            for key in ["a", "b"] {
                let answer = starts.keyed(operation, key, &continuing(parent));
                assert_eq!(without_ids(&answer), expected, "{operation:?} {parent}");
            }
        }
    }
    let original = usize::from(starts.original.get().is_some());
    assert_eq!(asteroid.started(), started + original);
    assert!(starts.sent(0).iter().filter(|request| request.method == "POST").count() == started + original);
    assert_eq!(starts.keyed(Operation::AgentExecute, "a", "{}").status, 202, "neither key nor limit was used");
}

#[test]
fn a_parent_of_the_tenant_s_own_is_looked_up_at_most_once_and_sent_as_it_was_written() {
    let starts = Starts::new();
    for operation in tagged() {
        let known = id(&starts.post(operation, &[], "{}"));
        let before = starts.count();
        assert!((200..300).contains(&starts.post(operation, &[], &continuing(&known)).status), "{operation:?}");
        assert_eq!(starts.asked(before), [format!("POST /agents/v2{}", starts.path(operation))], "it is known");

        let parent = start_elsewhere(&starts.pair.asteroid, &json!({ "tenant": "billing" }));
        let before = starts.count();
        let body = format!("{{\"parentExecutionId\" : \"{parent}\"}}");
        for key in ["a", "b", "a"] {
            let answer = starts.keyed(operation, &format!("{operation:?}-{key}"), &body);
            assert!((200..300).contains(&answer.status), "{operation:?}: {answer:?}");
        }
        let asked = starts.sent(before);
        let gets: Vec<&str> =
            asked.iter().filter(|sent| sent.method == "GET").map(|sent| sent.target.as_str()).collect();
        assert_eq!(gets, [format!("/agents/v2/executions/{parent}")], "{operation:?}");
        assert_eq!(asked.len(), 3, "one look-up, two starts and a replay");
        assert!(asked[2].text().ends_with(&body[1..]), "{}", asked[2].text());
    }
    let before = starts.count();
    assert_eq!(starts.post(Operation::AgentVersionExecute, &[], r#"{"parentExecutionId":null}"#).status, 202);
    assert_eq!(starts.count(), before + 1, "null names none");
}

#[test]
fn a_parent_that_cannot_be_looked_up_starts_nothing_and_is_no_no() {
    let starts = Starts::new();
    for operation in tagged() {
        let parent = start_elsewhere(&starts.pair.asteroid, &json!({ "tenant": "billing" }));
        let started = starts.pair.asteroid.started();
        starts.pair.asteroid.fail_next(json!({ "operation": "get", "then": { "answer": { "status": 503 } } }));
        let answer = starts.keyed(operation, &parent, &continuing(&parent));
        answer.assert_error(503, "ownership-unknown", "not_started");
        assert_eq!(starts.pair.asteroid.started(), started, "{operation:?}");
        let retried = starts.keyed(operation, &parent, &continuing(&parent));
        assert!((200..300).contains(&retried.status), "{operation:?}: {retried:?}");
        assert_eq!(retried.header("idempotent-replayed"), None);
    }
}
