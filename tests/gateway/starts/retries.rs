//! `Idempotency-Key`: a repeated start of any kind does not start a second execution.

use asteroid_gateway::asteroid::operation::Operation;
use serde_json::json;

use super::{Starts, all, id};
use crate::harness::at_once;

/// The starts that one idempotency key may be sent with, by any path of each group; the first two groups share their keys.
const GROUPS: [&[Operation]; 4] = [
    &[Operation::AgentExecute, Operation::WorkflowExecute],
    &[Operation::AgentExecuteSync, Operation::WorkflowExecuteSync],
    &[Operation::AgentVersionExecute, Operation::WorkflowVersionExecute],
    &[Operation::ExecutionRerun],
];

fn group(operation: Operation) -> usize {
    GROUPS.iter().position(|group| group.contains(&operation)).unwrap_or_else(|| panic!("{operation:?}"))
}

#[test]
fn a_retry_of_every_start_gets_the_first_answer_and_another_body_is_422() {
    let starts = Starts::new();
    for (operation, status) in all() {
        let key = operation.name();
        let first = starts.keyed(operation, key, "{}");
        assert_eq!((first.status, first.header("idempotent-replayed")), (status, None), "{operation:?}");
        let before = starts.count();
        let again = starts.keyed(operation, key, "{}");
        assert_eq!((again.status, again.header("idempotent-replayed")), (status, Some("true")), "{operation:?}");
        assert_eq!((&again.body, again.header("content-type")), (&first.body, first.header("content-type")));
        starts.keyed(operation, key, "{ }").assert_error(422, "idempotency-mismatch", "not_started");
        assert_eq!(starts.count(), before, "{operation:?}");
    }
}

#[test]
fn while_a_start_of_any_kind_is_in_flight_its_retry_is_409_and_afterwards_its_answer() {
    at_once(Operation::starts(), |operation| {
        let starts = Starts::new();
        starts.path(operation);
        starts.fail_start(true, &json!("stall"));
        let mut first = starts.begin(operation, &[("Idempotency-Key", "k")], "{}");
        let retry = starts.keyed(operation, "k", "{}");
        retry.assert_error(409, "idempotency-in-flight", "not_started");
        starts.keyed(operation, "k", "{ }").assert_error(422, "idempotency-mismatch", "not_started");
        starts.pair.asteroid.clear_faults();
        let first = first.answer();
        assert_eq!(starts.keyed(operation, "k", "{}").body, first.body, "{operation:?}");
    });
}

#[test]
fn a_start_of_any_kind_whose_outcome_is_unknown_is_never_started_again() {
    let starts = Starts::new();
    for operation in Operation::starts() {
        starts.path(operation);
        for (n, (run, then)) in [
            (true, json!("close")),
            (false, json!("reset")),
            (true, json!("close_mid_answer")),
            (true, json!({ "answer": { "status": 409, "body": "{}" } })),
            (true, json!({ "answer": { "status": 202, "body": "{}" } })),
        ]
        .into_iter()
        .enumerate()
        {
            let (key, started) = (format!("{}{n}", operation.name()), starts.pair.asteroid.started());
            starts.fail_start(run, &then);
            let first = starts.keyed(operation, &key, "{}");
            assert_eq!(first.header("execution-outcome"), Some("unknown"), "{operation:?} {then}");
            let before = starts.count();
            for _ in 0..2 {
                starts.keyed(operation, &key, "{}").assert_error(504, "idempotency-unknown", "unknown");
            }
            assert_eq!(starts.count(), before, "{operation:?} {then}");
            assert_eq!(starts.pair.asteroid.started(), started + usize::from(run), "{operation:?} {then}");
        }
        let key = format!("{}-free", operation.name());
        starts.fail_start(false, &json!({ "answer": { "status": 429, "body": "{}" } }));
        assert_eq!(starts.keyed(operation, &key, "{}").status, 429);
        assert!((200..300).contains(&starts.keyed(operation, &key, "{}").status), "nothing was started: it is free");
    }
}

#[test]
fn a_key_is_one_for_both_eras_paths_and_never_for_a_plain_and_a_waiting_start() {
    let starts = Starts::new();
    starts.original();
    for (first, status) in all() {
        for second in Operation::starts() {
            let key = format!("{first:?}-{second:?}");
            let (begun, started) = (starts.keyed(first, &key, "{}"), starts.pair.asteroid.started());
            assert_eq!(begun.status, status, "{key}");
            let retry = starts.keyed(second, &key, "{}");
            let more = starts.pair.asteroid.started() - started;
            match (group(first), group(second)) {
                (one, other) if one == other => {
                    assert_eq!((retry.status, retry.header("idempotent-replayed")), (status, Some("true")), "{key}");
                    assert_eq!((id(&retry), more), (id(&begun), 0), "{key}");
                }
                (0 | 1, 0 | 1) => {
                    retry.assert_error(422, "idempotency-mismatch", "not_started");
                    assert_eq!(more, 0, "{key}");
                }
                _ => {
                    assert_eq!((retry.header("idempotent-replayed"), more), (None, 1), "{key}: it is another start");
                }
            }
        }
    }
}

#[test]
fn a_plain_start_is_not_sent_while_a_waiting_one_with_its_key_is_in_flight_or_unknown() {
    for (first, second) in [
        (Operation::AgentExecuteSync, Operation::AgentExecute),
        (Operation::AgentExecute, Operation::WorkflowExecuteSync),
    ] {
        let starts = Starts::new();
        starts.fail_start(true, &json!("stall"));
        let mut begun = starts.begin(first, &[("Idempotency-Key", "k")], "{}");
        starts.keyed(second, "k", "{}").assert_error(422, "idempotency-mismatch", "not_started");
        starts.pair.asteroid.clear_faults();
        assert!((200..300).contains(&begun.answer().status));
        starts.fail_start(true, &json!("close"));
        starts.keyed(first, "lost", "{}").assert_error(504, "upstream-broke", "unknown");
        starts.keyed(second, "lost", "{}").assert_error(422, "idempotency-mismatch", "not_started");
        assert_eq!(starts.pair.asteroid.started(), 2);
    }
}

#[test]
fn a_key_of_a_rerun_or_a_version_belongs_to_the_ids_of_its_path() {
    let starts = Starts::new();
    for operation in Operation::starts() {
        let other = "7f0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11";
        let path = starts.path(operation);
        let ids: Vec<&str> = path.split('/').filter(|segment| segment.len() == 36).collect();
        let post = |path: &str| {
            let headers = [("X-Tenant-Id", "billing"), ("Idempotency-Key", operation.name())];
            starts.pair.caller().post(path, &headers, b"{}")
        };
        assert_eq!(post(&path).header("idempotent-replayed"), None);
        assert_eq!(
            post(&path.to_lowercase().replace(ids[0], &ids[0].to_uppercase())).header("idempotent-replayed"),
            Some("true")
        );
        for id in ids {
            let answer = post(&path.replace(id, other));
            assert_eq!(answer.header("idempotent-replayed"), None, "{operation:?}");
            assert_eq!(answer.status == 404, operation == Operation::ExecutionRerun, "{operation:?}");
        }
    }
}
