//! One example of each error of the gateway. Statuses, titles and headers in the document are those of these answers.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HeaderMap, HeaderName};
use hyper::{Method, StatusCode};
use serde_json::{Map, Value as Json, json};

use crate::asteroid::body::{Fault, Refusal};
use crate::asteroid::group::Group;
use crate::asteroid::multipart;
use crate::asteroid::operation::{self, Effect, IdName, Operation};
use crate::asteroid::query;
use crate::audit;
use crate::credential::CredentialError;
use crate::facts::ErrorCode;
use crate::identity;
use crate::json::SpliceError;
use crate::proxy::error::{
    Error, ErrorFormat, Expected, FailedRequest, idempotency, inquiry, judgement, limit, recovery,
};
use crate::state::{IdempotencyDigest, Limit};
use crate::transport::error::ConnectError;

/// The request id in each example.
const REQUEST_ID: &str = "5f1c9d7e-3b2a-4680-9c1d-7e3b2a468001";

/// An error, and the gateway's answer with it.
#[derive(Debug)]
pub(super) struct Example {
    /// Its code, and what distinguishes it from others with that.
    pub(super) name: String,
    pub(super) code: ErrorCode,
    pub(super) title: String,
    pub(super) status: u16,
    headers: HeaderMap,
    body: Json,
}

impl Example {
    fn new(suffix: &str, error: &Error) -> Example {
        let has_idempotency_key = matches!(
            error,
            Error::Idempotency(_) | Error::UpstreamTimeout(_, Effect::Start) | Error::UpstreamBroke(_, Effect::Start)
        );
        let answer = error.answer(FailedRequest {
            id: REQUEST_ID,
            has_idempotency_key,
            format: ErrorFormat::Json,
            ends_connection: false,
        });
        let (head, body) = answer.into_parts();
        let body: Json = serde_json::from_slice(&body).unwrap_or_default();
        let title = body.get("title").and_then(Json::as_str).unwrap_or_default().to_owned();
        let code = error.code();
        let dash = if suffix.is_empty() { "" } else { "-" };
        let name = format!("{}{dash}{suffix}", code.as_str());
        Example { name, code, title, status: head.status.as_u16(), headers: head.headers, body }
    }

    /// Returns whether the answer has a header.
    pub(super) fn has(&self, header: &str) -> bool {
        self.headers.contains_key(header)
    }

    /// Returns the body of the answer.
    #[cfg(test)]
    pub(super) fn body(&self) -> &Json {
        &self.body
    }
}

/// Returns the examples, by their names.
pub(super) fn components(examples: &[Example]) -> Map<String, Json> {
    let component = |example: &Example| json!({"summary": example.title, "value": example.body});
    examples.iter().map(|example| (example.name.clone(), component(example))).collect()
}

/// Returns an example of each error, and of each status that it can have.
pub(super) fn all() -> Vec<Example> {
    let errors = errors().into_iter().chain(of_bodies()).chain(of_idempotency()).chain(of_upstream());
    errors.map(|(suffix, error)| Example::new(suffix, &error)).collect()
}

fn tenant() -> Arc<str> {
    "billing".into()
}

fn unreachable() -> ConnectError {
    ConnectError::Timeout { after: Duration::from_secs(5) }
}

fn errors() -> Vec<(&'static str, Error)> {
    let not_served = operation::Error::not_served(&Method::GET, "/executions/files");
    let limit = limit::Error {
        tenant: tenant(),
        limit: Limit::Executions,
        bound: "executions (30 per minute, burst 10)".to_owned(),
        retry_after: 2,
    };
    let closed =
        Error::OperationClosed { operation: Operation::ExecutionDelete.name(), group: Group::Delete, tenant: tenant() };
    vec![
        ("", Error::Target),
        ("", Error::Malformed("Transfer-Encoding must be chunked, and be sent once")),
        ("", Error::Host),
        ("", Error::Misdirected("gateway.example".to_owned())),
        ("", Error::Browser("Origin")),
        ("", identity::Error::Missing(HeaderName::from_static("x-tenant-id")).into()),
        ("", limit.into()),
        ("", not_served.into()),
        ("", operation::Error::Id(IdName::Execution).into()),
        ("", operation::Error::Method { allow: Method::GET.to_string() }.into()),
        ("", closed),
        ("", query::Error::Repeated("page").into()),
        ("", Error::NotFound),
        ("no-key", inquiry::Error::NoCredential(CredentialError::Missing).into()),
        ("unreachable", inquiry::Error::Unreachable(unreachable()).into()),
        ("busy", inquiry::Error::Status { status: StatusCode::TOO_MANY_REQUESTS, retry_after: Some(1) }.into()),
        ("timeout", inquiry::Error::Timeout.into()),
        ("", audit::Error::Full.into()),
        ("", audit::Error::Share.into()),
    ]
}

fn of_bodies() -> Vec<(&'static str, Error)> {
    let fault = Fault { pointer: "/metadata/ticket".to_owned(), detail: "must be a string, not a number".to_owned() };
    vec![
        ("", Error::UnexpectedBody),
        ("", Error::MediaType { expected: Expected::Json, found: "text/plain".to_owned() }),
        ("upload", Error::MediaType { expected: Expected::Files, found: "application/json".to_owned() }),
        ("coding", Error::ContentCoding("gzip".to_owned())),
        ("", Error::BodyTooLarge { limit: 1024 * 1024 }),
        ("upload", Error::UploadTooLarge { limit: 100 * 1024 * 1024 }),
        ("", Error::BodyTimeout(Duration::from_secs(30))),
        ("upload", Error::UploadStalled(Duration::from_secs(30))),
        ("", multipart::Fault::NoBoundary.into()),
        ("", Error::BodyMemory),
        ("", Error::BodyBroken(String::new())),
        ("", Refusal { faults: vec![fault] }.into()),
    ]
}

fn of_idempotency() -> Vec<(&'static str, Error)> {
    let unknown = idempotency::Error::Unknown {
        tag: "idempotency_digest".to_owned(),
        digest: IdempotencyDigest::of(&[b"example"]),
    };
    vec![
        ("", idempotency::Error::Malformed.into()),
        ("not-taken", idempotency::Error::NotTaken.into()),
        ("", idempotency::Error::InFlight.into()),
        ("", idempotency::Error::Mismatch.into()),
        ("", idempotency::Error::Full.into()),
        ("", unknown.into()),
        ("rerun", idempotency::Error::UnknownRerun.into()),
        ("", idempotency::Error::Lookup(recovery::Error::Timeout).into()),
        ("", SpliceError.into()),
    ]
}

fn of_upstream() -> Vec<(&'static str, Error)> {
    let timeout = Duration::from_secs(60);
    vec![
        ("", Error::Unreachable(unreachable())),
        ("", CredentialError::Missing.into()),
        ("", Error::KeyRefused),
        ("", judgement::Error::OtherExecution.into()),
        ("", Error::AnswerTooLarge(16 * 1024 * 1024)),
        ("", Error::ForeignExecution),
        ("read", Error::UpstreamTimeout(timeout, Effect::Read)),
        ("change", Error::UpstreamTimeout(timeout, Effect::Change)),
        ("start", Error::UpstreamTimeout(timeout, Effect::Start)),
        ("read", Error::UpstreamBroke(String::new(), Effect::Read)),
        ("change", Error::UpstreamBroke(String::new(), Effect::Change)),
        ("start", Error::UpstreamBroke(String::new(), Effect::Start)),
    ]
}
