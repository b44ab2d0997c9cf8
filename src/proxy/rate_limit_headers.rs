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
