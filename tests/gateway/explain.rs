//! `explain` says what the gateway would do, reads no API key and sends nothing.

mod operations;

use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::net::TcpListener;
use std::process::{Output, Stdio};

use crate::harness::configuration::directory;
use crate::harness::{AGENT, API_KEY, Configuration, EXECUTE, Pair, binary};

/// Runs the command for the tenant `billing`.
fn explain(configuration: impl Display, arguments: &[&str], body: &[u8]) -> Output {
    let dir = directory(configuration);
    let file = dir.path().join("gateway.yaml");
    std::fs::remove_file(dir.path().join("key")).unwrap();
    let mut command = binary();
    command
        .arg("explain")
        .arg("--config")
        .arg(&file)
        .args(["--tenant", "billing"])
        .args(arguments)
        .env("THE_KEY", API_KEY);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that is refused for its arguments does not read its input.
    drop(child.stdin.take().unwrap().write_all(body));
    child.wait_with_output().unwrap()
}

fn of_agent(configuration: impl Display, body: &str) -> Output {
    explain(configuration, &["--agent", AGENT], body.as_bytes())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Returns the head and the body of the request, by the lengths in the output.
fn request(output: &Output) -> (String, Vec<u8>) {
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = said.split_once("the last ").unwrap().1;
    let (all, rest) = said.split_once(" bytes of this output, ").unwrap();
    let (body, _) = rest.split_once(" of them the body").unwrap();
    let (all, body): (usize, usize) = (all.parse().unwrap(), body.parse().unwrap());
    let bytes = &output.stdout[output.stdout.len() - all..];
    let (head, body) = bytes.split_at(all - body);
    (text(head).strip_suffix("\r\n\r\n").unwrap().to_owned(), body.to_vec())
}

const TRACE: (&str, &str) = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");

#[test]
fn what_is_explained_is_what_is_sent() {
    let pair = Pair::start();
    let body = r#"{"inputs": {"invoice": 12345678901234567890}, "metadata": {"ticket": "T-1"}}"#;
    let headers = [
        ("X-Request-Id", "r-1"),
        ("User-Agent", "billing/1.4"),
        ("Cookie", "a=b"),
        TRACE,
        ("Idempotency-Key", "invoice-1"),
    ];
    assert_eq!(pair.caller().post(EXECUTE, &headers, body.as_bytes()).status, 202);
    let sent = pair.asteroid.only_request();

    let mut arguments =
        vec!["--agent".to_owned(), AGENT.to_owned(), "--idempotency-key".to_owned(), "invoice-1".to_owned()];
    for (name, value) in &headers[..4] {
        arguments.extend(["--header".to_owned(), format!("{name}: {value}")]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = explain(pair.asteroid.configuration(), &arguments, body.as_bytes());
    let (head, explained) = request(&output);
    let mut lines = head.split("\r\n");
    assert_eq!(lines.next(), Some(format!("POST {} HTTP/1.1", sent.target).as_str()));
    let mut arrived: Vec<String> = sent.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let mut shown: Vec<String> = lines.map(|line| line.replace("<redacted>", "(a valid API key)")).collect();
    // The test's caller sends its headers in another order than that of the arguments.
    arrived.sort();
    shown.sort();
    assert_eq!(shown, arrived);
    assert_eq!(text(&explained), sent.text());
    let said = text(&output.stdout);
    assert!(
        said.contains(
            "passed on: x-request-id, user-agent, traceparent, content-type; dropped: cookie, idempotency-key"
        ),
        "{said}"
    );
    assert!(
        said.contains("tags          tenant=billing, cost_center=4711, team=billing, idempotency_digest="),
        "{said}"
    );
    assert_eq!(pair.asteroid.requests().len(), 1, "nothing more was sent");
}

#[test]
fn no_key_is_read_and_no_connection_made_also_where_starts_are_looked_up() {
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    upstream.set_nonblocking(true).unwrap();
    let url = format!("http://{}", upstream.local_addr().unwrap());
    let of_file = Configuration::for_upstream(&url).with("idempotency: { recovery: true }");
    let of_environment = of_file.clone().main_credential("env: THE_KEY");
    for configuration in [of_file, of_environment] {
        let arguments = ["--agent", AGENT, "--idempotency-key", "k"];
        let output = explain(configuration, &arguments, b"{}");
        assert!(request(&output).0.contains("x-asteroid-agents-api-key: <redacted>"));
        let shown = text(&output.stdout) + &text(&output.stderr);
        assert!(!shown.contains(API_KEY), "{shown}");
        assert!(shown.contains("looked up at the upstream before it is sent"), "{shown}");
        assert_eq!(upstream.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}

#[test]
fn the_body_is_shown_to_the_byte() {
    for (came, leaves) in [
        ("{}", r#"{"metadata":{"tenant":"billing","cost_center":"4711","team":"billing"}}"#),
        ("{}\n", "{\"metadata\":{\"tenant\":\"billing\",\"cost_center\":\"4711\",\"team\":\"billing\"}}\n"),
        (
            "\r\n{\"inputs\" : {\"a\":1.0,\"a\":\"\\u00e9\u{e9}\"}}\r\n\r\n",
            "\r\n{\"metadata\":{\"tenant\":\"billing\",\"cost_center\":\"4711\",\"team\":\"billing\"},\
             \"inputs\" : {\"a\":1.0,\"a\":\"\\u00e9\u{e9}\"}}\r\n\r\n",
        ),
    ] {
        let output = of_agent(Configuration::smallest(), came);
        let (head, body) = request(&output);
        assert_eq!(text(&body), leaves);
        assert!(head.ends_with(&format!("content-length: {}", leaves.len())), "{head}");
        let said = format!("{} bytes received, {} sent", came.len(), leaves.len());
        assert!(text(&output.stdout).contains(&said), "{said}");
    }
    let large = format!("{{\"inputs\":{{\"text\":\"{}\"}}}}", "x".repeat(300_000));
    let output = of_agent(Configuration::smallest(), &large);
    assert!(request(&output).1.ends_with(&large.as_bytes()[1..]));
}

#[test]
fn a_workflow_a_prefix_and_the_limits_are_explained_the_same_way_each_time() {
    let tagging = "tagging: { tenant_prefix: prod/, on_conflict: overwrite }";
    let limited = Configuration::for_upstream("http://127.0.0.1:1/base")
        .with(tagging)
        .billing("limits: { executions: { rate: 1/d }, in_flight: 2 }")
        .set("/credentials/main/file", "/nowhere/key");
    let explained = || explain(&limited, &["--workflow", AGENT], br#"{"metadata":{"tenant":"x"}}"#);
    let (first, second) = (explained(), explained());
    assert_eq!(first, second);
    let (head, body) = request(&first);
    assert!(head.starts_with(&format!("POST /base/workflows/{AGENT}/execute HTTP/1.1\r\n")), "{head}");
    assert!(text(&body).contains(r#""tenant":"prod/billing""#), "{}", text(&body));
    let said = text(&first.stdout);
    assert!(said.contains("in_flight 2; executions 1 per day, burst 1; nothing is counted by this command"), "{said}");
}

#[test]
fn the_description_of_the_gateway_is_explained_as_what_is_not_sent() {
    let output = explain(Configuration::smallest(), &["--call", "GET", "/.well-known/asteroid-gateway"], b"");
    assert!(!output.status.success());
    let shown = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    assert!(shown.contains("GatewaySelfGet") && shown.contains("the gateway answers this request itself"), "{shown}");
}

#[test]
fn a_call_about_an_execution_is_explained_as_it_would_be_sent_without_what_concerns_starts() {
    let configuration = Configuration::for_upstream("http://127.0.0.1:1/agents/v2");
    let id = "8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11";
    let own = format!("/executions/{id}");
    for (method, path, sent) in [
        ("GET", own.clone(), format!("GET /agents/v2{own} HTTP/1.1")),
        ("POST", format!("{own}/cancel"), format!("POST /agents/v2{own}/cancel HTTP/1.1")),
        (
            "GET",
            "/executions".to_owned(),
            "GET /agents/v2/executions?metadataKey=tenant&metadataValue=billing&page=1&pageSize=10 HTTP/1.1".to_owned(),
        ),
    ] {
        let output = explain(&configuration, &["--call", method, &path], b"");
        let shown = text(&output.stdout);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(shown.contains(&sent) && shown.contains("<redacted>"), "{shown}");
        assert!(!shown.contains("\nidempotency") && !shown.contains("\ntags"), "{shown}");
    }
    let closed = explain(&configuration, &["--call", "DELETE", &own], b"");
    assert_eq!(closed.status.code(), Some(1));
    assert!(text(&closed.stderr).contains("operations.delete: true"), "{}", text(&closed.stderr));
}

#[test]
fn what_is_refused_is_refused_with_every_reason_and_exit_code_1() {
    let plain = Configuration::smallest().with("body_limit: 1KiB");
    let required = plain.clone().billing("idempotency: required");
    let agent = ["--agent", AGENT];
    let faulty = r#"{"metadata":{"tenant":"x","n":1},"version":1.5}"#;
    let long = " ".repeat(1025);
    for (configuration, arguments, body, reasons) in [
        (
            &plain,
            &agent[..],
            faulty,
            &["with 400", "faults in the body: 3", "/metadata/tenant is", "/metadata/n must", "/version must"][..],
        ),
        (&plain, &agent, "{", &["with 400", "is not JSON", "line 1, column 2"]),
        (&plain, &agent, &long, &["with 413", "1024 bytes"]),
        (&required, &agent, "{}", &["with 400", "an Idempotency-Key is required"]),
        (&plain, &["--agent", AGENT, "--header", "Origin: http://x"], "{}", &["with 403", "Origin"]),
        (&plain, &["--agent", AGENT, "--header", "Content-Type: text/plain"], "{}", &["with 415"]),
    ] {
        let output = explain(configuration, arguments, body.as_bytes());
        assert_eq!(output.status.code(), Some(1), "{body}");
        let said = text(&output.stderr);
        for reason in reasons.iter().chain(&["Nothing would be sent."]) {
            assert!(said.contains(reason), "{reason} is not in:\n{said}");
        }
        let decided = text(&output.stdout);
        assert!(decided.contains("tenant        billing") && !decided.contains("POST"), "{decided}");
    }
}

#[test]
fn what_cannot_be_meant_is_named() {
    for (arguments, code, said) in [
        (&["--agent", "x"][..], 1, "--agent x: agentId in the path must be a hyphenated 36-character uuid"),
        (&["--workflow", "a/b"], 1, "--workflow a/b: workflowId in the path"),
        (&["--agent", AGENT, "--header", "Host: x"], 1, "--header \"Host\""),
        (&["--agent", AGENT, "--header", "x"], 1, "write it as 'Name: value'"),
        (&["--agent", AGENT, "--workflow", AGENT], 2, "cannot be used with"),
        (&["--agent", AGENT, "--id", AGENT], 2, "cannot be used with"),
        (&["--id", AGENT], 2, "--operation <NAME>"),
        (&["--operation", "ExecutionReruns", "--id", AGENT], 1, "no such operation; did you mean `ExecutionRerun`?"),
        (&["--operation", "AgentWorkflowsExecute", "--id", AGENT], 1, "has 2 of the ids that --id gives, and 1 came"),
        (&["--operation", "ExecutionRerun", "--id", AGENT, "--id", AGENT], 1, "has 1 of the ids"),
        (&["--operation", "ExecutionsList", "--id", AGENT], 1, "/executions has 0 of the ids"),
        (&["--operation", "ExecutionRerun", "--id", "x"], 1, "--id x: executionId in the path"),
        (&[], 2, "--agent <ID>|--workflow <ID>"),
    ] {
        let output = explain(Configuration::smallest(), arguments, b"{}");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(text(&output.stderr).contains(said), "{}", text(&output.stderr));
    }
    for arguments in [["--header", "X-Key: ak-0123456789\u{1}"], ["--header", "ak-0123456789abcdef"]] {
        let output = explain(Configuration::smallest(), &[&["--agent", AGENT], &arguments[..]].concat(), b"{}");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(!text(&output.stderr).contains("ak-"), "the value can be a secret: {}", text(&output.stderr));
    }
    let pasted = "ak-0123456789abcdef";
    let call = format!("/executions/{pasted}");
    for arguments in [
        &["--agent", pasted][..],
        &["--operation", pasted],
        &["--operation", "AgentWorkflowsExecute", "--id", AGENT, "--id", pasted],
        &["--call", pasted, "/executions"],
        &["--call", "GET", pasted],
        &["--call", "GET", &call],
        &["--agent", AGENT, pasted],
    ] {
        let output = explain(Configuration::smallest(), arguments, b"{}");
        assert!(!output.status.success());
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(!said.contains("ak-"), "{arguments:?}: {said}");
    }
    let renamed = Configuration::smallest()
        .tenant("biling")
        .set("/listeners/0/tenant/fixed", "biling")
        .remove("/tenants/billing");
    let output = of_agent(renamed, "{}");
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("--tenant billing: the configuration has no such tenant; did you mean `biling`?"), "{said}");
}
