//! The header fields that tell callers of their tenant's limits, by draft-ietf-httpapi-ratelimit-headers.

use bytes::BytesMut;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use crate::state::{Limit, Limits, Rate, Remaining};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Returns the value of `RateLimit-Policy` for these limits, if there are any.
pub(super) fn policy(limits: &Limits) -> Option<HeaderValue> {
    let rate = |limit: Limit, rate: Rate| format!("\"{}\";q={};w={}", limit.code(), rate.amount, rate.per.seconds());
    let items = [
        limits.requests.map(|requests| rate(Limit::Requests, requests)),
        limits.reads.map(|reads| rate(Limit::Reads, reads)),
        limits.in_flight.map(|max| format!("\"in_flight\";q={max};qu=\"concurrent-requests\"")),
        limits.executions.map(|executions| rate(Limit::Executions, executions)),
        limits.budget.map(|max| format!("\"budget\";q={max};w=86400")),
    ];
    let items: Vec<String> = items.into_iter().flatten().collect();
    // Codes and numbers are valid in a header, so this does not fail.
    if items.is_empty() { None } else { HeaderValue::try_from(items.join(", ")).ok() }
}

/// The fields `RateLimit-Policy`, which states the limits, and `RateLimit`, which states what is left of them.
pub(super) struct RateLimitHeaders<'a> {
    /// The value of [`policy`] for the tenant.
    pub(super) policy: Option<&'a HeaderValue>,
    pub(super) remaining: &'a Remaining,
}

impl RateLimitHeaders<'_> {
    /// Adds the fields to an answer, if the tenant has limits.
    pub(super) fn write_to(&self, answer: &mut HeaderMap) {
        let Some(policy) = self.policy else { return };
        answer.append(RATE_LIMIT_POLICY, policy.clone());
        let mut text = BytesMut::with_capacity(128);
        for (limit, amount) in self.remaining.iter() {
            let comma = if text.is_empty() { "" } else { ", " };
            let mut digits = itoa::Buffer::new();
            for part in [comma, "\"", limit.code(), "\";r=", digits.format(amount.count)] {
                text.extend_from_slice(part.as_bytes());
            }
            if let Some(seconds) = amount.refills_after {
                text.extend_from_slice(b";t=");
                text.extend_from_slice(digits.format(seconds).as_bytes());
            }
        }
        // Empty if the request was refused before it was counted.
        if !text.is_empty()
            && let Ok(value) = HeaderValue::from_maybe_shared(text.freeze())
        {
            answer.append(RATE_LIMIT, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use crate::state::Per;

    use super::*;

    #[test]
    fn every_limit_of_a_tenant_is_an_item_of_the_policy_in_the_order_of_all_limits() {
        let [one, two, three] = [1, 2, 3].map(|count| NonZeroU32::new(count).unwrap());
        let rate = |amount, per| Some(Rate { amount, per, burst: three });
        let limits = Limits {
            requests: rate(one, Per::Second),
            reads: rate(two, Per::Minute),
            executions: rate(three, Per::Hour),
            in_flight: Some(two),
            budget: Some(three),
        };
        let items = [
            r#""requests";q=1;w=1"#,
            r#""reads";q=2;w=60"#,
            r#""in_flight";q=2;qu="concurrent-requests""#,
            r#""executions";q=3;w=3600"#,
            r#""budget";q=3;w=86400"#,
        ];
        assert_eq!(policy(&limits).unwrap(), items.join(", ").as_str());
        assert!(Limit::ALL.iter().zip(items).all(|(limit, item)| item.starts_with(&format!("\"{}\"", limit.code()))));
        assert_eq!(policy(&Limits::default()), None);
    }
}
