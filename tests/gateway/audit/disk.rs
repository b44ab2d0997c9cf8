//! While records cannot be written, none is lost, and no start is sent without one.

use super::*;

/// The shell commands that limit the size of files to [`LIMIT`]. The limit can be raised later.
const LIMITED: &str = "trap '' XFSZ && ulimit -S -f 200";

/// The limit in bytes; `ulimit` counts in units of 512. It nearly always falls within a record.
const LIMIT: u64 = 200 * 512;

fn start_until_full(pair: &Pair, caller: &mut Caller) {
    while pair.gateway.events(event::AUDIT_WRITING_FAILED).is_empty() {
        assert_eq!(caller.execute("{}").status, 202, "there is still room for records");
    }
}

fn make_space(pair: &Pair) {
    let mut space = Command::new("prlimit");
    let raised = space.arg(format!("--pid={}", pair.gateway.id())).arg("--fsize=unlimited:").status();
    assert!(raised.unwrap().success());
}

fn assert_each_once(records: &[Value], asteroid: &Asteroid) {
    let written: Vec<Value> = records.iter().map(|record| record["execution_id"].clone()).collect();
    let executions: Vec<Value> = asteroid.executions().iter().map(|execution| json!(execution.id)).collect();
    assert_eq!(written, executions);
}

/// Starts a gateway that writes its records to this path.
fn audited_to(file: &Path, when_full: &str, prepare: &str) -> Pair {
    let asteroid = Asteroid::start();
    let configuration = asteroid.configuration().with(&to(file, &format!("when_full: {when_full}")));
    Pair { gateway: Program::run_under(configuration, prepare), asteroid }
}

#[test]
fn on_a_full_disk_starts_are_refused_once_no_more_records_can_wait_and_the_end_says_how_many_are_missing() {
    let pair = audited_to(Path::new("/dev/full"), "refuse", "true");
    assert_eq!(fill(pair.caller()), MAX_PENDING_RECORDS);
    assert!(
        pair.gateway.metrics().find("asteroid_gateway_audit_refused_total", &[]).is_some_and(|refused| refused >= 1.0)
    );
    let answer = pair.execute("{}");
    answer.assert_error(503, "audit-full", "not_started");
    assert_eq!(answer.header("retry-after"), Some("5"));
    assert_eq!(pair.asteroid.requests().len(), 0);
    assert_eq!(pair.caller().request("GET", EXECUTE).status, 405, "what is no start needs no record");
    let failures = || pair.gateway.events(event::AUDIT_WRITING_FAILED);
    assert_eq!(failures().len(), 1, "once an episode");
    assert_eq!(failures()[0]["level"], "ERROR");
    assert!(failures()[0]["reason"].as_str().unwrap().contains("No space left on device"));
    let ended = pair.gateway.stop();
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(ended.events(event::AUDIT_RECORDS_LOST)[0]["records"], MAX_PENDING_RECORDS);
}

#[test]
fn a_start_that_may_wait_goes_out_once_there_is_room_and_is_answered_where_there_is_none_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("audit.jsonl");
    let pair = audited_to(&file, "wait", LIMITED);
    // The last one has waited, and was refused.
    let recorded = fill(pair.caller());
    assert!(recorded > MAX_PENDING_RECORDS);
    let report = String::from_utf8(pair.gateway.admin("/readyz?verbose").body).unwrap();
    assert!(report.contains("[!]audit: 8192 of 8192 slots for records are taken\n"), "{report}");
    assert_eq!(pair.gateway.metrics().find("asteroid_gateway_audit_records_waiting", &[]), Some(8192.0));
    let mut left = pair.caller();
    left.send_post(EXECUTE, &[("X-Request-Id", "left")], b"{}");
    // A caller that leaves before its request is processed has made none.
    wait_until(|| {
        let metrics = String::from_utf8(pair.gateway.admin("/metrics").body).unwrap();
        metrics.contains("asteroid_gateway_requests_in_flight 1\n").then_some(())
    });
    let mut waiting = pair.caller();
    waiting.send_post(EXECUTE, &[], b"{}");
    // After a close without a reset, the caller might still read.
    left.reset();
    pair.gateway.line(|line| line["request_id"] == "left");
    assert_eq!(pair.asteroid.requests().len(), 0);
    make_space(&pair);
    assert_eq!(waiting.answer().status, 202);
    assert!(pair.gateway.stop().status.success());
    assert_eq!(records(&file).len(), recorded + 1);
}

#[test]
fn when_there_is_space_again_all_that_waited_is_written_once_in_whole_lines_and_starts_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("audit.jsonl");
    let pair = audited_to(&file, "wait", LIMITED);
    let mut caller = pair.caller();
    start_until_full(&pair, &mut caller);
    assert_eq!(std::fs::metadata(&file).unwrap().len(), LIMIT);
    make_space(&pair);
    pair.gateway.event(event::AUDIT_WRITING_RESUMED);
    assert_eq!(caller.execute("{}").status, 202);
    let Pair { asteroid, gateway } = pair;
    let ended = gateway.stop();
    assert!(ended.status.success(), "{}", ended.output);
    assert_each_once(&records(&file), &asteroid);
}

#[test]
fn a_file_that_is_moved_away_while_it_takes_no_more_keeps_no_torn_line() {
    let dir = tempfile::tempdir().unwrap();
    let (file, moved) = (dir.path().join("audit.jsonl"), dir.path().join("audit.jsonl.1"));
    let pair = audited_to(&file, "wait", LIMITED);
    start_until_full(&pair, &mut pair.caller());
    assert_eq!(std::fs::metadata(&file).unwrap().len(), LIMIT);
    std::fs::rename(&file, &moved).unwrap();
    pair.gateway.event(event::AUDIT_WRITING_RESUMED);
    let Pair { asteroid, gateway } = pair;
    assert!(gateway.stop().status.success());
    assert_each_once(&[records(&moved), records(&file)].concat(), &asteroid);
}

#[test]
fn a_directory_that_goes_away_holds_records_back_until_it_is_there_again() {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("below");
    std::fs::create_dir(&below).unwrap();
    let file = below.join("audit.jsonl");
    let pair = audited_to(&file, "wait", "true");
    std::fs::remove_dir_all(&below).unwrap();
    assert_eq!(pair.execute("{}").status, 202);
    wait_until(|| pair.gateway.events(event::AUDIT_WRITING_FAILED).pop());
    std::fs::create_dir(&below).unwrap();
    let [record] = wait_until(|| Some(records_so_far(&file)).filter(|found| !found.is_empty())).try_into().unwrap();
    assert_eq!(record["execution_id"], pair.asteroid.executions()[0].id.as_str());
    assert!(pair.gateway.stop().status.success());
}

#[test]
fn a_file_that_cannot_be_opened_keeps_the_gateway_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Command::new("mkfifo").arg(dir.path().join("pipe")).status().unwrap().success());
    for (file, reason) in
        [("absent/audit.jsonl", "No such file"), (".", "Is a directory"), ("pipe", "not a regular file")]
    {
        let file = dir.path().join(file);
        let output = crate::command_line::refused("run", Configuration::smallest().with(&to(&file, "")));
        assert!(output.contains(&format!("audit.file {}: cannot be opened for appending", file.display())), "{output}");
        assert!(output.contains(reason), "{output}");
    }
}

#[test]
fn a_line_that_was_left_without_its_end_does_not_spoil_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("audit.jsonl");
    std::fs::write(&file, "{\"message\":\"aud").unwrap();
    let pair = audited_to(&file, "wait", "true");
    assert_eq!(pair.execute("{}").status, 202);
    assert!(pair.gateway.stop().status.success());
    let text = std::fs::read_to_string(&file).unwrap();
    let (left, record) = text.split_once('\n').unwrap();
    assert_eq!(left, "{\"message\":\"aud");
    assert_eq!(crate::harness::json(record.as_bytes())["status"], 202);
}
