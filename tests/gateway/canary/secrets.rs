//! What an execution works on, and URLs that work for whoever has them, are the callers' alone: no log, audit, span or metric
//! says them.

use std::fmt::Write;

use asteroid_gateway::asteroid::operation::Operation;
use asteroid_gateway::simulator::activity::{URL_SIGNATURE, USER};
use serde_json::json;

use super::requests::request;
use crate::harness::{AGENT, Asteroid, Caller, Collector, EXECUTE, Program};

/// A text of a caller: a message, an input, or the value of a parameter of a query.
const SECRET: &str = "card-4111-of-the-managing-director";

/// The beginning of it, in case a text is cut.
const BEGINNING: &str = "card-4111";

/// Returns the requests of a caller whose queries hold what is not for others.
fn queries(id: &str) -> Vec<String> {
    let get = |path: String| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut requests = vec![get(format!("/executions/{id}/recording?token={SECRET}"))];
    for query in [
        format!("token={SECRET}"),
        format!("token={SECRET}+x"),
        format!("token={SECRET}%zz"),
        format!("token={SECRET}%ff"),
        format!("token={SECRET}%00"),
        format!("inputsKey=card&inputsValue={SECRET}"),
        format!("inputsKey=card&inputsValue={SECRET}+x"),
        format!("metadataKey=card&metadataValue={SECRET}"),
        format!("metadata={SECRET}"),
        format!("metadata=tenant%20%3D{SECRET}"),
        format!("metadataKey=tenant&metadataValue={SECRET}"),
        format!("page={SECRET}"),
        format!("organizationId={SECRET}"),
    ] {
        requests.push(get(format!("/executions?{query}")));
        requests.push(get(format!("/executions/{id}?{query}")));
        requests.push(get(format!("/executions/{id}/activities?{query}")));
        requests.push(get(format!("/executions/{id}/sync?{query}")));
    }
    requests
}

#[test]
fn signed_urls_tokens_in_queries_inputs_and_messages_are_in_no_log_line_audit_record_span_or_metric() {
    let collector = Collector::start();
    let asteroid = Asteroid::start();
    let configuration = asteroid.configuration().with(&format!("{}\naudit: {{ stdout: true }}", collector.traces("")));
    let gateway = Program::run_with(configuration, &["--log-level", "debug"], &[]);
    let mut answers = String::new();
    let mut send = |request: &str| {
        let mut caller = Caller::connect(gateway.address());
        caller.send(request.as_bytes());
        let answer = caller.answer();
        writeln!(answers, "{} {}", answer.status, String::from_utf8_lossy(&answer.body)).unwrap();
        answer
    };
    let started = Caller::connect(gateway.address()).post(
        EXECUTE,
        &[],
        json!({"inputs": {"card": SECRET}}).to_string().as_bytes(),
    );
    let id = started.json()["executionId"].as_str().unwrap().to_owned();
    let mut talk = Caller::connect(gateway.address());
    let messages = format!("/executions/{id}/user-messages");
    assert_eq!(talk.post(&messages, &[], json!({"message": SECRET}).to_string().as_bytes()).status, 201);
    for wrong in [
        json!({"message": [SECRET]}),
        json!({"message": "x", SECRET: SECRET}),
        json!({"message": SECRET, "massage": 1}),
        json!([SECRET]),
    ] {
        talk.post(&messages, &[], wrong.to_string().as_bytes());
        talk.post(&format!("/executions/{id}/status"), &[], json!({"status": SECRET}).to_string().as_bytes());
    }
    for operation in [Operation::ExecutionActivities, Operation::ExecutionGet, Operation::ExecutionList] {
        assert_eq!(send(&request(operation, &id, "", "")).status, 200);
        // What is read and not passed on stays here, too.
        for then in [json!("close_mid_answer"), json!("other_id"), json!({"pad": 20_000_000})] {
            asteroid.fail_next(json!({"then": then}));
            let mut caller = Caller::connect(gateway.address());
            caller.send(request(operation, &id, "", "").as_bytes());
            drop(caller.try_answer());
            asteroid.clear_faults();
        }
    }
    for request in queries(&id).iter().chain(&queries(AGENT)) {
        send(request);
    }
    assert!([SECRET, URL_SIGNATURE, USER].iter().all(|told| answers.contains(told)), "the caller is told: {answers}");

    let metrics = String::from_utf8(gateway.admin("/metrics").body).unwrap();
    let output = gateway.stop().output;
    assert!(output.contains("\"message\":\"audit\"") && output.contains("\"error\":\"query\""), "{output}");
    let posts = collector.posts(1);
    let spans: Vec<u8> = posts.iter().flat_map(|post| [post.head.as_bytes(), &post.body].concat()).collect();
    let spans = String::from_utf8_lossy(&spans);
    assert!(spans.contains("ExecutionActivitiesGet"), "{spans}");
    for (what, text) in [("the log and the audit", output.as_str()), ("a span", &spans), ("a metric", &metrics)] {
        for secret in [SECRET, BEGINNING, URL_SIGNATURE, USER] {
            let lines: Vec<&str> = text.lines().filter(|line| line.contains(secret)).collect();
            assert!(lines.is_empty(), "{what} says {secret}:\n{}", lines.join("\n"));
        }
    }
}
