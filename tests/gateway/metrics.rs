//! `/metrics` and `/version`: the values are right, and no caller can add series.

mod labels;
mod upstream;

use serde_json::json;

use crate::harness::metrics::Metrics;
use crate::harness::{Answer, Asteroid, Caller, EXECUTE, Pair, Program};

const SERVER: &str = "http_server_request_duration_seconds_count";
const CLIENT: &str = "http_client_request_duration_seconds_count";
const ROUTE: &str = "/agents/{agentId}/execute";

/// Starts a gateway whose callers name one of the tenants `billing` and `sales`, with further members of `billing` and
/// further sections.
fn tenants(billing: &str, sections: &str) -> Pair {
    Pair::configured(|smallest| smallest.with(sections).by_header().tenant("sales").billing(billing))
}

fn start(pair: &Pair, tenant: &str, key: Option<&str>, body: &str) -> Answer {
    let mut headers = vec![("X-Tenant-Id", tenant)];
    headers.extend(key.map(|key| ("Idempotency-Key", key)));
    pair.caller().post(EXECUTE, &headers, body.as_bytes())
}

/// Returns the status and the error of every kind of request, with their number.
fn ended(metrics: &Metrics, name: &str) -> Vec<(String, f64)> {
    let of_name = metrics.samples().iter().filter(|sample| sample.name == name);
    let mut ended: Vec<_> = of_name
        .map(|sample| {
            let label = |name| sample.label(name).unwrap_or("-");
            (format!("{} {}", label("http_response_status_code"), label("error_type")), sample.value)
        })
        .collect();
    ended.sort_by(|a, b| a.0.cmp(&b.0));
    ended
}

fn counted(counts: &[(&str, u32)]) -> Vec<(String, f64)> {
    counts.iter().map(|(name, count)| ((*name).to_owned(), f64::from(*count))).collect()
}

#[test]
fn each_request_is_counted_once_under_its_tenant_its_status_and_its_error() {
    let pair = tenants("", "");
    for (tenant, count) in [("billing", 3), ("sales", 2)] {
        (0..count).for_each(|_| assert_eq!(start(&pair, tenant, None, "{}").status, 202));
    }
    assert_eq!(start(&pair, "sales", None, "[]").status, 400);
    assert_eq!(start(&pair, "nobody", None, "{}").status, 401);
    assert_eq!(pair.caller().request("GET", EXECUTE).status, 401);
    for (fault, status) in [
        (json!({"run": true, "then": "close"}), 504),
        (json!({"then": {"answer": {"status": 500, "body": "{}"}}}), 500),
        (json!({"then": {"answer": {"status": 404, "body": "{}"}}}), 404),
        (json!({"then": {"answer": {"status": 401, "body": "{}"}}}), 502),
    ] {
        pair.asteroid.next(fault);
        assert_eq!(start(&pair, "billing", None, "{}").status, status);
    }
    let expected = counted(&[
        ("202 -", 5),
        ("400 body", 1),
        ("401 tenant", 1),
        ("401 tenant", 1),
        ("404 -", 1),
        ("500 500", 1),
        ("502 key-refused", 1),
        ("504 upstream-broke", 1),
    ]);
    pair.gateway.wait_for_metrics(|metrics| ended(metrics, SERVER), &expected);
    let metrics = pair.gateway.metrics();
    let expected =
        counted(&[("- connection_terminated", 1), ("202 -", 5), ("401 401", 1), ("404 404", 1), ("500 500", 1)]);
    assert_eq!(ended(&metrics, CLIENT), expected);
    let expected = counted(&[
        ("billing 2xx", 3),
        ("billing 4xx", 1),
        ("billing 5xx", 3),
        ("other 4xx", 2),
        ("sales 2xx", 2),
        ("sales 4xx", 1),
    ]);
    assert_eq!(metrics.all("asteroid_gateway_requests_total"), expected);
    let started = counted(&[("billing AgentExecutePost", 3), ("sales AgentExecutePost", 2)]);
    assert_eq!(metrics.all("asteroid_gateway_executions_started_total"), started);
    // The answer that broke off, and the 500, which proves nothing.
    let unknown = counted(&[("billing", 2), ("other", 0), ("sales", 0)]);
    assert_eq!(metrics.all("asteroid_gateway_executions_unknown_total"), unknown);
    assert_eq!(metrics.find("asteroid_gateway_upstream_auth_failures_total", &[("credential", "main")]), Some(1.0));
    assert_eq!(metrics.find("asteroid_gateway_requests_in_flight", &[]), Some(0.0));
}

#[test]
fn what_each_limit_decided_is_counted() {
    let limits = "limits: { requests: { rate: 9/d }, executions: { rate: 3/d }, in_flight: 1, budget: { executions: 2, per: day } }";
    let pair = tenants(limits, "");
    assert_eq!(start(&pair, "billing", None, "{}").status, 202);
    pair.asteroid.next(json!({"run": true, "then": "stall"}));
    let mut stalled = pair.caller();
    stalled.send_post(EXECUTE, &[("X-Tenant-Id", "billing")], b"{}");
    pair.asteroid.wait_for_requests(2);
    assert_eq!(start(&pair, "billing", None, "{}").json()["limit"], "in_flight");
    pair.asteroid.clear_faults();
    assert_eq!(stalled.answer().status, 202);
    pair.gateway.wait_for_metrics(|metrics| metrics.find("asteroid_gateway_requests_in_flight", &[]), &Some(0.0));
    assert_eq!(start(&pair, "billing", None, "{}").json()["limit"], "budget");
    for _ in 0..5 {
        assert_eq!(start(&pair, "billing", None, "[]").status, 400);
    }
    assert_eq!(start(&pair, "billing", None, "{}").json()["limit"], "requests");
    let expected = counted(&[
        ("billing requests allowed", 9),
        ("billing requests refused", 1),
        ("billing in_flight allowed", 8),
        ("billing in_flight refused", 1),
        ("billing executions allowed", 3),
        ("billing budget allowed", 2),
        ("billing budget refused", 1),
    ]);
    let all = |metrics: &Metrics| metrics.all("asteroid_gateway_ratelimit_decisions_total");
    assert_eq!(all(&pair.gateway.metrics()), expected);
}

#[test]
fn what_each_idempotency_key_meant_is_counted_and_a_replay_starts_nothing() {
    let pair = tenants("", "idempotency: { memory: 1MiB }\ntimeouts: { response: 20s }");
    for _ in 0..3 {
        assert_eq!(start(&pair, "billing", Some("a"), "{}").status, 202);
    }
    assert_eq!(start(&pair, "billing", Some("a"), "{ }").status, 422);
    assert_eq!(start(&pair, "billing", Some("a,b"), "{}").status, 400);
    pair.asteroid.next(json!({"run": true, "then": "close"}));
    for _ in 0..2 {
        assert_eq!(start(&pair, "billing", Some("b"), "{}").status, 504);
    }
    pair.asteroid.next(json!({"run": true, "then": "stall"}));
    let mut stalled = pair.caller();
    stalled.send_post(EXECUTE, &[("X-Tenant-Id", "billing"), ("Idempotency-Key", "c")], b"{}");
    pair.asteroid.wait_for_requests(3);
    assert_eq!(start(&pair, "billing", Some("c"), "{}").status, 409);
    pair.asteroid.clear_faults();
    assert_eq!(stalled.answer().status, 202);
    let results = |metrics: &Metrics| metrics.all("asteroid_gateway_idempotency_total");
    let expected = counted(&[
        ("billing new", 3),
        ("billing replayed", 2),
        ("billing in_flight", 1),
        ("billing mismatch", 1),
        ("billing full", 0),
        ("billing unknown", 1),
        ("other full", 0),
        ("sales full", 0),
    ]);
    pair.gateway.wait_for_metrics(results, &expected);
    let metrics = pair.gateway.metrics();
    assert_eq!(metrics.all("asteroid_gateway_executions_started_total"), counted(&[("billing AgentExecutePost", 2)]));
    assert_eq!(metrics.find("asteroid_gateway_executions_unknown_total", &[("tenant", "billing")]), Some(1.0));
    assert_eq!(metrics.find("asteroid_gateway_idempotency_records", &[]), Some(3.0));
    assert_eq!(metrics.find("asteroid_gateway_idempotency_memory_limit_bytes", &[]), Some(1_048_576.0));
    let before = metrics.find("asteroid_gateway_idempotency_memory_bytes", &[]).unwrap();
    assert!((1000.0..3000.0).contains(&before), "{before}");
}

#[test]
fn answers_that_are_forgotten_early_and_starts_that_find_no_room_are_counted() {
    let pair = Pair::with("idempotency: { memory: 1MiB }\ntimeouts: { response: 20s }");
    let mut caller = pair.caller();
    let mut post = |key: &str| caller.post(EXECUTE, &[("Idempotency-Key", key)], b"{}").status;
    for n in 0..2500 {
        assert_eq!(post(&format!("a{n}")), 202);
    }
    let forgotten = pair.gateway.metrics().find("asteroid_gateway_idempotency_forgotten_early_total", &[]).unwrap();
    assert!((100.0..400.0).contains(&forgotten), "{forgotten}");
    let refused = (0..6000).any(|n| {
        pair.asteroid.next(json!({"then": {"answer": {"status": 500}}}));
        post(&format!("b{n}")) == 503
    });
    assert!(refused);
    let full = [("tenant", "billing"), ("result", "full")];
    assert_eq!(pair.gateway.metrics().find("asteroid_gateway_idempotency_total", &full), Some(1.0));
}

#[test]
fn connections_requests_in_flight_and_the_pool_are_shown_as_they_are() {
    let pair = Pair::start();
    let gauges = |metrics: &Metrics| {
        let names = ["connections", "requests_in_flight", "upstream_idle_connections", "upstream_http2_connections"];
        names.map(|name| metrics.find(&format!("asteroid_gateway_{name}"), &[]).unwrap())
    };
    assert_eq!(gauges(&pair.gateway.metrics()), [0.0; 4]);
    pair.asteroid.next(json!({"run": true, "then": "stall"}));
    let (mut first, second) = (pair.caller(), pair.caller());
    first.send_post(EXECUTE, &[], b"{}");
    pair.asteroid.wait_for_requests(1);
    pair.gateway.wait_for_metrics(gauges, &[2.0, 1.0, 0.0, 0.0]);
    let listener = pair.gateway.metrics().all("asteroid_gateway_connections");
    assert_eq!(listener, counted(&[("127.0.0.1:0", 2)]), "by its address in the configuration");
    pair.asteroid.clear_faults();
    assert_eq!(first.answer().status, 202);
    second.leave();
    pair.gateway.wait_for_metrics(gauges, &[1.0, 0.0, 1.0, 0.0]);
    first.leave();
    pair.gateway.wait_for_metrics(gauges, &[0.0, 0.0, 1.0, 0.0]);

    let pair = Pair::tls("");
    pair.asteroid.next(json!({"run": true, "then": "stall"}));
    let mut caller = pair.caller();
    caller.send_post(EXECUTE, &[], b"{}");
    pair.asteroid.wait_for_requests(1);
    pair.gateway.wait_for_metrics(gauges, &[1.0, 1.0, 0.0, 1.0]);
    assert_eq!(pair.gateway.metrics().find("asteroid_gateway_upstream_http2_streams", &[]), Some(1.0));
    pair.asteroid.clear_faults();
    assert_eq!(caller.answer().status, 202);
    let streams = |metrics: &Metrics| metrics.find("asteroid_gateway_upstream_http2_streams", &[]);
    pair.gateway.wait_for_metrics(streams, &Some(0.0));
}

#[test]
fn callers_that_had_to_wait_for_a_place_are_counted() {
    let asteroid = Asteroid::start();
    let gateway = Program::run_limited(asteroid.configuration(), 140);
    let limit = gateway.metrics().find("asteroid_gateway_connections_limit", &[]).unwrap();
    assert_eq!(limit, 6.0);
    asteroid.always(json!({"then": "stall"}));
    let start = || {
        let mut caller = Caller::connect(gateway.address());
        caller.send_post(EXECUTE, &[], b"{}");
        caller
    };
    let mut held: Vec<_> = (0..6).map(|_| start()).collect();
    asteroid.wait_for_requests(6);
    held.push(start());
    let seen = |metrics: &Metrics| {
        ["connections", "connections_delayed_total"].map(|name| metrics.find(&format!("asteroid_gateway_{name}"), &[]))
    };
    gateway.wait_for_metrics(seen, &[Some(6.0), Some(1.0)]);
    drop(held);
}

#[test]
fn metrics_come_in_the_format_that_is_asked_for_and_head_says_the_same_without_them() {
    let pair = Pair::start();
    assert_eq!(pair.execute("{}").status, 202);
    let ask = |method: &str, accept: &str| {
        let mut probe = pair.gateway.probe();
        probe.send(format!("{method} /metrics HTTP/1.1\r\nHost: localhost\r\n{accept}\r\n").as_bytes());
        probe
    };
    let plain = ask("GET", "").answer();
    assert_eq!(plain.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let plain = String::from_utf8(plain.body).unwrap();
    assert!(plain.contains("\n# TYPE asteroid_gateway_requests_total counter\n"), "{plain}");
    assert!(!plain.contains("# EOF"));
    // The `Accept` header of Prometheus 2.42.
    let accept = "Accept: application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n";
    let open = ask("GET", accept).answer();
    assert_eq!(open.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    let open = String::from_utf8(open.body).unwrap();
    assert!(open.contains("\n# TYPE asteroid_gateway_requests counter\n"), "{open}");
    assert!(open.ends_with("\n# EOF\n"));
    let head = String::from_utf8(ask("HEAD", accept).rest().unwrap()).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(head.contains("content-type: application/openmetrics-text"), "{head}");
}

#[test]
fn the_version_is_told() {
    let pair = Pair::start();
    let version = pair.gateway.admin("/version").json();
    assert_eq!(
        (&version["name"], &version["version"]),
        (&json!("asteroid-gateway"), &json!(env!("CARGO_PKG_VERSION")))
    );
    let build = pair.gateway.metrics().find("asteroid_gateway_build_info", &[("version", env!("CARGO_PKG_VERSION"))]);
    assert_eq!(build, Some(1.0));
}

#[test]
fn the_age_of_a_key_and_the_time_of_the_configuration_are_shown() {
    let pair = Pair::start();
    let metrics = pair.gateway.metrics();
    let age = metrics.find("asteroid_gateway_credential_age_seconds", &[("credential", "main")]).unwrap();
    assert!((0.0..600.0).contains(&age), "{age}");
    let loaded = metrics.find("asteroid_gateway_config_last_reload_success_timestamp_seconds", &[]).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((0.0..600.0).contains(&(now - loaded)), "{loaded}");
    assert_eq!(metrics.find("asteroid_gateway_config_last_reload_successful", &[]), Some(1.0));
}

#[test]
fn counts_go_on_across_reloads_which_are_counted_themselves() {
    let asteroid = Asteroid::start();
    let configuration = asteroid.configuration();
    let pair = Pair::run(asteroid, &configuration);
    assert_eq!(pair.execute("{}").status, 202);
    let mut caller = pair.caller();
    assert_eq!(caller.execute("{}").status, 202);
    let reloads = |metrics: &Metrics| metrics.all("asteroid_gateway_config_reload_total");
    let successful = |metrics: &Metrics| metrics.find("asteroid_gateway_config_last_reload_successful", &[]);
    let before = pair.gateway.metrics();

    pair.gateway.reload(configuration.clone().set("/tenants/billing/metadata/team", "invoices"));
    pair.gateway.reload("tenants: 1");
    let metrics = pair.gateway.metrics();
    assert_eq!(reloads(&metrics), counted(&[("applied", 1), ("refused", 1), ("restart_needed", 0)]));
    assert_eq!(successful(&metrics), Some(0.0));
    let restart = configuration.clone().with("drain: { delay: 1s }").set("/listeners/0/address", "127.0.0.2:0");
    pair.gateway.reload(restart);
    let metrics = pair.gateway.metrics();
    assert_eq!(reloads(&metrics), counted(&[("applied", 1), ("refused", 1), ("restart_needed", 1)]));
    pair.gateway.reload(configuration);
    assert_eq!(caller.execute("{}").status, 202);
    let metrics = pair.gateway.metrics();
    assert_eq!(successful(&metrics), Some(1.0));
    let loaded = |metrics: &Metrics| metrics.find("asteroid_gateway_config_last_reload_success_timestamp_seconds", &[]);
    assert!(loaded(&metrics) > loaded(&before));
    assert_eq!(metrics.find("asteroid_gateway_executions_started_total", &[("tenant", "billing")]), Some(3.0));
    assert_eq!(metrics.find(SERVER, &[("http_response_status_code", "202")]), Some(3.0));
    let age = |metrics: &Metrics| metrics.find("asteroid_gateway_credential_age_seconds", &[]);
    assert!(age(&metrics) > age(&before), "the same key, read again");
    pair.gateway
        .wait_for_metrics(|metrics| metrics.all("asteroid_gateway_connections"), &counted(&[("127.0.0.1:0", 1)]));
}
