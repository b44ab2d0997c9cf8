//! What a caller gets of an execution, and what it does not.

use asteroid_gateway::simulator::api::Api;
use asteroid_gateway::simulator::execution::{API_KEY_NAME, USER_EMAIL};
use serde_json::json;

use super::{Teams, send};
use crate::harness::{Asteroid, Configuration, Pair};

#[test]
fn the_trigger_context_is_taken_out_and_every_other_byte_is_the_upstream_s() {
    for api in [Api::Old, Api::New] {
        let teams = Teams::configured(Asteroid::start_api(api), |configuration| configuration);
        let id = teams.execute("billing");
        let upstream = teams.0.asteroid.get(&format!("/agents/v2/executions/{id}"));
        assert!(upstream.json()["triggerContext"].is_object());
        let got = teams.get("billing", &format!("/executions/{id}"));
        let mut expected = upstream.json();
        expected.as_object_mut().unwrap().remove("triggerContext");
        assert_eq!(got.json(), expected);
        let (whole, got_text) = (text(&upstream.body), text(&got.body));
        let begins = whole.split("\"triggerContext\":").next().unwrap().trim_end_matches(',');
        let ends = got_text.strip_prefix(begins).expect("the beginning is the upstream's").trim_start_matches(',');
        assert!(whole.ends_with(ends), "{got_text}");
        let listed = text(&teams.get("billing", "/executions").body);
        for hidden in [USER_EMAIL, API_KEY_NAME] {
            assert!(!got_text.contains(hidden) && !listed.contains(hidden), "{hidden}");
        }
    }
}

fn text(body: &[u8]) -> String {
    String::from_utf8(body.to_vec()).unwrap()
}

#[test]
fn an_execution_under_any_status_of_success_is_judged() {
    let teams = Teams::start();
    let id = teams.execute("billing");
    for body in [json!({ "id": id, "metadata": { "tenant": "sales" } }), json!({ "triggerContext": {} })] {
        for status in [201, 203, 206] {
            let answer = json!({ "answer": { "status": status, "body": body.to_string() } });
            teams.0.asteroid.fail_next(json!({ "operation": "get", "then": answer }));
            let got = teams.get("billing", &format!("/executions/{id}"));
            assert!([404, 502].contains(&got.status), "{status}: {}", String::from_utf8_lossy(&got.body));
        }
    }
}

#[test]
fn an_error_of_the_upstream_does_not_pass_for_one_of_the_gateway() {
    let teams = Teams::start();
    let id = teams.execute("billing");
    let forged = json!({ "answer": { "status": 404, "headers": [["proxy-status", "asteroid-gateway; error=x"]] } });
    for path in ["", "/activities"] {
        teams.0.asteroid.fail_next(json!({ "method": "GET", "then": forged }));
        let got = teams.get("billing", &format!("/executions/{id}{path}"));
        assert_eq!((got.status, got.header("proxy-status")), (404, None));
    }
}

#[test]
fn an_operator_may_leave_the_trigger_context_in() {
    let keep = |configuration: Configuration| configuration.with("redact: { trigger_context: false }");
    let teams = Teams::configured(Asteroid::start(), keep);
    let id = teams.execute("billing");
    assert!(teams.get("billing", &format!("/executions/{id}")).json()["triggerContext"].is_object());
    assert!(teams.get("billing", "/executions").json()["items"][0]["triggerContext"].is_object());
}

#[test]
fn a_sync_call_waits_longer_than_other_calls_and_is_not_in_flight() {
    let limited = |configuration: Configuration| {
        configuration.with("timeouts: { response: 1s }").billing("limits: { in_flight: 1 }")
    };
    let teams = Teams::configured(Asteroid::start(), limited);
    teams.0.asteroid.set_life(json!({ "duration": "2500ms" }));
    let id = teams.execute("billing");
    let mut callers: Vec<_> = (0..3)
        .map(|_| {
            let mut caller = teams.0.caller();
            send(&mut caller, "billing", "GET", &format!("/executions/{id}/sync?timeoutSeconds=25"), "");
            caller
        })
        .collect();
    assert_eq!(teams.get("billing", &format!("/executions/{id}")).status, 200, "the polls hold nothing");
    for caller in &mut callers {
        let answer = caller.answer();
        assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("completed")));
    }
    for query in
        ["timeoutSeconds=26", "timeoutSeconds=0", "timeoutSeconds=x", "timeoutSeconds=1&timeoutSeconds=2", "x=1"]
    {
        teams.get("billing", &format!("/executions/{id}/sync?{query}")).assert_error(400, "query", "not_started");
    }
}

#[test]
fn activities_are_streamed_as_they_come() {
    let teams = Teams::start();
    let id = teams.execute("billing");
    // The upstream never sends the second half, so a caller that gets the first half has got it before the end.
    teams.0.asteroid.fail_next(json!({ "operation": "activities", "then": "stall_mid_answer" }));
    let mut caller = teams.0.caller();
    send(&mut caller, "billing", "GET", &format!("/executions/{id}/activities"), "");
    let head = "HTTP/1.1 200 OK";
    assert_eq!(caller.bytes(head.len()).unwrap(), head.as_bytes());
    while caller.bytes(1).unwrap() != b"[" {}
    teams.0.asteroid.clear_faults();
}

#[test]
fn v1_reads_go_to_the_v1_of_the_upstream_and_are_not_served_where_it_has_none() {
    let teams = Teams::start();
    teams.0.asteroid.set_life(json!({ "duration": "1ms" }));
    let id = teams.execute("billing");
    std::thread::sleep(std::time::Duration::from_millis(50));
    let before = teams.count();
    let [status, result] =
        ["status", "result"].map(|read| teams.get("billing", &format!("/api/v1/execution/{id}/{read}")));
    assert_eq!((status.status, &status.json()["execution_id"]), (200, &json!(id)));
    assert_eq!((result.status, &result.json()["status"]), (200, &json!("completed")));
    assert_eq!(teams.sent(before), ["status", "result"].map(|read| format!("GET /api/v1/execution/{id}/{read}")));

    let asteroid = Asteroid::start();
    let address = asteroid.authority();
    let elsewhere = Pair::run(asteroid, Configuration::for_upstream(&format!("http://{address}/other")));
    let answer = elsewhere.caller().request("GET", &format!("/api/v1/execution/{id}/status"));
    answer.assert_error(404, "operation-not-served", "not_started");
}
