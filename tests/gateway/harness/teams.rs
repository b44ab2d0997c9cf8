//! A gateway for two tenants.

use std::fmt::Display;

use super::{AGENT, Answer, Asteroid, Caller, Configuration, Pair};

/// A gateway for the tenants `billing` and `sales`, whose callers name them in a header.
pub(crate) struct Teams(pub(crate) Pair);

impl Teams {
    pub(crate) fn start() -> Teams {
        Teams::configured(Asteroid::start(), |configuration| configuration)
    }

    pub(crate) fn configured(asteroid: Asteroid, change: impl FnOnce(Configuration) -> Configuration) -> Teams {
        let configuration = change(asteroid.configuration().by_header().tenant("sales"));
        Teams(Pair::run(asteroid, configuration))
    }

    /// Starts an execution of a tenant, and returns its id.
    pub(crate) fn execute(&self, tenant: &str) -> String {
        let answer = self.call(tenant, "POST", &format!("/agents/{AGENT}/execute"), "{}");
        assert_eq!(answer.status, 202);
        answer.json()["executionId"].as_str().unwrap().to_owned()
    }

    /// Sends a request of a tenant.
    pub(crate) fn call(&self, tenant: &str, method: &str, path: &str, body: &str) -> Answer {
        let mut caller = self.0.caller();
        send(&mut caller, tenant, method, path, body);
        caller.answer()
    }

    pub(crate) fn get(&self, tenant: &str, path: &str) -> Answer {
        self.call(tenant, "GET", path, "")
    }

    /// Returns the requests that reached the upstream since `before` of them had, as method and path.
    pub(crate) fn sent(&self, before: usize) -> Vec<String> {
        let requests = self.0.asteroid.requests().split_off(before);
        requests.into_iter().map(|request| format!("{} {}", request.method, request.target)).collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.asteroid.requests().len()
    }
}

/// Writes a request of a tenant, as the SDKs write it.
pub(crate) fn send(caller: &mut Caller, tenant: &str, method: &str, path: &str, body: impl Display) {
    let body = body.to_string();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nX-Tenant-Id: {tenant}\r\n", caller.address());
    let media_type = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    let length = if method == "POST" { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
    caller.send(format!("{head}{media_type}{length}\r\n{body}").as_bytes());
}
