//! API keys in files that change while the gateway runs: every new API key is used, and other content changes nothing.

mod refused;

use std::fs::{create_dir, remove_dir, remove_file, rename, write};
use std::os::unix::fs::symlink;
use std::path::Path;

use asteroid_gateway::event;
use serde_json::{Value, json};

use crate::harness::configuration::directory;
use crate::harness::{API_KEY, Asteroid, Configuration, EXECUTE, Pair, Program};

/// Waits for the `nth` event with this code, from 1.
fn nth_event(gateway: &Program, code: &str, nth: usize) -> Value {
    gateway.wait_for(|text| {
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["event"] == code).nth(nth - 1)
    })
}

/// An API key, and a way to write it to its file.
type Put<'a> = (&'a str, &'a dyn Fn(&str));

fn wait_for_state(gateway: &Program, credential: &str, state: &str) {
    let labels = [("credential", credential), ("state", state)];
    gateway.wait_for_metrics(|metrics| metrics.find("asteroid_gateway_credential_state", &labels), &Some(1.0));
}

fn verbose(gateway: &Program) -> String {
    String::from_utf8(gateway.admin("/readyz?verbose").body).unwrap()
}

/// Writes an API key as the kubelet does: behind a link that is replaced.
fn mount(dir: &Path, version: &str, key: &str) {
    create_dir(dir.join(version)).unwrap();
    write(dir.join(version).join("key"), key).unwrap();
    symlink(version, dir.join("..new")).unwrap();
    rename(dir.join("..new"), dir.join("..data")).unwrap();
}

#[test]
fn a_new_key_serves_the_next_request_however_its_file_comes_to_hold_it() {
    let pair = Pair::with("audit: { stdout: true }");
    let dir = pair.gateway.dir();
    let key = dir.join("key");
    let first = nth_event(&pair.gateway, event::CREDENTIAL_LOADED, 1)["fingerprint"].clone();
    let put: [Put<'_>; 4] = [
        ("ak-in-place-7d3e9f1a52", &|value| write(&key, value).unwrap()),
        ("ak-with-a-line-break", &|value| write(&key, format!("{value}\n")).unwrap()),
        ("ak-renamed-7d3e9f1a52", &|value| {
            write(dir.join("new"), value).unwrap();
            rename(dir.join("new"), &key).unwrap();
        }),
        ("ak-mounted-7d3e9f1a52", &|value| {
            mount(dir, "v1", value);
            symlink("..data/key", dir.join("link")).unwrap();
            rename(dir.join("link"), &key).unwrap();
        }),
    ];
    let mut seen = vec![first];
    let mut caller = pair.caller();
    for (nth, (value, put)) in put.into_iter().enumerate() {
        pair.asteroid.replace_api_key(value);
        put(value);
        let fingerprint = nth_event(&pair.gateway, event::CREDENTIAL_LOADED, nth + 2)["fingerprint"].clone();
        assert_eq!(caller.execute("{}").status, 202);
        let audited = nth_event(&pair.gateway, event::AUDIT_RECORDED, nth + 1);
        assert_eq!(audited["credential_fingerprint"], fingerprint, "{value}");
        let shown = format!("[+]credential main: fresh, API key {} for ", fingerprint.as_str().unwrap());
        assert!(verbose(&pair.gateway).contains(&shown), "{}", verbose(&pair.gateway));
        assert!(!seen.contains(&fingerprint), "{value}");
        seen.push(fingerprint);
    }
    pair.asteroid.replace_api_key("ak-swapped-7d3e9f1a52");
    mount(dir, "v2", "ak-swapped-7d3e9f1a52");
    nth_event(&pair.gateway, event::CREDENTIAL_LOADED, 6);
    assert_eq!(caller.execute("{}").status, 202);
    let ended = pair.gateway.stop();
    assert!(!ended.logged(event::CONFIG_RELOADED), "{}", ended.output);
    assert!(!ended.output.contains("ak-"), "{}", ended.output);
}

#[test]
fn what_holds_no_key_keeps_the_last_one_in_use_until_there_is_one_again() {
    let pair = Pair::start();
    let key = pair.gateway.dir().join("key");
    let gone = || remove_file(&key).unwrap();
    let cases: [(&str, &dyn Fn()); 4] = [
        ("is empty", &|| write(&key, "").unwrap()),
        ("a space or a line break", &|| write(&key, format!("{API_KEY} {API_KEY}")).unwrap()),
        ("there is no such file", &gone),
        ("this is a directory", &|| {
            gone();
            create_dir(&key).unwrap();
        }),
    ];
    for (nth, (why, spoil)) in cases.into_iter().enumerate() {
        spoil();
        wait_for_state(&pair.gateway, "main", "stale");
        assert_eq!(pair.execute("{}").status, 202, "{why}");
        let report = verbose(&pair.gateway);
        let line = report.lines().find(|line| line.starts_with("[!]credential main: stale, API key ")).unwrap();
        assert!(line.contains(why) && report.starts_with("[+]serving\n"), "{report}");
        assert_eq!(pair.gateway.admin("/readyz").status, 200, "what serves, serves");
        let lost = nth_event(&pair.gateway, event::CREDENTIAL_READING_FAILED, nth + 1);
        assert_eq!(
            (&lost["level"], &lost["credential"], &lost["state"]),
            (&json!("WARN"), &json!("main"), &json!("stale"))
        );
        assert!(lost["reason"].as_str().unwrap().contains(why), "{lost}");

        if key.is_dir() {
            remove_dir(&key).unwrap();
        }
        write(&key, API_KEY).unwrap();
        wait_for_state(&pair.gateway, "main", "fresh");
        nth_event(&pair.gateway, event::CREDENTIAL_READING_RESUMED, nth + 1);
        assert!(!verbose(&pair.gateway).contains("[!]"), "{}", verbose(&pair.gateway));
    }
    assert_eq!(
        (
            pair.gateway.events(event::CREDENTIAL_READING_FAILED).len(),
            pair.gateway.events(event::CREDENTIAL_LOADED).len()
        ),
        (4, 1),
        "each change is said once"
    );
    assert!(!pair.gateway.stop().output.contains(API_KEY));
}

/// Starts a gateway with a tenant `sales` whose API key does not exist yet.
fn with_a_late_key(configuration: Configuration) -> Configuration {
    configuration.credential("late", "file: '{dir}/late'").add("/tenants", "sales: { credential: late }")
}

#[test]
fn a_gateway_without_a_first_key_starts_says_so_and_serves_when_the_key_comes() {
    let pair = Pair::configured(|smallest| {
        with_a_late_key(smallest.by_header()).add("/tenants/sales", "limits: { budget: { executions: 1, per: day } }")
    });
    let sales = || pair.caller().post(EXECUTE, &[("X-Tenant-Id", "sales"), ("Idempotency-Key", "k")], b"{}");
    let line = pair.gateway.line(|line| line["credential"] == "late");
    assert_eq!((&line["level"], &line["state"]), (&json!("ERROR"), &json!("missing")), "{line}");
    let (ready, report) = (pair.gateway.admin("/readyz"), verbose(&pair.gateway));
    assert_eq!((ready.status, ready.body.as_slice()), (200, &b"ok\n"[..]), "others are served");
    assert!(report.starts_with("[+]serving\n") && report.contains("[!]credential late: missing; "), "{report}");
    wait_for_state(&pair.gateway, "late", "missing");
    assert!(report.contains("/late: there is no such file"), "{report}");
    assert!(report.contains("[+]credential main: fresh"), "{report}");
    assert_eq!(pair.gateway.admin("/livez").status, 200);

    let refused = sales();
    refused.assert_error(503, "no-key", "not_started");
    assert_eq!(refused.header("retry-after"), Some("2"));
    assert_eq!(pair.asteroid.starts().len(), 0, "nothing is sent without a key");
    let billing = pair.caller().post(EXECUTE, &[("X-Tenant-Id", "billing")], b"{}");
    assert_eq!(billing.status, 202, "another credential serves");

    write(pair.gateway.dir().join("late"), API_KEY).unwrap();
    wait_for_state(&pair.gateway, "late", "fresh");
    assert_eq!(pair.gateway.admin("/readyz").status, 200);
    assert_eq!(sales().status, 202, "the refused start took neither the key nor the budget");
}

#[test]
fn which_keys_readiness_waits_for_is_configured_and_a_reload_changes_it() {
    let asteroid = Asteroid::start();
    let configuration = asteroid.configuration().credential("late", "file: '{dir}/late'");
    let of = |readiness: &str| configuration.clone().with(&format!("readiness: {{ credentials: {readiness} }}"));
    let pair = Pair::run(asteroid, of("all"));
    let ready = || {
        let answer = pair.gateway.admin("/readyz");
        (answer.status, String::from_utf8(answer.body).unwrap())
    };
    assert_eq!(ready(), (503, "an API key is missing\n".to_owned()));
    let report = verbose(&pair.gateway);
    assert!(
        report.starts_with("[-]an API key is missing\n") && report.contains("[-]credential late: missing; "),
        "{report}"
    );
    pair.gateway.reload(of("any"));
    assert_eq!(ready().0, 200);
    pair.gateway.reload(of("all"));
    assert_eq!(ready().0, 503);
    write(pair.gateway.dir().join("late"), API_KEY).unwrap();
    wait_for_state(&pair.gateway, "late", "fresh");
    assert_eq!(ready().0, 200);
    pair.asteroid.replace_api_key("ak-another-7d3e9f1a52");
    pair.execute("{}").assert_error(502, "key-refused", "not_started");
    wait_for_state(&pair.gateway, "main", "rejected");
    assert_eq!(ready().0, 200, "that the upstream rejects a key flips nothing");

    let none = Program::run(Configuration::smallest().set("/credentials/main/file", "{dir}/none"));
    let answer = none.admin("/readyz");
    assert_eq!((answer.status, answer.body.as_slice()), (503, &b"no API key can be used\n"[..]));
}

#[test]
fn a_gateway_that_waits_for_a_verified_key_asks_the_upstream_and_is_ready_once_it_has_accepted_one() {
    let asteroid = Asteroid::start();
    asteroid.replace_api_key("ak-another-7d3e9f1a52");
    let configuration = asteroid.configuration().with("readiness: { credentials: verified }");
    let pair = Pair::run(asteroid, configuration);
    wait_for_state(&pair.gateway, "main", "rejected");
    let answer = pair.gateway.admin("/readyz");
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (503, &b"no API key has been accepted by the upstream yet\n"[..])
    );
    assert!(pair.asteroid.requests().iter().all(|request| request.method == "GET"), "no start tests a key");

    write(pair.gateway.dir().join("key"), "ak-another-7d3e9f1a52").unwrap();
    wait_for_state(&pair.gateway, "main", "fresh");
    assert_eq!(pair.gateway.admin("/readyz").status, 200);
    let asked = pair.asteroid.requests().len();
    pair.asteroid.replace_api_key("ak-third-7d3e9f1a52");
    pair.execute("{}").assert_error(502, "key-refused", "not_started");
    wait_for_state(&pair.gateway, "main", "rejected");
    assert!(pair.asteroid.requests().len() > asked);
    assert_eq!(pair.gateway.admin("/readyz").status, 200, "what was accepted once stays so");
}

#[test]
fn a_reload_that_names_a_late_key_is_taken_over_and_others_are_served() {
    let asteroid = Asteroid::start();
    let configuration = asteroid.configuration().by_header();
    let pair = Pair::run(asteroid, &configuration);
    let start = |tenant: &str| pair.caller().post(EXECUTE, &[("X-Tenant-Id", tenant)], b"{}");
    assert!(pair.gateway.reload(with_a_late_key(configuration.clone()))["reason"].is_null());
    start("sales").assert_error(503, "no-key", "not_started");
    assert_eq!((start("billing").status, pair.gateway.admin("/readyz").status), (202, 200));
    wait_for_state(&pair.gateway, "late", "missing");
    write(pair.gateway.dir().join("late"), API_KEY).unwrap();
    wait_for_state(&pair.gateway, "late", "fresh");
    assert_eq!(start("sales").status, 202);
    assert_eq!(pair.gateway.metrics().find("asteroid_gateway_config_last_reload_successful", &[]), Some(1.0));

    // An environment variable cannot appear later.
    let unset = configuration.main_credential("env: NO_SUCH_VARIABLE");
    let refused = pair.gateway.reload(unset)["reason"].as_str().unwrap().to_owned();
    assert!(refused.contains("NO_SUCH_VARIABLE: is not set"), "{refused}");
}

#[test]
fn a_credential_that_moves_to_a_place_without_a_key_keeps_its_last_one_until_one_comes() {
    let asteroid = Asteroid::start();
    let configuration = asteroid.configuration();
    let pair = Pair::run(asteroid, &configuration);
    let moved = configuration.set("/credentials/main/file", "{dir}/other");
    assert!(pair.gateway.reload(moved)["reason"].is_null());
    wait_for_state(&pair.gateway, "main", "stale");
    assert_eq!(pair.execute("{}").status, 202);
    write(pair.gateway.dir().join("key"), "ak-of-a-place-that-is-left").unwrap();
    write(pair.gateway.dir().join("other"), "ak-other-7d3e9f1a52").unwrap();
    pair.asteroid.replace_api_key("ak-other-7d3e9f1a52");
    wait_for_state(&pair.gateway, "main", "fresh");
    assert_eq!(pair.execute("{}").status, 202);
    assert_eq!(pair.gateway.events(event::CREDENTIAL_LOADED).len(), 2, "the place that is left is not read any more");
}

#[test]
fn a_key_that_cannot_be_read_for_longer_than_max_stale_is_sent_no_more_until_it_is_there_again() {
    let pair = Pair::configured(|smallest| smallest.add("/credentials/main", "max_stale: 10s"));
    let key = pair.gateway.dir().join("key");
    remove_file(&key).unwrap();
    wait_for_state(&pair.gateway, "main", "stale");
    assert_eq!(pair.execute("{}").status, 202);
    wait_for_state(&pair.gateway, "main", "expired");
    let refused = pair.execute("{}");
    refused.assert_error(503, "no-key", "not_started");
    assert!(String::from_utf8_lossy(&refused.body).contains("for too long"), "{refused:?}");
    assert_eq!(pair.asteroid.started(), 1, "closed");
    let expired = nth_event(&pair.gateway, event::CREDENTIAL_EXPIRED, 1);
    assert!(expired["reason"].as_str().unwrap().contains("there is no such file"), "{expired}");
    write(&key, API_KEY).unwrap();
    wait_for_state(&pair.gateway, "main", "fresh");
    assert_eq!(pair.execute("{}").status, 202);
}

#[test]
fn the_key_before_may_come_and_go_and_one_that_is_none_is_said() {
    let pair = Pair::configured(|smallest| smallest.add("/credentials/main", "previous_file: '{dir}/before'"));
    assert!(!verbose(&pair.gateway).contains("[!]"), "between rotations there is none");
    write(pair.gateway.dir().join("before"), "two words").unwrap();
    let unusable = nth_event(&pair.gateway, event::CREDENTIAL_PREVIOUS_UNUSABLE, 1);
    assert_eq!((&unusable["level"], &unusable["state"]), (&json!("WARN"), &json!("fresh")));
    let report = verbose(&pair.gateway);
    assert!(
        report.contains("[!]credential main: fresh, API key ") && report.contains("/before: holds a space"),
        "{report}"
    );
    let labels = [("credential", "main"), ("error", "invalid")];
    assert_eq!(pair.gateway.metrics().find("asteroid_gateway_credential_info", &labels), Some(1.0));
    assert_eq!(pair.execute("{}").status, 202);

    write(pair.gateway.dir().join("before"), "ak-before-7d3e9f1a52").unwrap();
    pair.gateway.wait_for_metrics(
        |metrics| metrics.find("asteroid_gateway_credential_info", &[("credential", "main"), ("error", "")]),
        &Some(1.0),
    );
    assert!(!pair.gateway.stop().output.contains("ak-before-7d3e9f1a52"));
}

#[test]
fn a_key_of_fewer_than_16_bytes_is_none_in_whichever_store_and_the_reason_is_said() {
    let asteroid = Asteroid::start();
    let configuration = asteroid.configuration();
    let previous = configuration.clone().add("/credentials/main", "previous_file: '{dir}/before'");
    let pair = Pair::run(asteroid, previous);
    let why = "holds fewer than 16 bytes";
    // So short an API key would be redacted wherever an answer contains the same characters.
    for (nth, short) in ["1", "execution\n", "ak-0123456789ab"].into_iter().enumerate() {
        write(pair.gateway.dir().join("key"), short).unwrap();
        nth_event(&pair.gateway, event::CREDENTIAL_READING_FAILED, nth + 1);
        let answer = pair.execute("{}");
        assert_eq!(answer.status, 202);
        assert_eq!(answer.json()["executionId"], pair.asteroid.executions()[nth].id.as_str());
        let report = verbose(&pair.gateway);
        assert!(report.contains("[!]credential main: stale, API key ") && report.contains(why), "{report}");
        write(pair.gateway.dir().join("key"), API_KEY).unwrap();
        nth_event(&pair.gateway, event::CREDENTIAL_READING_RESUMED, nth + 1);
    }
    write(pair.gateway.dir().join("before"), "short").unwrap();
    let unusable = nth_event(&pair.gateway, event::CREDENTIAL_PREVIOUS_UNUSABLE, 1);
    assert!(unusable["reason"].as_str().unwrap().contains(why), "{unusable}");

    let gateway = Program::run(configuration.clone().set("/credentials/main/file", "{dir}/short"));
    write(gateway.dir().join("short"), "123456789012345").unwrap();
    gateway.wait_for_metrics(
        |metrics| metrics.find("asteroid_gateway_credential_info", &[("credential", "main"), ("error", "invalid")]),
        &Some(1.0),
    );
    assert!(verbose(&gateway).contains(why), "{}", verbose(&gateway));

    let dir = directory(configuration.main_credential("env: THE_KEY"));
    let mut run = crate::harness::binary();
    let output = run.args(["run", "--config"]).arg(dir.path().join("gateway.yaml")).env("THE_KEY", "short").output();
    let output = output.unwrap();
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && printed.contains("THE_KEY: ") && printed.contains(why), "{printed}");
}

#[test]
fn each_process_calls_a_key_something_else_unless_they_share_a_salt() {
    let fingerprint = |more: &str| {
        let pair = Pair::with(more);
        nth_event(&pair.gateway, event::CREDENTIAL_LOADED, 1)["fingerprint"].as_str().unwrap().to_owned()
    };
    assert_ne!(fingerprint(""), fingerprint(""));
    let salted = fingerprint("fingerprint_salt: one");
    assert_eq!((salted.len(), &salted), (8, &fingerprint("fingerprint_salt: one")));
    assert_ne!(salted, fingerprint("fingerprint_salt: other"));
}

#[test]
fn a_reload_that_is_refused_for_one_key_takes_in_no_other() {
    let asteroid = Asteroid::start();
    let configuration = asteroid.configuration();
    let pair = Pair::run(asteroid, &configuration);
    let dir = pair.gateway.dir();
    write(dir.join("other"), "ak-other-7d3e9f1a52").unwrap();
    // This credential is read after the one with another file.
    let unset = configuration.credential("z", "env: NO_SUCH_VARIABLE");
    let moved = unset.set("/credentials/main/file", "{dir}/other");
    assert!(pair.gateway.reload(moved)["reason"].as_str().unwrap().contains("NO_SUCH_VARIABLE: is not set"));
    assert_eq!(pair.execute("{}").status, 202);
    assert_eq!(pair.gateway.events(event::CREDENTIAL_LOADED).len(), 1, "{}", pair.gateway.output());
}
