//! A changed configuration is taken over between two requests, or changes nothing.

use asteroid_gateway::event;
use serde_json::{Value, json};

use crate::harness::{Asteroid, EXECUTE, KEY, Pair, Program, configuration};

const FIXED: &str = "tenant: { fixed: billing }";

fn start(change: impl Fn(&str) -> String) -> (Pair, String) {
    let asteroid = Asteroid::start();
    let text = change(&configuration(&asteroid.url(), ""));
    (Pair { gateway: Program::run(&text), asteroid }, text)
}

#[track_caller]
fn assert_applied(line: &Value) {
    assert_eq!((&line["event"], &line["level"]), (&json!(event::CONFIG_RELOADED), &json!("INFO")), "{line}");
}

/// Checks that nothing was taken over, and returns why.
#[track_caller]
fn refused(line: &Value) -> String {
    assert_eq!((&line["event"], &line["level"]), (&json!(event::CONFIG_REFUSED), &json!("ERROR")), "{line}");
    line["reason"].as_str().unwrap().to_owned()
}

fn metadata(pair: &Pair) -> Value {
    Value::Object(pair.asteroid.executions().last().unwrap().metadata.clone())
}

fn verbose(pair: &Pair) -> String {
    String::from_utf8(pair.gateway.admin("/readyz?verbose").body).unwrap()
}

#[test]
fn tags_tenants_and_policy_change_between_two_requests_of_one_connection() {
    let (pair, text) = start(|text| text.replace(FIXED, "tenant: { header: X-Tenant-Id }"));
    // A refusal ends its connection, so what is refused goes over another.
    let mut kept = pair.caller();
    let mut post = |body: &str| kept.post(EXECUTE, &[("X-Tenant-Id", "billing")], body.as_bytes()).status;
    let sales = || pair.caller().post(EXECUTE, &[("X-Tenant-Id", "sales")], b"{}").status;
    assert_eq!((post("{}"), sales()), (202, 401));
    assert_eq!(metadata(&pair)["team"], "billing");

    let text = text.replace("team: billing", "team: invoices");
    let text = text.replace("tenants: {", "tenants: { sales: { credential: main },");
    assert_applied(&pair.gateway.reload(&text));
    assert_eq!((post("{}"), metadata(&pair)["team"].clone()), (202, json!("invoices")));
    assert_eq!((sales(), metadata(&pair)["tenant"].clone()), (202, json!("sales")));

    let forged = r#"{"metadata": {"tenant": "x"}}"#;
    assert_eq!(post(forged), 400);
    let text = text.replace("sales: { credential: main },", "");
    let text = text + "tagging: { on_conflict: overwrite }\nbody_limit: 1KiB\n";
    assert_applied(&pair.gateway.reload(&text));
    assert_eq!((post(forged), sales()), (202, 401));
    assert_eq!(post(&" ".repeat(1025)), 413);
}

#[test]
fn a_request_keeps_to_the_configuration_that_it_began_with() {
    let (pair, text) = start(str::to_owned);
    let mut caller = pair.caller();
    let head = format!(
        "POST {EXECUTE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
    );
    // The gateway has begun to read it once it asks for the body.
    caller.send(format!("{head}Expect: 100-continue\r\n\r\n").as_bytes());
    assert_eq!(caller.bytes(25).unwrap(), b"HTTP/1.1 100 Continue\r\n\r\n");
    assert_applied(&pair.gateway.reload(&text.replace("team: billing", "team: invoices")));
    caller.send(b"{}");
    assert_eq!(caller.answer().status, 202);
    assert_eq!(metadata(&pair)["team"], "billing");
}

#[test]
fn a_bad_file_changes_nothing_and_says_so_until_it_is_mended() {
    let (pair, text) = start(str::to_owned);
    assert!(verbose(&pair).contains("[+]configuration loaded"), "{}", verbose(&pair));
    let bad = text.replace("team: billing", "team: invoices").replace("credential: main", "credental: main");
    let why = refused(&pair.gateway.reload(&bad));
    assert!(
        why.contains("tenants.billing.credental: unknown key") && why.contains("tenants.billing.credential: missing"),
        "{why}"
    );
    assert_eq!((pair.execute("{}").status, metadata(&pair)["team"].clone()), (202, json!("billing")));
    let report = verbose(&pair);
    let line = report.lines().find(|line| line.contains("configuration")).unwrap();
    assert!(line.starts_with("[!]") && line.contains("was refused: ") && line.contains(&why), "{report}");
    assert_eq!(pair.gateway.admin("/readyz").status, 200, "what serves, serves");

    assert!(refused(&pair.gateway.reload("")).contains("the file is empty"));
    assert!(
        refused(&pair.gateway.reloaded_by(|| std::fs::remove_file(pair.gateway.dir().join("gateway.yaml")).unwrap()))
            .contains("there is no such file")
    );
    assert_applied(&pair.gateway.reload(&text));
    assert!(!verbose(&pair).contains("[!]"), "{}", verbose(&pair));
}

#[test]
fn a_change_that_needs_a_restart_is_named_and_nothing_of_its_file_is_taken_over() {
    let (pair, text) = start(str::to_owned);
    let changed = text.replace("team: billing", "team: invoices");
    let another = "listeners: [{ address: 127.0.0.1:1, tenant: { fixed: billing } }, ";
    for (keys, text) in [
        (
            "listeners[0].address",
            changed.replace("listeners: [{ address: 127.0.0.1:0", "listeners: [{ address: 127.0.0.2:0"),
        ),
        ("listeners, listeners[0].address", changed.replace("listeners: [", another)),
        (
            "listeners[0].tls",
            changed.replace(FIXED, &format!("{FIXED}, tls: {{ certificate_file: ./c, key_file: ./k }}")),
        ),
        ("workers", changed.clone() + "workers: 2\n"),
        ("upstream", changed.replace("/agents/v2 }", "/agents/v3 }")),
        ("admin.address", changed.replace("admin: { address: 127.0.0.1:0", "admin: { address: 127.0.0.2:0")),
        ("timeouts.connect, timeouts.idle", changed.clone() + "timeouts: { connect: 1s, idle: 1s }\n"),
        ("drain", changed.clone() + "drain: { delay: 1s }\n"),
        ("traces", changed.clone() + "traces: { otlp: http://127.0.0.1:4318/v1/traces }\n"),
        ("audit", changed.clone() + "audit: { stdout: true }\n"),
    ] {
        assert_ne!(text, changed);
        assert_eq!(refused(&pair.gateway.reload(&text)), format!("a restart is needed to change {keys}"));
        assert_eq!((pair.execute("{}").status, metadata(&pair)["team"].clone()), (202, json!("billing")), "{keys}");
    }
}

#[test]
fn a_reload_refills_nothing_and_forgets_nothing() {
    let limits = "limits: { executions: { rate: 3/d }, in_flight: 2, budget: { executions: 9, per: day } },";
    let (pair, text) = start(|text| text.replace("credential: main,", &format!("credential: main, {limits}")));
    let keyed = |key: &str| pair.caller().post(EXECUTE, &[("Idempotency-Key", key)], b"{}");
    assert_eq!(keyed("k").status, 202);
    pair.asteroid.next(json!({"then": "stall"}));
    let mut held = pair.caller();
    held.send_post(EXECUTE, &[], b"{}");
    pair.asteroid.wait_for_requests(2);

    assert_applied(&pair.gateway.reload(&text.replace("team: billing", "team: invoices")));
    assert_eq!(keyed("k").header("idempotent-replayed"), Some("true"));
    let third = pair.execute("{}");
    let left: Vec<&str> = third.header("ratelimit").unwrap().split(", ").collect();
    assert_eq!(left[..2], ["\"in_flight\";r=0", "\"executions\";r=0"], "{third:?}");
    assert!(left[2].starts_with("\"budget\";r=6;"), "{third:?}");
    assert_eq!(pair.execute("{}").json()["limit"], "executions");
    pair.asteroid.clear_faults();
    assert_eq!(held.answer().status, 202);

    let more = text.replace("rate: 3/d", "rate: 4/d");
    assert_applied(&pair.gateway.reload(&more));
    assert!(pair.execute("{}").header("ratelimit").unwrap().contains("\"executions\";r=0, \"budget\";r=5;"));
    assert_eq!(
        pair.execute("{}").json()["limit"],
        "executions",
        "a new rate starts with as many gone as the old one had"
    );
    assert_applied(&pair.gateway.reload(&text));
    assert_eq!(pair.execute("{}").json()["limit"], "executions");
}

#[test]
fn limits_that_reloads_take_away_and_give_back_have_been_counted_in_between() {
    let limits = "limits: { executions: { rate: 4/d }, budget: { executions: 4, per: day } },";
    let (pair, text) = start(|text| text.replace("credential: main,", &format!("credential: main, {limits}")));
    assert_eq!(pair.execute("{}").status, 202);
    assert_applied(&pair.gateway.reload(&text.replace(limits, "")));
    for _ in 0..2 {
        assert_eq!(pair.execute("{}").header("ratelimit"), None);
    }
    assert_applied(&pair.gateway.reload(&text));
    let left = pair.execute("{}").header("ratelimit").unwrap().to_owned();
    assert!(left.starts_with("\"executions\";r=0, \"budget\";r=0;"), "{left}");
    for limited in ["executions: { rate: 4/d }", "budget: { executions: 4, per: day }"] {
        let text = text.replace(limits, &format!("limits: {{ {limited} }},"));
        assert_applied(&pair.gateway.reload(&text));
        assert_eq!(pair.execute("{}").json()["limit"], limited.split(':').next().unwrap());
    }
    assert_eq!(pair.asteroid.executions().len(), 4);
}

#[test]
fn sighup_reads_the_keys_again_at_once_and_one_that_cannot_be_read_changes_nothing() {
    let (pair, _) = start(str::to_owned);
    let key = pair.gateway.dir().join("key");
    let hup = || pair.gateway.reloaded_by(|| pair.gateway.signal("HUP"));
    pair.asteroid.replace_key("ak-second-7d3e9f1a52");
    assert_eq!(pair.execute("{}").status, 502);
    std::fs::write(&key, "ak-second-7d3e9f1a52\n").unwrap();
    assert_applied(&hup());
    assert_eq!(pair.execute("{}").status, 202);

    std::fs::write(&key, "").unwrap();
    assert_applied(&hup());
    assert_eq!(pair.execute("{}").status, 202, "the key before goes on");
    assert!(!pair.gateway.stop().output.contains(KEY));
}

#[test]
fn the_swapped_link_of_a_mounted_configuration_is_seen() {
    let (pair, text) = start(str::to_owned);
    let dir = pair.gateway.dir();
    std::fs::create_dir(dir.join("v2")).unwrap();
    let new = pair.gateway.rendered(&text.replace("team: billing", "team: mounted"));
    std::fs::write(dir.join("v2/gateway.yaml"), new).unwrap();
    std::os::unix::fs::symlink("v2", dir.join("..data")).unwrap();
    let line = pair.gateway.reloaded_by(|| {
        std::os::unix::fs::symlink("..data/gateway.yaml", dir.join("link")).unwrap();
        std::fs::rename(dir.join("link"), dir.join("gateway.yaml")).unwrap();
    });
    assert_applied(&line);
    assert_eq!((pair.execute("{}").status, metadata(&pair)["team"].clone()), (202, json!("mounted")));
    std::fs::create_dir(dir.join("v3")).unwrap();
    let newer = pair.gateway.rendered(&text.replace("team: billing", "team: swapped"));
    std::fs::write(dir.join("v3/gateway.yaml"), newer).unwrap();
    let line = pair.gateway.reloaded_by(|| {
        std::os::unix::fs::symlink("v3", dir.join("..new")).unwrap();
        std::fs::rename(dir.join("..new"), dir.join("..data")).unwrap();
    });
    assert_applied(&line);
    assert_eq!((pair.execute("{}").status, metadata(&pair)["team"].clone()), (202, json!("swapped")));
}

#[test]
fn readyz_shows_that_the_upstream_fails_and_stays_ready() {
    let pair = Pair::start();
    assert!(verbose(&pair).contains("[+]upstream last answered: never; last failed: never"), "{}", verbose(&pair));
    assert_eq!(pair.execute("{}").status, 202);
    assert!(verbose(&pair).contains("[+]upstream last answered: 2"), "{}", verbose(&pair));
    let failures = [json!("close"), json!({"answer": {"status": 503}}), json!({"answer": {"status": 401}})];
    for failure in failures {
        pair.asteroid.next(json!({"then": failure}));
        assert!(pair.execute("{}").status >= 500);
        let report = verbose(&pair);
        assert!(report.contains("[!]upstream last answered: 2") && report.contains("; last failed: 2"), "{report}");
        assert_eq!(pair.execute("{}").status, 202);
        assert!(verbose(&pair).contains("[+]upstream"), "{}", verbose(&pair));
    }
    let report = verbose(&pair);
    assert!(report.starts_with("[+]serving\n") && report.ends_with("\nok\n"), "{report}");
    assert_eq!(pair.gateway.admin("/readyz?verbose").status, 200);
}
