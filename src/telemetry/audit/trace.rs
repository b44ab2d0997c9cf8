//! The trace that a request belongs to, as its caller says in `traceparent` (W3C Trace Context).

use std::fmt;

use hyper::HeaderMap;
use hyper::header::HeaderName;

pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// 32 hexadecimal digits in lower case, not all of them 0.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct TraceId([u8; 32]);

impl TraceId {
    /// The trace id of the only `traceparent`, where it is valid.
    pub(super) fn of(headers: &HeaderMap) -> Option<TraceId> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let value = values.next().filter(|_| values.next().is_none())?;
        TraceId::parse(value.as_bytes())
    }

    /// `version "-" trace-id "-" parent-id "-" flags`; versions after 00 may go on after another dash.
    fn parse(value: &[u8]) -> Option<TraceId> {
        let mut parts = value.splitn(5, |byte| *byte == b'-');
        let mut digits = |count| parts.next().filter(|part| part.len() == count && part.iter().all(is_digit));
        let version = digits(2).filter(|version| *version != b"ff")?;
        let trace_id = digits(32).filter(is_not_zero)?;
        digits(16).filter(is_not_zero)?;
        digits(2)?;
        if version == b"00" && parts.next().is_some() {
            return None;
        }
        trace_id.try_into().ok().map(TraceId)
    }

    /// The digits.
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

fn is_digit(byte: &u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

fn is_not_zero(id: &&[u8]) -> bool {
    id.iter().any(|digit| *digit != b'0')
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    const ID: &str = "0af7651916cd43dd8448eb211c80319c";

    fn parsed(value: &str) -> Option<String> {
        TraceId::parse(value.as_bytes()).map(|id| id.as_str().to_owned())
    }

    #[test]
    fn the_trace_id_of_a_valid_traceparent_is_taken() {
        for value in [
            format!("00-{ID}-b7ad6b7169203331-01"),
            format!("00-{ID}-b7ad6b7169203331-00"),
            format!("cc-{ID}-b7ad6b7169203331-01"),
            format!("cc-{ID}-b7ad6b7169203331-01-what-comes-later"),
        ] {
            assert_eq!(parsed(&value).as_deref(), Some(ID), "{value}");
        }
    }

    #[test]
    fn nothing_is_taken_of_an_invalid_one() {
        let zeros = "0".repeat(32);
        for value in [
            String::new(),
            ID.to_owned(),
            format!("ff-{ID}-b7ad6b7169203331-01"),
            format!("00-{zeros}-b7ad6b7169203331-01"),
            format!("00-{ID}-0000000000000000-01"),
            format!("00-{ID}-b7ad6b7169203331"),
            format!("00-{ID}-b7ad6b7169203331-01-x"),
            format!("00-{ID}-b7ad6b7169203331-01-"),
            format!("00-{ID}-b7ad6b7169203331-1"),
            format!("00-{}-b7ad6b7169203331-01", ID.to_uppercase()),
            format!("00-{}\"-b7ad6b7169203331-01", ID.trim_start_matches('0')),
            format!("0-{ID}-b7ad6b7169203331-01"),
            format!(" 00-{ID}-b7ad6b7169203331-01"),
        ] {
            assert_eq!(parsed(&value), None, "{value}");
        }
    }

    #[test]
    fn of_two_none_is_taken() {
        let value = HeaderValue::from_str(&format!("00-{ID}-b7ad6b7169203331-01")).unwrap();
        let mut headers = HeaderMap::from_iter([(TRACEPARENT, value.clone())]);
        assert!(TraceId::of(&headers).is_some());
        headers.append(TRACEPARENT, value);
        assert!(TraceId::of(&headers).is_none());
    }
}
