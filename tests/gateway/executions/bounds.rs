//! Many polls at once, and answers that are judged: memory stays bounded, and one tenant leaves its part to the others.

use serde_json::json;

use super::{Teams, send};
use crate::harness::metrics::Metrics;
use crate::harness::{Asteroid, Configuration};

/// How many polls wait at once.
const POLLS: usize = 300;

#[test]
fn hundreds_of_long_polls_hold_little_memory_and_no_other_request_waits_for_them() {
    let limited = |configuration: Configuration| configuration.billing("limits: { in_flight: 2 }");
    let teams = Teams::configured(Asteroid::start(), limited);
    let id = teams.execute("billing");
    teams.get("billing", &format!("/executions/{id}"));
    let before = teams.0.gateway.memory();
    let mut callers: Vec<_> = (0..POLLS)
        .map(|_| {
            let mut caller = teams.0.caller();
            send(&mut caller, "billing", "GET", &format!("/executions/{id}/sync?timeoutSeconds=25"), "");
            caller
        })
        .collect();
    let in_flight = || teams.0.gateway.metrics().find("asteroid_gateway_requests_in_flight", &[]);
    while in_flight() < Some(f64::from(u32::try_from(POLLS).unwrap())) {
        std::thread::yield_now();
    }
    let each = teams.0.gateway.memory().saturating_sub(before) / POLLS;
    assert!(each < 128 * 1024, "{each} bytes for a poll");
    assert_eq!(teams.get("billing", &format!("/executions/{id}")).status, 200);
    teams.0.asteroid.set_status(&id, "completed");
    assert_eq!(callers.pop().unwrap().answer().status, 200);
}

#[test]
fn answers_that_are_judged_take_a_tenant_s_share_of_the_memory_and_no_other_tenant_s() {
    let small =
        |configuration: Configuration| configuration.with("body_memory: 3MiB\nbody_limit: 64KiB\nanswer_limit: 1MiB");
    let teams = Teams::configured(Asteroid::start(), small);
    let (own, other) = (teams.execute("billing"), teams.execute("sales"));
    for _ in 0..8 {
        // Each has as many bytes as a judged answer may have, and does not come to its end.
        let slow = json!({ "answer": { "status": 200, "body": "x".repeat(1000 * 1024) } });
        teams.0.asteroid.fail_next(json!({ "operation": "get", "then": slow, "delay_ms": 0 }));
    }
    let statuses: Vec<u16> = (0..8).map(|_| teams.get("billing", &format!("/executions/{own}")).status).collect();
    assert_eq!(statuses, [502; 8], "one after the other, there is memory for each");
    assert_eq!(teams.get("sales", &format!("/executions/{other}")).status, 200);
    let held = |metrics: &Metrics| metrics.find("asteroid_gateway_body_memory_bytes", &[]);
    teams.0.gateway.wait_for_metrics(held, &Some(0.0));
}
