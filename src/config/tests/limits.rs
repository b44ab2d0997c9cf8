//! The sources of a request's tenant, and the limits of tenants.

use crate::state::{Limits, Per};

use super::*;

fn tenant(source: &str, address: &str) -> String {
    smallest_with("{ fixed: billing }", source).replacen("127.0.0.1:8080", address, 1)
}

fn limits(limits: &str) -> String {
    format!("{SMALLEST}    limits: {limits}\n")
}

#[test]
fn a_header_names_the_tenant_on_loopback_or_from_peers_that_are_trusted() {
    let LoadedConfig { config, warnings } = with(&tenant("{ header: X-Tenant-Id }", "127.0.0.1:1"), &[]).unwrap();
    assert_eq!(warnings.to_string(), "listeners[0].tenant: any process on this machine can name any tenant");
    assert_eq!(config.listeners[0].tenant, TenantSource::Header("x-tenant-id".parse().unwrap()));
    assert!(config.listeners[0].trusted_peers.is_empty());
    let peers = "trusted_peers: [10.0.12.7/32, 10.0.13.1, 'fd00::/8', '::ffff:10.0.0.1']";
    for source in [format!("{{ header: X-Tenant-Id, {peers} }}"), format!("{{ fixed: billing, {peers} }}")] {
        let LoadedConfig { config, .. } = with(&tenant(&source, "10.0.0.1:1"), &[]).unwrap();
        let peers: Vec<String> = config.listeners[0].trusted_peers.iter().map(ToString::to_string).collect();
        assert_eq!(peers, ["10.0.12.7/32", "10.0.13.1/32", "fd00::/8", "10.0.0.1/32"]);
    }
}

#[test]
fn a_listener_that_would_trust_every_caller_is_refused() {
    for source in ["{ fixed: billing }", "{ header: X-Tenant-Id }"] {
        assert_faults(
            &tenant(source, "0.0.0.0:1"),
            &[
                "listeners[0].address: must be on loopback (127.0.0.0/8 or [::1]), or `tenant.trusted_peers` must list the networks that may call",
            ],
        );
    }
    let everybody = tenant("{ header: X-Tenant-Id, trusted_peers: [0.0.0.0/0] }", "0.0.0.0:1");
    let LoadedConfig { warnings, .. } = with(&everybody, &[]).unwrap();
    assert!(warnings.to_string().contains("listeners[0].tenant.trusted_peers[0]: trusts every address"), "{warnings}");
    let nobody = tenant("{ header: X-Tenant-Id, trusted_peers: [] }", "127.0.0.1:1");
    assert!(faults(&nobody)[0].starts_with("listeners[0].tenant.trusted_peers: is empty"));
}

#[test]
fn a_tenant_has_one_source_and_its_header_no_other_meaning() {
    let found = |source: &str| faults(&tenant(source, "127.0.0.1:1"));
    assert!(found("{}")[0].starts_with("listeners[0].tenant: missing"));
    assert!(found("{ fixed: billing, header: X-Tenant-Id }")[0].contains("names both"));
    for header in ["''", "a b", "Host", "Content-Type", "X-Request-Id", "traceparent", "Idempotency-Key", "Sec-Tenant"]
    {
        let found = found(&format!("{{ header: {header} }}"));
        assert!(found[0].starts_with("listeners[0].tenant.header: "), "{header}: {found:?}");
    }
    for header in ["Authorization", "X-Api-Key", "x-asteroid-agents-api-key", "X-Own-Key"] {
        let file = tenant(&format!("{{ header: {header} }}"), "127.0.0.1:1");
        let found = faults(&format!("{file}upstream: {{ credential_header: X-Own-Key }}"));
        assert!(found[0].contains("carries API keys"), "{header}: {found:?}");
    }
    for peer in ["10.0.0.0/33", "host", "10.0.0", "''"] {
        let found = found(&format!("{{ header: X-Tenant-Id, trusted_peers: [{peer}] }}"));
        assert!(found[0].starts_with("listeners[0].tenant.trusted_peers[0]: must be a network"), "{found:?}");
    }
}

#[test]
fn limits_are_read_and_absent_ones_are_none() {
    let read = |text: &str| with(&limits(text), &[]).unwrap().config.tenants["billing"].limits.clone();
    assert_eq!(read("{}"), Limits::default());
    let all = read(
        "{ executions: { rate: 30/m }, requests: { rate: 50/s, burst: 100 }, reads: { rate: 20/h, burst: 40 }, in_flight: 64, budget: { executions: 500, per: day } }",
    );
    let (executions, requests) = (all.executions.unwrap(), all.requests.unwrap());
    assert_eq!((executions.amount.get(), executions.per, executions.burst.get()), (30, Per::Minute, 30));
    assert_eq!((requests.amount.get(), requests.per, requests.burst.get()), (50, Per::Second, 100));
    let reads = all.reads.unwrap();
    assert_eq!((reads.amount.get(), reads.per, reads.burst.get()), (20, Per::Hour, 40));
    assert_eq!((all.in_flight.unwrap().get(), all.budget.unwrap().get()), (64, 500));
}

#[test]
fn one_warning_says_that_budgets_are_local_and_the_setting_that_said_so_before_is_not_needed() {
    let warnings = |text: &str| with(text, &[]).unwrap().warnings.to_string();
    let said = "tenants.billing.limits.budget: is counted by this process only and forgotten when it ends";
    assert_eq!(warnings(&limits("{ budget: { executions: 5, per: day } }")), said);
    for local in ["true", "false"] {
        let text = limits(&format!("{{ budget: {{ executions: 5, per: day, local: {local} }} }}"));
        let needless = "tenants.billing.limits.budget.local: has no effect and is no longer needed; leave it out";
        assert_eq!(warnings(&text), format!("{said}\n{needless}"));
    }
    let several = limits("{ budget: { executions: 5, per: day } }")
        + "  sales: { credential: main, limits: { budget: { executions: 5, per: day } } }\n";
    assert!(warnings(&several).contains(&format!("{said} (as are 1 more)")), "{}", warnings(&several));
}

#[test]
fn all_faults_of_limits_are_reported_at_once() {
    let file = limits(
        "{ executions: { rate: 30, burst: 0 }, requests: { burst: 1 }, reads: { rate: 1/x }, in_flight: -1, budget: { per: week, local: maybe }, tokens: 1 }",
    );
    let found = faults(&file);
    for path in [
        "executions.rate",
        "executions.burst",
        "requests.rate",
        "reads.rate",
        "in_flight",
        "budget.executions",
        "budget.per",
        "budget.local",
        "tokens",
    ] {
        let path = format!("tenants.billing.limits.{path}: ");
        assert!(found.iter().any(|fault| fault.starts_with(&path)), "{path} is not in {found:#?}");
    }
}

#[test]
fn a_burst_that_takes_more_than_a_year_to_refill_is_refused() {
    assert!(with(&limits("{ requests: { rate: 1/d, burst: 366 } }"), &[]).is_ok());
    assert_faults(
        &limits("{ requests: { rate: 1/d, burst: 367 } }"),
        &["tenants.billing.limits.requests.burst: would take more than 366 days to refill; write a smaller one"],
    );
}

#[test]
fn limits_can_be_set_from_the_environment() {
    let variables = [
        ("ASTEROID_GATEWAY__TENANTS__BILLING__LIMITS__IN_FLIGHT", "7"),
        ("ASTEROID_GATEWAY__TENANTS__BILLING__LIMITS__BUDGET", "{ executions: 5, per: day }"),
        ("ASTEROID_GATEWAY__TENANTS__BILLING__LIMITS__EXECUTIONS__RATE", "3/h"),
    ];
    let limits = with(SMALLEST, &variables).unwrap().config.tenants["billing"].limits.clone();
    assert_eq!((limits.in_flight.unwrap().get(), limits.budget.unwrap().get()), (7, 5));
    assert_eq!(limits.executions.unwrap().amount.get(), 3);
}

#[test]
fn five_thousand_tenants_are_read() {
    let mut text = "listeners: [{ address: 127.0.0.1:1, tenant: { header: X-Tenant-Id } }]\ncredentials:\n".to_owned();
    (0..5000).for_each(|n| text += &format!("  c{n}: {{ file: /k/{n} }}\n"));
    text += "tenants:\n";
    (0..5000).for_each(|n| text += &format!("  t{n}: {{ credential: c{n}, limits: {{ in_flight: 9 }} }}\n"));
    let LoadedConfig { config, warnings } = with(&text, &[]).unwrap();
    let warnings = warnings.to_string();
    let [shares, listener, tags] =
        warnings.lines().collect::<Vec<_>>().try_into().expect("no tenant is said to be idle");
    assert!(shares.starts_with("idempotency.memory: guarantees each of 5000 tenants only 16 KiB"), "{shares}");
    assert!(listener.starts_with("listeners[0].tenant: "), "{listener}");
    assert!(
        tags.starts_with("tenants.t0: its tag is a part") || tags.starts_with("tenants.t1: its tag is a part"),
        "{tags}"
    );
    assert!(tags.ends_with("more)") && tags.len() < 300, "{tags}");
    assert_eq!(config.tenants.len(), 5000);
}
