//! A changed configuration is applied between two requests, or not at all.

use asteroid_gateway::event;
use serde_json::{Value, json};

use crate::harness::configuration::configure;
use crate::harness::{API_KEY, Asteroid, Configuration, EXECUTE, Pair};

fn start(change: impl Fn(Configuration) -> Configuration) -> (Pair, Configuration) {
    let asteroid = Asteroid::start();
    let configuration = change(asteroid.configuration());
    (Pair::run(asteroid, &configuration), configuration)
}

/// Returns the same configuration with another tag.
fn of_team(configuration: &Configuration, team: &str) -> Configuration {
    configuration.clone().set("/tenants/billing/metadata/team", team)
}

#[track_caller]
fn assert_applied(line: &Value) {
    assert_eq!((&line["event"], &line["level"]), (&json!(event::CONFIG_RELOADED), &json!("INFO")), "{line}");
}

/// Asserts that the configuration was refused as a whole, and returns the reason.
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
    let (pair, configuration) = start(Configuration::by_header);
    // A refusal closes its connection, so refused requests use other connections.
    let mut kept = pair.caller();
    let mut post = |body: &str| kept.post(EXECUTE, &[("X-Tenant-Id", "billing")], body.as_bytes()).status;
    let sales = || pair.caller().post(EXECUTE, &[("X-Tenant-Id", "sales")], b"{}").status;
    assert_eq!((post("{}"), sales()), (202, 401));
    assert_eq!(metadata(&pair)["team"], "billing");

    let configuration = of_team(&configuration, "invoices").tenant("sales");
    assert_applied(&pair.gateway.reload(&configuration));
    assert_eq!((post("{}"), metadata(&pair)["team"].clone()), (202, json!("invoices")));
    assert_eq!((sales(), metadata(&pair)["tenant"].clone()), (202, json!("sales")));

    let forged = r#"{"metadata": {"tenant": "x"}}"#;
    assert_eq!(post(forged), 400);
    let configuration =
        configuration.remove("/tenants/sales").with("tagging: { on_conflict: overwrite }\nbody_limit: 1KiB");
    assert_applied(&pair.gateway.reload(configuration));
    assert_eq!((post(forged), sales()), (202, 401));
    assert_eq!(post(&" ".repeat(1025)), 413);
}

#[test]
fn a_request_keeps_to_the_configuration_that_it_began_with() {
    let (pair, configuration) = start(|smallest| smallest);
    let mut caller = pair.caller();
    let head = format!(
        "POST {EXECUTE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
    );
    // The gateway has begun the request when it asks for the body.
    caller.send(format!("{head}Expect: 100-continue\r\n\r\n").as_bytes());
    assert_eq!(caller.bytes(25).unwrap(), b"HTTP/1.1 100 Continue\r\n\r\n");
    assert_applied(&pair.gateway.reload(of_team(&configuration, "invoices")));
    caller.send(b"{}");
    assert_eq!(caller.answer().status, 202);
    assert_eq!(metadata(&pair)["team"], "billing");
}

#[test]
fn a_bad_file_changes_nothing_and_says_so_until_it_is_mended() {
    let (pair, configuration) = start(|smallest| smallest);
    assert!(verbose(&pair).contains("[+]configuration loaded"), "{}", verbose(&pair));
    let bad = of_team(&configuration, "invoices").remove("/tenants/billing/credential").billing("credental: main");
    let why = refused(&pair.gateway.reload(bad));
    assert!(
        why.contains("tenants.billing.credental: unknown setting")
            && why.contains("tenants.billing.credential: missing"),
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
    assert_applied(&pair.gateway.reload(&configuration));
    assert!(!verbose(&pair).contains("[!]"), "{}", verbose(&pair));
}

#[test]
fn a_change_that_needs_a_restart_is_named_and_nothing_of_its_file_is_taken_over() {
    let (pair, configuration) = start(|smallest| smallest);
    let changed = || of_team(&configuration, "invoices");
    let another = "address: 127.0.0.1:1\ntenant: { fixed: billing }";
    for (keys, configuration) in [
        ("listeners[0].address", changed().set("/listeners/0/address", "127.0.0.2:0")),
        ("listeners", changed().another_listener(another)),
        ("listeners[0].tls", changed().tls("/nowhere".as_ref())),
        ("workers", changed().with("workers: 2")),
        ("upstream", changed().set("/upstream/url", "http://127.0.0.1:1/agents/v3")),
        ("admin.address", changed().set("/admin/address", "127.0.0.2:0")),
        ("timeouts.connect, timeouts.idle", changed().with("timeouts: { connect: 1s, idle: 1s }")),
        ("drain", changed().with("drain: { delay: 1s }")),
        ("traces", changed().with("traces: { otlp: http://127.0.0.1:4318/v1/traces }")),
        ("audit", changed().with("audit: { stdout: true }")),
    ] {
        assert_eq!(refused(&pair.gateway.reload(configuration)), format!("a restart is needed to change {keys}"));
        assert_eq!((pair.execute("{}").status, metadata(&pair)["team"].clone()), (202, json!("billing")), "{keys}");
    }
}

#[test]
fn a_reload_refills_nothing_and_forgets_nothing() {
    let limits = "limits: { executions: { rate: 3/d }, in_flight: 2, budget: { executions: 9, per: day } }";
    let (pair, configuration) = start(|smallest| smallest.billing(limits));
    let keyed = |key: &str| pair.caller().post(EXECUTE, &[("Idempotency-Key", key)], b"{}");
    assert_eq!(keyed("k").status, 202);
    pair.asteroid.next(json!({"then": "stall"}));
    let mut held = pair.caller();
    held.send_post(EXECUTE, &[], b"{}");
    pair.asteroid.wait_for_requests(2);

    assert_applied(&pair.gateway.reload(of_team(&configuration, "invoices")));
    assert_eq!(keyed("k").header("idempotent-replayed"), Some("true"));
    let third = pair.execute("{}");
    let left: Vec<&str> = third.header("ratelimit").unwrap().split(", ").collect();
    assert_eq!(left[..2], ["\"in_flight\";r=0", "\"executions\";r=0"], "{third:?}");
    assert!(left[2].starts_with("\"budget\";r=6;"), "{third:?}");
    assert_eq!(pair.execute("{}").json()["limit"], "executions");
    pair.asteroid.clear_faults();
    assert_eq!(held.answer().status, 202);

    let more = configuration.clone().set("/tenants/billing/limits/executions/rate", "4/d");
    assert_applied(&pair.gateway.reload(more));
    assert!(pair.execute("{}").header("ratelimit").unwrap().contains("\"executions\";r=0, \"budget\";r=5;"));
    assert_eq!(
        pair.execute("{}").json()["limit"],
        "executions",
        "a new rate starts with as many gone as the old one had"
    );
    assert_applied(&pair.gateway.reload(&configuration));
    assert_eq!(pair.execute("{}").json()["limit"], "executions");
}

#[test]
fn limits_that_reloads_take_away_and_give_back_have_been_counted_in_between() {
    let limits = "limits: { executions: { rate: 4/d }, budget: { executions: 4, per: day } }";
    let (pair, configuration) = start(|smallest| smallest.billing(limits));
    let unlimited = configuration.clone().remove("/tenants/billing/limits");
    assert_eq!(pair.execute("{}").status, 202);
    assert_applied(&pair.gateway.reload(&unlimited));
    for _ in 0..2 {
        assert_eq!(pair.execute("{}").header("ratelimit"), None);
    }
    assert_applied(&pair.gateway.reload(&configuration));
    let left = pair.execute("{}").header("ratelimit").unwrap().to_owned();
    assert!(left.starts_with("\"executions\";r=0, \"budget\";r=0;"), "{left}");
    for limited in ["executions: { rate: 4/d }", "budget: { executions: 4, per: day }"] {
        let limited_by = unlimited.clone().billing(&format!("limits: {{ {limited} }}"));
        assert_applied(&pair.gateway.reload(limited_by));
        assert_eq!(pair.execute("{}").json()["limit"], limited.split(':').next().unwrap());
    }
    assert_eq!(pair.asteroid.executions().len(), 4);
}

#[test]
fn sighup_reads_the_keys_again_at_once_and_one_that_cannot_be_read_changes_nothing() {
    let (pair, _) = start(|smallest| smallest);
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
    assert!(!pair.gateway.stop().output.contains(API_KEY));
}

#[test]
fn the_swapped_link_of_a_mounted_configuration_is_seen() {
    let (pair, configuration) = start(|smallest| smallest);
    let dir = pair.gateway.dir();
    let file = dir.join("key");
    let in_place = |team| of_team(&configuration, team).set("/credentials/main/file", file.to_str().unwrap());
    std::fs::create_dir(dir.join("v2")).unwrap();
    configure(&dir.join("v2"), in_place("mounted"));
    std::os::unix::fs::symlink("v2", dir.join("..data")).unwrap();
    let line = pair.gateway.reloaded_by(|| {
        std::os::unix::fs::symlink("..data/gateway.yaml", dir.join("link")).unwrap();
        std::fs::rename(dir.join("link"), dir.join("gateway.yaml")).unwrap();
    });
    assert_applied(&line);
    assert_eq!((pair.execute("{}").status, metadata(&pair)["team"].clone()), (202, json!("mounted")));
    std::fs::create_dir(dir.join("v3")).unwrap();
    configure(&dir.join("v3"), in_place("swapped"));
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
