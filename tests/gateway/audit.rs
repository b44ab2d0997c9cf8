//! Every start has an audit record, whatever happens to the start and to the file of the records.

mod disk;
mod end;
mod rotation;
mod stdout;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use asteroid_gateway::event;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::caller::TIMEOUT;
use crate::harness::{AGENT, API_KEY, Asteroid, Caller, Configuration, EXECUTE, Pair, Program};

/// The number of records that can wait to be written, as docs/AUDIT.md says.
const MAX_PENDING_RECORDS: usize = 8192;

/// A gateway with an audit file.
struct Audited {
    pair: Pair,
    file: PathBuf,
    _dir: TempDir,
}

impl Audited {
    fn start() -> Audited {
        Audited::with("", "")
    }

    /// Starts it with further members of `audit`, and further sections.
    fn with(audit: &str, sections: &str) -> Audited {
        Audited::configured(audit, |configuration| configuration.with(sections))
    }

    /// Starts it with further members of `audit`, and a change of the configuration.
    fn configured(audit: &str, change: impl FnOnce(Configuration) -> Configuration) -> Audited {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("audit.jsonl");
        Audited { pair: Pair::configured(|smallest| change(smallest.with(&to(&file, audit)))), file, _dir: dir }
    }

    /// Returns the records so far.
    fn records(&self) -> Vec<Value> {
        records_so_far(&self.file)
    }

    /// Waits for the record of this request.
    fn record(&self, request_id: &str) -> Value {
        wait_until(|| self.records().into_iter().find(|record| record["request_id"] == request_id))
    }

    /// Sends a start with this request id and these headers, and returns its record.
    fn recorded(&self, id: &str, headers: &[(&str, &str)], body: &[u8]) -> Value {
        self.pair.caller().post(EXECUTE, &[headers, &[("X-Request-Id", id)]].concat(), body);
        self.record(id)
    }
}

/// Returns the configuration section that writes records to this file.
fn to(file: &Path, more: &str) -> String {
    format!("audit: {{ file: \"{}\", {more} }}", file.display())
}

/// Returns the records of a file that is no longer written. Every line must be complete.
fn records(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n'), "a line has no end: {text}");
    parse(&text)
}

/// Returns the records of a file that is being written. Its last line may be incomplete.
fn records_so_far(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    parse(text.rsplit_once('\n').map_or("", |(lines, _)| lines))
}

fn parse(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// Polls until `find` returns something.
fn wait_until<T>(look: impl Fn() -> Option<T>) -> T {
    let end = std::time::Instant::now() + TIMEOUT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(std::time::Instant::now() < end, "what was waited for did not come");
        std::thread::yield_now();
    }
}

/// Sends a start that is refused for its body, and so only costs a record.
fn refused_start(id: usize) -> Vec<u8> {
    let head = "Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 2";
    format!("POST {EXECUTE} HTTP/1.1\r\n{head}\r\nX-Request-Id: n{id}\r\n\r\n[]").into_bytes()
}

/// Sends refused starts until no audit slot is left, and returns how many were recorded.
pub(crate) fn fill(mut caller: Caller) -> usize {
    const AT_ONCE: usize = 64;
    for n in (0..3 * MAX_PENDING_RECORDS).step_by(AT_ONCE) {
        let starts: Vec<u8> = (n..n + AT_ONCE).flat_map(refused_start).collect();
        caller.send(&starts);
        for n in n..n + AT_ONCE {
            let answer = caller.answer();
            if answer.status != 400 {
                // Its body was not read, so it is the last request of its connection.
                answer.assert_error(503, "audit-full", "not_started");
                return n;
            }
        }
    }
    panic!("there is no end of places")
}

fn without_times(mut record: Value) -> Value {
    for name in ["timestamp", "duration_ms", "peer"] {
        assert!(record.as_object_mut().unwrap().remove(name).is_some(), "{name}");
    }
    record
}

#[test]
fn a_start_s_record_says_who_started_what_with_which_key_and_what_became_of_it_in_both_places() {
    let audited = Audited::with("stdout: true", "fingerprint_salt: pepper");
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let record = audited.recorded("all", &[("traceparent", trace), ("Idempotency-Key", "k")], b"{ }");
    let execution = &audited.pair.asteroid.executions()[0];
    let sign = format!("printf %s '{API_KEY}' | openssl dgst -sha256 -hmac pepper -r | cut -c1-8");
    let fingerprint = Command::new("sh").arg("-c").arg(sign).output();
    let expected = json!({
        "level": "INFO", "message": "audit", "event": "audit.recorded", "request_id": "all", "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "tenant": "billing", "method": "POST", "route": "/agents/{agentId}/execute", "operation": "AgentExecutePost",
        "agent_id": AGENT, "decision": "sent", "credential": "main",
        "credential_fingerprint": String::from_utf8(fingerprint.unwrap().stdout).unwrap().trim(),
        "limits_left": {}, "status": 202, "outcome": "answered",
        "idempotency_digest": execution.metadata["idempotency_digest"], "idempotency_outcome": "answered", "execution_id": execution.id,
        "bytes_in": 3, "delivered": true
    });
    assert_eq!(without_times(record.clone()), expected);
    assert_eq!(audited.pair.gateway.event(event::AUDIT_RECORDED), record);
    let peer = audited.pair.gateway.event(event::REQUEST_COMPLETED)["peer"].clone();
    assert_eq!(record["peer"], peer);
    let permissions = std::fs::metadata(&audited.file).unwrap().permissions().mode();
    assert_eq!(permissions & 0o777, 0o640);
    let workflow = EXECUTE.replace("agents", "workflows");
    audited.pair.caller().post(&workflow, &[("X-Request-Id", "workflow")], b"{}");
    let record = audited.record("workflow");
    assert_eq!((&record["workflow_id"], record.get("trace_id")), (&json!(AGENT), None));
}

#[test]
fn a_refused_start_s_record_says_why_and_nothing_of_its_body() {
    let limits = "limits: { executions: { rate: 3/d }, requests: { rate: 7/d }, budget: { executions: 9, per: day } }";
    let audited = Audited::configured("", |configuration| configuration.billing(limits));
    let refused = |id, headers: &[(&str, &str)], body: &[u8], status, error, left: Value| {
        let record = audited.recorded(id, headers, body);
        assert_eq!((&record["decision"], &record["status"]), (&json!("refused"), &json!(status)), "{record}");
        assert_eq!((&record["error"], &record["outcome"]), (&json!(error), &json!("not_started")), "{record}");
        assert_eq!((record.get("credential"), &record["limits_left"]), (None, &left), "{record}");
        record["detail"].as_str().unwrap().to_owned()
    };
    let body = br#"{"metadata":{"tenant":"CONTENT"},"version":"CONTENT"}"#;
    assert_eq!(refused("body", &[], body, 400, "body", json!({"requests": 6})), "faults in the body: 2");
    refused("type", &[("Content-Type", "text/plain")], b"{}", 415, "media-type", json!({"requests": 5}));
    refused("key", &[("Idempotency-Key", "CONT,ENT")], b"{}", 400, "idempotency-key", json!({"requests": 4}));
    for (id, left) in [("1", json!(2)), ("2", json!(1)), ("3", json!(0))] {
        let record = audited.recorded(id, &[], b"{}");
        assert_eq!((&record["decision"], &record["limits_left"]["executions"]), (&json!("sent"), &left));
    }
    let left = json!({"requests": 0, "executions": 0, "budget": 6});
    assert!(refused("rate", &[], b"{}", 429, "limit", left).contains("executions (3 per day"));
    assert!(refused("many", &[], b"{}", 429, "limit", json!({"requests": 0})).contains("requests (7 per day"));
    let text = std::fs::read_to_string(&audited.file).unwrap();
    assert!(!text.contains("CONT"), "{text}");
}

#[test]
fn what_is_no_start_has_no_record() {
    let audited = Audited::start();
    assert_eq!(audited.pair.caller().request("GET", EXECUTE).status, 405);
    assert_eq!(audited.pair.caller().request("GET", "/nothing/here").status, 404);
    assert_eq!(audited.pair.caller().post("/agents/x/execute", &[], b"{}").status, 400);
    assert_eq!(audited.pair.caller().post(EXECUTE, &[("Origin", "http://x")], b"{}").status, 403);
    audited.recorded("start", &[], b"{}");
    assert_eq!(audited.records().len(), 1);
}

#[test]
fn a_replay_and_a_start_that_was_found_again_are_told_from_one_that_was_sent() {
    let audited = Audited::with("", "idempotency: { recovery: true }");
    let key = |key| [("Idempotency-Key", key)];
    let sent = audited.recorded("sent", &key("k"), b"{}");
    let replayed = audited.recorded("replayed", &key("k"), b"{}");
    assert_eq!((&sent["decision"], sent.get("replayed")), (&json!("sent"), None));
    assert_eq!((&replayed["decision"], &replayed["replayed"]), (&json!("replayed"), &json!(true)));
    for name in ["idempotency_digest", "execution_id", "status", "outcome"] {
        assert_eq!(sent[name], replayed[name], "{name}");
    }
    audited.pair.asteroid.fail_next(json!({"method": "POST", "run": true, "then": "close"}));
    let lost = audited.recorded("lost", &key("lost"), b"{}");
    assert_eq!((&lost["decision"], &lost["outcome"]), (&json!("sent"), &json!("unknown")));
    assert_eq!((&lost["error"], lost.get("execution_id")), (&json!("upstream-broke"), None));
    let found = audited.recorded("found", &key("lost"), b"{}");
    assert_eq!(found["decision"], "recovered");
    assert_eq!(found["execution_id"], audited.pair.asteroid.executions()[1].id.as_str());
    assert_eq!(audited.recorded("again", &key("lost"), b"{}")["decision"], "replayed");
    let mismatch = audited.recorded("mismatch", &key("lost"), b"{ }");
    assert_eq!((&mismatch["decision"], &mismatch["error"]), (&json!("refused"), &json!("idempotency-mismatch")));
    assert_eq!(audited.records().len(), 6);
}

#[test]
fn a_caller_who_leaves_has_a_record_of_what_was_started_or_that_nothing_was() {
    let audited = Audited::with("", "idempotency: { recovery: true }");
    let pair = &audited.pair;
    let mut caller = pair.caller();
    pair.asteroid.fail_next(json!({"method": "GET", "then": "stall"}));
    caller.send_post(EXECUTE, &[("X-Request-Id", "early"), ("Idempotency-Key", "k")], b"{}");
    pair.asteroid.wait_for_requests(1);
    // After a close without a reset, the caller might still read.
    caller.reset();
    let early = audited.record("early");
    assert_eq!((&early["decision"], &early["outcome"]), (&json!("left"), &json!("not_started")));
    assert_eq!((&early["delivered"], &early["status"]), (&json!(false), &json!(0)));
    pair.asteroid.clear_faults();

    pair.asteroid.fail_next(json!({"run": true, "then": "stall"}));
    let mut caller = pair.caller();
    caller.send_post(EXECUTE, &[("X-Request-Id", "late")], b"{}");
    pair.asteroid.wait_for_requests(2);
    caller.hang_up();
    pair.asteroid.clear_faults();
    let late = audited.record("late");
    assert_eq!((&late["decision"], &late["delivered"]), (&json!("sent"), &json!(false)));
    assert_eq!(late["execution_id"], pair.asteroid.executions()[0].id.as_str());
}

#[test]
fn an_upstream_that_refuses_or_cannot_be_reached_stands_in_the_record() {
    let audited = Audited::start();
    audited.pair.asteroid.fail_next(json!({"then": {"answer": {"status": 422, "body": "{}"}}}));
    let refused = audited.recorded("refused", &[], b"{}");
    assert_eq!((&refused["status"], &refused["outcome"]), (&json!(422), &json!("not_started")));
    audited.pair.asteroid.replace_api_key("ak-other-7d3e9f1a52");
    let key = audited.recorded("key", &[], b"{}");
    assert_eq!((&key["error"], &key["outcome"]), (&json!("key-refused"), &json!("not_started")));
    assert_eq!((&key["decision"], &key["credential"]), (&json!("sent"), &json!("main")));
}

#[test]
fn no_record_shows_the_key() {
    let audited = Audited::with("stdout: true", "idempotency: { recovery: true }\ntimeouts: { response: 300ms }");
    let asteroid = &audited.pair.asteroid;
    for (n, then) in ["close", "reset", "stall", "close_mid_answer"].into_iter().enumerate() {
        asteroid.fail_next(json!({"method": "POST", "run": true, "then": then}));
        audited.recorded(&format!("broken{n}"), &[("Idempotency-Key", then)], b"{}");
        audited.recorded(&format!("found{n}"), &[("Idempotency-Key", then)], b"{}");
    }
    audited.recorded("own", &[("X-Api-Key", API_KEY), ("Authorization", API_KEY), ("Idempotency-Key", API_KEY)], b"{}");
    audited.recorded("refused", &[("Idempotency-Key", API_KEY)], format!("\"{API_KEY}\"").as_bytes());
    let text = std::fs::read_to_string(&audited.file).unwrap();
    assert_eq!(text.lines().count(), 10);
    crate::canary::assert_clean("the audit", &text);
    crate::canary::assert_clean("standard output", &audited.pair.gateway.stop().output);
}
