//! The lines that `dev` prints to follow an execution, and the life of that execution.

use crate::harness::program::binary;
use crate::harness::{Caller, Program};

/// Starts `dev` with further arguments, and returns it with the address of its gateway.
fn dev(arguments: &[&str]) -> (Program, String) {
    let mut command = binary();
    command.args(["dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]).args(arguments);
    let dev = Program::start(command, tempfile::tempdir().unwrap());
    let gateway = dev.wait_for(|text| {
        let rest = text.split_once("gateway             http://")?.1;
        rest.split_once(' ').map(|(address, _)| address.to_owned())
    });
    (dev, gateway)
}

#[test]
fn dev_prints_once_how_to_follow_the_first_execution_with_its_id_through_the_gateway() {
    let (dev, gateway) = dev(&[]);
    let start = || {
        let answer = Caller::connect(gateway.parse().unwrap()).execute("{}").json();
        answer["executionId"].as_str().unwrap().to_owned()
    };
    let first = start();
    let cancel = format!("curl -sS -X POST http://{gateway}/executions/{first}/cancel\n");
    let printed = dev.wait_for(|text| text.contains(&cancel).then(|| text.to_owned()));
    for line in [
        format!("Execution {first} was started. It ends after 10s; `dev --duration 5m` leaves more time"),
        format!("  curl -sS http://{gateway}/executions/{first}\n"),
        format!("  curl -sS http://{gateway}/executions/{first}/activities\n"),
        format!(
            "  curl -sS http://{gateway}/executions/{first}/user-messages -H 'Content-Type: application/json' -d '"
        ),
        format!("  curl -sS http://{gateway}/executions\n"),
    ] {
        assert!(printed.contains(&line), "{line}: {printed}");
    }
    let second = start();
    dev.wait_for(|text| text.contains(&second).then_some(()));
    let ended = dev.stop();
    assert!(!ended.output.contains(&format!("/executions/{second}")), "{}", ended.output);
}

#[test]
fn an_execution_of_dev_lives_as_long_as_it_is_told_and_the_sdks_of_both_eras_read_it() {
    for (duration, text) in [("50ms", "It ends after 50ms;"), ("never", "It runs until it is cancelled.")] {
        let (dev, gateway) = dev(&["--duration", duration]);
        let mut caller = Caller::connect(gateway.parse().unwrap());
        let id = caller.execute("{}").json()["executionId"].as_str().unwrap().to_owned();
        dev.wait_for(|printed| printed.contains(&format!("Execution {id} was started. {text}")).then_some(()));
        let read = caller.request("GET", &format!("/executions/{id}/sync?timeoutSeconds=1"));
        assert_eq!(read.status, if duration == "never" { 202 } else { 200 }, "{duration}");
        let item = caller.request("GET", &format!("/executions/{id}")).json();
        // The newer SDK cannot read an execution without these two.
        assert!(item["workflowName"].is_string() && item["workflowVersionId"].is_string(), "{item}");
    }
}
