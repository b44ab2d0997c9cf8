//! One gateway with all outputs enabled, driven through every operation and every failure.

use std::fmt::Write;
use std::path::PathBuf;

use asteroid_gateway::asteroid::operation::{BodyRule, Operation};
use serde_json::{Value, json};

use super::{assert_clean, failures, operations, path_of, requests};
use crate::harness::configuration::replace_once;
use crate::harness::{AGENT, API_KEY, Answer, Asteroid, Caller, Collector, Configuration, Pair, Program};
use crate::simulated::form::TYPE;

/// Environment variables that libraries of similar programs read. The gateway reads none of them, so none adds output.
const ENVIRONMENT: [(&str, &str); 4] =
    [("RUST_LOG", "trace"), ("RUST_BACKTRACE", "full"), ("RUST_LIB_BACKTRACE", "full"), ("H2_LOG", "trace")];

/// Closes every group of operations for a tenant.
const CLOSED: &str = "operations: { start: false, rerun: false, read: false, list: false, control: false, message: false, delete: false, files: false }";

/// A gateway, and all its output.
pub(super) struct Watched {
    pub(super) pair: Pair,
    collector: Collector,
    audit: PathBuf,
    _dir: tempfile::TempDir,
    configuration: Configuration,
    pub(super) answers: String,
}

impl Watched {
    fn start() -> Watched {
        let (asteroid, collector, dir) = (Asteroid::start(), Collector::start(), tempfile::tempdir().unwrap());
        let audit = dir.path().join("audit.jsonl");
        let more = format!(
            "{}
audit: {{ file: \"{}\", stdout: true }}
idempotency: {{ recovery: true }}
timeouts: {{ response: 2s, body: 300ms }}
body_limit: 4KiB
answer_limit: 1MiB
upload_limit: 12KiB
operations: {{ rerun: true, delete: true }}",
            collector.traces(""),
            audit.display()
        );
        let configuration = asteroid
            .configuration()
            .with(&more)
            .by_header()
            .another_listener("address: 127.0.0.1:0\ntenant: { fixed: billing }")
            .tenant("limited")
            .add("/tenants/limited", "limits: { executions: { rate: 1/d } }")
            .tenant("closed")
            .add("/tenants/closed", CLOSED);
        let gateway = Program::run_with(&configuration, &["--log-level", "debug"], &ENVIRONMENT);
        Watched { pair: Pair { asteroid, gateway }, collector, audit, _dir: dir, configuration, answers: String::new() }
    }

    /// Records an answer for the search.
    pub(super) fn got(&mut self, answer: &Answer) {
        writeln!(self.answers, "{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body)).unwrap();
    }

    pub(super) fn fixed(&self) -> Caller {
        Caller::connect(self.pair.gateway.addresses()[1])
    }

    fn post(&mut self, path: &str, headers: &[(&str, &str)], body: &str) {
        let answer = self.fixed().post(path, headers, body.as_bytes());
        self.got(&answer);
    }

    /// Sends a request as the tenant of the second listener. Returns the status, or 0 if the answer breaks off.
    pub(super) fn send(&mut self, bytes: &str) -> u16 {
        let caller = self.fixed();
        self.send_over(caller, bytes)
    }

    /// Sends a request as the tenant that it names.
    pub(super) fn send_as_named_tenant(&mut self, bytes: &str) -> u16 {
        let caller = self.pair.caller();
        self.send_over(caller, bytes)
    }

    fn send_over(&mut self, mut caller: Caller, bytes: &str) -> u16 {
        caller.send(bytes.as_bytes());
        let Some(answer) = caller.try_answer() else { return 0 };
        self.got(&answer);
        answer.status
    }

    /// Starts an execution; returns its id.
    fn execute(&self) -> String {
        self.fixed().execute("{}").json()["executionId"].as_str().unwrap().to_owned()
    }

    fn ask_admin(&mut self) {
        for path in ["/livez", "/readyz", "/readyz?verbose", "/metrics", "/openapi.json", "/version", "/other"] {
            let answer = self.pair.gateway.admin(path);
            self.got(&answer);
        }
        let mut caller = self.pair.gateway.probe();
        caller.send(
            b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: application/openmetrics-text;version=1.0.0\r\n\r\n",
        );
        let answer = caller.answer();
        assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
        self.got(&answer);
    }
}

/// Causes each failure at the upstream, with and without an idempotency key for which the start is looked up.
fn fail_at_the_upstream(watched: &mut Watched, operation: Operation, path: &str) {
    let answer = |status: u16, headers: Value, body: &str| json!({"status": status, "headers": headers, "body": body});
    let echo =
        json!([["Location", format!("http://127.0.0.1:1/?{API_KEY}")], ["Content-Type", API_KEY], ["X-Echo", API_KEY]]);
    let executed = format!("{{\"executionId\":\"{API_KEY}\",\"id\":\"{API_KEY}\"}}");
    let faults = [
        json!({"method": "POST", "then": "close"}),
        json!({"method": "POST", "then": "reset"}),
        json!({"method": "POST", "run": true, "then": "stall"}),
        json!({"method": "POST", "then": "close_mid_answer"}),
        json!({"when": "connected", "then": "close"}),
        json!({"method": "POST", "then": {"answer": {"status": 500, "headers": [], "body": "oops"}}}),
        json!({"method": "POST", "then": {"answer": {"status": 307, "headers": [["Location", "http://127.0.0.1:1/"]], "body": ""}}}),
        json!({"method": "POST", "then": {"answer": answer(202, echo.clone(), &executed)}}),
        json!({"method": "POST", "then": {"answer": answer(307, echo.clone(), API_KEY)}}),
        json!({"method": "POST", "then": {"answer": answer(500, echo.clone(), API_KEY)}}),
    ];
    // A start that waits for its end is held for longer than this test should take. The two eras of the others differ in their paths.
    let stalls =
        matches!(operation, Operation::AgentExecute | Operation::WorkflowVersionExecute | Operation::ExecutionRerun);
    let faults = faults.into_iter().filter(|fault| stalls || fault["then"] != "stall");
    for (n, fault) in faults.enumerate() {
        let key = format!("{path}{n}");
        let keyed = [("Idempotency-Key", key.as_str())];
        for headers in [&[][..], &keyed] {
            // Forces a new connection, which can fail, too.
            watched.pair.asteroid.close_connections();
            watched.pair.asteroid.fail_next(fault.clone());
            watched.post(path, headers, "{}");
            watched.pair.asteroid.clear_faults();
        }
        let listing =
            json!({"items": [{"id": API_KEY, "metadata": {"idempotency_digest": [API_KEY]}}], "total": API_KEY})
                .to_string();
        for then in [
            json!("close"),
            json!({"answer": answer(200, echo.clone(), &listing)}),
            json!({"answer": answer(200, echo.clone(), API_KEY)}),
            json!({"answer": answer(301, echo.clone(), API_KEY)}),
            json!({"answer": answer(403, json!([["Retry-After", API_KEY]]), API_KEY)}),
            json!({"answer": answer(503, json!([["Retry-After", API_KEY]]), API_KEY)}),
        ] {
            watched.pair.asteroid.fail_next(json!({"method": "GET", "then": then}));
            watched.post(path, &keyed, "{}");
            watched.pair.asteroid.clear_faults();
        }
        watched.post(path, &keyed, "{}");
    }
}

/// Starts with a staged file that is named like the key, and with the key in other members; then with such members that are refused.
fn start_with_files(watched: &mut Watched, operation: Operation, path: &str) {
    let staged = Caller::connect(watched.pair.gateway.addresses()[1]).post(
        &path_of(Operation::TempFilesUpload, AGENT),
        &[("Content-Type", TYPE)],
        requests::files(API_KEY).as_bytes(),
    );
    watched.got(&staged);
    let id = &staged.json()["tempFiles"][0]["id"];
    let inputs = json!({API_KEY: [API_KEY]});
    let files = |id: &Value| json!([{"id": id, "name": API_KEY}]);
    let good = match operation.rules().body {
        BodyRule::Rerun => json!({"inputs": inputs}),
        BodyRule::VersionStart => json!({"dynamicData": inputs}),
        _ => json!({"inputs": inputs, "tempFiles": files(id)}),
    };
    watched.post(path, &[], &good.to_string());
    for wrong in [
        json!({"tempFiles": files(&json!(API_KEY))}),
        json!({"tempFiles": files(&json!(AGENT))}),
        json!({"tempFiles": [{"id": id, API_KEY: API_KEY}]}),
        json!({"tempFiles": API_KEY}),
        json!({"parentExecutionId": API_KEY}),
        json!({"parentExecutionId": AGENT, "tempFiles": files(id)}),
        json!({"inputs": API_KEY, "metadata": {"tenant": API_KEY}}),
        json!({API_KEY: API_KEY}),
    ] {
        watched.post(path, &[], &wrong.to_string());
    }
    operations::forget(watched);
}

/// Sends requests that are refused before anything is sent.
fn send_refused_requests(watched: &mut Watched, path: &str) {
    // The operations of both eras share their idempotency keys.
    let (once, in_flight) = (format!("once{path}"), format!("held{path}"));
    for body in ["{}", "{}", "{\"inputs\":{}}"] {
        watched.post(path, &[("Idempotency-Key", &once)], body);
    }
    watched.post(path, &[("Idempotency-Key", "")], "{}");
    for body in ["", "[]", r#"{"metadata":{"tenant":"x"}}"#, &"x".repeat(5000)] {
        watched.post(path, &[("Accept", "application/problem+json")], body);
    }
    for header in [("Origin", "http://x"), ("Host", "example.com"), ("Content-Type", "text/plain")] {
        watched.post(path, &[header], "{}");
    }
    for other in ["/agents/x/execute", "/other", &format!("{path}?a=b")] {
        watched.post(other, &[], "{}");
    }
    for request in [
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        format!("POST ftp://localhost{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"),
        format!("POST {path} HTTP/1.1\r\nHost: a b\r\nContent-Length: 0\r\n\r\n"),
        format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nExpect: magic\r\nContent-Length: 0\r\n\r\n"),
        format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"
        ),
        format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{"
        ),
        "GET / HTTP/1.1\r\nX : y\r\n\r\n".to_owned(),
    ] {
        watched.send(&request);
    }
    let mut leaving = watched.fixed();
    let head = "Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n";
    leaving.send(format!("POST {path} HTTP/1.1\r\n{head}\r\n{{").as_bytes());
    leaving.hang_up();
    for tenant in ["nobody", "closed", "limited", "limited"] {
        let answer = watched.pair.caller().post(path, &[("X-Tenant-Id", tenant)], b"{}");
        watched.got(&answer);
    }
    watched.pair.asteroid.fail_next(json!({"method": "POST", "then": "stall"}));
    let before = watched.pair.asteroid.requests().len();
    let mut held = watched.fixed();
    held.send_post(path, &[("Idempotency-Key", &in_flight)], b"{}");
    watched.pair.asteroid.wait_for_requests(before + 1);
    watched.post(path, &[("Idempotency-Key", &in_flight)], "{}");
    held.hang_up();
    // It may have hung up before its start was sent, after a look-up.
    watched.pair.asteroid.clear_faults();
}

#[test]
fn no_operation_and_no_failure_shows_the_key_in_an_answer_the_log_the_audit_a_span_or_a_metric() {
    let apart = std::thread::spawn(failures::run_failures_of_separate_gateways);
    let mut watched = Watched::start();
    // A start that waits is answered, as what it starts ends at once.
    watched.pair.asteroid.set_life(json!({"duration": "1ms", "starting": "0s"}));
    let known = watched.execute();
    for operation in Operation::starts() {
        let path = path_of(operation, &known);
        watched.post(&path, &[], "{\"inputs\":{}}");
        start_with_files(&mut watched, operation, &path);
        send_refused_requests(&mut watched, &path);
    }
    for operation in Operation::starts() {
        fail_at_the_upstream(&mut watched, operation, &path_of(operation, &known));
    }
    watched.pair.asteroid.set_life(json!({"duration": "never", "starting": "0s"}));
    operations::drive(&mut watched);
    watched.ask_admin();
    let good = watched.configuration.clone();
    for bad in [
        replace_once(&good.to_string(), r#""team":"#, r#""team": ["#),
        good.clone().main_credential(&format!("{API_KEY}:")).to_string(),
        good.clone().credential(API_KEY, &format!("file: [{API_KEY}]")).to_string(),
        good.clone().set("/credentials/main/file", format!("{API_KEY} {API_KEY}")).to_string(),
    ] {
        watched.pair.gateway.reload(bad);
        watched.ask_admin();
    }
    watched.pair.gateway.reload(good);
    let known = watched.execute();
    watched.pair.asteroid.replace_api_key("ak-other-7d3e9f1a52");
    // At the same time, because each waits for another API key.
    let starts = Operation::starts().flat_map(|operation| {
        ["", "Idempotency-Key: k\r\n"].map(|headers| requests::request(operation, &known, "", headers))
    });
    let others = operations::others()
        .flat_map(|operation| [known.as_str(), AGENT].map(|id| requests::request(operation, id, "", "")));
    let refused = starts.chain(others).map(|request| {
        let mut caller = watched.fixed();
        caller.send(request.as_bytes());
        caller
    });
    for mut caller in refused.collect::<Vec<_>>() {
        let answer = caller.answer();
        watched.got(&answer);
    }
    watched.ask_admin();

    let ended = watched.pair.gateway.stop();
    failures::assert_all_driven(&(ended.output.clone() + &apart.join().unwrap()));
    let audited = ended.output.lines().filter(|line| line.contains("\"message\":\"audit\"")).count();
    let audit = std::fs::read_to_string(&watched.audit).unwrap();
    assert_eq!(audit.lines().count(), audited);
    let posts = watched.collector.posts(1);
    let spans: Vec<u8> = posts.iter().flat_map(|post| [post.head.as_bytes(), &post.body].concat()).collect();
    let spans = String::from_utf8_lossy(&spans);
    for said in ["asteroid_gateway.tenant", "key-refused", "idempotency-lookup"] {
        assert!(spans.contains(said), "no span says {said}");
    }
    assert!(watched.answers.contains("asteroid_gateway_upstream_auth_failures_total"));
    for (what, output) in [
        ("an answer", watched.answers.as_str()),
        ("the log", &ended.output),
        ("the audit", &audit),
        ("a span", &spans),
        ("what the simulator shows", &watched.pair.asteroid.shown()),
    ] {
        assert_clean(what, output);
    }
}
