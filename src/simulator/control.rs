//! `/_simulator/`: what the simulator has seen, and what it is told to do. Needs no key.

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

/// What all its paths begin with.
pub const PREFIX: &str = "/_simulator/";

const HELP: &str = r#"The simulated Asteroid.

GET    /_simulator/requests     what arrived, the last 100, newest last
DELETE /_simulator/requests     forget it
GET    /_simulator/executions   what was started, the last 1,000, newest last
GET    /_simulator/listing      how GET /agents/v2/executions differs from that
PUT    /_simulator/listing      let it differ: LISTING
POST   /_simulator/faults       let the next requests fail: {"times": 1, "fault": FAULT}
DELETE /_simulator/faults       let nothing fail any more, and let go of what is held

Faults are taken in their order, one by a request; what is for another method is passed over.

FAULT, whose members may all be left out:
  "method"    "GET" or "POST": waits for the next request with this method and holds up no other; not with "connected"
  "when"      "connected" (nothing is read), "head" or "body" (the default: the request is read to its end)
  "delay_ms"  how long it then waits
  "run"       whether the execution is started all the same: true or false (the default)
  "then"      "proceed" (the default), "close", "reset" (over HTTP/2: the stream), "stall" (until the faults are
              cleared), "close_mid_answer", "stall_mid_answer", or
              {"answer": {"status": 503, "headers": [["retry-after", "1"]], "body": "…"}}

LISTING, whose members may all be left out, and are then what they are at first:
  "lags"            whether what is started from now on is not listed: true, or false (at first), which lists everything
  "lag_ms"          how long after its start an execution is listed (at first: 0)
  "filters"         the filters by metadata that are known: "both" (at first), "pair" (metadataKey and metadataValue),
                    or "repeated" (metadata=key=value); another parameter is ignored
  "blind"           the filters among them that find nothing: "both", "pair", "repeated", or null (at first)
  "needs_organization"
                    whether organizationId is required: true, or false (at first)
  "shows_metadata"  whether the items carry their metadata: true (at first) or false
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
            text(StatusCode::OK, "forgotten\n".to_owned())
        }
        (&Method::DELETE, "faults") => {
            simulator.clear_faults();
            text(StatusCode::OK, "cleared\n".to_owned())
        }
        (&Method::GET, "listing") => json(&simulator.listing()),
        (&Method::PUT, "listing") => {
            let order = |listing| {
                simulator.set_listing(listing);
                Ok("told\n".to_owned())
            };
            apply(body, order).await
        }
        (&Method::POST, "faults") => {
            let order = |FaultRequest { times, fault }| {
                if fault.when == FaultStage::Connected && fault.method.is_some() {
                    return Err("a connection has no method".to_owned());
                }
                simulator.fail_next(times, fault);
                Ok(format!("{times} requests will fail\n"))
            };
            apply(body, order).await
        }
        _ => text(StatusCode::NOT_FOUND, HELP.to_owned()),
    }
}

/// Carries out what a body says, or says what is accepted.
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
