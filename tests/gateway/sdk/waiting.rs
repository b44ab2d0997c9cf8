//! Callers that start in v2 of the API and wait in v1, as the vendor's older SDKs do.

use std::process::Command;

use serde_json::{Value, json};

use super::{path, printed, run_file};
use crate::harness::{AGENT, Pair};

fn start() -> (Pair, String) {
    let pair = Pair::configured(|smallest| smallest.by_header().tenant("sales"));
    pair.asteroid.set_life(json!({"duration": "4s", "starting": "0s"}));
    let host = format!("http://{}", pair.gateway.address());
    (pair, host)
}

#[test]
fn a_wait_helper_that_polls_v1_gets_status_and_result_of_its_tenants_execution_alone() {
    let (pair, host) = start();
    let lines = run_file("1.7.257", "waiting.py", &[&host, AGENT]);
    let [first, status, second, result, third, done, fourth, done_result] = lines.try_into().unwrap();
    let read = |line: &str| crate::harness::json(line.as_bytes());
    let id = &pair.asteroid.executions()[0].id;
    assert_eq!([first, second, third, fourth], ["404", "404", "200", "200"]);
    for refused in [status, result] {
        let problem = read(&refused);
        assert_eq!(problem["type"], "urn:asteroid-gateway:error:not-found");
    }
    let (done, done_result) = (read(&done), read(&done_result));
    assert_eq!((&done["execution_id"], &done["status"]), (&json!(id), &json!("completed")));
    assert_eq!((&done_result["execution_id"], &done_result["status"]), (&json!(id), &json!("completed")));
    assert_ne!(done_result["execution_result"], Value::Null, "{done_result}");
}

#[test]
fn the_typescript_sdks_requests_by_nodes_fetch_follow_a_tenants_execution_to_its_result() {
    let (pair, host) = start();
    let node = Command::new("node").arg("--version").output();
    assert!(node.is_ok_and(|node| node.status.success()), "tests/run installs Node");
    let lines = printed(Command::new("node").arg(path("typescript.mjs")).args([&host, AGENT]));
    let not_found = "404 this tenant has no execution with this id; correct the id";
    let expected = format!(
        "execute 202
message 201
status of sales {not_found}
result of sales {not_found}
get of sales {not_found}
activities of sales {not_found}
message of sales {not_found}
status 200 completed
result 200 completed object
activities 200 terminal status_changed step_completed
get 200 completed undefined
list 200 1 of 1"
    );
    assert_eq!(lines.join("\n"), expected);
    // What Node adds to each request is not the API's.
    for request in pair.asteroid.requests() {
        assert!(request.authenticated, "{request:?}");
        for name in ["accept-language", "sec-fetch-mode", "x-tenant-id"] {
            assert_eq!(request.header(name), None, "{request:?}");
        }
    }
}
