//! Names of headers that an operator chooses.

use hyper::header::HeaderName;

use crate::config::pasted;

/// Headers that the gateway makes or forwards, and those with a meaning for the connection: a second meaning would
/// break the request or be misread. All `content-*`, `proxy-*` and `sec-*` are refused as well.
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

/// Headers in which callers may send their own API keys, in any version of the API.
const API_KEY_HEADERS: [&str; 3] = ["authorization", "x-api-key", "x-asteroid-agents-api-key"];

/// Returns whether a header already has a meaning.
pub(super) fn is_taken(name: &HeaderName) -> bool {
    let name = name.as_str();
    TAKEN.contains(&name) || ["content-", "proxy-", "sec-"].iter().any(|prefix| name.starts_with(prefix))
}

/// Returns the header with this name, unless the text may be a pasted API key, which would be logged and sent.
pub(super) fn name(text: &str) -> Option<HeaderName> {
    // Checks the text as written: a header's name is kept in lower case, where `ServiceAccount` would not be two words.
    if pasted::may_be_api_key(text) { None } else { HeaderName::from_bytes(text.as_bytes()).ok() }
}

/// Returns whether a header may carry an API key.
pub(super) fn may_carry_api_key(name: &HeaderName) -> bool {
    API_KEY_HEADERS.contains(&name.as_str())
}
