//! Many polls at once, and answers that are judged: memory stays bounded, and one tenant leaves its part to the others.

use serde_json::json;

use super::{Teams, send};
use crate::harness::metrics::Metrics;
use crate::harness::{Asteroid, Configuration, EXECUTE};

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
        |configuration: Configuration| configuration.with("body_memory: 3MiB\nbody_limit: 1MiB\nanswer_limit: 1MiB");
    let teams = Teams::configured(Asteroid::start(), small);
    let [own, other] = ["billing", "sales"].map(|tenant| (tenant, teams.execute(tenant)));
    let held = |metrics: &Metrics| metrics.find("asteroid_gateway_body_memory_bytes", &[]);
    teams.0.gateway.wait_for_metrics(held, &Some(0.0));
    // A body that lacks its last byte holds the tenant's memory.
    let mut caller = teams.0.caller();
    let body = "x".repeat(1024 * 1024 - 1);
    let host = caller.address();
    let head = format!(
        "POST {EXECUTE} HTTP/1.1\r\nHost: {host}\r\nX-Tenant-Id: billing\r\nContent-Type: application/json\r\n"
    );
    caller.send(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len() + 1).as_bytes());
    teams.0.gateway.wait_for_metrics(|metrics| held(metrics).is_some_and(|bytes| bytes >= 1024.0 * 1024.0), &true);
    for ((tenant, id), status) in [(&own, 503), (&other, 200)] {
        teams.0.asteroid.fail_next(json!({ "operation": "get", "then": { "pad": 900 * 1024 } }));
        let answer = teams.get(tenant, &format!("/executions/{id}"));
        assert_eq!(answer.status, status, "{tenant}: {}", String::from_utf8_lossy(answer.body.get(..200).unwrap()));
    }
    drop(caller);
    teams.0.gateway.wait_for_metrics(held, &Some(0.0));
}
