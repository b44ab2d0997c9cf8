//! The tools of attackers and auditors, and callers that never read.

use std::process::Command;

use serde_json::json;

use crate::harness::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, block, frame, start};
use crate::harness::{EXECUTE, Pair, Program, TlsPair};

/// The size of an answer to a caller that never reads, and how much of it the gateway may buffer.
const ANSWER: usize = 64 * 1024 * 1024;
const HELD: usize = 16 * 1024 * 1024;

/// Runs the tool with 100 connections until all are closed or the time has passed.
fn slowhttptest(pair: &Pair, seconds: &str, mode: &[&str]) -> String {
    let url = format!("http://{}{EXECUTE}", pair.gateway.address());
    let mut tool = Command::new("slowhttptest");
    tool.args(["-c", "100", "-r", "100", "-l", seconds, "-u", &url]).args(mode);
    let output = tool.output().expect("slowhttptest runs; tests/run installs it");
    assert_eq!(pair.execute("{}").status, 202, "a fresh caller is served");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn slowhttptest_with_slow_heads_and_bodies_is_cut_off_and_with_slow_reads_disturbs_nobody() {
    let pair = Pair::with("timeouts: { caller_idle: 1s, body: 1s }");
    for mode in [&["-H", "-i", "1"][..], &["-B", "-i", "1", "-s", "8192", "-f", "application/json"]] {
        let output = slowhttptest(&pair, "10", mode);
        assert!(output.contains("No open connections left"), "{mode:?}: {output}");
    }
    // The gateway's own answers fit into the kernel's buffers, so the gateway does not wait.
    slowhttptest(&pair, "3", &["-X", "-k", "10", "-w", "10", "-y", "20", "-n", "1", "-z", "10"]);
    assert_eq!(pair.asteroid.requests().len(), 3, "only the fresh callers' starts reached the upstream");
}

#[test]
fn sslyze_finds_what_mozilla_calls_intermediate() {
    let secure = TlsPair::start();
    let python = std::env::var("ASTEROID_SSLYZE_PYTHON").expect("ASTEROID_SSLYZE_PYTHON; tests/run sets it");
    let ca_file = secure.certificates().join("ca.pem");
    std::fs::write(&ca_file, &secure.authority.pem).unwrap();
    let target = format!("localhost:{}", secure.gateway.address().port());
    let tool = Command::new(python)
        .args(["-m", "sslyze", "--mozilla_config=intermediate", "--certinfo_ca_file"])
        .arg(&ca_file)
        .arg(&target)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&tool.stdout);
    assert!(tool.status.success() && output.contains("OK - Compliant"), "{output}");
}

/// Waits until the gateway has given up, and checks how much it buffered until then.
fn gives_up(gateway: &Program, before: usize) {
    let line = gateway.request_line(200);
    assert_eq!((&line["delivered"], &line["outcome"]), (&false.into(), &"unknown".into()), "{line}");
    let grown = gateway.memory().saturating_sub(before);
    assert!(grown < HELD, "{grown}");
}

#[test]
fn a_caller_that_does_not_read_is_given_up_and_its_answer_is_not_held() {
    let pair = Pair::with("timeouts: { caller_idle: 1s }");
    let answer = json!({"then": {"answer": {"status": 200, "body": "x".repeat(ANSWER)}}});
    pair.asteroid.next(answer.clone());
    let before = pair.gateway.memory();
    let mut caller = pair.caller();
    caller.send_post(EXECUTE, &[], b"{}");
    gives_up(&pair.gateway, before);

    let secure = TlsPair::with("timeouts: { caller_idle: 1s }");
    secure.asteroid.next(answer);
    let before = secure.gateway.memory();
    let mut caller = secure.frames().begin();
    caller.send(&[frame(HEADERS, END_HEADERS, 1, &block(&start())), frame(DATA, END_STREAM, 1, b"{}")].concat());
    gives_up(&secure.gateway, before);
    while caller.next().is_some() {}
    assert_eq!(secure.caller().execute("{}").status, 202);
}
