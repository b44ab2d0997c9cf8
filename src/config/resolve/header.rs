//! Names of headers that an operator chooses.

use hyper::header::HeaderName;

use crate::config::pasted;

/// Headers that the gateway makes or forwards itself, and those that mean something to a connection: another meaning
/// in one of them would break the request or be mistaken. All `content-*`, `proxy-*` and `sec-*` come on top.
pub(super) const TAKEN: [&str; 19] = [
    "accept",
    "accept-encoding",
    "connection",
    "cookie",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "origin",
    "set-cookie",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-request-id",
];

/// Headers in which callers may carry keys of their own, in any era of the API.
const KEYS: [&str; 3] = ["authorization", "x-api-key", "x-asteroid-agents-api-key"];

/// Whether a header has a meaning of its own already.
pub(super) fn is_taken(name: &HeaderName) -> bool {
    let name = name.as_str();
    TAKEN.contains(&name) || ["content-", "proxy-", "sec-"].iter().any(|prefix| name.starts_with(prefix))
}

/// Returns the header of this name, unless the text may be a key that was pasted in its place: it would be logged, and sent.
pub(super) fn name(text: &str) -> Option<HeaderName> {
    // The text as it was written: in lower case, as a header's name is kept, `ServiceAccount` is no two words.
    if pasted::may_be_a_key(text) { None } else { HeaderName::from_bytes(text.as_bytes()).ok() }
}

/// Whether a key may stand in a header.
pub(super) fn carries_keys(name: &HeaderName) -> bool {
    KEYS.contains(&name.as_str())
}
