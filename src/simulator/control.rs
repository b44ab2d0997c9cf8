//! `/_simulator/`: shows what the simulator received, and controls its behaviour. It needs no API key.

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Simulator;
use super::fault::Fault;
use super::status::Status;

/// The prefix of all control paths.
pub const PREFIX: &str = "/_simulator/";

const HELP: &str = r#"The simulated Asteroid.

GET    /_simulator/requests     returns the last 100 requests, newest last; of an upload, its length and SHA-256
DELETE /_simulator/requests     removes them
GET    /_simulator/executions   returns the last 1,000 started executions, newest last
GET    /_simulator/life         returns how executions live that are started from now on, as LIFE
PUT    /_simulator/life         changes it: LIFE
POST   /_simulator/status       moves an execution to any status: {"execution_id": "…", "status": "failed"}
GET    /_simulator/listing      returns the behaviour of GET /agents/v2/executions, as LISTING
PUT    /_simulator/listing      changes it: LISTING
GET    /_simulator/storage      returns STORAGE, the uploaded files, and the numbers of downloads and leaked credentials
PUT    /_simulator/storage      changes it: STORAGE
POST   /_simulator/faults       lets the next requests fail: {"times": 1, "fault": FAULT}
DELETE /_simulator/faults       removes all faults, and releases the requests that stall

LIFE, with optional members:
  "duration"        the time from the start to the end, such as "10s" (default), "50ms" or "never"; an execution does not age
                    while it is paused
  "starting"        the part of it for which the status is starting (default: null, a second or a tenth of "duration")
  "end"             "completed" (default) or "failed"
  "staff_notes"     whether executions have a comment and a label: true or false (default)

Callers pause, resume and cancel any execution that has not ended, and send messages to it. The last 200 activities of an
execution are remembered, with 64 KiB of messages at most, and inputs of up to 64 KiB.

Faults apply in their order, one to each request. A request skips the faults for another method or operation.

FAULT, with optional members:
  "method"    "GET", "POST" or "DELETE": applies to the next request with this method; not together with "connected"
  "operation" "start", "rerun", "list", "get", "sync", "activities", "status", "cancel", "pause", "resume", "message",
              "delete", "upload" (of context files), "stage" (temp-files), "files", "context_files", "download",
              "recording", "v1_status", "v1_result" or "v1_recording": applies to the next request for it; not together
              with "connected"
  "when"      "connected" (nothing is read), "head", {"bytes": 1048576} (at least so many bytes of the body are read),
              or "body" (default: the request is read to its end)
  "delay_ms"  a delay before "then", in milliseconds (default: 0)
  "run"       whether what the request asks for is done nevertheless: true or false (default)
              a request of which only a part is read cannot be done, if "then" is "close", "reset" or an answer
  "then"      "proceed" (default), "close", "reset" (over HTTP/2: the stream), "stall" (until the faults are
              removed; in the middle of a body, it is not read on until then), "close_mid_answer" (also half a list), "stall_mid_answer",
              "other_id" (the ordinary answer, about another execution; not of a list),
              {"pad": 1048576} (the ordinary answer, padded to this number of bytes),
              {"trickle": {"bytes": 1, "every_ms": 100}} (the ordinary answer, in pieces), or
              {"answer": {"status": 503, "headers": [["retry-after", "1"]], "body": "…"}}

STORAGE, with optional members:
  "staged_for"      the time for which a file of temp-files can be used in starts (default: "1h")
  "signed_for"      the time for which a signed URL is valid from its making (default: "5m")

Of an uploaded file, the size, the SHA-256 and the first MiB are kept; a download has zeros in place of the rest. The kept bytes
are at most 64 MiB together, of at most 1,000 files: the oldest make room for new ones. An upload has at most 100 files. A
signed URL leads to /_storage/ of this server and works without an API key; a request with one is 400, and counted.

LISTING, with optional members:
  "lags"            whether new executions are not listed: true, or false (default), which also lists the earlier ones
  "lag_ms"          the time from the start of an execution until it is listed, in milliseconds (default: 0)
  "filters"         the known filters by metadata: "both", "pair" (metadataKey and metadataValue), "repeated"
                    (metadata=key=value), "none", or null (default: "pair" with --api old, else "both"); others are unknown
                    parameters
  "blind"           those filters that find nothing: "both", "pair", "repeated", or null (default)
  "needs_organization"
                    whether organizationId is required: true or false (default)
  "shows_metadata"  whether the items contain their metadata: true (default) or false
  "unknown"         the treatment of unknown parameters: "ignore" (default) or "reject"
  "partial"         whether a filter by metadata finds parts of values, in any case: true or false (default)
  "foreign"         the metadata of an execution of somebody else, the last item of each page: such as {"tenant": "other"},
                    or null (default)
  "total_more"      the number of executions that "total" counts in addition (default: 0)

createdAfter, createdBefore and createdWithin are accepted and change nothing.
"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultRequest {
    #[serde(default = "once")]
    times: u32,
    fault: Fault,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusRequest {
    execution_id: String,
    status: Status,
}

fn once() -> u32 {
    1
}

pub(super) async fn answer(simulator: &Simulator, head: &Parts, body: Incoming) -> Response<Bytes> {
    let what = head.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    match (&head.method, what) {
        (&Method::GET, "") => text(StatusCode::OK, HELP.to_owned()),
        (&Method::GET, "requests") => json(&simulator.requests()),
        (&Method::GET, "executions") => json(&simulator.executions()),
        (&Method::DELETE, "requests") => {
            simulator.clear_requests();
            text(StatusCode::OK, "the recorded requests are removed\n".to_owned())
        }
        (&Method::DELETE, "faults") => {
            simulator.clear_faults();
            text(StatusCode::OK, "all faults are removed\n".to_owned())
        }
        (&Method::GET, "listing") => json(&simulator.listing()),
        (&Method::PUT, "listing") => {
            let order = |listing| {
                simulator.set_listing(listing);
                Ok("the listing is changed\n".to_owned())
            };
            apply(body, order).await
        }
        (&Method::GET, "storage") => json(&simulator.storage()),
        (&Method::PUT, "storage") => {
            let order = |behaviour| {
                simulator.set_storage(behaviour);
                Ok("the storage is changed\n".to_owned())
            };
            apply(body, order).await
        }
        (&Method::GET, "life") => json(&simulator.life()),
        (&Method::PUT, "life") => {
            let order = |life| {
                simulator.set_life(life);
                Ok("executions that are started from now on live so\n".to_owned())
            };
            apply(body, order).await
        }
        (&Method::POST, "status") => {
            let order = |StatusRequest { execution_id, status }| {
                let is_there = simulator.set_status(&execution_id, status);
                if is_there { Ok("the status is changed\n".to_owned()) } else { Err("no such execution".to_owned()) }
            };
            apply(body, order).await
        }
        (&Method::POST, "faults") => {
            let order = |FaultRequest { times, fault }| {
                fault.check()?;
                simulator.fail_next(times, fault);
                Ok(format!("requests that will fail: {times}\n"))
            };
            apply(body, order).await
        }
        _ => text(StatusCode::NOT_FOUND, HELP.to_owned()),
    }
}

/// Applies the JSON of a body with `carry_out`. If that fails, answers with the error and the help.
async fn apply<T: DeserializeOwned>(
    body: Incoming,
    carry_out: impl FnOnce(T) -> Result<String, String>,
) -> Response<Bytes> {
    let body = Limited::new(body, 1024 * 1024).collect().await.map_err(|error| error.to_string());
    let order = body.and_then(|body| serde_json::from_slice(&body.to_bytes()).map_err(|error| error.to_string()));
    match order.and_then(carry_out) {
        Ok(done) => text(StatusCode::OK, done),
        Err(error) => text(StatusCode::BAD_REQUEST, format!("{error}\n\n{HELP}")),
    }
}

fn json(value: &impl Serialize) -> Response<Bytes> {
    let mut body = serde_json::to_vec_pretty(value).unwrap_or_default();
    body.push(b'\n');
    typed(StatusCode::OK, body.into(), "application/json")
}

fn text(status: StatusCode, text: String) -> Response<Bytes> {
    typed(status, text.into(), "text/plain; charset=utf-8")
}

fn typed(status: StatusCode, body: Bytes, media_type: &'static str) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
