//! The storage behind the signed URLs, on paths outside of the API: `/_storage/{executionId}/{fileId}`.
//!
//! Its URLs work for whoever has them, until they expire. A request with a credential in a header is refused and counted: it
//! gave an API key to a host that must not have it.

use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use serde::Serialize;

use super::activity::URL_SIGNATURE;
use super::body::Body;
use super::file::{FileOwner, FileStore, StorageBehaviour, written_sum};
use super::received::CREDENTIAL_HEADERS;
use super::{Simulator, State};

/// The prefix of the paths of the storage.
pub const PREFIX: &str = "/_storage/";

/// The name of the recording in the place of a file's id.
pub(super) const RECORDING: &str = "recording";

/// The size of a recording.
const RECORDING_SIZE: u64 = 20_000;

/// What the storage has, and who used it.
#[derive(Debug, Clone, Serialize)]
pub struct StorageReport {
    /// For how long what it gives away is valid.
    #[serde(flatten)]
    pub behaviour: StorageBehaviour,
    /// The number of downloads with a signed URL.
    pub downloads: u64,
    /// The number of requests for a signed URL that also had a credential in a header. They were refused.
    pub leaked_credentials: u64,
    /// The bytes that are kept of all files, including those that are being received.
    pub kept_bytes: usize,
    /// The uploaded files, oldest first.
    pub files: Vec<ReportedFile>,
}

/// An uploaded file.
#[derive(Debug, Clone, Serialize)]
pub struct ReportedFile {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Its size in bytes.
    pub size: u64,
    /// The number of bytes that are kept. A download has zeros in place of the others.
    pub kept_bytes: usize,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
    /// The execution to which it belongs; `None` if it is staged.
    pub execution_id: Option<String>,
}

impl Simulator {
    /// Returns what the storage has, and who used it.
    #[must_use]
    pub fn storage(&self) -> StorageReport {
        let mut state = self.lock();
        let files = state.files.all().map(|file| ReportedFile {
            id: file.id.clone(),
            name: file.file.name.clone(),
            media_type: file.file.media_type.clone(),
            size: file.file.content.size,
            kept_bytes: file.file.content.head.len(),
            sha256: file.file.content.sha256.clone(),
            execution_id: match &file.owner {
                FileOwner::Staged(_) => None,
                FileOwner::Execution(id) => Some(id.clone()),
            },
        });
        let files = files.collect();
        StorageReport {
            behaviour: state.files.behaviour,
            downloads: state.files.downloads,
            leaked_credentials: state.files.leaked_credentials,
            kept_bytes: state.files.kept_bytes(),
            files,
        }
    }

    /// Changes for how long what the storage gives away is valid, also what it gave away before.
    pub fn set_storage(&self, behaviour: StorageBehaviour) {
        self.lock().files.behaviour = behaviour;
    }
}

/// Returns a URL that works for a time without a credential. It begins with `base`.
pub(super) fn sign(store: &FileStore, base: &str, execution: &str, file: &str) -> String {
    let made_at = now().as_millis().to_string();
    let path = format!("{PREFIX}{execution}/{file}");
    let signature = signature(store, &path, &made_at);
    format!("{base}{path}?signed={made_at}&signature={signature}")
}

fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

fn signature(store: &FileStore, path: &str, made_at: &str) -> String {
    let mut sum = Context::new(&SHA256);
    for part in [store.secret.as_bytes().as_slice(), path.as_bytes(), made_at.as_bytes()] {
        sum.update(part);
    }
    format!("{URL_SIGNATURE}-{}", written_sum(sum))
}

/// Answers a request for a signed URL.
pub(super) fn answer(simulator: &Simulator, head: &Parts) -> Response<Body> {
    let mut state = simulator.lock();
    if CREDENTIAL_HEADERS.iter().any(|name| head.headers.contains_key(*name)) {
        state.files.leaked_credentials += 1;
        return refuse(StatusCode::BAD_REQUEST, "a signed URL takes no other credential");
    }
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "only GET is allowed");
    }
    if !is_valid(&state.files, head) {
        return refuse(StatusCode::FORBIDDEN, "the signature is not valid, or has expired");
    }
    let Some((body, media_type)) = find(&mut state, head.uri.path()) else {
        return refuse(StatusCode::NOT_FOUND, "there is no such file");
    };
    state.files.downloads += 1;
    respond(StatusCode::OK, body, &media_type)
}

fn is_valid(store: &FileStore, head: &Parts) -> bool {
    let query = head.uri.query().unwrap_or_default();
    let value = |name: &str| form_urlencoded::parse(query.as_bytes()).find(|(other, _)| other == name).map(|(_, v)| v);
    let (Some(made_at), Some(given)) = (value("signed"), value("signature")) else { return false };
    let age = made_at.parse().map(|millis| now().saturating_sub(Duration::from_millis(millis)));
    given == signature(store, head.uri.path(), &made_at)
        && age.is_ok_and(|age| store.behaviour.signed_for.0.is_none_or(|lasts| age < lasts))
}

/// Returns the content at a path, and its media type.
fn find(state: &mut State, path: &str) -> Option<(Body, String)> {
    let (execution, id) = path.strip_prefix(PREFIX)?.split_once('/')?;
    let folder = state.folder(execution).ok()?;
    if id == RECORDING {
        let head = format!("Recording of {execution}\n").into();
        return Some((Body::with_zeros(head, RECORDING_SIZE), "video/mp4".to_owned()));
    }
    let file = folder.into_iter().find(|file| file.id == id)?;
    Some((Body::with_zeros(file.content.head.clone(), file.content.size), file.media_type))
}

fn refuse(status: StatusCode, message: &'static str) -> Response<Body> {
    respond(status, Body::whole(Bytes::from_static(message.as_bytes())), "text/plain; charset=utf-8")
}

fn respond(status: StatusCode, body: Body, media_type: &str) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    if let Ok(media_type) = HeaderValue::try_from(media_type) {
        response.headers_mut().insert(CONTENT_TYPE, media_type);
    }
    response
}
