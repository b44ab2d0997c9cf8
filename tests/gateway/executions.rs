//! The life of an execution through the gateway: followed, steered and listed by its own tenant, and by no other.

mod answers;
mod bounds;
mod changes;
mod listing;
mod open;
mod ownership;

use serde_json::Value;

use crate::harness::Answer;
use crate::harness::teams::{Teams, send};

/// The operations on one execution: method, path behind its id, and body.
const OPERATIONS: [(&str, &str, &str); 9] = [
    ("GET", "", ""),
    ("GET", "/sync?timeoutSeconds=1", ""),
    ("GET", "/activities?order=desc&limit=5", ""),
    ("POST", "/status", r#"{"status":"paused"}"#),
    ("POST", "/pause", ""),
    ("POST", "/resume", ""),
    ("POST", "/user-messages", r#"{"message":"Skip page 2"}"#),
    ("POST", "/cancel", ""),
    ("DELETE", "", ""),
];

/// Returns an error without what differs between two requests.
fn without_ids(answer: &Answer) -> (u16, Vec<(String, String)>, Value) {
    let mut body = answer.json();
    body.as_object_mut().unwrap().remove("instance").unwrap();
    let own = |name: &str| ["x-request-id", "date", "content-length"].contains(&name);
    let headers = answer.headers.iter().filter(|(name, _)| !own(name)).cloned().collect();
    (answer.status, headers, body)
}
