//! `Retry-After`, as callers can read it: a whole number of seconds of at least 1. The Python SDKs fail on any other number.

use std::time::SystemTime;

use hyper::HeaderMap;
use hyper::header::{HeaderValue, RETRY_AFTER};

/// Makes `Retry-After` a whole number of at least 1, the largest of several. A value that is neither a number nor a date is
/// removed.
pub(super) fn round(headers: &mut HeaderMap, now: SystemTime) {
    let mut values = headers.get_all(RETRY_AFTER).iter();
    let Some(first) = values.next() else { return };
    let others = values.next().is_some();
    // A valid delay consists of digits alone (RFC 9110, section 10.2.3).
    let is_digits = first.as_bytes().iter().all(u8::is_ascii_digit);
    if !others && is_digits && first.to_str().is_ok_and(|text| text.parse().is_ok_and(|seconds: u64| seconds >= 1)) {
        return;
    }
    let seconds = headers.get_all(RETRY_AFTER).iter().filter_map(|value| seconds(value, now)).max();
    headers.remove(RETRY_AFTER);
    headers.extend(seconds.map(|seconds| (RETRY_AFTER, HeaderValue::from(seconds))));
}

/// Returns the seconds of a value, which is a number or a date. Rounds up.
pub(super) fn seconds(value: &HeaderValue, now: SystemTime) -> Option<u64> {
    let text = value.to_str().ok()?.trim();
    if let Ok(date) = httpdate::parse_http_date(text) {
        let wait = date.duration_since(now).unwrap_or_default();
        return Some(wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1));
    }
    let number: f64 = text.parse().ok().filter(|number: &f64| number.is_finite())?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of at least 1 that is beyond u64 becomes its largest value"
    )]
    Some(number.ceil().max(1.0) as u64)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn rounded(values: &[&'static str]) -> Vec<String> {
        // Thu, 01 Jan 2026 00:00:00 GMT, and half a second.
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_225_600_500);
        let mut headers: HeaderMap =
            values.iter().map(|value| (RETRY_AFTER, HeaderValue::from_static(value))).collect();
        round(&mut headers, now);
        headers.get_all(RETRY_AFTER).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn retry_after_is_a_whole_number_of_at_least_one_or_absent() {
        for whole in ["1", "7", "86400", "18446744073709551615"] {
            assert_eq!(rounded(&[whole]), [whole]);
        }
        for (said, rounds) in [
            ("0", "1"),
            ("0.2", "1"),
            ("1.5", "2"),
            ("-3", "1"),
            ("+5", "5"),
            ("1e2", "100"),
            ("99999999999999999999", "18446744073709551615"),
            ("Thu, 01 Jan 2026 00:00:09 GMT", "9"),
            ("Wed, 31 Dec 2025 00:00:00 GMT", "1"),
        ] {
            assert_eq!(rounded(&[said]), [rounds], "{said}");
        }
        for nothing in ["", "soon", "1s", "NaN", "inf", "5, 6"] {
            assert!(rounded(&[nothing]).is_empty(), "{nothing}");
        }
        assert_eq!(rounded(&["3", "0", "soon"]), ["3"]);
        assert!(rounded(&[]).is_empty());
    }
}
