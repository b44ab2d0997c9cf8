//! `idempotency: { recovery: true }`: a lost start of any kind is found by its tag.

use asteroid_gateway::asteroid::operation::Operation;
use serde_json::{Value, json};

use super::rerun::{RECOVERY, recovering};
use super::{Starts, id, start_elsewhere, tagged, waits};

/// Loses the answer of a start with the idempotency key `k`, and returns the execution that it began.
fn lose(starts: &Starts, operation: Operation, body: &str) -> String {
    starts.fail_start(true, &json!("close"));
    starts.keyed(operation, "k", body).assert_error(504, "upstream-broke", "unknown");
    starts.pair.asteroid.executions().pop().unwrap().id
}

#[test]
fn a_lost_start_that_continues_another_execution_is_found_also_if_it_was_rerun() {
    for operation in tagged() {
        for is_rerun in [false, true] {
            let starts = Starts::configured(|configuration| configuration.with(RECOVERY));
            let parent = start_elsewhere(&starts.pair.asteroid, &json!({ "tenant": "billing" }));
            let body = json!({ "parentExecutionId": parent }).to_string();
            let first = lose(&starts, operation, &body);
            for _ in 0..if is_rerun { 3 } else { 0 } {
                let again = starts.rerun("billing", &first, &[], "");
                assert_eq!(again.status, 202);
            }
            let configuration = recovering(&starts.pair.asteroid);
            let here = starts.keyed(operation, "k", &body);
            let elsewhere = starts.replaced(configuration).keyed(operation, "k", &body);
            for found in [here, elsewhere] {
                assert_eq!((found.status, found.header("idempotent-replayed")), (202, Some("true")), "{operation:?}");
                assert_eq!(id(&found), first, "{operation:?}");
            }
        }
    }
}

#[test]
fn a_lost_start_that_was_waited_for_is_found_with_its_status_and_another_without() {
    for operation in tagged() {
        for shows_metadata in [true, false] {
            let starts = Starts::configured(|configuration| configuration.with(RECOVERY));
            let first = lose(&starts, operation, "{}");
            starts.pair.asteroid.set_listing(json!({ "shows_metadata": shows_metadata }));
            for _ in 0..2 {
                let found = starts.keyed(operation, "k", "{}");
                assert_eq!((found.status, found.header("idempotent-replayed")), (202, Some("true")), "{operation:?}");
                let mut expected: Value = json!({ "executionId": first });
                if waits(operation) {
                    expected["status"] = "completed".into();
                }
                assert_eq!(found.json(), expected, "{operation:?}");
            }
        }
    }
}
