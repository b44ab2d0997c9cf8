//! `Idempotency-Key`: a repeated start does not start a second execution.

use asteroid_gateway::event;
use serde_json::json;

use crate::harness::{AGENT, Answer, Asteroid, Configuration, EXECUTE, Pair};

/// Starts a gateway with further members in the tenant.
fn tenant(members: &str) -> Pair {
    Pair::configured(|smallest| smallest.billing(members))
}

fn keyed(pair: &Pair, key: &str, body: &str) -> Answer {
    pair.caller().post(EXECUTE, &[("Idempotency-Key", key)], body.as_bytes())
}

/// Returns the value of the tag that the upstream received.
fn digest(pair: &Pair) -> String {
    let executions = pair.asteroid.executions();
    executions.last().unwrap().metadata["idempotency_digest"].as_str().unwrap().to_owned()
}

#[test]
fn a_retry_gets_the_first_answer_again_and_nothing_is_sent() {
    let pair = Pair::start();
    let body = r#"{"executionId": "8d0f7a52-1c5e-4b8e-9f59-000000000001", "later": [1.0]}"#;
    let headers =
        json!([["content-type", "application/vnd.asteroid+json; v=2"], ["x-later", "1"], ["set-cookie", "a=b"]]);
    pair.asteroid.fail_next(json!({"then": {"answer": {"status": 200, "headers": headers, "body": body}}}));
    let first = keyed(&pair, "order-4711", "{}");
    assert_eq!(first.header("idempotent-replayed"), None);
    for _ in 0..3 {
        let again = keyed(&pair, "order-4711", "{}");
        assert_eq!((again.status, again.header("idempotent-replayed")), (200, Some("true")));
        assert_eq!(again.header("content-type"), first.header("content-type"));
        assert_eq!(again.body, body.as_bytes());
        assert_ne!(again.header("x-request-id"), first.header("x-request-id"), "each request has an id of its own");
    }
    assert_eq!(pair.asteroid.requests().len(), 1);
    let line = pair.gateway.line(|line| line["replayed"] == true);
    assert_eq!(line["execution_id"], "8d0f7a52-1c5e-4b8e-9f59-000000000001");
    assert_eq!((&line["outcome"], &line["status"]), (&json!("answered"), &json!(200)));
}

#[test]
fn a_key_with_quotes_is_the_same_as_without() {
    let pair = Pair::start();
    assert_eq!(keyed(&pair, "8e03978e-40d5-43dd-bc93-6894a57f9324", "{}").status, 202);
    let again = keyed(&pair, r#""8e03978e-40d5-43dd-bc93-6894a57f9324""#, "{}");
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(keyed(&pair, r#""a, \"b\" \\ c""#, "{}").header("idempotent-replayed"), None);
    let longest = "k".repeat(255);
    assert_eq!(keyed(&pair, &longest, "{}").status, 202);
    assert_eq!(keyed(&pair, &format!("\"{longest}\""), "{}").header("idempotent-replayed"), Some("true"));
    assert_eq!(pair.asteroid.executions().len(), 3);
}

#[test]
fn a_key_that_is_none_or_comes_twice_is_refused() {
    let pair = Pair::start();
    let long = "k".repeat(256);
    let escaped = "\\\"".repeat(256);
    let malformed = [
        "",
        "\"\"",
        "\"",
        "\"a",
        "a\"",
        "a b",
        "a,b",
        "\"a\", \"b\"",
        "\"a\";p=1",
        r#""\a""#,
        r#""a\""#,
        r"a\b",
        "caf\u{e9}",
        "\"caf\u{e9}\"",
        "\"a\tb\"",
        long.as_str(),
        &format!("\"{long}\""),
        &format!("\"{escaped}\""),
    ];
    for key in malformed {
        keyed(&pair, key, "{}").assert_error(400, "idempotency-key", "not_started");
    }
    let twice = [("Idempotency-Key", "a"), ("Idempotency-Key", "a")];
    pair.caller().post(EXECUTE, &twice, b"{}").assert_error(400, "idempotency-key", "not_started");
    assert_eq!(pair.asteroid.requests().len(), 0);
}

#[test]
fn while_the_first_is_in_flight_another_is_409_and_afterwards_its_answer() {
    let pair = Pair::start();
    pair.asteroid.fail_next(json!({"then": "stall"}));
    let mut first = pair.caller();
    first.send_post(EXECUTE, &[("Idempotency-Key", "k")], b"{}");
    pair.asteroid.wait_for_requests(1);
    let second = keyed(&pair, "k", "{}");
    second.assert_error(409, "idempotency-in-flight", "not_started");
    assert_eq!(second.header("retry-after"), Some("1"));
    keyed(&pair, "k", "{ }").assert_error(422, "idempotency-mismatch", "not_started");
    pair.asteroid.clear_faults();
    let first = first.answer();
    assert_eq!(keyed(&pair, "k", "{}").body, first.body);
    assert_eq!(pair.asteroid.executions().len(), 1);
}

#[test]
fn the_same_key_with_another_body_is_422_down_to_a_blank() {
    let pair = Pair::start();
    let body = r#"{"version": 1}"#;
    assert_eq!(keyed(&pair, "k", body).status, 202);
    for other in ["{}", r#"{"version":1}"#, r#"{"version": 2}"#] {
        keyed(&pair, "k", other).assert_error(422, "idempotency-mismatch", "not_started");
    }
    assert_eq!(keyed(&pair, "k", body).header("idempotent-replayed"), Some("true"));
    assert_eq!(pair.asteroid.executions().len(), 1);
}

#[test]
fn a_key_belongs_to_its_tenant_and_operation_and_a_retry_may_write_its_path_in_another_way() {
    let pair = Pair::configured(|smallest| smallest.by_header().tenant("sales"));
    let mut caller = pair.caller();
    let mut replayed = |path: &str, tenant| {
        let answer = caller.post(path, &[("Idempotency-Key", "k"), ("X-Tenant-Id", tenant)], b"{}");
        assert_eq!(answer.status, 202);
        answer.header("idempotent-replayed").is_some()
    };
    assert!(!replayed(EXECUTE, "billing"));
    assert!(!replayed(EXECUTE, "sales"));
    assert!(!replayed(&EXECUTE.replace("8d0f", "8d0e"), "billing"));
    let workflow = EXECUTE.replace("agents", "workflows");
    let upper = EXECUTE.replace(AGENT, &AGENT.to_uppercase());
    for other in
        [format!("/agents/v2{EXECUTE}"), format!("/{EXECUTE}"), upper, format!("/agents/v2{workflow}"), workflow]
    {
        assert!(replayed(&other, "billing"), "{other}");
    }
    assert_eq!(pair.asteroid.executions().len(), 3);
}

#[test]
fn a_caller_who_hung_up_gets_the_execution_of_the_first_run() {
    let pair = Pair::start();
    pair.asteroid.fail_next(json!({"run": true, "then": "stall"}));
    let mut first = pair.caller();
    first.send_post(EXECUTE, &[("Idempotency-Key", "k"), ("X-Request-Id", "left")], b"{}");
    pair.asteroid.wait_for_requests(1);
    first.hang_up();
    pair.asteroid.clear_faults();
    pair.gateway.line(|line| line["request_id"] == "left");
    let again = keyed(&pair, "k", "{}");
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.json()["executionId"], pair.asteroid.executions()[0].id);
    assert_eq!(pair.asteroid.requests().len(), 1);
}

#[test]
fn a_key_is_free_again_where_nothing_was_started() {
    let pair = Pair::with("timeouts: { connect: 1s }");
    for status in [400, 402, 404, 422, 429] {
        pair.asteroid.fail_next(json!({"then": {"answer": {"status": status, "body": "{}"}}}));
        assert_eq!(keyed(&pair, "k", "{}").status, status);
        assert_eq!(pair.gateway.request_line(status)["idempotency_outcome"], "free");
    }
    pair.asteroid.fail_next(json!({"then": {"answer": {"status": 401}}}));
    keyed(&pair, "k", "{}").assert_error(502, "key-refused", "not_started");
    keyed(&pair, "k", r#"{"version": "1"}"#).assert_error(400, "body", "not_started");
    assert_eq!(keyed(&pair, "k", r#"{"version": 1}"#).status, 202, "also for another body");
    assert_eq!(pair.asteroid.executions().len(), 1);

    let (address, _held) = crate::harness::asteroid::refused_address();
    let unreachable = Pair::run(Asteroid::start(), Configuration::for_address(address));
    for body in ["{}", "{ }"] {
        keyed(&unreachable, "k", body).assert_error(502, "unreachable", "not_started");
    }
}

#[test]
fn a_start_whose_outcome_is_unknown_is_never_started_again_under_its_key() {
    let pair = Pair::with("timeouts: { response: 300ms }");
    let long = "x".repeat(400_000);
    let faults = [
        json!({"run": true, "then": "close"}),
        json!({"run": true, "then": "reset"}),
        json!({"run": true, "then": "close_mid_answer"}),
        json!({"run": true, "then": {"answer": {"status": 500, "body": "{}"}}}),
        json!({"run": true, "then": {"answer": {"status": 503, "body": "{}"}}}),
        json!({"run": true, "then": {"answer": {"status": 307, "headers": [["location", "/"]]}}}),
        json!({"run": true, "then": {"answer": {"status": 202, "body": long}}}),
        json!({"run": true, "then": {"answer": {"status": 202, "body": "x".repeat(64 * 1024 + 1)}}}),
    ];
    let count = faults.len();
    for (n, fault) in faults.into_iter().enumerate() {
        let key = format!("k{n}");
        pair.asteroid.fail_next(fault);
        let id = keyed(&pair, &key, "{}").header("x-request-id").unwrap().to_owned();
        let line = pair.gateway.line(|line| line["request_id"] == id.as_str());
        assert_eq!(line["idempotency_outcome"], "unknown");
        for _ in 0..2 {
            let again = keyed(&pair, &key, "{}");
            again.assert_error(504, "idempotency-unknown", "unknown");
            let detail = again.json()["detail"].as_str().unwrap().to_owned();
            assert!(detail.contains(&format!("idempotency_digest: {}", digest(&pair))), "{detail}");
        }
        keyed(&pair, &key, "{ }").assert_error(422, "idempotency-mismatch", "not_started");
    }
    assert_eq!((pair.asteroid.requests().len(), pair.asteroid.executions().len()), (count, count));
}

#[test]
fn an_answer_of_64_kib_is_kept_and_of_a_longer_one_its_id_and_its_status() {
    let pair = Pair::start();
    let start = r#"{"executionId": "8d0f7a52-1c5e-4b8e-9f59-000000000001", "status": "queued", "padding": ""#;
    let answer = |length: usize| {
        let body = format!("{start}{}\"}}", "x".repeat(length - start.len() - 2));
        pair.asteroid.fail_next(json!({"then": {"answer": {"status": 202, "body": body}}}));
    };
    answer(64 * 1024 + 1);
    assert_eq!(keyed(&pair, "long", "{}").body.len(), 64 * 1024 + 1);
    let again = keyed(&pair, "long", "{}");
    assert_eq!((again.status, again.header("idempotent-replayed")), (202, Some("true")));
    let kept = json!({"executionId": "8d0f7a52-1c5e-4b8e-9f59-000000000001", "status": "queued"});
    assert_eq!((again.header("content-type"), again.json()), (Some("application/json"), kept));
    answer(64 * 1024);
    assert_eq!(keyed(&pair, "k", "{}").header("idempotent-replayed"), None);
    let again = keyed(&pair, "k", "{}");
    assert_eq!((again.header("idempotent-replayed"), again.body.len()), (Some("true"), 64 * 1024));
    pair.gateway.line(|line| line["bytes_in"] == 2 && line["idempotency_outcome"] == "answered");
}

#[test]
fn a_replay_spends_neither_rate_nor_budget_and_is_a_request_all_the_same() {
    let limits = "limits: { requests: { rate: 9/d }, executions: { rate: 1/d }, budget: { executions: 1, per: day } }";
    let pair = tenant(limits);
    assert_eq!(keyed(&pair, "k", "{}").status, 202);
    for left in (1..8).rev() {
        let again = keyed(&pair, "k", "{}");
        assert_eq!(again.status, 202);
        assert_eq!(again.header("ratelimit"), Some(&*format!("\"requests\";r={left}")));
    }
    keyed(&pair, "another", "{}").assert_error(429, "limit", "not_started");
    keyed(&pair, "k", "{}").assert_error(429, "limit", "not_started");
}

#[test]
fn a_limit_that_refuses_a_start_leaves_its_key_free() {
    let pair = tenant("limits: { executions: { rate: 2/d } }");
    assert_eq!((keyed(&pair, "a", "{}").status, keyed(&pair, "b", "{}").status), (202, 202));
    for body in ["{}", "{ }"] {
        keyed(&pair, "c", body).assert_error(429, "limit", "not_started");
    }
}

#[test]
fn a_tenant_can_be_told_to_send_keys_or_not_to() {
    let required = tenant("idempotency: required");
    required.execute("{}").assert_error(400, "idempotency-key", "not_started");
    assert_eq!(keyed(&required, "k", "{}").status, 202);
    let off = tenant("idempotency: off");
    let refused = keyed(&off, "k", "{}");
    refused.assert_error(400, "idempotency-key", "not_started");
    assert!(refused.json()["detail"].as_str().unwrap().contains("leave it out"));
    assert_eq!(off.execute("{}").status, 202);
    assert_eq!((required.asteroid.executions().len(), off.asteroid.executions().len()), (1, 1));
}

#[test]
fn the_digest_of_a_key_is_a_tag_that_no_caller_can_forge_and_only_the_digest_is_shown() {
    let pair = Pair::with("tagging: { tenant_prefix: prod/, on_conflict: overwrite }");
    assert_eq!(keyed(&pair, "my-own-key", "{}").status, 202);
    let own = digest(&pair);
    assert!(own.len() == 32 && own.bytes().all(|digit| digit.is_ascii_hexdigit()), "{own}");
    pair.gateway.line(|line| line["idempotency_digest"] == own.as_str());
    assert_eq!(pair.execute("{}").status, 202);
    assert_eq!(pair.asteroid.executions()[1].metadata.get("idempotency_digest"), None);
    for body in [
        format!(r#"{{"metadata": {{"idempotency_digest": "{own}"}}}}"#),
        r#"{"metadata": {"idempotency_digest": ""}}"#.into(),
        r#"{"metadata": {"idempotency_body": "0123456789abcdef"}}"#.into(),
    ] {
        let refused = pair.execute(&body);
        refused.assert_error(400, "body", "not_started");
        let pointer = refused.json()["errors"][0]["pointer"].as_str().unwrap().to_owned();
        assert!(body.contains(pointer.strip_prefix("/metadata/").unwrap()), "{pointer}");
    }
    let requests = pair.asteroid.requests();
    assert!(requests.iter().all(|request| request.header("idempotency-key").is_none()));
    assert!(!pair.gateway.stop().output.contains("my-own-key"));
}

#[test]
fn where_memory_is_full_a_start_is_refused_rather_than_run_unprotected() {
    let pair = Pair::with("idempotency: { memory: 1MiB }\ntimeouts: { response: 20s }");
    // A record of an unknown outcome takes 256 bytes and stays.
    let mut caller = pair.caller();
    let mut refused = None;
    for n in 0..6000 {
        pair.asteroid.fail_next(json!({"then": {"answer": {"status": 500}}}));
        let answer = caller.post(EXECUTE, &[("Idempotency-Key", &format!("k{n}"))], b"{}");
        if answer.status != 500 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("the memory has an end");
    refused.assert_error(503, "idempotency-full", "not_started");
    assert_eq!(refused.header("retry-after"), Some("60"));
    pair.gateway.event(event::IDEMPOTENCY_SHARE_FULL);
    keyed(&pair, "k0", "{}").assert_error(504, "idempotency-unknown", "unknown");
    pair.asteroid.clear_faults();
    assert_eq!(pair.execute("{}").status, 202, "what carries no key goes on");
}

#[test]
fn the_oldest_answers_are_forgotten_first_and_the_log_says_so() {
    let pair = Pair::with("idempotency: { memory: 1MiB }");
    let mut caller = pair.caller();
    let mut post = |n: u32| caller.post(EXECUTE, &[("Idempotency-Key", &format!("k{n}"))], b"{}");
    // Each takes 454 bytes.
    for n in 0..2500 {
        assert_eq!(post(n).status, 202);
    }
    pair.gateway.event(event::IDEMPOTENCY_RETENTION_SHORTENED);
    assert_eq!(post(2499).header("idempotent-replayed"), Some("true"));
    assert_eq!(post(0).header("idempotent-replayed"), None);
}

#[test]
fn a_tenant_whose_memory_is_full_refuses_its_own_keys_and_forgets_nobody_elses() {
    let pair = Pair::configured(|smallest| smallest.with("idempotency: { memory: 1MiB }").by_header().tenant("sales"));
    let mut caller = pair.caller();
    let mut post =
        |tenant: &str, key: &str| caller.post(EXECUTE, &[("Idempotency-Key", key), ("X-Tenant-Id", tenant)], b"{}");
    assert_eq!(post("billing", "k").status, 202);
    // Each answer takes 454 bytes, so that these are forgotten in turn.
    for n in 0..2400 {
        assert_eq!(post("sales", &format!("s{n}")).status, 202);
    }
    assert_eq!(post("billing", "k").header("idempotent-replayed"), Some("true"));
    pair.asteroid.fail_always(json!({"then": {"answer": {"status": 500}}}));
    let failed = (0..6000).take_while(|n| post("sales", &format!("u{n}")).status == 500).count();
    assert!((2000..6000).contains(&failed), "{failed}");
    post("sales", "one-more").assert_error(503, "idempotency-full", "not_started");
    assert_eq!(post("billing", "another").status, 500, "another tenant has its own share");
    assert_eq!(post("billing", "k").header("idempotent-replayed"), Some("true"));
}

#[test]
fn a_reload_that_changes_the_tags_of_a_key_starts_nothing_twice() {
    let asteroid = Asteroid::start();
    let configuration = asteroid.configuration().with("tagging: { tenant_prefix: prod/ }");
    let pair = Pair::run(asteroid, &configuration);
    assert_eq!(keyed(&pair, "done", "{}").status, 202);
    pair.asteroid.fail_next(json!({"run": true, "then": "stall"}));
    let mut first = pair.caller();
    first.send_post(EXECUTE, &[("Idempotency-Key", "k")], b"{}");
    pair.asteroid.wait_for_requests(2);
    let line = pair.gateway.reload(configuration.set("/tagging/tenant_prefix", "live/"));
    assert_eq!(line["event"], event::CONFIG_RELOADED);
    keyed(&pair, "k", "{}").assert_error(409, "idempotency-in-flight", "not_started");
    assert_eq!(keyed(&pair, "done", "{}").header("idempotent-replayed"), Some("true"));
    pair.asteroid.clear_faults();
    assert_eq!(first.answer().status, 202);
    assert_eq!(keyed(&pair, "k", "{}").header("idempotent-replayed"), Some("true"));
    assert_eq!(pair.asteroid.executions().len(), 2);
}
