//! `X-Request-Id`: the id of a request in the logs of its caller, the gateway and the upstream.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

/// The header's name.
pub const NAME: HeaderName = HeaderName::from_static("x-request-id");

/// The id of one request: 1 to 64 characters of `[A-Za-z0-9._-]`.
#[derive(Debug, Clone)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// Returns the caller's own id if it is safe to log and to send, and else a new uuid.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> RequestId {
        let safe = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let fits = |value: &&HeaderValue| (1..=64).contains(&value.len()) && value.as_bytes().iter().all(safe);
        match headers.get(NAME).filter(fits) {
            Some(sent) => RequestId(sent.clone()),
            None => RequestId::new(),
        }
    }

    fn new() -> RequestId {
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        let text = uuid::Uuid::new_v4().hyphenated().encode_lower(&mut text);
        // A uuid's characters are all visible ASCII, so the fallback is never seen.
        RequestId(HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("none")))
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// Returns the value of the header.
    #[must_use]
    pub fn header_value(&self) -> HeaderValue {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sent: &[u8]) -> String {
        let headers = HeaderMap::from_iter([(NAME, HeaderValue::from_bytes(sent).unwrap())]);
        RequestId::of(&headers).as_str().to_owned()
    }

    #[test]
    fn a_callers_id_is_kept_where_it_cannot_break_a_log_or_a_header() {
        for id in ["a", "A-z_0.9", &"x".repeat(64)] {
            assert_eq!(of(id.as_bytes()), id);
        }
        for id in ["", "a b", "a\"b", "ü", &"x".repeat(65)] {
            let new = of(id.as_bytes());
            assert!(uuid::Uuid::parse_str(&new).is_ok(), "{id:?} became {new:?}");
        }
    }

    #[test]
    fn two_requests_without_an_id_get_different_ones() {
        assert_ne!(RequestId::of(&HeaderMap::new()).as_str(), RequestId::of(&HeaderMap::new()).as_str());
    }
}
