//! A rerun: it repeats an execution of its tenant, and cannot be tagged.

use asteroid_gateway::asteroid::operation::Operation;
use asteroid_gateway::event;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Starts, id, path, start_elsewhere, tagged};
use crate::harness::{API_KEY, Answer, Asteroid, Configuration, EXECUTE, Program};

const RERUN: Operation = Operation::ExecutionRerun;

pub(super) const RECOVERY: &str = "idempotency: { recovery: true }";

impl Starts {
    /// Reruns an execution for a tenant.
    pub(super) fn rerun(&self, tenant: &str, id: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let headers = [&[("X-Tenant-Id", tenant)], headers].concat();
        self.pair.caller().post(&path(RERUN, [id, ""]), &headers, body.as_bytes())
    }

    /// Replaces the process with another one that has the same configuration, and knows nothing.
    pub(super) fn replaced(self, configuration: Configuration) -> Starts {
        let Starts { pair, .. } = self;
        pair.gateway.signal("KILL");
        pair.gateway.end();
        Starts::run(pair.asteroid, configuration)
    }
}

pub(super) fn recovering(asteroid: &Asteroid) -> Configuration {
    asteroid.configuration().with("operations: { rerun: true }").with(RECOVERY).by_header().tenant("sales")
}

#[test]
fn it_is_closed_unless_it_is_opened_for_all_or_for_its_tenant() {
    let asteroid = Asteroid::start();
    let configuration = asteroid.configuration().by_header().tenant("sales").billing("operations: { rerun: true }");
    let starts = Starts::run(asteroid, configuration);
    assert_eq!(starts.post(RERUN, &[], "").status, 202);
    let foreign = id(&starts.pair.caller().post(EXECUTE, &[("X-Tenant-Id", "sales")], b"{}"));
    let before = starts.count();
    for id in [&foreign, starts.original()] {
        let refused = starts.rerun("sales", id, &[], "");
        refused.assert_error(403, "operation-closed", "not_started");
        let message = refused.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains("`operations.rerun: true`"), "{message}");
    }
    assert_eq!(starts.count(), before);
    let closed = Starts::configured(|configuration| configuration.set("/operations/rerun", false));
    closed.post(RERUN, &[], "{}").assert_error(403, "operation-closed", "not_started");
}

#[test]
fn an_execution_that_is_foreign_untagged_or_unknown_is_not_repeated() {
    let starts = Starts::new();
    let foreign = id(&starts.pair.caller().post(EXECUTE, &[("X-Tenant-Id", "sales")], b"{}"));
    let untagged = start_elsewhere(&starts.pair.asteroid, &json!({}));
    let started = starts.pair.asteroid.started();
    let mut seen: Option<Value> = None;
    for id in [foreign, untagged, Uuid::new_v4().to_string()] {
        let before = starts.count();
        for headers in [&[][..], &[("Idempotency-Key", "k")]] {
            let answer = starts.rerun("billing", &id, headers, "");
            answer.assert_error(404, "not-found", "not_started");
            let mut error = answer.json();
            error.as_object_mut().unwrap().remove("instance").unwrap();
            assert_eq!(*seen.get_or_insert_with(|| error.clone()), error, "the same for all of them");
        }
        assert!(starts.asked(before).iter().all(|asked| *asked == format!("GET /agents/v2/executions/{id}")));
    }
    assert_eq!(starts.pair.asteroid.started(), started);
}

#[test]
fn an_execution_that_is_not_known_here_is_looked_up_once() {
    let starts = Starts::new();
    let id = start_elsewhere(&starts.pair.asteroid, &json!({ "tenant": "billing" }));
    let before = starts.count();
    let again = || starts.rerun("billing", &id, &[], r#"{"inputs":{"n":1}}"#).status;
    assert_eq!([again(), again()], [202; 2]);
    let rerun = format!("POST /agents/v2/executions/{id}/rerun");
    assert_eq!(starts.asked(before), [&format!("GET /agents/v2/executions/{id}"), &rerun, &rerun].map(String::as_str));
}

#[test]
fn its_body_may_be_left_out_in_every_way_that_clients_write_that() {
    let starts = Starts::new();
    let path = starts.path(RERUN);
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nX-Tenant-Id: billing\r\n");
    let json = "Content-Type: application/json\r\n";
    for (fields, media_type) in [
        (String::new(), None),
        ("Content-Length: 0\r\n".to_owned(), None),
        // As the newer SDK does.
        (format!("{json}Content-Length: 0\r\n"), Some("application/json")),
        (format!("{json}Transfer-Encoding: chunked\r\n\r\n0\r\n"), Some("application/json")),
    ] {
        let mut caller = starts.pair.caller();
        caller.send(format!("{head}{fields}\r\n").as_bytes());
        assert_eq!(caller.answer().status, 202, "{fields:?}");
        let sent = starts.sent(0).pop().unwrap();
        assert_eq!((sent.text().as_str(), sent.header("content-length")), ("", Some("0")), "{fields:?}");
        assert_eq!(sent.header("content-type"), media_type, "{fields:?}");
    }
    starts.post(RERUN, &[("Content-Type", "text/plain")], "{}").assert_error(415, "media-type", "not_started");
    starts.post(RERUN, &[], " ").assert_error(400, "body", "not_started");
}

#[test]
fn after_an_unknown_outcome_nothing_is_started_and_nobody_is_told_to_look_for_a_tag() {
    for recovery in ["idempotency: { recovery: false }", RECOVERY] {
        let starts = Starts::configured(|configuration| configuration.with(recovery));
        starts.original();
        let (before, started) = (starts.count(), starts.pair.asteroid.started());
        starts.fail_start(true, &json!("close"));
        let first = starts.keyed(RERUN, "k", "{}");
        first.assert_error(504, "upstream-broke", "unknown");
        let mut answers = vec![first];
        answers.extend([(); 2].map(|()| {
            let answer = starts.keyed(RERUN, "k", "{}");
            answer.assert_error(504, "idempotency-unknown", "unknown");
            answer
        }));
        for answer in &answers {
            let said = answer.json().to_string();
            assert!(!said.contains("idempotency_digest") && !said.contains("metadata"), "{said}");
            assert_eq!(answer.header("retry-after"), None);
        }
        assert_eq!(starts.asked(before), [format!("POST /agents/v2{}", starts.path(RERUN))], "nothing is looked up");
        assert_eq!(starts.pair.asteroid.started(), started + 1);
    }
}

#[test]
fn its_key_is_never_looked_up_by_a_tag_also_not_by_another_process() {
    let starts = Starts::configured(|configuration| configuration.with(RECOVERY));
    let first = id(&starts.keyed(Operation::AgentExecute, "k", "{}"));
    let digest = starts.pair.asteroid.executions()[0].metadata["idempotency_digest"].clone();
    starts.pair.gateway.event(event::RECOVERY_PROVEN);
    let before = starts.count();
    let again = starts.rerun("billing", &first, &[("Idempotency-Key", "k")], "{}");
    assert_eq!((again.status, again.header("idempotent-replayed")), (202, None), "the key of another operation");
    assert_eq!(starts.asked(before), [format!("POST /agents/v2/executions/{first}/rerun")]);
    // It carries the digest of the start that it repeats, which must not be taken for its own.
    assert_eq!(starts.pair.asteroid.executions()[1].metadata["idempotency_digest"], digest);
    let configuration = recovering(&starts.pair.asteroid);
    let starts = starts.replaced(configuration);
    let before = starts.count();
    assert_eq!(starts.rerun("billing", &first, &[("Idempotency-Key", "k")], "{}").header("idempotent-replayed"), None);
    let asked = [format!("GET /agents/v2/executions/{first}"), format!("POST /agents/v2/executions/{first}/rerun")];
    assert_eq!(starts.asked(before), asked);
}

#[test]
fn a_lost_start_of_any_kind_is_found_although_it_was_rerun_several_times() {
    for operation in tagged() {
        for shows_metadata in [true, false] {
            let starts = Starts::configured(|configuration| configuration.with(RECOVERY));
            starts.fail_start(true, &json!("close"));
            starts.keyed(operation, "k", "{}").assert_error(504, "upstream-broke", "unknown");
            let first = starts.pair.asteroid.executions()[0].id.clone();
            let mut repeated = first.clone();
            for _ in 0..3 {
                // Of the first, and of its rerun.
                for id in [first.clone(), repeated.clone()] {
                    assert_eq!(starts.rerun("billing", &id, &[("Idempotency-Key", &id)], "").status, 202);
                }
                repeated = starts.pair.asteroid.executions().pop().unwrap().id;
            }
            starts.pair.asteroid.set_listing(json!({ "shows_metadata": shows_metadata }));
            let found = starts.keyed(operation, "k", "{}");
            assert_eq!((found.status, found.header("idempotent-replayed")), (202, Some("true")), "{operation:?}");
            assert_eq!(id(&found), first, "{operation:?}");
            let (started, configuration) = (starts.pair.asteroid.started(), recovering(&starts.pair.asteroid));
            let starts = starts.replaced(configuration);
            assert_eq!(id(&starts.keyed(operation, "k", "{}")), first, "{operation:?}: by another process");
            assert_eq!(starts.pair.asteroid.started(), started);
        }
    }
}

#[test]
fn after_a_401_with_another_key_at_hand_it_is_sent_once_more() {
    for recovery in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let before = dir.path().join("before");
        std::fs::write(&before, "ak-before-7d3e9f1a52").unwrap();
        let asteroid = Asteroid::start();
        asteroid.set_api_keys(&["ak-before-7d3e9f1a52", API_KEY]);
        asteroid.fail_next(json!({ "method": "GET", "then": { "answer": { "status": 401 } } }));
        let original = start_elsewhere(&asteroid, &json!({ "tenant": "billing" }));
        let configuration = asteroid
            .configuration()
            .with(&format!("operations: {{ rerun: true }}\nidempotency: {{ recovery: {recovery} }}"))
            .add("/credentials/main", &format!("previous_file: '{}'", before.display()));
        let gateway = Program::run(configuration);
        gateway.event(event::CREDENTIAL_NEW_VERSION_REJECTED);
        asteroid.fail_next(json!({ "method": "POST", "then": { "answer": { "status": 401 } } }));
        let mut caller = crate::harness::Caller::connect(gateway.address());
        let path = path(RERUN, [&original, ""]);
        let first = caller.post(&path, &[("Idempotency-Key", "k")], b"{}");
        assert_eq!(first.status, 202, "{recovery}");
        let reruns = || asteroid.requests().iter().filter(|request| request.target.ends_with("/rerun")).count();
        assert_eq!((reruns(), asteroid.started()), (2, 2), "{recovery}: refused once, and run once");
        assert_eq!(caller.post(&path, &[("Idempotency-Key", "k")], b"{}").body, first.body);
        let listed = |target: &str| target.contains("idempotency_digest");
        assert!(!asteroid.requests().iter().any(|request| listed(&request.target)), "{recovery}");
        assert_eq!((reruns(), asteroid.started()), (2, 2), "{recovery}");
    }
}
