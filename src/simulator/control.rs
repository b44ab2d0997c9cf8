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
use super::fault::{Fault, FaultStage};

/// The prefix of all control paths.
pub const PREFIX: &str = "/_simulator/";

const HELP: &str = r#"The simulated Asteroid.

GET    /_simulator/requests     returns the last 100 requests, newest last
DELETE /_simulator/requests     removes them
GET    /_simulator/executions   returns the last 1,000 started executions, newest last
GET    /_simulator/listing      returns the behaviour of GET /agents/v2/executions, as LISTING
PUT    /_simulator/listing      changes it: LISTING
POST   /_simulator/faults       lets the next requests fail: {"times": 1, "fault": FAULT}
DELETE /_simulator/faults       removes all faults, and releases the requests that stall

Faults apply in their order, one to each request. A request skips the faults for another method.

FAULT, with optional members:
  "method"    "GET" or "POST": applies to the next request with this method; not together with "connected"
  "when"      "connected" (nothing is read), "head", or "body" (default: the request is read to its end)
  "delay_ms"  a delay before "then", in milliseconds (default: 0)
  "run"       whether the execution is started nevertheless: true or false (default)
  "then"      "proceed" (default), "close", "reset" (over HTTP/2: the stream), "stall" (until the faults are
              removed), "close_mid_answer", "stall_mid_answer", or
              {"answer": {"status": 503, "headers": [["retry-after", "1"]], "body": "…"}}

LISTING, with optional members:
  "lags"            whether new executions are not listed: true, or false (default), which also lists the earlier ones
  "lag_ms"          the time from the start of an execution until it is listed, in milliseconds (default: 0)
  "filters"         the known filters by metadata: "both" (default), "pair" (metadataKey and metadataValue),
                    or "repeated" (metadata=key=value); others are ignored
  "blind"           those filters that find nothing: "both", "pair", "repeated", or null (default)
  "needs_organization"
                    whether organizationId is required: true or false (default)
  "shows_metadata"  whether the items contain their metadata: true (default) or false
"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultRequest {
    #[serde(default = "once")]
    times: u32,
    fault: Fault,
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
        (&Method::POST, "faults") => {
            let order = |FaultRequest { times, fault }| {
                if fault.when == FaultStage::Connected && fault.method.is_some() {
                    return Err(
                        "\"method\" and \"connected\" exclude each other: a connection has no method".to_owned()
                    );
                }
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
