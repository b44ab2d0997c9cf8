//! The lines that `dev` prints to follow an execution.

use crate::harness::program::binary;
use crate::harness::{Caller, Program};

#[test]
fn dev_prints_once_how_to_follow_the_first_execution_with_its_id_through_the_gateway() {
    let mut command = binary();
    command.args(["dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    let dev = Program::start(command, tempfile::tempdir().unwrap());
    let gateway = dev.wait_for(|text| {
        let rest = text.split_once("gateway             http://")?.1;
        rest.split_once(' ').map(|(address, _)| address.to_owned())
    });
    let start = || {
        let answer = Caller::connect(gateway.parse().unwrap()).execute("{}").json();
        answer["executionId"].as_str().unwrap().to_owned()
    };
    let first = start();
    let cancel = format!("curl -sS -X POST http://{gateway}/executions/{first}/cancel\n");
    let printed = dev.wait_for(|text| text.contains(&cancel).then(|| text.to_owned()));
    for line in [
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
