//! Routes a request by its API key, path and method, and decides its ordinary answer.

use hyper::header::HeaderMap;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::refusal::Refusal;
use super::{SimulatedExecution, Simulator, execute};

/// The prefix of all paths of the API.
const BASE: &str = "/agents/v2/";

/// The headers that contain an API key, in the two eras of the API.
const KEY_HEADERS: [&str; 2] = ["x-asteroid-agents-api-key", "x-api-key"];

/// The answer to a request without a fault, and the execution that the request starts if it is carried out.
pub(super) struct ApiAnswer {
    pub(super) status: StatusCode,
    pub(super) body: Value,
    pub(super) execution: Option<SimulatedExecution>,
}

impl Simulator {
    /// Returns whether the headers have exactly one API key, and that is accepted.
    pub(super) fn is_authenticated(&self, headers: &HeaderMap) -> bool {
        let mut keys = KEY_HEADERS.iter().flat_map(|name| headers.get_all(*name));
        match (keys.next(), keys.next()) {
            (Some(key), None) => self.accepts(key.as_bytes()),
            _ => false,
        }
    }

    pub(super) fn decide(&self, head: &Parts, authenticated: bool, body: &[u8]) -> ApiAnswer {
        self.route(head, authenticated, body).unwrap_or_else(|Refusal(status, message)| ApiAnswer {
            status,
            body: json!({ "code": status.as_u16(), "message": message }),
            execution: None,
        })
    }

    fn route(&self, head: &Parts, authenticated: bool, body: &[u8]) -> Result<ApiAnswer, Refusal> {
        if !authenticated {
            return Err(Refusal::new(StatusCode::UNAUTHORIZED, "a valid API key is required"));
        }
        let only = |method: Method| {
            let refusal = || Refusal::new(StatusCode::METHOD_NOT_ALLOWED, format!("only {method} is allowed"));
            if head.method == method { Ok(()) } else { Err(refusal()) }
        };
        let shown = |body: Value| ApiAnswer { status: StatusCode::OK, body, execution: None };
        let segments: Vec<&str> = head.uri.path().strip_prefix(BASE).unwrap_or_default().split('/').collect();
        match *segments.as_slice() {
            [kind @ ("agents" | "workflows"), id, "execute"] => {
                only(Method::POST)?;
                let execution = execute::start(kind, id, &head.headers, body)?;
                let body = json!({ "executionId": execution.id });
                Ok(ApiAnswer { status: StatusCode::ACCEPTED, body, execution: Some(execution) })
            }
            ["executions"] => {
                only(Method::GET)?;
                self.list(head.uri.query().unwrap_or_default()).map(shown)
            }
            ["executions", id] if head.method == Method::DELETE => {
                self.delete(id)?;
                Ok(ApiAnswer { status: StatusCode::NO_CONTENT, body: Value::Null, execution: None })
            }
            ["executions", id] => {
                only(Method::GET)?;
                self.find(id).map(shown)
            }
            ["executions", id, "rerun"] => {
                only(Method::POST)?;
                let execution = self.rerun(id)?;
                let body = json!({ "executionId": execution.id });
                Ok(ApiAnswer { status: StatusCode::ACCEPTED, body, execution: Some(execution) })
            }
            _ => Err(Refusal::new(StatusCode::NOT_FOUND, "no such path")),
        }
    }
}
