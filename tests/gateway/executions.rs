//! The life of an execution through the gateway: followed, steered and listed by its own tenant, and by no other.

mod answers;
mod bounds;
mod changes;
mod listing;
mod open;
mod ownership;

use std::fmt::Display;

use serde_json::Value;

use crate::harness::{AGENT, Answer, Asteroid, Caller, Configuration, Pair};

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

/// A gateway for the tenants `billing` and `sales`, whose callers name them in a header.
struct Teams(Pair);

impl Teams {
    fn start() -> Teams {
        Teams::configured(Asteroid::start(), |configuration| configuration)
    }

    fn configured(asteroid: Asteroid, change: impl FnOnce(Configuration) -> Configuration) -> Teams {
        let configuration = change(asteroid.configuration().by_header().tenant("sales"));
        Teams(Pair::run(asteroid, configuration))
    }

    /// Starts an execution of a tenant, and returns its id.
    fn execute(&self, tenant: &str) -> String {
        let answer = self.call(tenant, "POST", &format!("/agents/{AGENT}/execute"), "{}");
        assert_eq!(answer.status, 202);
        answer.json()["executionId"].as_str().unwrap().to_owned()
    }

    /// Sends a request of a tenant.
    fn call(&self, tenant: &str, method: &str, path: &str, body: &str) -> Answer {
        let mut caller = self.0.caller();
        send(&mut caller, tenant, method, path, body);
        caller.answer()
    }

    fn get(&self, tenant: &str, path: &str) -> Answer {
        self.call(tenant, "GET", path, "")
    }

    /// Returns the requests that reached the upstream since `before` of them had, as method and path.
    fn sent(&self, before: usize) -> Vec<String> {
        let requests = self.0.asteroid.requests().split_off(before);
        requests.into_iter().map(|request| format!("{} {}", request.method, request.target)).collect()
    }

    fn count(&self) -> usize {
        self.0.asteroid.requests().len()
    }
}

/// Writes a request of a tenant, as the SDKs write it.
fn send(caller: &mut Caller, tenant: &str, method: &str, path: &str, body: impl Display) {
    let body = body.to_string();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nX-Tenant-Id: {tenant}\r\n", caller.address());
    let media_type = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    let length = if method == "POST" { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
    caller.send(format!("{head}{media_type}{length}\r\n{body}").as_bytes());
}

/// Returns an error without what differs between two requests.
fn without_ids(answer: &Answer) -> (u16, Vec<(String, String)>, Value) {
    let mut body = answer.json();
    body.as_object_mut().unwrap().remove("instance").unwrap();
    let own = |name: &str| ["x-request-id", "date", "content-length"].contains(&name);
    let headers = answer.headers.iter().filter(|(name, _)| !own(name)).cloned().collect();
    (answer.status, headers, body)
}
