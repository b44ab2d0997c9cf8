//! How a tenant stands with its limits after one request, as its caller is told.
//!
//! The fields are those of draft-ietf-httpapi-ratelimit-headers: `RateLimit-Policy` says what the limits are,
//! `RateLimit` what is left.

use bytes::BytesMut;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use serde::Serialize;

use super::Limits;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// One of a tenant's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Requests in a span of time.
    Requests,
    /// Exchanges at once.
    InFlight,
    /// Starts in a span of time.
    Executions,
    /// Starts in a day.
    Budget,
}

impl Limit {
    /// In the order in which callers are told.
    pub const ALL: [Limit; 4] = [Limit::Requests, Limit::InFlight, Limit::Executions, Limit::Budget];

    /// What it is called in the configuration, in answers and in the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Limit::Requests => "requests",
            Limit::InFlight => "in_flight",
            Limit::Executions => "executions",
            Limit::Budget => "budget",
        }
    }
}

/// What is left of each limit that a request was counted by.
#[derive(Debug, Default)]
pub struct Standing {
    policy: Option<HeaderValue>,
    left: [Option<Left>; Limit::ALL.len()],
}

#[derive(Debug, Clone, Copy)]
struct Left {
    count: u32,
    /// In how many seconds there is more, where it is known.
    after: Option<u64>,
}

impl Standing {
    /// The value of `RateLimit-Policy` for these limits; nothing where there is none.
    #[must_use]
    pub fn policy(limits: &Limits) -> Option<HeaderValue> {
        let rate = |limit: Limit, rate: super::Rate| {
            format!("\"{}\";q={};w={}", limit.name(), rate.amount, rate.per.seconds())
        };
        let items = [
            limits.requests.map(|requests| rate(Limit::Requests, requests)),
            limits.in_flight.map(|most| format!("\"in_flight\";q={most};qu=\"concurrent-requests\"")),
            limits.executions.map(|executions| rate(Limit::Executions, executions)),
            limits.budget.map(|most| format!("\"budget\";q={most};w=86400")),
        ];
        let items: Vec<String> = items.into_iter().flatten().collect();
        // Names and numbers are what a header can carry.
        if items.is_empty() { None } else { HeaderValue::try_from(items.join(", ")).ok() }
    }

    /// Begins for a tenant that was identified.
    pub fn begin(&mut self, policy: Option<&HeaderValue>) {
        self.policy = policy.cloned();
    }

    /// Notes what is left of a limit, and in how many seconds there is more.
    pub fn note(&mut self, limit: Limit, count: u32, after: Option<u64>) {
        if let Some(left) = self.left.get_mut(limit as usize) {
            *left = Some(Left { count, after });
        }
    }

    /// Notes that one of a limit came back.
    pub fn give_back(&mut self, limit: Limit) {
        if let Some(Some(left)) = self.left.get_mut(limit as usize) {
            left.count += 1;
        }
    }

    /// What is left of each limit that was looked at.
    pub fn left(&self) -> impl Iterator<Item = (Limit, u32)> {
        Limit::ALL.into_iter().zip(self.left).filter_map(|(limit, left)| left.map(|left| (limit, left.count)))
    }

    /// Adds the fields to an answer.
    pub fn tell(&self, answer: &mut HeaderMap) {
        let Some(policy) = &self.policy else { return };
        answer.append(RATE_LIMIT_POLICY, policy.clone());
        let mut text = BytesMut::with_capacity(128);
        for (limit, left) in Limit::ALL.into_iter().zip(self.left) {
            let Some(Left { count, after }) = left else { continue };
            let comma = if text.is_empty() { "" } else { ", " };
            let mut digits = itoa::Buffer::new();
            for part in [comma, "\"", limit.name(), "\";r=", digits.format(count)] {
                text.extend_from_slice(part.as_bytes());
            }
            if let Some(after) = after {
                text.extend_from_slice(b";t=");
                text.extend_from_slice(digits.format(after).as_bytes());
            }
        }
        // Empty where the request was refused before it was counted.
        if !text.is_empty()
            && let Ok(value) = HeaderValue::from_maybe_shared(text.freeze())
        {
            answer.append(RATE_LIMIT, value);
        }
    }
}
