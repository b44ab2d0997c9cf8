//! A request for the API, and its ordinary answer.

use std::borrow::Cow;
use std::time::Duration;

use hyper::StatusCode;
use hyper::http::request::Parts;
use serde_json::Value;

use super::SimulatedExecution;
use super::file::NewFile;
use super::refusal::Refusal;

/// A request for the API.
#[derive(Debug, Clone, Copy)]
pub(super) struct ApiRequest<'a> {
    pub(super) head: &'a Parts,
    pub(super) body: &'a [u8],
    /// The files of an upload; `None` if it is not one, or was not read.
    pub(super) files: Option<&'a Result<Vec<NewFile>, Refusal>>,
    /// What the URLs of this server begin with.
    pub(super) base: &'a str,
    pub(super) authenticated: bool,
    /// Whether what it asks for happens. If a fault prevents it, only the answer is made.
    pub(super) is_carried_out: bool,
}

impl ApiRequest<'_> {
    pub(super) fn path(&self) -> &str {
        self.head.uri.path()
    }

    pub(super) fn query(&self) -> &str {
        self.head.uri.query().unwrap_or_default()
    }
}

/// The answer to a request without a fault, and what remains to be done for it.
#[derive(Debug)]
pub(super) struct ApiAnswer {
    pub(super) status: StatusCode,
    pub(super) content: Content,
    /// The URL to which it redirects.
    pub(super) location: Option<String>,
    /// The execution that the request starts if it is carried out.
    pub(super) execution: Option<SimulatedExecution>,
    /// The wait that makes another answer of this one, which is that without waiting.
    pub(super) wait: Option<Wait>,
}

/// The body of an answer.
#[derive(Debug)]
pub(super) enum Content {
    Json(Value),
    Text(Cow<'static, str>),
    Empty,
}

impl ApiAnswer {
    pub(super) fn new(status: StatusCode, content: Content) -> ApiAnswer {
        ApiAnswer { status, content, location: None, execution: None, wait: None }
    }

    pub(super) fn redirect(status: StatusCode, location: String) -> ApiAnswer {
        ApiAnswer { location: Some(location), ..ApiAnswer::new(status, Content::Empty) }
    }

    pub(super) fn json(status: StatusCode, body: Value) -> ApiAnswer {
        ApiAnswer::new(status, Content::Json(body))
    }
}

/// A wait for the end of an execution.
#[derive(Debug)]
pub(super) struct Wait {
    pub(super) id: String,
    pub(super) timeout: Duration,
}
