//! Records on standard output, whose reader may stall: then the log loses lines, but the audit loses none.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use super::*;
use crate::harness::configuration::directory;
use crate::harness::program::binary;

/// A process that is killed with the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Reads lines up to an event with this code.
fn read_until(output: &mut BufReader<ChildStdout>, code: &str) -> Value {
    loop {
        let mut line = String::new();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "{code} does not come");
        let line: Value = serde_json::from_str(&line).unwrap();
        if line["event"] == code {
            return line;
        }
    }
}

#[test]
fn a_reader_that_stalls_costs_no_record_and_tears_no_line() {
    let (dir, asteroid) = (tempfile::tempdir().unwrap(), Asteroid::start());
    let beside = dir.path().join("audit.jsonl");
    let configuration = asteroid.configuration().with(&to(&beside, "stdout: true, when_full: refuse"));
    let running = directory(configuration);
    let mut command = binary();
    command.args(["run", "--config"]).arg(running.path().join("gateway.yaml")).stdout(Stdio::piped());
    let mut child = Killed(command.spawn().unwrap());
    let mut output = BufReader::new(child.0.stdout.take().unwrap());
    let address = read_until(&mut output, event::LISTENER_STARTED)["address"].as_str().unwrap().parse().unwrap();
    read_until(&mut output, event::GATEWAY_READY);

    let recorded = fill(Caller::connect(address));
    assert!(recorded >= MAX_PENDING_RECORDS, "what is in the pipe is written: {recorded}");
    Caller::connect(address).execute("{}").assert_error(503, "audit-full", "not_started");
    assert_eq!(asteroid.requests().len(), 0);
    // The file gets them nevertheless.
    wait_until(|| (records_so_far(&beside).len() == recorded).then_some(()));

    let reading = std::thread::spawn(move || output.lines().map(Result::unwrap).collect::<Vec<_>>());
    wait_until(|| (Caller::connect(address).execute("{}").status == 202).then_some(()));
    Command::new("kill").arg(child.0.id().to_string()).status().unwrap();
    assert!(child.0.wait().unwrap().success());
    let lines = reading.join().unwrap().into_iter().map(|line| crate::harness::json(line.as_bytes()));
    let printed: Vec<Value> = lines.filter(|line| line["event"] == event::AUDIT_RECORDED).collect();
    assert_eq!(printed.len(), recorded + 1);
    for (n, record) in printed.iter().take(recorded).enumerate() {
        assert_eq!(record["request_id"], format!("n{n}"));
    }
    assert_eq!(printed, records(&beside));
}
