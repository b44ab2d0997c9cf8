//! Records at the end of the gateway.

use super::*;

#[test]
fn a_drain_writes_every_record_before_the_exit_is_0() {
    let audited = Audited::start();
    audited.pair.asteroid.fail_next(json!({"run": true, "then": "stall"}));
    let mut caller = audited.pair.caller();
    caller.send_post(EXECUTE, &[("X-Request-Id", "drained")], b"{}");
    audited.pair.asteroid.wait_for_requests(1);
    audited.pair.gateway.signal("TERM");
    audited.pair.gateway.event(event::DRAIN_BEGUN);
    audited.pair.asteroid.clear_faults();
    assert_eq!(caller.answer().status, 202);
    let ended = audited.pair.gateway.end();
    assert!(ended.status.success(), "{}", ended.output);
    let [record] = records(&audited.file).try_into().unwrap();
    assert_eq!((&record["request_id"], &record["outcome"]), (&json!("drained"), &json!("answered")));
}

#[test]
fn what_the_drain_cuts_off_has_a_record_that_says_unknown() {
    let audited = Audited::with("", "drain: { timeout: 100ms }");
    audited.pair.asteroid.fail_next(json!({"run": true, "then": "stall"}));
    let mut caller = audited.pair.caller();
    caller.send_post(EXECUTE, &[], b"{}");
    audited.pair.asteroid.wait_for_requests(1);
    assert_eq!(audited.pair.gateway.stop().status.code(), Some(1));
    let [record] = records(&audited.file).try_into().unwrap();
    assert_eq!((&record["decision"], &record["outcome"]), (&json!("sent"), &json!("unknown")));
}

#[test]
fn what_a_second_signal_cuts_off_is_recorded_as_unknown_and_the_exit_is_not_0() {
    let audited = Audited::with("", "drain: { timeout: 1h }");
    audited.recorded("written", &[], b"{}");
    audited.pair.asteroid.fail_next(json!({"run": true, "then": "stall"}));
    let mut caller = audited.pair.caller();
    caller.send_post(EXECUTE, &[], b"{}");
    audited.pair.asteroid.wait_for_requests(2);
    audited.pair.gateway.signal("TERM");
    audited.pair.gateway.event(event::DRAIN_BEGUN);
    audited.pair.gateway.signal("INT");
    let ended = audited.pair.gateway.end();
    assert_eq!(ended.status.code(), Some(1));
    assert!(!ended.logged(event::AUDIT_RECORDS_LOST), "{}", ended.output);
    let records = records(&audited.file);
    assert_eq!(records.len(), 2);
    assert_eq!(records[1]["outcome"], "unknown");
}
