//! A request for each operation, as its callers send it.

use asteroid_gateway::asteroid::operation::{BodyRule, Operation};

use super::path_to;
use crate::harness::{AGENT, API_KEY};
use crate::simulated::form::{TYPE, form};

/// Returns a body that an operation takes. The files of an upload have the key as their name and as their content.
pub(super) fn body(operation: Operation) -> String {
    match operation.rules().body {
        BodyRule::None => String::new(),
        BodyRule::Start | BodyRule::SyncStart | BodyRule::VersionStart | BodyRule::Rerun => "{}".to_owned(),
        BodyRule::Files => files(API_KEY),
        BodyRule::Status => r#"{"status":"paused"}"#.to_owned(),
        BodyRule::Message => r#"{"message":"Use the second card"}"#.to_owned(),
    }
}

/// Returns an upload of one file, with this text as its name and as its content.
pub(super) fn files(text: &str) -> String {
    String::from_utf8(form(&[(text, text.as_bytes())])).unwrap()
}

/// Returns a request for an operation, with this id, this query and the body that the operation takes.
pub(super) fn request(operation: Operation, id: &str, query: &str, headers: &str) -> String {
    request_to(operation, [id, AGENT], query, headers)
}

/// Returns the same with two ids, if the operation has two.
pub(super) fn request_to(operation: Operation, ids: [&str; 2], query: &str, headers: &str) -> String {
    with_body(operation, ids, query, headers, &body(operation))
}

/// Returns the same with this body.
pub(super) fn request_with(operation: Operation, id: &str, headers: &str, body: &str) -> String {
    with_body(operation, [id, AGENT], "", headers, body)
}

fn with_body(operation: Operation, ids: [&str; 2], query: &str, headers: &str, body: &str) -> String {
    let media_type = if operation.rules().body == BodyRule::Files { TYPE } else { "application/json" };
    let is_typed = headers.contains("Content-Type: ");
    let mut head = headers.to_owned();
    if !body.is_empty() {
        if !is_typed {
            head += &format!("Content-Type: {media_type}\r\n");
        }
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    let (method, path) = (operation.rules().method, path_to(operation, ids));
    format!("{method} {path}{query} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n{body}")
}
