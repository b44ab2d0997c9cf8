//! The files of an execution, whose shared directory belongs to its agent: a tenant sees its own entries alone.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::teams::Teams;
use crate::harness::{AGENT, API_KEY, Asteroid, at_once, json as parse};

/// Starts an execution without the gateway, with the tag of this tenant, and returns its id.
fn start_elsewhere(asteroid: &Asteroid, tenant: &str) -> String {
    let path = format!("/agents/v2/agents/{AGENT}/execute");
    let body = json!({ "metadata": { "tenant": tenant } }).to_string();
    let answer = asteroid.caller().post(&path, &[("X-Api-Key", API_KEY)], body.as_bytes());
    answer.json()["executionId"].as_str().unwrap().to_owned()
}

/// Returns the executions of the entries in the shared directory.
fn shared(body: &[u8]) -> Vec<String> {
    let files = parse(body);
    let entries = files["directories"]["shared"].as_array().unwrap().clone();
    entries.iter().map(|entry| entry["executionId"].as_str().unwrap().to_owned()).collect()
}

/// Returns the upstream's own answer without the entries of executions other than these.
fn expected(asteroid: &Asteroid, id: &str, own: &[&String]) -> String {
    let mut files = asteroid.get(&format!("/agents/v2/executions/{id}/files")).json();
    let entries = files["directories"]["shared"].as_array_mut().unwrap();
    entries.retain(|entry| own.iter().any(|own| entry["executionId"] == own.as_str()));
    files.to_string()
}

/// Lets the next list of files have this body.
fn answer_next(asteroid: &Asteroid, status: u16, headers: &Value, body: &str) {
    let answer = json!({ "answer": { "status": status, "headers": headers, "body": body } });
    asteroid.fail_next(json!({ "operation": "files", "then": answer }));
}

#[test]
fn two_tenants_of_one_agent_see_their_own_shared_files_and_every_other_byte() {
    for (asteroid, is_plain) in [(Asteroid::start(), true), (Asteroid::start_tls("localhost"), false)] {
        let teams = Teams::configured(asteroid, |configuration| configuration);
        let [b1, s1, b2, s2] = ["billing", "sales", "billing", "sales"].map(|tenant| teams.execute(tenant));
        for (tenant, ids) in [("billing", [&b1, &b2]), ("sales", [&s1, &s2])] {
            for id in ids {
                for path in ["files", "agent-files"] {
                    let answer = teams.get(tenant, &format!("/executions/{id}/{path}"));
                    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
                    let body = String::from_utf8(answer.body).unwrap();
                    assert_eq!(shared(body.as_bytes()), ids.map(String::clone), "{tenant} {path}");
                    if is_plain {
                        assert_eq!(body, expected(&teams.0.asteroid, id, &ids), "{tenant} {path}");
                    }
                }
            }
        }
    }
}

#[test]
fn own_executions_that_this_gateway_does_not_know_are_looked_up_once_and_their_files_kept() {
    let teams = Teams::start();
    let older = start_elsewhere(&teams.0.asteroid, "billing");
    let foreign = start_elsewhere(&teams.0.asteroid, "sales");
    let id = teams.execute("billing");
    let path = format!("/executions/{id}/files");
    let before = teams.count();
    assert_eq!(shared(&teams.get("billing", &path).body), [older.clone(), id.clone()]);
    let asked = [&older, &foreign].map(|id| format!("GET /agents/v2/executions/{id}"));
    let listed = format!("GET /agents/v2{path}");
    // The look-ups of an answer begin at any of its executions.
    let sent = teams.sent(before);
    assert!(sent[0] == listed && sent.len() == 3 && asked.iter().all(|asked| sent.contains(asked)), "{sent:?}");
    let before = teams.count();
    assert_eq!(shared(&teams.get("billing", &path).body), [older.clone(), id]);
    // A yes is remembered, and a no for a moment.
    let sent = teams.sent(before);
    assert!(sent[0] == listed && !sent.contains(&asked[0]) && sent.len() <= 2, "{sent:?}");
    // What was learned counts for other calls, too.
    let before = teams.count();
    assert_eq!(teams.call("billing", "POST", &format!("/executions/{older}/pause"), "").status, 200);
    assert_eq!(teams.sent(before).len(), 1);
}

#[test]
fn an_answer_causes_at_most_twenty_look_ups_and_hides_what_is_not_looked_up() {
    let teams = Teams::start();
    let older: Vec<_> = (0..25).map(|_| start_elsewhere(&teams.0.asteroid, "billing")).collect();
    let id = teams.execute("billing");
    let path = format!("/executions/{id}/files");
    let before = teams.count();
    let seen = shared(&teams.get("billing", &path).body);
    assert_eq!(seen.len(), 21);
    assert!(seen.iter().all(|shown| older.contains(shown) || *shown == id), "{seen:?}");
    assert_eq!(teams.count() - before, 21);
    let before = teams.count();
    assert_eq!(shared(&teams.get("billing", &path).body).len(), 26, "the rest is looked up with the next answer");
    assert_eq!(teams.count() - before, 6);
}

#[test]
fn look_ups_for_files_count_in_the_rate_of_the_tenant() {
    let teams = Teams::start();
    let id = teams.execute("billing");
    let entry = |_| json!({ "id": Uuid::new_v4(), "executionId": Uuid::new_v4() });
    let look_up_twenty = || {
        let entries: Vec<_> = (0..20).map(entry).collect();
        let body = json!({ "directories": { "shared": entries } }).to_string();
        answer_next(&teams.0.asteroid, 200, &json!([["content-type", "application/json"]]), &body);
        let last = || teams.0.asteroid.requests().last().unwrap().number;
        let before = last();
        let answer = teams.get("billing", &format!("/executions/{id}/files"));
        assert_eq!((answer.status, &answer.body[..]), (200, &br#"{"directories":{"shared":[]}}"#[..]));
        last() - before - 1
    };
    // The burst is 200, and 20 come back in a second.
    let asked: Vec<u64> = (0..60).map(|_| look_up_twenty()).take_while(|asked| *asked == 20).collect();
    assert!((10..60).contains(&asked.len()), "{asked:?}");
    let sales = teams.execute("sales");
    let older = start_elsewhere(&teams.0.asteroid, "sales");
    assert_eq!(
        shared(&teams.get("sales", &format!("/executions/{sales}/files")).body),
        [sales, older],
        "others look up as before"
    );
}

#[test]
fn an_upstream_that_fails_while_it_is_asked_hides_the_files_and_is_not_asked_on() {
    let teams = Teams::start();
    let older: Vec<_> = (0..5).map(|_| start_elsewhere(&teams.0.asteroid, "billing")).collect();
    let id = teams.execute("billing");
    let path = format!("/executions/{id}/files");
    teams.0.asteroid.fail_next(json!({ "operation": "get", "then": { "answer": { "status": 500 } } }));
    let before = teams.count();
    assert_eq!(shared(&teams.get("billing", &path).body), std::slice::from_ref(&id));
    assert_eq!(teams.count() - before, 2, "the next look-ups would have failed, too");
    assert_eq!(shared(&teams.get("billing", &path).body), [older, vec![id]].concat(), "it was no no");
}

#[test]
fn a_list_of_files_that_cannot_be_read_is_not_passed_on() {
    let teams = Teams::start();
    let id = teams.execute("billing");
    let media_type = json!([["content-type", "application/json"]]);
    let coded = json!([["content-type", "application/json"], ["content-encoding", "gzip"]]);
    let twice = format!(r#"{{"directories":{{"shared":[{{"executionId":"{id}","executionId":"{id}"}}]}}}}"#);
    let cases = [
        (&media_type, "no JSON"),
        (&media_type, "[]"),
        (&media_type, "{}"),
        (&media_type, r#"{"directories":[]}"#),
        (&media_type, r#"{"directories":{"shared":{}}}"#),
        (&media_type, r#"{"directories":{},"directories":{}}"#),
        (&media_type, r#"{"directories":{"#),
        (&media_type, &twice),
        (&coded, r#"{"directories":{}}"#),
    ];
    for (headers, body) in cases {
        answer_next(&teams.0.asteroid, 200, headers, body);
        let answer = teams.get("billing", &format!("/executions/{id}/files"));
        answer.assert_error(502, "answer-unreadable", "not_started");
    }
}

#[test]
fn entries_that_name_no_execution_are_hidden_and_what_lists_no_files_is_passed_on() {
    let teams = Teams::start();
    let id = teams.execute("billing");
    let path = format!("/executions/{id}/files");
    let headers = json!([["content-type", "application/json"]]);
    let cases = [
        (
            r#"{"directories":{"shared":[{"id":"x"},5,{"executionId":"ID"}]}}"#,
            r#"{"directories":{"shared":[{"executionId":"ID"}]}}"#,
        ),
        (
            r#"{"directories":{"new":[ {"executionId":"ID"} , {"executionId":null} ]} }"#,
            r#"{"directories":{"new":[ {"executionId":"ID"}  ]} }"#,
        ),
        (r#"{ "directories": {"shared": null}, "x": [1] }"#, r#"{ "directories": {"shared": null}, "x": [1] }"#),
    ];
    for (body, expected) in cases {
        answer_next(&teams.0.asteroid, 200, &headers, &body.replace("ID", &id));
        let answer = teams.get("billing", &path);
        assert_eq!((answer.status, String::from_utf8(answer.body).unwrap()), (200, expected.replace("ID", &id)));
    }
    answer_next(&teams.0.asteroid, 503, &json!([["retry-after", "7"]]), "busy");
    let answer = teams.get("billing", &path);
    assert_eq!((answer.status, &answer.body[..], answer.header("retry-after")), (503, &b"busy"[..], Some("7")));
    // It was deleted past the gateway.
    teams.0.asteroid.delete(&id);
    at_once(["files", "agent-files", "context-files"], |read| {
        let answer = teams.get("billing", &format!("/executions/{id}/{read}"));
        assert_eq!((answer.status, answer.header("content-type")), (404, Some("text/plain; charset=utf-8")));
        assert_eq!(answer.body, b"execution not found");
    });
}
