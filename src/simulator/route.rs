//! Routes a request by its API key, path and method, and decides its ordinary answer.

use hyper::StatusCode;
use hyper::header::HeaderMap;
use serde_json::{Value, json};

use super::answer::{ApiAnswer, ApiRequest};
use super::api::Api;
use super::operation::{Call, Operation, is_v1};
use super::refusal::Refusal;
use super::{Simulator, v1};

/// The headers that contain an API key, in the two eras of the API.
const KEY_HEADERS: [&str; 2] = ["x-asteroid-agents-api-key", "x-api-key"];

impl Simulator {
    /// Returns whether the headers have exactly one API key, and that is accepted.
    pub(super) fn is_authenticated(&self, headers: &HeaderMap) -> bool {
        let mut keys = KEY_HEADERS.iter().flat_map(|name| headers.get_all(*name));
        match (keys.next(), keys.next()) {
            (Some(key), None) => self.accepts(key.as_bytes()),
            _ => false,
        }
    }

    pub(super) fn decide(&self, request: ApiRequest<'_>) -> ApiAnswer {
        self.route(request).unwrap_or_else(|refusal| self.refuse(refusal, request.path()))
    }

    /// Returns the answer of a refusal in the form of the API to which the path belongs.
    pub(super) fn refuse(&self, Refusal(status, message): Refusal, path: &str) -> ApiAnswer {
        let code = status.as_u16();
        let body = match self.api {
            _ if is_v1(path) => json!({ "error": message }),
            Api::Old | Api::Both => json!({ "code": code, "message": message }),
            Api::New => json!({
                "code": code,
                "message": message,
                "type": "about:blank",
                "title": status.canonical_reason(),
                "status": code,
                "detail": message,
                "instance": path,
            }),
        };
        ApiAnswer::json(status, body)
    }

    fn route(&self, request: ApiRequest<'_>) -> Result<ApiAnswer, Refusal> {
        if !request.authenticated {
            return Err(Refusal::new(StatusCode::UNAUTHORIZED, "a valid API key is required"));
        }
        let call = Call::of(&request.head.method, request.path())?;
        if call.is_newer && !self.api.has_workflows() {
            return Err(Refusal::new(StatusCode::NOT_FOUND, "no such path"));
        }
        let (id, run) = (call.id, request.is_carried_out);
        let shown = |body: Value| ApiAnswer::json(StatusCode::OK, body);
        match call.operation {
            Operation::Start => self.start(call, &request),
            Operation::Rerun => self.rerun(id, &request),
            Operation::List => self.list(request.query()).map(shown),
            Operation::Get => self.find(id, |execution| execution.item(self.api)).map(shown),
            Operation::Sync => self.sync(id, request.query()),
            Operation::Activities => self.activities(id, request.query()).map(shown),
            Operation::Status => self.change_status(id, request.body, run),
            Operation::Cancel | Operation::Pause | Operation::Resume => self.order(call, run).map(shown),
            Operation::Message => self.add_message(id, request.body, run),
            Operation::Delete => self.delete(id, run),
            Operation::Upload | Operation::Stage | Operation::Files | Operation::ContextFiles | Operation::Download => {
                Ok(self.answer_files(call, &request))
            }
            Operation::Recording => {
                let url = self.recording(id, request.base)?;
                Ok(ApiAnswer::redirect(StatusCode::TEMPORARY_REDIRECT, url))
            }
            Operation::V1Recording => {
                self.recording(id, request.base).map(|url| shown(json!({ "recording_url": url })))
            }
            Operation::V1Status => self.find(id, v1::status).map(shown),
            Operation::V1Result => self.find(id, v1::result).map(shown),
        }
    }
}
