//! `GET /.well-known/asteroid-gateway` tells a caller its tenant, its open operations, and what is left of its limits.

use asteroid_gateway::asteroid::group::Group;
use serde_json::{Value, json};

use crate::examples::{blocks, read};
use crate::harness::{Answer, Caller, Pair, TlsPair};

const PATH: &str = "/.well-known/asteroid-gateway";

const FILE: &str = "docs/CALLING.md";

/// Sends a request for it with these further lines in its head.
fn ask(caller: &mut Caller, method: &str, target: &str, lines: &str) -> Answer {
    caller.send(format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n").as_bytes());
    caller.answer()
}

fn get(pair: &Pair, lines: &str) -> Answer {
    ask(&mut pair.caller(), "GET", PATH, lines)
}

fn described(pair: &Pair, lines: &str) -> Value {
    let answer = get(pair, lines);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[test]
fn each_tenant_reads_its_own_name_open_operations_and_limits_and_nothing_reaches_the_upstream() {
    let pair = Pair::configured(|smallest| {
        let limits = "limits: { executions: { rate: 2/d }, in_flight: 9, budget: { executions: 5, per: day } }";
        let closed = "operations: { start: true, delete: true, message: false }";
        smallest.by_header().tenant("sales").billing(&format!("{limits}\n{closed}"))
    });
    let start = |tenant| pair.caller().post(crate::harness::EXECUTE, &[("X-Tenant-Id", tenant)], b"{}").status;
    assert_eq!([start("billing"), start("sales"), start("sales")], [202, 202, 202]);
    let before = pair.asteroid.requests().len();

    let billing = described(&pair, "X-Tenant-Id: billing\r\n");
    assert_eq!(billing["tenant"], "billing");
    for group in Group::ALL {
        let is_open = match group {
            Group::Delete => true,
            Group::Message => false,
            other => other.is_open_by_default(),
        };
        assert_eq!(billing["operations"][group.code()], is_open, "{}", group.code());
    }
    let executions = &billing["limits"]["executions"];
    let resets_in = executions["resets_in_seconds"].as_u64().unwrap();
    assert!((43_000..=43_200).contains(&resets_in), "half a day for one of two: {executions}");
    assert_eq!((&executions["limit"], &executions["remaining"]), (&json!(2), &json!(1)));
    assert_eq!((&executions["window_seconds"], &executions["burst"]), (&json!(86_400), &json!(2)));
    assert_eq!(billing["limits"]["in_flight"], json!({"limit": 9, "remaining": 8}), "it is in flight itself");
    assert_eq!(billing["limits"]["budget"]["remaining"], 4);

    let sales = described(&pair, "X-Tenant-Id: sales\r\n");
    assert_eq!((&sales["tenant"], &sales["limits"]), (&json!("sales"), &json!({})), "without limits, there are none");
    assert_eq!(sales["operations"]["message"], true);
    assert_eq!(pair.asteroid.requests().len(), before);
}

#[test]
fn what_is_left_is_what_the_header_says_and_asking_takes_a_read_and_nothing_else() {
    let limits = "limits: { requests: { rate: 5/d }, reads: { rate: 9/d }, executions: { rate: 2/d }, in_flight: 3, \
                  budget: { executions: 4, per: day } }";
    let pair = Pair::configured(|smallest| smallest.billing(limits));
    for reads in [8, 7, 6] {
        let answer = get(&pair, "");
        assert_eq!(answer.header("ratelimit"), Some(format!(r#""reads";r={reads}, "in_flight";r=2"#).as_str()));
        let left = answer.json()["limits"].clone();
        let left =
            ["requests", "reads", "in_flight", "executions", "budget"].map(|limit| left[limit]["remaining"].clone());
        assert_eq!(left.map(|left| left.as_u64().unwrap()), [5, reads, 2, 2, 4]);
    }
}

#[test]
fn without_a_limit_of_reads_it_counts_in_requests_and_beyond_them_it_is_refused() {
    let pair = Pair::configured(|smallest| smallest.billing("limits: { requests: { rate: 2/d } }"));
    assert_eq!(described(&pair, "")["limits"]["requests"]["remaining"], 1);
    assert_eq!(described(&pair, "")["limits"]["requests"]["remaining"], 0);
    let refused = get(&pair, "");
    refused.assert_error(429, "limit", "not_started");
    assert_eq!(refused.json()["limit"], "requests");
}

#[test]
fn it_is_answered_while_there_is_no_api_key_and_leaves_no_audit_record() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("audit.jsonl");
    let audit = format!("audit: {{ file: '{}' }}", file.display());
    let pair = Pair::configured(|smallest| smallest.main_credential("file: '{dir}/none'").with(&audit));
    assert_eq!(described(&pair, "")["tenant"], "billing");
    pair.execute("{}").assert_error(503, "no-key", "not_started");
    assert!(pair.gateway.stop().status.success());
    let records = std::fs::read_to_string(file).unwrap();
    assert_eq!((records.lines().count(), records.contains("no-key")), (1, true), "{records}");
}

#[test]
fn nobody_keeps_it_and_head_has_its_length_and_no_content() {
    let pair = Pair::start();
    let answer = get(&pair, "");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!((answer.header("proxy-status"), answer.header("execution-outcome")), (None, None));
    assert!(answer.header("x-request-id").is_some());
    let mut caller = pair.caller();
    caller.send(format!("HEAD {PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes());
    let head = String::from_utf8(caller.rest().unwrap()).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(head.contains(&format!("content-length: {}\r\n", answer.body.len())), "{head}");
}

#[test]
fn another_method_a_query_a_body_and_an_idempotency_key_are_refused() {
    let pair = Pair::start();
    let mut caller = pair.caller();
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = ask(&mut caller, method, PATH, "Content-Length: 0\r\n");
        answer.assert_error(405, "method", "not_started");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    }
    for query in ["?", "?tenant=sales"] {
        ask(&mut caller, "GET", &format!("{PATH}{query}"), "").assert_error(400, "query", "not_started");
    }
    ask(&mut caller, "GET", PATH, "Idempotency-Key: k\r\n").assert_error(400, "idempotency-key", "not_started");
    assert_eq!(ask(&mut caller, "GET", PATH, "Content-Length: 0\r\n").status, 200);
    ask(&mut caller, "GET", PATH, "Content-Length: 2\r\n\r\n{}").assert_error(400, "unexpected-body", "not_started");
    for other in ["/.well-known", "/.well-known/asteroid-gateway/", "/agents/v2/.well-known/asteroid-gateway"] {
        let answer = ask(&mut pair.caller(), "GET", other, "");
        answer.assert_error(404, "operation-not-served", "not_started");
    }
}

#[test]
fn it_is_read_over_http2_too() {
    let secure = TlsPair::start();
    let answer = secure.http2().get(PATH).unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
    assert_eq!(crate::harness::json(answer.body())["tenant"], "billing");
}

#[test]
fn a_web_page_an_unknown_tenant_and_another_host_do_not_read_it() {
    let pair = Pair::configured(|smallest| smallest.by_header());
    get(&pair, "X-Tenant-Id: billing\r\nOrigin: https://example.org\r\n").assert_error(403, "browser", "not_started");
    for tenant in ["", "X-Tenant-Id: sales\r\n"] {
        get(&pair, tenant).assert_error(401, "tenant", "not_started");
    }
    let mut caller = pair.caller();
    caller.send(format!("GET {PATH} HTTP/1.1\r\nHost: example.org\r\nX-Tenant-Id: billing\r\n\r\n").as_bytes());
    caller.answer().assert_error(421, "misdirected", "not_started");
}

#[test]
fn log_and_metrics_know_it_by_its_route_and_its_name() {
    let pair = Pair::start();
    assert_eq!(get(&pair, "").status, 200);
    let line = pair.gateway.request_line(200);
    assert_eq!((&line["route"], &line["operation"]), (&json!(PATH), &json!("GatewaySelfGet")), "{line}");
    assert_eq!((&line["tenant"], line.get("path"), line.get("outcome")), (&json!("billing"), None, None), "{line}");
    let requests = "http_server_request_duration_seconds_count";
    pair.gateway.wait_for_metrics(|metrics| metrics.find(requests, &[("http_route", PATH)]), &Some(1.0));
}

#[test]
fn the_document_shows_what_a_tenant_with_these_limits_gets() {
    let text = read(FILE);
    let (_, section) = text.split_once("## Your tenant\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let shown = blocks(FILE, "json").into_iter().find(|block| section.contains(block.as_str())).unwrap();
    let shown: Value = crate::harness::json(shown.as_bytes());
    let limits = "limits: { requests: { rate: 50/s, burst: 100 }, reads: { rate: 20/s, burst: 100 }, in_flight: 64, \
                  executions: { rate: 30/m, burst: 10 }, budget: { executions: 500, per: day } }";
    let pair = Pair::configured(|smallest| smallest.billing(limits));
    (0..3).for_each(|_| assert_eq!(pair.execute("{}").status, 202));
    let mut expected = described(&pair, "");
    // What depends on the time.
    for limit in ["requests", "executions", "budget"] {
        for member in ["remaining", "resets_in_seconds"] {
            assert!(expected["limits"][limit][member].is_u64(), "{expected}");
            expected["limits"][limit][member] = shown["limits"][limit][member].clone();
        }
    }
    assert_eq!(expected, shown);
}
