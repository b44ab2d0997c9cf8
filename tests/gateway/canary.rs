//! The API key is in the injected header, and in no output of any kind.

mod commands;
mod echoes;
mod failures;
mod forms;
mod operations;
mod outputs;
mod requests;
mod secrets;
mod uploads;

use std::net::SocketAddr;

use asteroid_gateway::asteroid::operation::Operation;
use serde_json::json;

pub(crate) use forms::assert_clean;

use crate::harness::configuration::directory;
use crate::harness::unruly::{Behaviour, UnrulyUpstream};
use crate::harness::{AGENT, API_KEY, Answer, Asteroid, Caller, Configuration, EXECUTE, Pair, Program, binary};

#[track_caller]
fn assert_answer_clean(answer: &Answer) {
    assert_clean("an answer", &format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body)));
}

/// Returns the path of a start.
fn path(operation: Operation) -> String {
    path_of(operation, AGENT)
}

/// Returns the path of an operation, with this id and another if it has two.
fn path_of(operation: Operation, id: &str) -> String {
    path_to(operation, [id, AGENT])
}

/// Returns the path of an operation, with these texts in place of its ids. `Operation::target` takes nothing but ids.
fn path_to(operation: Operation, ids: [&str; 2]) -> String {
    let mut ids = ids.into_iter();
    let segments = operation.template().split('/').skip(1);
    let filled = segments.map(|segment| if segment.starts_with('{') { ids.next().unwrap() } else { segment });
    filled.fold(operation.rules().part.mount().to_owned(), |path, segment| path + "/" + segment)
}

#[test]
fn no_refused_tenant_or_limit_no_malformed_head_no_failure_of_tls_and_no_description_shows_the_key() {
    let asteroid = Asteroid::start_tls("localhost");
    let limited = asteroid
        .configuration()
        .remove("/upstream/ca_file")
        .by_header()
        .billing("limits: { executions: { rate: 1/d } }");
    let pair = Pair { gateway: Program::run_with(limited, &["--log-level", "debug"], &[]), asteroid };
    let mut answers = Vec::new();
    for tenant in ["nobody", "billing", "billing"] {
        answers.push(pair.caller().post(EXECUTE, &[("X-Tenant-Id", tenant)], b"{}"));
    }
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [401, 502, 429]);
    let mut malformed = pair.caller();
    malformed.send(b"GET / HTTP/1.1\r\nX : y\r\n\r\n");
    answers.push(malformed.answer());
    let mut described = pair.caller();
    described.send(b"GET /.well-known/asteroid-gateway HTTP/1.1\r\nHost: localhost\r\nX-Tenant-Id: billing\r\n\r\n");
    answers.push(described.answer());
    for answer in &answers {
        assert_answer_clean(answer);
    }
    let ended = pair.gateway.stop();
    assert!(ended.output.contains("malformed") && ended.output.contains("\"limit\""), "{}", ended.output);
    assert_clean("the log", &ended.output);
}

#[test]
fn no_replay_no_look_up_and_none_that_fails_shows_the_key() {
    let asteroid = Asteroid::start();
    let configuration = asteroid.configuration().with("idempotency: { recovery: true }\ntimeouts: { response: 300ms }");
    let pair = Pair { gateway: Program::run_with(configuration, &["--log-level", "debug"], &[]), asteroid };
    let keyed = |key| pair.caller().post(EXECUTE, &[("Idempotency-Key", key)], b"{}");
    let mut answers = vec![keyed("replayed"), keyed("replayed")];
    for then in ["close", "reset", "stall", "close_mid_answer"] {
        pair.asteroid.fail_next(json!({"method": "POST", "run": true, "then": then}));
        answers.push(keyed(then));
        pair.asteroid.fail_next(json!({"method": "GET", "then": then}));
        answers.extend([keyed(then), keyed(then)]);
    }
    answers.push(keyed(""));
    for answer in &answers {
        assert_answer_clean(answer);
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
fn a_key_that_was_pasted_into_the_configuration_is_not_repeated() {
    for configuration in [
        format!("credentials: {{ main: {API_KEY} }}"),
        format!("credentials: {{ {API_KEY}: {{ file: x }} }}"),
        format!("credentials: {{ main: {{ {API_KEY}: x }} }}"),
        format!("credentials: {{ main: {{ file: [{API_KEY}] }} }}"),
        format!("credentials: {{ main: {{ key: {API_KEY} }} }}"),
        format!("upstream: {{ url: \"https://{API_KEY}@odyssey.asteroid.ai\" }}"),
        format!("upstream: {{ url: \"https://x:{API_KEY}@odyssey.asteroid.ai\" }}"),
        format!("credentials: {{ main: {{ file: \"{API_KEY}"),
        // In place of a name: of a setting, a tenant, a tag, a header, a variable, a file.
        format!("{API_KEY}: x"),
        format!("upstream: {{ {API_KEY}: x }}"),
        format!("tenants: {{ {API_KEY}: {{ credental: main }} }}"),
        format!("tenants: {{ {API_KEY}: {{ credential: main, metadata: {{ {API_KEY}: 7 }} }} }}"),
        format!("tenants: {{ billing: {{ credential: {API_KEY} }} }}"),
        format!(
            "tenants: {{ {API_KEY}: {{ credential: main }} }}\nlisteners: [{{ address: x, tenant: {{ fixed: x{API_KEY} }} }}]"
        ),
        format!("upstream: {{ credential_header: {API_KEY} }}"),
        format!("listeners: [{{ address: '127.0.0.1:0', tenant: {{ header: {API_KEY} }} }}]"),
        format!("listeners: [{{ address: '{API_KEY}', tenant: {{ {API_KEY}: x }}, hosts: ['{API_KEY}:1'] }}]"),
        format!(
            "listeners: [{{ tls: {{ certificate_file: {API_KEY}, key_file: '-----BEGIN PRIVATE KEY----- {API_KEY}' }} }}]"
        ),
        format!("upstream: {{ ca_file: {API_KEY} }}"),
        format!("upstream: {{ url: 'https://odyssey.asteroid.ai:{API_KEY}' }}"),
        format!("upstream: {{ url: '{API_KEY}' }}\ntraces: {{ otlp: '{API_KEY}', sample: '{API_KEY}' }}"),
        format!("credentials: {{ main: {{ env: {} }} }}", API_KEY.replace('-', "_")),
        format!("credentials: {{ main: {{ file: {API_KEY}/x, max_stale: {API_KEY} }} }}"),
        format!("audit: {{ file: {API_KEY}/x, when_full: {API_KEY} }}\nreadiness: {{ credentials: {API_KEY} }}"),
        format!("tagging: {{ tenant_key: ' {API_KEY}', on_conflict: {API_KEY}, idempotency_key: '{API_KEY} ' }}"),
        format!("body_limit: {API_KEY}\ntimeouts: {{ connect: {API_KEY} }}\nidempotency: {{ memory: {API_KEY} }}"),
    ] {
        for command in ["check", "run"] {
            let output = crate::command_line::refused(command, &configuration);
            assert_clean(command, &output);
            assert!(!output.to_lowercase().contains(last_part()), "{configuration}: {output}");
        }
    }
}

/// Returns the part of the API key that is the same in every spelling of a name.
fn last_part() -> &'static str {
    API_KEY.rsplit('-').next().unwrap()
}

#[test]
fn a_key_that_was_pasted_into_the_name_of_a_variable_is_not_repeated() {
    let dir = directory(Configuration::smallest());
    let name = API_KEY.to_uppercase();
    for (variable, value) in [
        (format!("ASTEROID_GATEWAY__{name}"), "x"),
        (format!("ASTEROID_GATEWAY__CREDENTIALS__{name}__FILE"), "x"),
        (format!("ASTEROID_GATEWAY__TENANTS__{name}__CREDENTIAL"), "x"),
        (format!("ASTEROID_GATEWAY__TENANTS____{name}"), "x"),
        (format!("ASTEROID_GATEWAY__UPSTREAM__{name}"), "x"),
        ("ASTEROID_GATEWAY__UPSTREAM".to_owned(), API_KEY),
    ] {
        let mut check = binary();
        let output =
            check.args(["check", "--config"]).arg(dir.path().join("gateway.yaml")).env(&variable, value).output();
        let output = output.unwrap();
        let printed = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{variable}: {printed}");
        assert!(printed.contains("ASTEROID_GATEWAY__"), "the variable is named: {printed}");
        assert!(!printed.to_lowercase().contains(last_part()), "{variable}: {printed}");
    }
}

#[test]
fn over_http2_and_in_lines_for_people_no_level_shows_the_key_either() {
    // At the same time, because each case waits until its API key is refused.
    let each = ["json", "text"].map(|format| std::thread::spawn(move || show_no_key_over_http2(format)));
    for thread in each {
        thread.join().unwrap();
    }
}

/// Starts a gateway that logs everything in this format.
fn run_in_format(format: &str, configuration: Configuration) -> Program {
    let dir = directory(configuration);
    let mut run = binary();
    run.args(["run", "--log-level", "debug", "--log-format", format, "--config"]).arg(dir.path().join("gateway.yaml"));
    Program::start(run, dir)
}

fn show_no_key_over_http2(format: &str) {
    let asteroid = Asteroid::start_tls("localhost");
    let gateway = run_in_format(format, asteroid.configuration());
    let address = gateway.wait_for(address_of_the_listener);
    let execute = || Caller::connect(address).execute("{}").status;
    assert_eq!(execute(), 202);
    for then in ["reset", "close_mid_answer"] {
        asteroid.fail_next(json!({"then": then}));
        assert_eq!(execute(), 504, "{then}");
    }
    asteroid.replace_api_key("ak-other-7d3e9f1a52");
    assert_eq!(execute(), 502);
    assert!(asteroid.requests().iter().all(|request| request.version == "HTTP/2.0"));
    let output = gateway.stop().output;
    assert!(output.contains("key-refused") && !output.contains("stream_id"), "the log has lines of h2: {output}");
    assert_clean("the log", &output);
}

#[test]
fn a_key_in_what_http2_calls_debug_data_is_in_no_log() {
    for format in ["json", "text"] {
        let said: &str = Box::leak(format!("go away with {API_KEY}").into_boxed_str());
        let upstream =
            UnrulyUpstream::start(Some(&[]), Vec::leak(vec![Behaviour::GoAwaySaying(said), Behaviour::Answer]));
        let gateway = run_in_format(format, upstream.configuration());
        let address = gateway.wait_for(address_of_the_listener);
        let answer = Caller::connect(address).execute("{}");
        assert_eq!(answer.status, 504);
        assert_answer_clean(&answer);
        assert_eq!(Caller::connect(address).execute("{}").status, 202);
        let output = gateway.stop().output;
        assert!(!output.contains("stream_id"), "the log has lines of h2: {output}");
        assert_clean("the log", &output);
        let end: Vec<String> = API_KEY.bytes().skip(API_KEY.len() - 8).map(|byte| byte.to_string()).collect();
        assert!(!output.contains(&end.join(", ")), "the end of the key came in a PING: {output}");
    }
}

/// Returns the address in the line about the listener, in either format.
fn address_of_the_listener(output: &str) -> Option<SocketAddr> {
    let (listening, _) = output.lines().find(|line| line.contains("listening"))?.split_once("scheme")?;
    let (_, address) = listening.split_once("address")?;
    address.trim_matches(['=', ':', '"', ',', ' ']).parse().ok()
}
