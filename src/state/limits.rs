//! A tenant's limits, and the amounts that are left of them after a request was counted.

use std::num::NonZeroU32;

use serde::Serialize;

use super::Rate;

/// The limits of a tenant; an absent one does not limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests of any kind, as a rate. Calls that only read are not among them if they have a limit of their own.
    pub requests: Option<Rate>,
    /// Calls that only read, as a rate.
    pub reads: Option<Rate>,
    /// Starts of executions, as a rate.
    pub executions: Option<Rate>,
    /// Exchanges that are not settled, at once.
    pub in_flight: Option<NonZeroU32>,
    /// Starts of executions in a UTC calendar day.
    pub budget: Option<NonZeroU32>,
}

/// One of a tenant's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Requests in a span of time.
    Requests,
    /// Calls that only read, in a span of time.
    Reads,
    /// Exchanges at once.
    InFlight,
    /// Starts in a span of time.
    Executions,
    /// Starts in a day.
    Budget,
}

impl Limit {
    /// All limits, in the order in which callers are told of them.
    pub const ALL: [Limit; 5] = [Limit::Requests, Limit::Reads, Limit::InFlight, Limit::Executions, Limit::Budget];

    /// Returns the code in the configuration, in answers, metrics and the log.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Limit::Requests => "requests",
            Limit::Reads => "reads",
            Limit::InFlight => "in_flight",
            Limit::Executions => "executions",
            Limit::Budget => "budget",
        }
    }
}

/// The amounts that are left of the limits by which a request was counted.
#[derive(Debug, Default)]
pub struct Remaining([Option<Amount>; Limit::ALL.len()]);

/// The amount that is left of one limit.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    /// How many are left.
    pub count: u32,
    /// The seconds until more are left, if that is known.
    pub refills_after: Option<u64>,
}

impl Remaining {
    /// Records the amount that is left of a limit, and the seconds until more is.
    pub fn record(&mut self, limit: Limit, count: u32, refills_after: Option<u64>) {
        if let Some(amount) = self.0.get_mut(limit as usize) {
            *amount = Some(Amount { count, refills_after });
        }
    }

    /// Records that one was given back to a limit.
    pub fn give_back(&mut self, limit: Limit) {
        if let Some(Some(amount)) = self.0.get_mut(limit as usize) {
            amount.count += 1;
        }
    }

    /// Returns the amount that is left of each limit that was counted.
    pub fn iter(&self) -> impl Iterator<Item = (Limit, Amount)> {
        Limit::ALL.into_iter().zip(self.0).filter_map(|(limit, amount)| amount.map(|amount| (limit, amount)))
    }
}
