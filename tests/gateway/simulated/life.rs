//! The life of an execution: its statuses by time and by callers, and what it tells of them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{assert_contract, control, execute};
use crate::harness::{API_KEY, Answer, Asteroid, at_once};

const OTHER: &str = "0b0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11";

fn start(asteroid: &Asteroid) -> String {
    execute(asteroid, "{}").json()["executionId"].as_str().unwrap().to_owned()
}

fn get(asteroid: &Asteroid, path: &str) -> Answer {
    asteroid.get(&format!("/agents/v2/executions/{path}"))
}

fn post(asteroid: &Asteroid, path: &str, body: &str) -> Answer {
    asteroid.caller().post(&format!("/agents/v2/executions/{path}"), &[("X-Api-Key", API_KEY)], body.as_bytes())
}

fn delete(asteroid: &Asteroid, id: &str) -> Answer {
    let mut caller = asteroid.caller();
    let head = format!("DELETE /agents/v2/executions/{id} HTTP/1.1\r\nHost: x\r\nX-Api-Key: {API_KEY}\r\n\r\n");
    caller.send(head.as_bytes());
    caller.answer()
}

fn status(asteroid: &Asteroid, id: &str) -> String {
    get(asteroid, id).json()["status"].as_str().unwrap().to_owned()
}

/// Waits until an execution has this status.
fn wait_for(asteroid: &Asteroid, id: &str, expected: &str) {
    let until = Instant::now() + Duration::from_secs(10);
    while status(asteroid, id) != expected {
        assert!(Instant::now() < until, "{} is not {expected}", status(asteroid, id));
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Returns the kinds of the activities, with the status if that changed.
fn kinds(activities: &Value) -> Vec<String> {
    let kind = |activity: &Value| {
        let payload = &activity["payload"];
        let text = |name: &str| payload[name].as_str().map(str::to_owned);
        text("status").or_else(|| text("activityType")).unwrap()
    };
    activities.as_array().unwrap().iter().map(kind).collect()
}

/// Moves an execution to this status with `POST …/status`.
fn change(asteroid: &Asteroid, id: &str, status: &str) -> u16 {
    post(asteroid, &format!("{id}/status"), &json!({ "status": status }).to_string()).status
}

#[test]
fn it_starts_runs_and_ends_in_the_planned_time_and_says_so_afterwards() {
    let asteroid = Asteroid::start();
    asteroid.set_life(json!({"starting": "never"}));
    let before = get(&asteroid, &start(&asteroid)).json();
    assert_eq!((&before["status"], before.get("liveViewUrl")), (&json!("starting"), None));
    asteroid.set_life(json!({"duration": "never", "starting": "0s"}));
    let during = get(&asteroid, &start(&asteroid)).json();
    assert_eq!((&during["status"], during.get("terminalAt")), (&json!("running"), None));
    assert!(during["liveViewUrl"].is_string(), "{during}");
    asteroid.set_life(json!({"duration": "40ms", "starting": "20ms"}));
    let id = start(&asteroid);
    wait_for(&asteroid, &id, "completed");
    let item = get(&asteroid, &id).json();
    let time = |name: &str| humantime::parse_rfc3339(item[name].as_str().unwrap()).unwrap();
    let took = |from: &str, to: &str| time(to).duration_since(time(from)).unwrap();
    assert_eq!(took("createdAt", "terminalAt").as_millis(), 40, "whenever somebody looks: {item}");
    assert_eq!(took("createdAt", "startedAt").as_millis(), 20, "{item}");
    assert_eq!((&item["duration"], &item["executionResult"]["outcome"]), (&json!(0.04), &json!("success")));
    assert!(item["recordingUrl"].is_string() && item.get("liveViewUrl").is_none(), "{item}");
    let activities = get(&asteroid, &format!("{id}/activities")).json();
    let expected =
        ["starting", "running", "step_started", "reasoning", "file_added", "step_completed", "completed", "terminal"];
    assert_eq!(kinds(&activities), expected);
    assert_eq!(activities[6]["timestamp"], item["terminalAt"]);
    assert_eq!(get(&asteroid, &format!("{id}/activities")).json(), activities, "their ids stay the same");
}

#[test]
fn by_default_it_runs_after_a_second_and_ends_after_ten() {
    let asteroid = Asteroid::start();
    let life = |told: Value| {
        assert_eq!(control(&asteroid, "PUT", "life", &told.to_string()).status, 200, "{told}");
        control(&asteroid, "GET", "life", "").json()
    };
    let at_first = json!({"duration": "10s", "starting": null, "end": "completed", "staff_notes": false});
    assert_eq!(life(json!({})), at_first);
    let never = json!({"duration": "never", "starting": "50ms", "end": "failed", "staff_notes": true});
    assert_eq!(life(never.clone()), never);
    for wrong in [r#"{"duration":"soon"}"#, r#"{"duration":10}"#, r#"{"end":"cancelled"}"#, r#"{"life":1}"#] {
        assert_eq!(control(&asteroid, "PUT", "life", wrong).status, 400, "{wrong}");
    }
    life(json!({"duration": "100ms"}));
    let id = start(&asteroid);
    wait_for(&asteroid, &id, "completed");
    let activities = get(&asteroid, &format!("{id}/activities")).json();
    let at = |n: usize| humantime::parse_rfc3339(activities[n]["timestamp"].as_str().unwrap()).unwrap();
    assert_eq!(at(1).duration_since(at(0)).unwrap(), Duration::from_millis(10), "it is a tenth: {activities}");
}

#[test]
fn a_caller_pauses_resumes_and_cancels_in_either_form() {
    let asteroid = Asteroid::start();
    let id = start(&asteroid);
    for (order, expected) in [("pause", "paused"), ("pause", "paused"), ("resume", "running"), ("resume", "running")] {
        let answer = post(&asteroid, &format!("{id}/{order}"), "");
        assert_eq!((answer.status, answer.json()), (200, json!({"executionId": id, "status": expected})));
        assert_eq!(status(&asteroid, &id), expected);
    }
    for expected in ["paused", "running", "cancelled"] {
        let body = json!({ "status": expected }).to_string();
        let answer = post(&asteroid, &format!("{id}/status"), &body);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain; charset=utf-8")));
        assert_eq!(status(&asteroid, &id), expected);
    }
    let second = start(&asteroid);
    assert_eq!(post(&asteroid, &format!("{second}/cancel"), "").json()["status"], "cancelled");
    assert!(get(&asteroid, &second).json().get("executionResult").is_none());
    for wrong in ["", "{}", r#"{"status":"completed"}"#, r#"{"status":1}"#] {
        let live = start(&asteroid);
        assert_contract(&post(&asteroid, &format!("{live}/status"), wrong), 400);
    }
}

#[test]
fn it_does_not_age_while_it_is_paused() {
    let asteroid = Asteroid::start();
    asteroid.set_life(json!({"duration": "1s", "starting": "0s"}));
    let id = start(&asteroid);
    assert_eq!(change(&asteroid, &id, "paused"), 200);
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(change(&asteroid, &id, "running"), 200);
    assert_eq!(status(&asteroid, &id), "running");
    wait_for(&asteroid, &id, "completed");
    assert!(get(&asteroid, &id).json()["duration"].as_f64().unwrap() >= 2.2);
}

#[test]
fn every_live_status_takes_orders_and_messages_and_no_ended_one_does() {
    let asteroid = Asteroid::start();
    let message = r#"{"message":"Skip page 2"}"#;
    for status in ["queued", "starting", "running", "paused", "awaiting_confirmation", "paused_by_agent"] {
        for order in ["pause", "resume", "cancel"] {
            let id = start(&asteroid);
            asteroid.set_status(&id, status);
            assert_eq!(post(&asteroid, &format!("{id}/user-messages"), message).status, 201, "{status}");
            assert_contract(&delete(&asteroid, &id), 400);
            assert_eq!(post(&asteroid, &format!("{id}/{order}"), "").status, 200, "{status} {order}");
        }
    }
    for status in ["completed", "cancelled", "failed"] {
        let id = start(&asteroid);
        asteroid.set_status(&id, status);
        for order in ["pause", "resume", "cancel"] {
            assert_contract(&post(&asteroid, &format!("{id}/{order}"), ""), 400);
        }
        assert_contract(&post(&asteroid, &format!("{id}/user-messages"), message), 400);
        assert_contract(&post(&asteroid, &format!("{id}/status"), r#"{"status":"running"}"#), 400);
        assert_eq!(delete(&asteroid, &id).status, 204);
        assert_contract(&get(&asteroid, &id), 404);
    }
}

#[test]
fn a_message_is_among_the_activities_with_the_user_behind_the_key() {
    let asteroid = Asteroid::start();
    let id = start(&asteroid);
    let answer = post(&asteroid, &format!("{id}/user-messages"), r#"{"message":"Skip \"page\" 2"}"#);
    assert_eq!((answer.status, answer.header("content-type")), (201, Some("text/plain; charset=utf-8")));
    assert!(!answer.body.is_empty());
    let newest = get(&asteroid, &format!("{id}/activities?order=desc&limit=1")).json();
    let user = asteroid_gateway::simulator::activity::USER;
    let payload = json!({"activityType": "user_message_received", "message": "Skip \"page\" 2", "userUUID": user});
    assert_eq!((newest.as_array().unwrap().len(), &newest[0]["payload"]), (1, &payload));
    assert_eq!((&newest[0]["executionId"], newest[0]["id"].is_string()), (&json!(id), true));
    for wrong in ["", "{}", r#"{"message":1}"#] {
        assert_contract(&post(&asteroid, &format!("{id}/user-messages"), wrong), 400);
    }
    for wrong in ["order=up", "limit=0", "limit=all"] {
        assert_contract(&get(&asteroid, &format!("{id}/activities?{wrong}")), 400);
    }
}

#[test]
fn the_newest_activities_and_64_kib_of_messages_are_remembered() {
    let asteroid = Asteroid::start();
    let id = start(&asteroid);
    let mut caller = asteroid.caller();
    let path = format!("/agents/v2/executions/{id}/user-messages");
    let mut send = |message: &str| {
        let body = json!({ "message": message }).to_string();
        assert_eq!(caller.post(&path, &[("X-Api-Key", API_KEY)], body.as_bytes()).status, 201);
    };
    let activities = || get(&asteroid, &format!("{id}/activities")).json().as_array().unwrap().clone();
    (0..250).for_each(|n| send(&n.to_string()));
    let remembered = activities();
    assert_eq!((remembered.len(), &remembered[199]["payload"]["message"]), (200, &json!("249")));
    send(&"ü".repeat(40_000));
    assert_eq!(activities().len(), 1);
    assert_eq!(activities()[0]["payload"]["message"], json!("ü".repeat(32_768)));
    send("short");
    assert_eq!(activities().len(), 1, "the long one makes room");
}

#[test]
fn a_wait_for_the_end_is_held_until_it_comes_or_the_time_is_up() {
    let asteroid = Asteroid::start();
    asteroid.set_life(json!({"duration": "3s", "starting": "0s"}));
    let wait = |id: &str, query: &str| {
        let begun = Instant::now();
        let answer = get(&asteroid, &format!("{id}/sync{query}"));
        (answer.status, answer.json(), begun.elapsed())
    };
    let id = start(&asteroid);
    let (status, body, took) = wait(&id, "?timeoutSeconds=1");
    assert_eq!((status, &body), (202, &json!({"executionId": id, "status": "running"})));
    assert!(took >= Duration::from_secs(1), "{took:?}");
    let (status, body, took) = wait(&id, "");
    assert_eq!(
        (status, &body["status"], &body["executionResult"]["outcome"]),
        (200, &json!("completed"), &json!("success"))
    );
    assert!(took < Duration::from_secs(10), "{took:?}");

    asteroid.set_life(json!({"duration": "never"}));
    for (order, expected) in [("cancel", 200), ("pause", 202)] {
        let id = start(&asteroid);
        let before = asteroid.requests().len();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| wait(&id, ""));
            asteroid.wait_for_requests(before + 1);
            post(&asteroid, &format!("{id}/{order}"), "");
            let (status, _, took) = waiting.join().unwrap();
            assert_eq!(status, expected, "{order}");
            assert!(took < Duration::from_secs(10), "{took:?}");
        });
    }
    at_once(["0", "26", "x", ""], |wrong| {
        assert_contract(&get(&asteroid, &format!("{id}/sync?timeoutSeconds={wrong}")), 400);
    });
}

#[test]
fn another_id_is_404_and_no_key_is_401_for_every_operation() {
    let asteroid = Asteroid::start();
    let id = start(&asteroid);
    let body = r#"{"status":"paused","message":"a"}"#;
    for read in ["", "/sync", "/activities"] {
        assert_contract(&get(&asteroid, &format!("{OTHER}{read}")), 404);
        assert_contract(&asteroid.caller().request("GET", &format!("/agents/v2/executions/{id}{read}")), 401);
    }
    for order in ["status", "cancel", "pause", "resume", "user-messages", "rerun"] {
        assert_contract(&post(&asteroid, &format!("{OTHER}/{order}"), body), 404);
        let path = format!("/agents/v2/executions/{id}/{order}");
        assert_contract(&asteroid.caller().post(&path, &[], body.as_bytes()), 401);
        assert_contract(&asteroid.get(&path), 405);
    }
    assert_contract(&delete(&asteroid, OTHER), 404);
    for question in ["status", "result"] {
        let path = format!("/api/v1/execution/{OTHER}/{question}");
        let answers = [(asteroid.get(&path), 404), (asteroid.caller().request("GET", &path), 401)];
        for (answer, status) in answers {
            assert_eq!((answer.status, answer.json()["error"].is_string()), (status, true), "{answer:?}");
            assert_eq!(answer.json().as_object().unwrap().len(), 1);
        }
    }
    assert_eq!(status(&asteroid, &id), "running", "what is refused changes nothing");
}

#[test]
fn the_older_api_tells_status_and_result_of_the_same_ids() {
    let asteroid = Asteroid::start();
    let ask = |id: &str, question: &str| asteroid.get(&format!("/api/v1/execution/{id}/{question}")).json();
    let id = start(&asteroid);
    let mut told = ask(&id, "status");
    assert!(humantime::parse_rfc3339(told["updated_at"].take().as_str().unwrap()).is_ok());
    assert_eq!(told, json!({"execution_id": id, "status": "running", "updated_at": null}));
    assert_eq!(ask(&id, "result"), json!({"execution_id": id, "status": "running"}));
    asteroid.set_status(&id, "completed");
    assert!(ask(&id, "result")["execution_result"].is_object());
    asteroid.set_status(&id, "failed");
    assert!(ask(&id, "result")["error"].is_string());
    asteroid.set_status(&id, "cancelled");
    assert_eq!(ask(&id, "status")["reason"], "user_requested");
}

#[test]
fn an_execution_is_moved_to_any_status_over_http() {
    let asteroid = Asteroid::start();
    let id = start(&asteroid);
    let told = |id: &str, status: &str| {
        control(&asteroid, "POST", "status", &json!({"execution_id": id, "status": status}).to_string()).status
    };
    for expected in ["awaiting_confirmation", "completed", "queued"] {
        assert_eq!((told(&id, expected), status(&asteroid, &id).as_str()), (200, expected));
    }
    assert_eq!((told(OTHER, "failed"), told(&id, "busy")), (400, 400));
}

#[test]
fn an_order_whose_answer_is_lost_is_carried_out_only_if_the_fault_says_so() {
    let asteroid = Asteroid::start();
    let id = start(&asteroid);
    let lost =
        |operation: &str, run: bool| json!({"operation": operation, "run": run, "then": {"answer": {"status": 503}}});
    for (run, expected) in [(false, "running"), (true, "paused")] {
        asteroid.fail_next(lost("pause", run));
        assert_eq!(post(&asteroid, &format!("{id}/pause"), "").status, 503);
        assert_eq!(status(&asteroid, &id), expected);
    }
    asteroid.set_status(&id, "completed");
    for (run, expected) in [(false, 200), (true, 404)] {
        asteroid.fail_next(lost("delete", run));
        assert_eq!(delete(&asteroid, &id).status, 503);
        assert_eq!(get(&asteroid, &id).status, expected);
    }
}
