//! Marks answers whose outcome is unknown, and normalises `Retry-After`.

use std::time::SystemTime;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue, RETRY_AFTER};

use crate::facts::Outcome;

/// The header on every answer that leaves open whether an execution was started.
pub const NAME: HeaderName = HeaderName::from_static("execution-outcome");

/// Marks an answer whose outcome is unknown. Such an answer must not invite a retry, so it loses its `Retry-After`.
pub fn mark(outcome: Outcome, headers: &mut HeaderMap) {
    // A header of the upstream would be taken for the gateway's.
    headers.remove(NAME);
    if outcome == Outcome::Unknown {
        headers.insert(NAME, HeaderValue::from_static(Outcome::Unknown.code()));
        headers.remove(RETRY_AFTER);
    } else if headers.contains_key(RETRY_AFTER) {
        round_retry_after(headers, SystemTime::now());
    }
}

/// Makes `Retry-After` a whole number of at least 1, the largest of several. A value that is neither a number nor a date is
/// removed.
fn round_retry_after(headers: &mut HeaderMap, now: SystemTime) {
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
fn seconds(value: &HeaderValue, now: SystemTime) -> Option<u64> {
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
        round_retry_after(&mut headers, now);
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

    #[test]
    fn an_unknown_outcome_is_said_and_invites_no_retry_and_no_other_answer_says_it() {
        let headers = || -> HeaderMap {
            [(RETRY_AFTER, HeaderValue::from_static("1")), (NAME, HeaderValue::from_static("upstream's own"))]
                .into_iter()
                .collect()
        };
        let mut unknown = headers();
        mark(Outcome::Unknown, &mut unknown);
        assert_eq!((unknown[NAME].as_bytes(), unknown.get(RETRY_AFTER)), (&b"unknown"[..], None));
        for outcome in [Outcome::NotStarted, Outcome::Answered] {
            let mut known = headers();
            mark(outcome, &mut known);
            assert_eq!((known.get(NAME), known[RETRY_AFTER].as_bytes()), (None, &b"1"[..]));
        }
    }
}
