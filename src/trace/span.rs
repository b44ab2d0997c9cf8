//! The spans of a request, with the attributes of OpenTelemetry's conventions for HTTP and, under `asteroid_gateway.`, those of the
//! log. No span holds an API key, an idempotency key, the query of a caller or a part of a body.

use hyper::{Method, Version};

use super::otlp::{Code, HAS_IS_REMOTE, IS_REMOTE, KeyValue, Kind, Span, Status, attribute};
use super::{ClientSpan, PeerAttributes, QueryOrigin, Recording};
use crate::caller::Peer;
use crate::facts::{ErrorCode, Facts, LookupOutcome, METHODS, Outcome, Route};
use crate::state::IdempotencyOutcome;

/// The version of the conventions that the attributes follow.
pub(super) const SCHEMA: &str = "https://opentelemetry.io/schemas/1.37.0";

/// The longest path that is shown, in bytes. No operation has a longer one.
const LONGEST_PATH: usize = 256;

/// Returns the span of the request, and one for each request to the upstream.
pub(super) fn all(facts: &Facts, recording: &Recording, upstream: &PeerAttributes) -> Vec<Span> {
    let client_spans = recording.client_spans();
    let mut spans = vec![server(facts, recording)];
    spans.extend(client_spans.iter().map(|span| client(span, recording, upstream)));
    spans
}

fn server(facts: &Facts, recording: &Recording) -> Span {
    let route = facts.route().map(Route::template);
    let (method, original) = known(&recording.method);
    let mut attributes = http(method, original, recording.version);
    attributes.push(attribute("url.scheme", recording.scheme.name()));
    attributes.push(attribute("url.path", cut(recording.uri.path())));
    attributes.extend(route.map(|route| attribute("http.route", route)));
    peer(facts.peer, &mut attributes);
    // A request that was cut off or whose caller left before the answer has none.
    let status = Some(facts.status).filter(|status| *status != 0);
    attributes.extend(status.map(|status| attribute("http.response.status_code", status)));
    let cut_off = (status.is_none() && facts.outcome == Outcome::Unknown).then_some("cut-off");
    let code = facts.error.map(ErrorCode::as_str);
    let broke_off = code.filter(|_| status.is_some_and(|status| status < 400));
    let failed = status.filter(|status| *status >= 500).map(|status| status.to_string());
    let error = failed.map(|status| code.map_or(status, str::to_owned));
    let error = error.or_else(|| broke_off.or(cut_off).map(str::to_owned));
    own(facts, &mut attributes);
    let name = if method == "_OTHER" { "HTTP" } else { method };
    Span {
        name: route.map_or_else(|| name.to_owned(), |route| format!("{name} {route}")),
        parent_span_id: recording.parent.map(|parent| parent.bytes().to_vec()).unwrap_or_default(),
        span_id: recording.own.span_id.bytes().to_vec(),
        kind: Kind::Server.into(),
        start_time_unix_nano: recording.clock.wall,
        end_time_unix_nano: recording.clock.now(),
        ..common(recording, attributes, error, recording.parent.is_some())
    }
}

/// Adds the peer. A process at a Unix socket has no address and no port.
fn peer(peer: Peer, attributes: &mut Vec<KeyValue>) {
    let Peer::Tcp(address) = peer else {
        attributes.push(attribute("network.transport", "unix"));
        return;
    };
    for name in ["client.address", "network.peer.address"] {
        attributes.push(attribute(name, address.ip().to_string()));
    }
    attributes.push(attribute("network.peer.port", address.port()));
}

/// Adds the gateway's own attributes, under the names of the log.
fn own(facts: &Facts, attributes: &mut Vec<KeyValue>) {
    let digest = facts.idempotency.map(|digest| digest.to_string());
    let code = facts.error.map(ErrorCode::as_str);
    let [execution_id, rerun_of] = [facts.execution_id, facts.rerun_of].map(|id| id.map(|id| id.to_string()));
    let named = [
        ("asteroid_gateway.request_id", Some(facts.request_id.as_str())),
        ("asteroid_gateway.tenant", facts.tenant.as_deref()),
        ("asteroid_gateway.operation", facts.route().map(Route::name)),
        ("asteroid_gateway.credential", facts.credential.as_deref()),
        ("asteroid_gateway.outcome", facts.may_take_effect().then(|| facts.outcome.code())),
        ("asteroid_gateway.error", code),
        ("asteroid_gateway.idempotency_digest", digest.as_deref()),
        ("asteroid_gateway.idempotency_outcome", facts.idempotency_outcome.map(IdempotencyOutcome::code)),
        ("asteroid_gateway.looked_up", facts.lookup.map(LookupOutcome::code)),
        ("asteroid_gateway.rerun_of", rerun_of.as_deref()),
        ("asteroid_gateway.execution_id", execution_id.as_deref()),
    ];
    attributes.extend(named.iter().filter_map(|(name, value)| value.map(|value| attribute(name, value))));
    let ids = facts.ids.iter().flatten();
    attributes.extend(ids.map(|(name, id)| attribute(&format!("asteroid_gateway.{}", name.code()), id.as_str())));
    attributes.extend(facts.replayed.then(|| attribute("asteroid_gateway.replayed", true)));
    attributes.push(attribute("asteroid_gateway.delivered", facts.delivered));
}

fn client(span: &ClientSpan, recording: &Recording, upstream: &PeerAttributes) -> Span {
    let (method, original) = known(&span.method);
    let version = span.answer.map_or(Version::HTTP_09, |(_, version)| version);
    let mut attributes = http(method, original, version);
    attributes.push(attribute("url.full", url(span, upstream)));
    attributes.push(attribute("server.address", upstream.host.as_str()));
    attributes.push(attribute("server.port", upstream.port));
    let status = span.answer.map(|(status, _)| status);
    attributes.extend(status.map(|status| attribute("http.response.status_code", status.as_u16())));
    let refused = status.filter(|status| status.as_u16() >= 400).map(|status| status.as_str().to_owned());
    let cut_off = span.ended.is_none().then_some("cut-off");
    let error = refused.or_else(|| span.error.or(cut_off).map(str::to_owned));
    Span {
        name: method.to_owned(),
        parent_span_id: recording.own.span_id.bytes().to_vec(),
        span_id: span.id.bytes().to_vec(),
        kind: Kind::Client.into(),
        start_time_unix_nano: span.begun,
        end_time_unix_nano: span.ended.unwrap_or_else(|| recording.clock.now()),
        ..common(recording, attributes, error, false)
    }
}

/// Returns the URL of a request to the upstream, with its query only if the gateway itself made that.
fn url(span: &ClientSpan, upstream: &PeerAttributes) -> String {
    match span.query {
        QueryOrigin::Gateway => format!("{}{}", upstream.origin, span.uri),
        QueryOrigin::Caller => format!("{}{}", upstream.origin, span.uri.path()),
    }
}

fn common(recording: &Recording, mut attributes: Vec<KeyValue>, error: Option<String>, is_remote: bool) -> Span {
    // The attribute says what failed. The conventions want no description beside it.
    let status = error.is_some().then(|| Status { code: Code::Error.into() });
    attributes.extend(error.map(|error| attribute("error.type", error)));
    let remote = if is_remote { HAS_IS_REMOTE | IS_REMOTE } else { HAS_IS_REMOTE };
    Span {
        trace_id: recording.own.trace_id.bytes().to_vec(),
        trace_state: recording.state.clone(),
        attributes,
        status,
        flags: u32::from(recording.own.flags) | remote,
        ..Span::default()
    }
}

fn http(method: &str, original: Option<&str>, version: Version) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(20);
    attributes.push(attribute("http.request.method", method));
    attributes.extend(original.map(|original| attribute("http.request.method_original", cut(original))));
    let version = match version {
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        _ => None,
    };
    attributes.extend(version.map(|version| attribute("network.protocol.version", version)));
    attributes
}

/// Returns a known method, or `_OTHER` and the original: callers can invent methods, and a span must have one of few names.
fn known(method: &Method) -> (&str, Option<&str>) {
    if METHODS.contains(method) { (method.as_str(), None) } else { ("_OTHER", Some(method.as_str())) }
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(LONGEST_PATH)).unwrap_or_default()
}
