//! The labels: OpenTelemetry's values, and none that a caller or the upstream invents.

use serde_json::json;

use super::{CLIENT, ROUTE, SERVER, counted, ended, start, tenants};
use crate::harness::metrics::{Metrics, Sample};
use crate::harness::{AGENT, EXECUTE, Pair};

#[test]
fn the_labels_are_those_of_opentelemetry() {
    let pair = Pair::start();
    assert_eq!(pair.execute("{}").status, 202);
    assert_eq!(pair.caller().request("GET", "/x").status, 404);
    let metrics = pair.gateway.metrics();
    let labels = |name: &str, status: &str| -> Vec<(String, String)> {
        let with = |sample: &&Sample| sample.name == name && sample.label("http_response_status_code") == Some(status);
        metrics.samples().iter().find(with).unwrap().labels.clone()
    };
    let expected = |labels: &[(&str, &str)]| -> Vec<(String, String)> {
        labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let route = [
        ("http_request_method", "POST"),
        ("url_scheme", "http"),
        ("http_route", ROUTE),
        ("http_response_status_code", "202"),
    ];
    assert_eq!(labels(SERVER, "202"), expected(&route));
    let none = [
        ("http_request_method", "GET"),
        ("url_scheme", "http"),
        ("http_response_status_code", "404"),
        ("error_type", "operation-not-served"),
    ];
    assert_eq!(labels(SERVER, "404"), expected(&none));
    let (address, port) = pair.asteroid.authority().split_once(':').map(|(a, p)| (a.to_owned(), p.to_owned())).unwrap();
    let upstream = [
        ("http_request_method", "POST"),
        ("url_template", ROUTE),
        ("http_response_status_code", "202"),
        ("server_address", &address),
        ("server_port", &port),
    ];
    assert_eq!(labels(CLIENT, "202"), expected(&upstream));
    let bounds = metrics.samples().iter().filter(|sample| sample.name == SERVER.replace("_count", "_bucket"));
    let bounds: Vec<&str> =
        bounds.filter(|sample| sample.label("http_route").is_some()).filter_map(|sample| sample.label("le")).collect();
    let advised = [
        "0.005", "0.01", "0.025", "0.05", "0.075", "0.1", "0.25", "0.5", "0.75", "1.0", "2.5", "5.0", "7.5", "10.0",
        "+Inf",
    ];
    assert_eq!(bounds, advised);
}

#[test]
fn nothing_that_a_caller_or_the_upstream_makes_up_gets_into_a_label() {
    let pair = tenants("", "");
    let mut made_up = vec![AGENT.to_owned(), "nobody-of-us".to_owned(), "k-secret".to_owned(), "BREW".to_owned()];
    for n in 0..40 {
        let path = format!("/agents/8d0f7a52-1c5e-4b8e-9f59-0000000000{n:02}/execute");
        let headers = [("X-Tenant-Id", "billing"), ("Idempotency-Key", "k-secret"), ("X-Request-Id", "made-up")];
        pair.caller().post(&path, &headers, b"{}");
        pair.caller().post(EXECUTE, &[("X-Tenant-Id", &format!("nobody-of-us{n}"))], b"{}");
        pair.caller().request(&format!("BREW{n}"), EXECUTE);
        pair.caller().post(&format!("/made-up/{n}"), &[("X-Tenant-Id", "billing")], b"{}");
        made_up.push(path);
    }
    for status in [203, 210, 211, 212, 299, 404, 450, 451, 452, 499, 500, 550, 551, 599] {
        pair.asteroid.fail_next(json!({"then": {"answer": {"status": status, "body": "{}"}}}));
        assert_eq!(start(&pair, "sales", None, "{}").status, status);
    }
    made_up.extend(pair.asteroid.executions().into_iter().map(|execution| execution.id));
    made_up.push("made-up".to_owned());
    let metrics = pair.gateway.metrics();
    for sample in metrics.samples() {
        for (name, value) in &sample.labels {
            assert!(!made_up.iter().any(|text| value.contains(text.as_str())), "{} {name}={value}", sample.name);
        }
    }
    let statuses: Vec<String> = ended(&metrics, CLIENT).into_iter().map(|(status, _)| status).collect();
    let expected = ["202 -", "203 -", "2xx -", "404 404", "451 451", "4xx 4xx", "500 500", "5xx 5xx"];
    assert_eq!(statuses, expected);
    let kinds = metrics.samples().iter().filter(|sample| sample.name == SERVER).count();
    assert!(kinds < 20, "{kinds} kinds of requests");
}

#[test]
fn thousands_of_tenants_cost_two_lines_each_until_they_call_and_no_histogram() {
    let pair = Pair::configured(|smallest| {
        (0..4000).fold(smallest.by_header(), |configuration, n| configuration.tenant(&format!("t{n}")))
    });
    let before = pair.gateway.metrics().samples().len();
    assert!(before < 2 * 4002 + 100, "{before}");
    for n in 0..100 {
        assert_eq!(start(&pair, &format!("t{n}"), Some("k"), "{}").status, 202);
    }
    let after = pair.gateway.metrics();
    // Requests, starts and new idempotency keys of each; one histogram on each side.
    assert_eq!(after.samples().len(), before + 3 * 100 + 2 * 17);
    let histograms = after.samples().iter().filter(|sample| sample.name.starts_with("http_"));
    assert!(histograms.into_iter().all(|sample| sample.label("tenant").is_none()));
}

#[test]
fn a_tenant_of_the_name_that_nobody_has_is_counted_with_nobody() {
    let pair = Pair::configured(|smallest| smallest.by_header().tenant("other"));
    assert_eq!((start(&pair, "other", None, "{}").status, start(&pair, "nobody", None, "{}").status), (202, 401));
    let requests = |metrics: &Metrics| metrics.all("asteroid_gateway_requests_total");
    pair.gateway.wait_for_metrics(requests, &counted(&[("other 2xx", 1), ("other 4xx", 1)]));
}
