//! The tenant of a request: the one that a trusted peer names, and no other.

use asteroid_gateway::event;

use crate::harness::metrics::Metrics;
use crate::harness::{Asteroid, Caller, EXECUTE, Pair, Program};

/// Starts a gateway whose listener takes the tenant from `X-Tenant-Id`, with further members in `tenant`.
fn by_header(more: &str) -> Pair {
    Pair::configured(|smallest| smallest.by_header().add("/listeners/0/tenant", more).tenant("sales"))
}

#[test]
fn the_header_names_the_tenant_anew_for_each_request_of_a_connection() {
    let pair = by_header("");
    let mut caller = pair.caller();
    for tenant in ["billing", "sales", "billing"] {
        assert_eq!(caller.post(EXECUTE, &[("X-Tenant-Id", tenant)], b"{}").status, 202);
        let sent = pair.asteroid.requests().pop().unwrap();
        assert_eq!(sent.json()["metadata"]["tenant"], tenant);
        assert_eq!(sent.header("x-tenant-id"), None, "the upstream is not told");
    }
    assert_eq!(pair.gateway.line(|line| line["tenant"] == "sales")["status"], 202);
}

#[test]
fn a_request_that_nobody_can_be_charged_for_is_refused() {
    let pair = by_header("");
    let unnamed: [&[(&str, &str)]; 7] = [
        &[],
        &[("X-Tenant-Id", "")],
        &[("X-Tenant-Id", "nobody")],
        &[("X-Tenant-Id", "Billing")],
        &[("X-Tenant-Id", "billing, billing")],
        &[("X-Tenant-Id", "billing"), ("X-Tenant-Id", "billing")],
        &[("X-Tenant-Id", "billing"), ("x-tenant-id", "sales")],
    ];
    for headers in unnamed {
        let answer = pair.caller().post(EXECUTE, headers, b"{}");
        answer.assert_error(401, "tenant", "not_started");
        assert_eq!(answer.header("www-authenticate"), Some("Tenant realm=\"asteroid-gateway\""));
    }
    assert_eq!(pair.asteroid.requests().len(), 0);
}

#[test]
fn a_peer_that_is_not_trusted_is_closed_before_anything_is_read_of_it_and_the_log_says_which() {
    let pair = by_header("trusted_peers: [10.0.12.7/32, 127.0.0.2]");
    for _ in 0..3 {
        assert!(pair.caller().try_post(EXECUTE, &[("X-Tenant-Id", "billing")], b"{}").is_none());
    }
    let closed = pair.gateway.event(event::LISTENER_PEER_REFUSED);
    assert!(closed["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{closed}");
    assert_eq!(pair.gateway.events(event::LISTENER_PEER_REFUSED).len(), 1, "not for each");
    let counted =
        |metrics: &Metrics| metrics.find("asteroid_gateway_connections_closed_total", &[("reason", "outsider")]);
    pair.gateway.wait_for_metrics(counted, &Some(3.0));
    assert!(pair.gateway.events(event::REQUEST_COMPLETED).is_empty());
    assert_eq!(pair.asteroid.requests().len(), 0);
    let pair = by_header("trusted_peers: [127.0.0.0/8]");
    assert_eq!(pair.caller().post(EXECUTE, &[("X-Tenant-Id", "billing")], b"{}").status, 202);
}

#[test]
fn a_fixed_tenant_off_loopback_is_for_its_trusted_peers_alone() {
    let asteroid = Asteroid::start();
    for (peers, status) in [("127.0.0.1", Some(202)), ("10.0.0.0/8", None)] {
        let open = asteroid.configuration().set("/listeners/0/address", "0.0.0.0:0");
        let gateway = Program::run(open.add("/listeners/0/tenant", &format!("trusted_peers: [{peers}]")));
        let mut caller = Caller::connect(([127, 0, 0, 1], gateway.address().port()).into());
        assert_eq!(caller.try_post(EXECUTE, &[], b"{}").map(|answer| answer.status), status, "{peers}");
    }
}

#[test]
fn a_peer_that_a_reload_trusts_no_more_names_nobody_on_a_connection_that_it_has() {
    let asteroid = Asteroid::start();
    let trusting =
        |peer: &str| asteroid.configuration().add("/listeners/0/tenant", &format!("trusted_peers: [{peer}]"));
    let gateway = Program::run(trusting("127.0.0.1"));
    let mut caller = Caller::connect(gateway.address());
    assert_eq!(caller.execute("{}").status, 202);
    assert_eq!(gateway.reload(trusting("127.0.0.2"))["level"], "INFO");
    let answer = caller.execute("{}");
    answer.assert_error(401, "tenant", "not_started");
    assert!(answer.json()["detail"].as_str().unwrap().contains("127.0.0.1"));
    assert!(Caller::connect(gateway.address()).try_post(EXECUTE, &[], b"{}").is_none());
}

#[test]
fn a_caller_cannot_name_a_tenant_where_the_listener_fixes_one() {
    let pair = Pair::start();
    assert_eq!(pair.caller().post(EXECUTE, &[("X-Tenant-Id", "sales")], b"{}").status, 202);
    assert_eq!(pair.asteroid.only_request().json()["metadata"]["tenant"], "billing");
}

#[test]
fn each_of_thousands_of_tenants_is_known() {
    let pair = Pair::configured(|smallest| {
        (0..3000).fold(smallest.by_header(), |configuration, n| configuration.tenant(&format!("t{n}")))
    });
    let mut caller = pair.caller();
    for tenant in ["t0", "t1500", "t2999"] {
        assert_eq!(caller.post(EXECUTE, &[("X-Tenant-Id", tenant)], b"{}").status, 202);
        assert_eq!(pair.asteroid.requests().pop().unwrap().json()["metadata"]["tenant"], tenant);
    }
    caller.post(EXECUTE, &[("X-Tenant-Id", "t3000")], b"{}").assert_error(401, "tenant", "not_started");
}
