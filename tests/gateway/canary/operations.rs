//! The operations about executions, each driven through its success, its refusals, and the failures of its upstream.

use asteroid_gateway::asteroid::group::Group;
use asteroid_gateway::asteroid::operation::{BodyRule, Effect, Operation};
use asteroid_gateway::simulator::execution::ORGANIZATION;
use serde_json::{Value, json};
use uuid::Uuid;

use super::outputs::Watched;
use super::requests::{files, request, request_to, request_with};
use super::uploads;
use crate::harness::{AGENT, API_KEY, Answer, EXECUTE};
use crate::simulated::form;

/// What is left of the API key in an answer that was passed on.
pub(super) const REDACTED: &str = "**************************";

/// Returns the operations that start nothing.
pub(super) fn others() -> impl Iterator<Item = Operation> {
    Operation::ALL.into_iter().filter(|operation| operation.rules().effect != Effect::Start)
}

/// Drives every operation but the starts.
pub(super) fn drive(watched: &mut Watched) {
    for operation in others() {
        succeed(watched, operation);
        refuse(watched, operation);
        fail_at_the_upstream(watched, operation);
    }
    stall(watched);
    list_what_is_foreign(watched);
}

/// Starts an execution at the upstream that holds the key in every part that a caller writes, and that this gateway does not
/// know yet.
fn plant(watched: &Watched) -> String {
    let asteroid = &watched.pair.asteroid;
    let body = json!({
        "inputs": {API_KEY: [API_KEY]},
        "metadata": {"tenant": "billing", "note": API_KEY, API_KEY: "x"},
        // So its list of files does not grow with each execution.
        "executionOptions": {"sharedStorageKey": Uuid::new_v4()},
    });
    let post = |path: &str, body: &Value| -> Answer {
        let key = [("X-Api-Key", API_KEY)];
        asteroid.caller().post(&format!("/agents/v2{path}"), &key, body.to_string().as_bytes())
    };
    let id = post(EXECUTE, &body).json()["executionId"].as_str().unwrap().to_owned();
    assert_eq!(post(&format!("/executions/{id}/user-messages"), &json!({"message": API_KEY})).status, 201);
    // So a wait for its end is answered at once.
    asteroid.set_status(&id, "paused");
    forget(watched);
    id
}

/// Lets the simulator forget its requests. It shows their bodies, and a caller has written the key into them.
pub(super) fn forget(watched: &Watched) {
    assert_eq!(watched.pair.asteroid.caller().request("DELETE", "/_simulator/requests").status, 200);
}

/// Gives a file that is named like the key to an execution. Returns the id of the file that an operation downloads.
fn plant_file(watched: &Watched, operation: Operation, id: &str) -> String {
    let asteroid = &watched.pair.asteroid;
    let path = format!("/executions/{id}/context-files");
    assert_eq!(form::post(asteroid, &path, files(API_KEY).as_bytes()).status, 200);
    let mut caller = asteroid.caller();
    let address = caller.address();
    caller.send(
        format!("GET /agents/v2/executions/{id}/files HTTP/1.1\r\nHost: {address}\r\nX-Api-Key: {API_KEY}\r\n\r\n")
            .as_bytes(),
    );
    let directory = if operation == Operation::DebugFileDownload { "debug" } else { "uploads" };
    let file = caller.answer().json()["directories"][directory][0]["id"].as_str().unwrap().to_owned();
    forget(watched);
    file
}

/// Returns the id that comes first in the path of an operation.
fn first_id(operation: Operation, execution: &str) -> &str {
    if operation == Operation::TempFilesStage { ORGANIZATION } else { execution }
}

/// Returns whether the success of an operation is a redirect. Its `Location` is for the caller, so it is passed on, without the key.
fn redirects(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::ContextFileDownload
            | Operation::ExecutionFileDownload
            | Operation::DebugFileDownload
            | Operation::AgentFileDownload
            | Operation::ExecutionRecording
    )
}

/// Returns whether the answer of an operation says what somebody wrote.
fn repeats(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::ExecutionList
            | Operation::ExecutionGet
            | Operation::ExecutionActivities
            | Operation::ContextFiles
            | Operation::ExecutionFiles
            | Operation::AgentFiles
            | Operation::TempFilesUpload
            | Operation::TempFilesStage
    )
}

/// Calls an operation for an execution that is not known, then for the same one, whose answer comes in pieces that divide the key.
fn succeed(watched: &mut Watched, operation: Operation) {
    let id = plant(watched);
    if operation == Operation::ExecutionDelete {
        watched.pair.asteroid.set_status(&id, "cancelled");
    }
    let organization = format!("?organizationId={ORGANIZATION}");
    let token = format!("?token={API_KEY}");
    let query = match operation {
        Operation::ExecutionList => "?pageSize=2",
        Operation::TempFilesUpload => &organization,
        Operation::ExecutionRecording => &token,
        _ => "",
    };
    let file =
        if operation.rules().group == Group::Files { plant_file(watched, operation, &id) } else { AGENT.to_owned() };
    let request = request_to(operation, [first_id(operation, &id), &file], query, "");
    let status = watched.send(&request);
    let expected = if redirects(operation) { 303..308 } else { 200..300 };
    assert!(expected.contains(&status), "{operation:?}: {status}");
    watched.pair.asteroid.fail_next(json!({"then": {"trickle": {"bytes": 13, "every_ms": 0}}}));
    let before = std::mem::take(&mut watched.answers);
    watched.send(&request);
    let answer = std::mem::replace(&mut watched.answers, before);
    assert_eq!(answer.contains(REDACTED), repeats(operation), "{operation:?}: {answer}");
    watched.answers += &answer;
}

/// Sends requests that are refused before the operation is asked for.
fn refuse(watched: &mut Watched, operation: Operation) {
    let id = plant(watched);
    let rules = operation.rules();
    for query in ["?other=1", "?page=x", "?%zz", "?a+b"] {
        assert_eq!(watched.send(&request(operation, &id, query, "")), 400, "{operation:?} {query}");
    }
    let faulty = match rules.body {
        BodyRule::None => &["{}"][..],
        BodyRule::Files => &[],
        _ => &["[]", "{", "{}", r#"{"status":"x","message":1}"#],
    };
    for body in faulty {
        assert_eq!(watched.send(&request_with(operation, &id, "", body)), 400, "{operation:?} {body}");
    }
    if rules.body == BodyRule::Files {
        uploads::refuse(watched, operation, first_id(operation, &id));
    }
    assert_eq!(watched.send(&request(operation, &id, "", "Idempotency-Key: k\r\n")), 400, "{operation:?}");
    assert_eq!(watched.send(&request(operation, &id, "", "Origin: http://x\r\n")), 403, "{operation:?}");
    let closed = request(operation, &id, "", "X-Tenant-Id: closed\r\n");
    assert_eq!(watched.send_as_named_tenant(&closed), 403, "{operation:?}");
    if operation.template().contains("{executionId}") {
        assert_eq!(watched.send(&request(operation, AGENT, "", "")), 404, "{operation:?}");
    }
    if operation.template().contains('{') {
        assert_eq!(watched.send(&request(operation, "x", "", "")), 400, "{operation:?}");
    }
    // The key is in place of no id: the log says the path of each request as it was sent.
}

/// Returns an answer that looks like that of an operation, and holds the key wherever it can.
fn echo(operation: Operation, id: &str) -> String {
    let url = format!("https://files.example/{API_KEY}?key={API_KEY}");
    let item = json!({
        "id": id,
        "metadata": {"tenant": "billing", "note": API_KEY, API_KEY: API_KEY},
        "status": API_KEY,
        "inputs": {API_KEY: [API_KEY]},
        "triggerContext": {"apiKey": {"name": API_KEY}},
    });
    let echo = match operation {
        Operation::ExecutionGet => item,
        Operation::ExecutionList => {
            json!({"items": [item, item], "page": 1, "pageSize": 10, "total": 2, "note": API_KEY, API_KEY: API_KEY})
        }
        Operation::ExecutionActivities => {
            json!([{"payload": {"presignedUrl": format!("https://files.example/?key={API_KEY}")}}])
        }
        Operation::ContextFiles => json!([{"id": API_KEY, "fileName": API_KEY, "signedUrl": url, API_KEY: API_KEY}]),
        Operation::ExecutionFiles | Operation::AgentFiles => {
            let file = |execution: &str| json!({"id": AGENT, "executionId": execution, "fileName": API_KEY, "downloadUrl": url});
            json!({"directories": {"shared": [file(API_KEY), file(id), file(AGENT)], API_KEY: [file(id)]}, API_KEY: url})
        }
        Operation::TempFilesUpload | Operation::TempFilesStage => {
            json!({"tempFiles": [{"id": API_KEY, "name": API_KEY}, {"id": AGENT, "name": API_KEY, API_KEY: url}]})
        }
        Operation::V1Recording => json!({"recording_url": url}),
        _ => json!({"executionId": id, "execution_id": id, "status": API_KEY, "executionResult": {"result": API_KEY}}),
    };
    echo.to_string()
}

/// Causes each failure at the upstream: in a look-up of an execution that is not known, and in the call itself.
fn fail_at_the_upstream(watched: &mut Watched, operation: Operation) {
    let headers = json!([
        ["Location", format!("http://127.0.0.1:1/?{API_KEY}")],
        ["Content-Type", API_KEY],
        ["X-Echo", API_KEY],
        ["Retry-After", API_KEY],
        ["WWW-Authenticate", format!("Basic realm=\"{API_KEY}\"")],
    ]);
    let coded = json!([["Content-Encoding", "gzip"], ["X-Echo", API_KEY]]);
    let text = json!([["Content-Type", "text/plain; charset=utf-8"], ["X-Echo", API_KEY]]);
    let answer = |status: u16, headers: &Value, body: &str| json!({"then": {"answer": {"status": status, "headers": headers, "body": body}}});
    let known = plant(watched);
    assert_eq!(watched.send(&request(Operation::ExecutionGet, &known, "", "")), 200);
    // All look-ups are alike.
    let is_looked_up = matches!(
        operation,
        Operation::ExecutionGet
            | Operation::ExecutionList
            | Operation::ExecutionActivities
            | Operation::ExecutionCancel
            | Operation::ContextFilesUpload
            | Operation::V1Status
    );
    for id in [None, Some(known.as_str())].into_iter().skip(usize::from(!is_looked_up)) {
        let mut faults = vec![
            json!({"then": "close"}),
            json!({"then": "reset"}),
            json!({"then": "close_mid_answer"}),
            json!({"when": "connected", "then": "close"}),
            json!({"then": "other_id"}),
            json!({"then": {"pad": 200_000}}),
            json!({"then": {"pad": 2_000_000}}),
        ];
        for status in [201, 204, 302, 303, 307, 400, 403, 404, 409, 410, 429, 500, 503] {
            faults.push(answer(status, &headers, API_KEY));
        }
        let planted = plant(watched);
        let body = echo(operation, id.unwrap_or(&planted));
        faults.extend([
            answer(200, &headers, &body),
            answer(200, &headers, API_KEY),
            answer(200, &coded, &body),
            answer(200, &text, API_KEY),
            answer(404, &text, API_KEY),
            answer(200, &headers, &body.replace(r#""status""#, r#""id""#)),
            answer(200, &headers, &body.replace("billing", API_KEY)),
        ]);
        for fault in faults {
            // A "no" is remembered for a second, so each has an execution of its own.
            let fresh = if id.is_none() { plant(watched) } else { known.clone() };
            watched.pair.asteroid.close_connections();
            // A read may be sent again.
            for _ in 0..2 {
                watched.pair.asteroid.fail_next(fault.clone());
            }
            let before = watched.answers.len();
            watched.send(&request(operation, &fresh, "", ""));
            if redirects(operation) && fault["then"]["answer"]["status"] == 303 {
                let answer = watched.answers.split_at(before).1;
                let redacted = format!("\"http://127.0.0.1:1/?{REDACTED}\"");
                assert!(answer.contains(&redacted), "{operation:?}: {answer}");
            }
            watched.pair.asteroid.clear_faults();
        }
    }
}

/// Lets the upstream answer too late or in part, to all operations at once.
fn stall(watched: &mut Watched) {
    for then in ["stall", "stall_mid_answer"] {
        let ids: Vec<String> = others().map(|_| plant(watched)).collect();
        watched.pair.asteroid.fail_always(json!({"then": then}));
        let callers: Vec<_> = others()
            // A wait for the end of an execution is held for longer than this test should take.
            .filter(|operation| *operation != Operation::ExecutionSync)
            .zip(ids)
            .map(|(operation, id)| {
                let mut caller = watched.fixed();
                caller.send(request(operation, &id, "", "").as_bytes());
                caller
            })
            .collect();
        for mut caller in callers {
            let answer = caller.answer();
            assert_eq!(answer.status, 504);
            watched.got(&answer);
        }
        watched.pair.asteroid.clear_faults();
    }
}

/// Lists while the upstream adds an execution of somebody whose name is the key.
fn list_what_is_foreign(watched: &mut Watched) {
    watched.pair.asteroid.set_listing(json!({"foreign": {"tenant": API_KEY}}));
    assert_eq!(watched.send(&request(Operation::ExecutionList, "", "", "")), 502);
    watched.pair.asteroid.set_listing(json!({}));
}
