//! A newcomer's first minute: `dev`, the command that it prints, and the request that arrives.

use std::process::Command;

use crate::harness::program::binary;
use crate::harness::{API_KEY, Pair, Program, json};

/// Runs a printed command, like a person who pastes it.
fn paste(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn dev() -> Program {
    let mut command = binary();
    command.args(["dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    Program::start(command, tempfile::tempdir().unwrap())
}

#[test]
fn dev_prints_a_curl_line_that_starts_an_execution_and_shows_what_arrived() {
    let dev = dev();
    let curl = |part: &'static str| {
        move |text: &str| text.lines().find(|line| line.contains("curl ") && line.contains(part)).map(str::to_owned)
    };
    let answer = paste(&dev.wait_for(curl("/execute")));
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    let body = json(answer.split("\r\n\r\n").nth(1).unwrap().as_bytes());
    let execution = body["executionId"].as_str().unwrap().to_owned();

    let arrived = dev.wait_for(|text| text.contains("\"tenant\":\"billing\"").then(|| text.to_owned()));
    assert!(arrived.contains(&execution) && arrived.contains("with a valid API key"), "{arrived}");

    let shown = json(paste(&dev.wait_for(curl("/_simulator/requests"))).as_bytes());
    assert_eq!(shown[0]["body"]["metadata"]["tenant"], "billing", "{shown}");
    assert!(dev.stop().status.success());
}

#[test]
fn dev_says_which_option_helps_where_its_address_is_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = binary().args(["dev", "--listen", &address, "--admin", "127.0.0.1:0"]).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(printed.contains(&address) && printed.contains("--listen"), "{printed}");
}

#[test]
fn run_takes_the_key_from_a_file_and_answers_with_the_upstreams_execution() {
    let pair = Pair::start();
    let answer = pair.execute(r#"{"inputs":{"invoice":4711}}"#);
    assert_eq!(answer.status, 202);
    let executions = pair.asteroid.executions();
    assert_eq!(answer.json(), serde_json::json!({"executionId": executions[0].id}));
    let line = pair.gateway.request_line(202);
    for (field, value) in [
        ("tenant", "billing"),
        ("operation", "AgentExecutePost"),
        ("agent_id", crate::harness::AGENT),
        ("credential", "main"),
        ("outcome", "answered"),
        ("execution_id", executions[0].id.as_str()),
        ("level", "INFO"),
    ] {
        assert_eq!(line[field], value, "{field} in {line}");
    }
    assert_eq!(line["delivered"], true);
}

#[test]
fn run_takes_the_key_from_an_environment_variable() {
    let asteroid = crate::harness::Asteroid::start();
    let configuration = asteroid.configuration().main_credential("env: THE_KEY");
    let gateway = Program::run_with(configuration, &[], &[("THE_KEY", API_KEY)]);
    let pair = Pair { asteroid, gateway };
    assert_eq!(pair.execute("{}").status, 202);
}
