//! Faults of one operation, and answers that say something else than they should.

use std::time::{Duration, Instant};

use asteroid_gateway::simulator::distort::OTHER_EXECUTION;
use asteroid_gateway::simulator::listing::FOREIGN_EXECUTION;
use serde_json::{Value, json};

use super::{control, execute};
use crate::harness::{API_KEY, Answer, Asteroid};

fn start(asteroid: &Asteroid) -> String {
    execute(asteroid, r#"{"metadata":{"tenant":"billing"}}"#).json()["executionId"].as_str().unwrap().to_owned()
}

fn get(asteroid: &Asteroid, path: &str) -> Answer {
    asteroid.get(&format!("/agents/v2/executions{path}"))
}

#[test]
fn a_fault_for_one_operation_waits_for_it_and_holds_up_no_other() {
    let asteroid = Asteroid::start();
    let id = start(&asteroid);
    let post = |order: &str| {
        asteroid.caller().post(&format!("/agents/v2/executions/{id}/{order}"), &[("X-Api-Key", API_KEY)], b"{}").status
    };
    let paths = [("get", format!("/{id}")), ("list", String::new()), ("activities", format!("/{id}/activities"))];
    for (operation, path) in &paths {
        asteroid.fail_next(json!({"operation": operation, "then": {"answer": {"status": 503}}}));
        let others = paths.iter().filter(|(other, _)| other != operation);
        assert!(others.into_iter().all(|(_, path)| get(&asteroid, path).status == 200), "{operation}");
        assert_eq!((post("pause"), execute(&asteroid, "{}").status), (200, 202));
        assert_eq!([(); 2].map(|()| get(&asteroid, path).status), [503, 200], "{operation}");
    }
    asteroid.fail_next(
        json!({"operation": "cancel", "method": "POST", "when": "head", "then": {"answer": {"status": 500}}}),
    );
    assert_eq!([post("pause"), post("resume"), post("cancel"), post("cancel")], [200, 200, 500, 200]);
    for wrong in [r#"{"operation":"steal"}"#, r#"{"operation":"get","when":"connected"}"#] {
        assert_eq!(control(&asteroid, "POST", "faults", &format!(r#"{{"fault":{wrong}}}"#)).status, 400, "{wrong}");
    }
}

#[test]
fn an_answer_is_told_to_be_about_another_execution() {
    let asteroid = Asteroid::start();
    let id = start(&asteroid);
    let told = |path: &str| {
        asteroid.fail_next(json!({"then": "other_id"}));
        get(&asteroid, path).json()
    };
    let mut item = told(&format!("/{id}"));
    assert_eq!(item["id"], OTHER_EXECUTION);
    item["id"] = json!(id);
    assert_eq!(item, get(&asteroid, &format!("/{id}")).json(), "all else is as it was");
    assert_eq!(told(&format!("/{id}/sync?timeoutSeconds=1"))["executionId"], OTHER_EXECUTION);
    let activity = told(&format!("/{id}/activities"))[0].take();
    assert_eq!(activity["executionId"], OTHER_EXECUTION);
    assert_ne!(activity["id"], OTHER_EXECUTION);
    assert_eq!(told("")["items"][0]["id"], json!(id));
}

#[test]
fn an_answer_is_padded_to_the_byte_and_stays_what_it_was() {
    let asteroid = Asteroid::start();
    let id = start(&asteroid);
    let padded = |path: &str, length: usize| {
        asteroid.fail_next(json!({"then": {"pad": length}}));
        get(&asteroid, path)
    };
    for length in [5_000, 3_000_000] {
        for path in [format!("/{id}"), String::new(), format!("/{id}/activities"), format!("/{FOREIGN_EXECUTION}")] {
            assert_eq!(padded(&path, length).body.len(), length, "{path}");
        }
    }
    let item = |body: Value| (body["id"].clone(), body["metadata"].clone());
    let plain = item(get(&asteroid, &format!("/{id}")).json());
    assert_eq!(item(padded(&format!("/{id}"), 5_000).json()), plain);
    assert_eq!(item(padded("", 5_000).json()["items"][0].take()), plain);
    assert!(padded(&format!("/{id}"), 10).body == get(&asteroid, &format!("/{id}")).body, "nothing is cut");
}

#[test]
fn an_answer_trickles() {
    let asteroid = Asteroid::start();
    let id = start(&asteroid);
    let path = format!("/{id}/activities");
    let whole = get(&asteroid, &path).body;
    let pieces = u32::try_from(whole.len().div_ceil(200)).unwrap();
    asteroid.fail_next(json!({"operation": "activities", "then": {"trickle": {"bytes": 200, "every_ms": 20}}}));
    let begun = Instant::now();
    assert_eq!(get(&asteroid, &path).body, whole);
    assert!(pieces > 3 && begun.elapsed() >= Duration::from_millis(20) * (pieces - 1), "{pieces}");
}

#[test]
fn a_listing_ignores_its_filter_or_finds_too_much_or_counts_wrong() {
    let asteroid = Asteroid::start();
    let id = start(&asteroid);
    let list = || {
        let body = get(&asteroid, "?metadataKey=tenant&metadataValue=bill&pageSize=2").json();
        let ids = body["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned());
        (ids.collect::<Vec<_>>(), body["total"].as_u64().unwrap())
    };
    assert_eq!(list(), (vec![], 0));
    for wrong in [json!({"filters": "none"}), json!({"partial": true})] {
        asteroid.set_listing(wrong);
        assert_eq!(list(), (vec![id.clone()], 1));
    }
    asteroid.set_listing(json!({"partial": true, "total_more": 5}));
    assert_eq!(list(), (vec![id.clone()], 6));
    asteroid.set_listing(json!({"partial": true, "foreign": {"tenant": "sales"}}));
    assert_eq!(list(), (vec![id.clone(), FOREIGN_EXECUTION.to_owned()], 2));
    assert_eq!(get(&asteroid, "").json()["items"][1]["metadata"], json!({"tenant": "sales"}));
    let second = start(&asteroid);
    assert_eq!(list(), (vec![second, FOREIGN_EXECUTION.to_owned()], 3), "the page does not grow");
}

#[test]
fn half_a_list_is_sent_and_then_the_connection_ends() {
    let asteroid = Asteroid::start();
    start(&asteroid);
    asteroid.fail_next(json!({"operation": "list", "then": "close_mid_answer"}));
    let mut caller = asteroid.caller();
    caller.send(format!("GET /agents/v2/executions HTTP/1.1\r\nHost: x\r\nX-Api-Key: {API_KEY}\r\n\r\n").as_bytes());
    assert!(caller.try_answer().is_none());
    assert_eq!(get(&asteroid, "").json()["total"], 1);
}
