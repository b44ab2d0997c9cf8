//! Every start counts in the limits of starts.

use asteroid_gateway::asteroid::operation::Operation;
use serde_json::json;

use super::{Starts, all};
use crate::harness::at_once;

fn limited(limits: &str) -> Starts {
    Starts::configured(|configuration| configuration.billing(&format!("limits: {{ {limits} }}")))
}

#[test]
fn every_start_counts_in_executions_and_budget_once_it_is_valid() {
    at_once(all(), |(operation, status)| {
        let starts = limited("executions: { rate: 2/d }, budget: { executions: 5, per: day }");
        starts.post(operation, &[], "[]").assert_error(400, "body", "not_started");
        for (executions, budget) in [(1, 4), (0, 3)] {
            let answer = starts.post(operation, &[], "{}");
            assert_eq!(answer.status, status, "{operation:?}");
            let left = answer.header("ratelimit").unwrap();
            let expected = format!("\"executions\";r={executions}, \"budget\";r={budget};");
            assert!(left.starts_with(&expected), "{operation:?}: {left}");
        }
        let started = starts.pair.asteroid.started();
        let refused = starts.post(operation, &[], "{}");
        refused.assert_error(429, "limit", "not_started");
        assert_eq!((refused.json()["limit"].as_str(), started), (Some("executions"), starts.pair.asteroid.started()));
    });
}

#[test]
fn the_budget_of_every_start_is_given_back_if_nothing_was_started_and_spent_if_that_is_unknown() {
    at_once(Operation::starts(), |operation| {
        let starts = limited("budget: { executions: 1, per: day }");
        starts.path(operation);
        for _ in 0..2 {
            starts.fail_start(false, &json!({ "answer": { "status": 402, "body": "{}" } }));
            let answer = starts.post(operation, &[], "{}");
            assert_eq!(answer.status, 402);
            assert!(answer.header("ratelimit").unwrap().starts_with("\"budget\";r=1;"), "{operation:?}: {answer:?}");
        }
        starts.fail_start(true, &json!("close"));
        starts.post(operation, &[], "{}").assert_error(504, "upstream-broke", "unknown");
        let refused = starts.post(operation, &[], "{}");
        refused.assert_error(429, "limit", "not_started");
        assert_eq!(refused.json()["limit"], "budget", "{operation:?}");
    });
}

#[test]
fn every_start_is_in_flight_until_it_is_answered() {
    at_once(all(), |(operation, status)| {
        let starts = limited("in_flight: 1");
        starts.original();
        starts.fail_start(true, &json!("stall"));
        let mut first = starts.begin(operation, &[], "{}");
        for other in Operation::starts() {
            let refused = starts.post(other, &[], "{}");
            refused.assert_error(429, "limit", "not_started");
            assert_eq!(refused.json()["limit"], "in_flight", "{operation:?} and {other:?}");
        }
        starts.pair.asteroid.clear_faults();
        assert_eq!(first.answer().status, status, "{operation:?}");
        assert_eq!(starts.post(operation, &[], "{}").status, status, "{operation:?}");
    });
}
