//! A request as it arrived, without its API key.

use std::fmt;

use hyper::Version;
use hyper::http::request::Parts;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::upload::ReceivedUpload;

/// The number of recorded bytes of a body.
const MAX_RECORDED_BODY: usize = 1024 * 1024;

/// The headers whose values are credentials.
pub(super) const CREDENTIAL_HEADERS: [&str; 4] =
    ["x-asteroid-agents-api-key", "x-api-key", "authorization", "proxy-authorization"];

/// A received request.
#[derive(Debug, Clone, Serialize)]
pub struct ReceivedRequest {
    /// Its number, counted from 0 over all connections.
    #[serde(skip)]
    pub number: u64,
    /// The number of its connection, counted from 0.
    pub connection: u64,
    /// Its method.
    pub method: String,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub version: String,
    /// Its target, as on the wire; over HTTP/2, its path.
    pub target: String,
    /// Its headers, in their order; the values of credentials are left out.
    #[serde(serialize_with = "as_lines")]
    pub headers: Vec<(String, String)>,
    /// Whether it had exactly one API key, and that is valid.
    pub authenticated: bool,
    /// The first MiB of its body; empty for an upload.
    #[serde(serialize_with = "json_or_text")]
    pub body: Vec<u8>,
    /// What arrived of an upload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload: Option<ReceivedUpload>,
    /// A description of its answer; `None` until it is answered.
    pub answer: Option<String>,
    /// The execution that it started.
    pub execution_id: Option<String>,
}

impl ReceivedRequest {
    pub(super) fn new(number: u64, connection: u64, head: &Parts, authenticated: bool) -> ReceivedRequest {
        let headers = head.headers.iter().map(|(name, value)| {
            let value = match (CREDENTIAL_HEADERS.contains(&name.as_str()), authenticated) {
                (false, _) => String::from_utf8_lossy(value.as_bytes()).into_owned(),
                (true, true) => "(a valid API key)".to_owned(),
                (true, false) => "(no valid API key)".to_owned(),
            };
            (name.to_string(), value)
        });
        ReceivedRequest {
            number,
            connection,
            method: head.method.to_string(),
            version: format!("{:?}", head.version),
            target: match (head.version, head.uri.path_and_query()) {
                (Version::HTTP_2, Some(path)) => path.to_string(),
                _ => head.uri.to_string(),
            },
            headers: headers.collect(),
            authenticated,
            body: Vec::new(),
            upload: None,
            answer: None,
            execution_id: None,
        }
    }

    /// Adds what was read of the body.
    pub(super) fn set_body(&mut self, body: &[u8], upload: Option<ReceivedUpload>) {
        self.body = body.get(..MAX_RECORDED_BODY).unwrap_or(body).to_vec();
        self.upload = upload;
    }

    /// Returns the only header with this name; `None` if it is absent or repeated.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(header, _)| header == name).map(|(_, value)| value.as_str());
        values.next().filter(|_| values.next().is_none())
    }

    /// Returns its body as text, with U+FFFD in place of bytes that are not UTF-8.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns its body as JSON; `null` if it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

fn as_lines<S: Serializer>(headers: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(headers.iter().map(|(name, value)| format!("{name}: {value}")))
}

/// Writes JSON as it was received, because people look for the order of members and the digits of numbers.
fn json_or_text<S: Serializer>(body: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    match serde_json::from_slice::<&RawValue>(body) {
        Ok(json) => json.serialize(serializer),
        Err(_) => serializer.collect_str(&String::from_utf8_lossy(body)),
    }
}

#[derive(Deserialize)]
struct StartBody<'a> {
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

impl fmt::Display for ReceivedRequest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let credential = if self.authenticated { "with a valid API key" } else { "without a valid API key" };
        let answer = self.answer.as_deref().unwrap_or("nothing yet");
        write!(out, "simulated Asteroid: {} {} {credential}", self.method, self.target)?;
        if let Ok(StartBody { metadata: Some(metadata) }) = serde_json::from_slice(&self.body) {
            write!(out, ", metadata {metadata}")?;
        }
        if let Some(upload) = &self.upload {
            write!(out, ", upload of {} bytes{}", upload.bytes, if upload.is_whole { "" } else { ", not whole" })?;
        }
        write!(out, "; answered {answer}")?;
        match &self.execution_id {
            Some(id) => write!(out, ", started execution {id}"),
            None => Ok(()),
        }
    }
}
