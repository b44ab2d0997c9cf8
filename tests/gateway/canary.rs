//! The key is in the header that is injected, and in no output of any kind.

use serde_json::json;

use crate::harness::{Asteroid, EXECUTE, KEY, Pair, Program, configuration};

/// The key in every form in which it could leak unnoticed.
fn forms() -> Vec<String> {
    let hex: String = KEY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let bytes = format!("{:?}", KEY.as_bytes());
    let list = bytes.trim_matches(['[', ']']).to_owned();
    vec![KEY.to_owned(), base64(KEY.as_bytes()), hex.to_uppercase(), hex, list, KEY.replace('-', "%2D")]
}

/// Of the three ways to cut a text for base64, the one that begins at a boundary, without its incomplete end.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = bytes.chunks_exact(3).flat_map(|chunk| {
        let bits = chunk.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(DIGITS[bits >> shift & 63]))
    });
    digits.collect()
}

pub(crate) fn assert_clean(what: &str, output: &str) {
    for form in forms() {
        assert!(!output.contains(&form), "{what} shows the key as {form}:\n{output}");
    }
}

#[test]
fn no_answer_and_no_line_of_any_level_shows_the_key() {
    let asteroid = Asteroid::start();
    let gateway = Program::run_with(
        &configuration(&asteroid.url(), "timeouts: { response: 300ms, body: 300ms }\nbody_limit: 4KiB"),
        &["--log-level", "debug"],
        &[],
    );
    let pair = Pair { asteroid, gateway };
    let mut answers = Vec::new();
    let faults = [
        json!({"then": "close"}),
        json!({"then": "reset"}),
        json!({"then": "stall"}),
        json!({"then": "close_mid_answer"}),
        json!({"when": "connected", "then": "close"}),
        json!({"then": {"answer": {"status": 500, "headers": [], "body": "oops"}}}),
        json!({"then": {"answer": {"status": 401, "headers": [], "body": "{}"}}}),
    ];
    answers.push(pair.execute("{}"));
    for fault in faults {
        pair.asteroid.next(fault);
        answers.push(pair.execute("{}"));
    }
    pair.asteroid.clear_faults();
    for body in ["", "[]", r#"{"metadata":{"tenant":"x"}}"#, &"x".repeat(5000)] {
        answers.push(pair.execute(body));
    }
    answers.push(pair.caller().request("GET", EXECUTE));
    answers.push(pair.caller().post(EXECUTE, &[("Origin", "http://x")], b"{}"));
    answers.push(pair.caller().post(EXECUTE, &[("Accept", "application/problem+json")], b"1"));
    answers.extend(["/livez", "/readyz", "/readyz?verbose", "/metrics"].map(|path| pair.gateway.admin(path)));
    for answer in &answers {
        assert_clean("an answer", &format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body)));
    }
    pair.asteroid.replace_key("ak-other");
    answers.push(pair.execute("{}"));
    let ended = pair.gateway.stop();
    assert!(ended.output.lines().count() > 10, "the log was read");
    assert_clean("the log", &ended.output);
}

#[test]
fn no_refused_tenant_or_limit_no_malformed_head_and_no_failure_of_tls_shows_the_key() {
    let asteroid = Asteroid::start_tls("localhost");
    let limited = configuration(&asteroid.url(), "").replace("fixed: billing", "header: X-Tenant-Id");
    let limited = limited.replace("credential: main,", "credential: main, limits: { executions: { rate: 1/d } },");
    let pair = Pair { gateway: Program::run_with(&limited, &["--log-level", "debug"], &[]), asteroid };
    let mut answers = Vec::new();
    for tenant in ["nobody", "billing", "billing"] {
        answers.push(pair.caller().post(EXECUTE, &[("X-Tenant-Id", tenant)], b"{}"));
    }
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [401, 502, 429]);
    let mut malformed = pair.caller();
    malformed.send(b"GET / HTTP/1.1\r\nX : y\r\n\r\n");
    answers.push(malformed.answer());
    for answer in &answers {
        assert_clean("an answer", &format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body)));
    }
    let ended = pair.gateway.stop();
    assert!(ended.output.contains("malformed") && ended.output.contains("\"limit\""), "{}", ended.output);
    assert_clean("the log", &ended.output);
}

#[test]
fn no_replay_no_look_up_and_none_that_fails_shows_the_key() {
    let asteroid = Asteroid::start();
    let text = configuration(&asteroid.url(), "idempotency: { recovery: true }\ntimeouts: { response: 300ms }");
    let pair = Pair { gateway: Program::run_with(&text, &["--log-level", "debug"], &[]), asteroid };
    let keyed = |key| pair.caller().post(EXECUTE, &[("Idempotency-Key", key)], b"{}");
    let mut answers = vec![keyed("replayed"), keyed("replayed")];
    for then in ["close", "reset", "stall", "close_mid_answer"] {
        pair.asteroid.next(json!({"method": "POST", "run": true, "then": then}));
        answers.push(keyed(then));
        pair.asteroid.next(json!({"method": "GET", "then": then}));
        answers.extend([keyed(then), keyed(then)]);
    }
    answers.push(keyed(""));
    for answer in &answers {
        assert_clean("an answer", &format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body)));
    }
    assert_clean("what the simulator shows", &pair.asteroid.shown());
    let ended = pair.gateway.stop();
    assert!(
        ended.output.contains("idempotency-lookup") && ended.output.contains("\"replayed\":true"),
        "{}",
        ended.output
    );
    assert_clean("the log", &ended.output);
}

#[test]
fn the_development_mode_and_the_simulator_do_not_print_a_key_either() {
    let pair = Pair::start();
    assert_eq!(pair.execute("{}").status, 202);
    assert_clean("what the simulator remembers", &format!("{:?}", pair.asteroid.requests()));
    assert_clean("what the simulator shows", &pair.asteroid.shown());
}

#[test]
fn a_key_that_was_pasted_into_the_configuration_is_not_repeated() {
    for configuration in [
        format!("credentials: {{ main: {KEY} }}"),
        format!("credentials: {{ {KEY}: {{ file: x }} }}"),
        format!("credentials: {{ main: {{ {KEY}: x }} }}"),
        format!("credentials: {{ main: {{ file: [{KEY}] }} }}"),
        format!("credentials: {{ main: {{ key: {KEY} }} }}"),
        format!("upstream: {{ url: \"https://{KEY}@odyssey.asteroid.ai\" }}"),
        format!("upstream: {{ url: \"https://x:{KEY}@odyssey.asteroid.ai\" }}"),
        format!("credentials: {{ main: {{ file: \"{KEY}"),
    ] {
        for command in ["check", "run"] {
            let output = crate::command_line::refused(command, &configuration);
            assert_clean(command, &output);
        }
    }
}
