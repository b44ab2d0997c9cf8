//! The metrics of the process, and the table of their names.
//!
//! The counts of a tenant are in [`state`](crate::state), where they outlive a reload. A request finds its counts by index, not in
//! a map. A count takes memory when it is first used.

pub mod client;
pub(crate) mod duration;
mod gauge;
mod label;
mod reload;
mod server;
pub(crate) mod table;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::asteroid::operation::Effect;
use crate::counter::Counter;
use crate::state::Meters;
use crate::transport::pool::PoolCounts;

use crate::facts::{Facts, Outcome};

pub use gauge::{Gauge, Open};
pub use label::{Label, RequestLabels};
pub use reload::Reloads;

/// The tenant label of requests without a tenant. A tenant of that name is counted with them.
pub const OTHER: &str = "other";

/// The metrics of the process.
#[derive(Debug, Default)]
pub struct Metrics {
    pub(crate) server: server::Requests,
    /// Requests to the upstream, of every worker.
    pub client: Arc<client::UpstreamRequests>,
    pub(crate) in_flight: Gauge,
    /// The meters of requests without a tenant.
    other: Arc<Meters>,
    /// Connections of callers by the address of their listener.
    pub(crate) listeners: Mutex<Vec<(String, Gauge)>>,
    /// Connections of callers that had to wait for a slot.
    pub delayed: Counter,
    pub(crate) closed: [Counter; CloseReason::ALL.len()],
    /// Listings that were not passed on, because they had executions of others.
    pub foreign_listings: Counter,
    pools: Mutex<Vec<Pool>>,
    /// The reloads of the configuration.
    pub reloads: Reloads,
}

/// The reason why the gateway closed a connection that its caller could still have used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// Its peer is not in `trusted_peers`.
    Outsider,
    /// The head of its first request did not arrive in time.
    Late,
    /// It had been silent longest when no slot was free for another.
    Evicted,
}

impl CloseReason {
    /// Every reason, in the order of their numbers.
    pub(crate) const ALL: [CloseReason; 3] = [CloseReason::Outsider, CloseReason::Late, CloseReason::Evicted];

    /// Returns its name in the metrics.
    pub(crate) fn code(self) -> &'static str {
        match self {
            CloseReason::Outsider => "outsider",
            CloseReason::Late => "late",
            CloseReason::Evicted => "evicted",
        }
    }
}

/// The count of one worker's pool.
struct Pool(Box<dyn Fn() -> PoolCounts + Send + Sync>);

impl std::fmt::Debug for Pool {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Pool")
    }
}

impl Metrics {
    /// Creates metrics at zero. `other` counts the requests without a tenant.
    #[must_use]
    pub fn new(other: Arc<Meters>) -> Metrics {
        let metrics = Metrics { other, ..Metrics::default() };
        metrics.reloads.loaded(SystemTime::now());
        metrics
    }

    /// Returns the gauge of a listener's connections, by its address in the configuration.
    #[must_use]
    pub fn listener(&self, address: &str) -> Gauge {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        let known = listeners.iter().find(|(known, _)| known == address).map(|(_, gauge)| gauge.clone());
        known.unwrap_or_else(|| {
            let gauge = Gauge::default();
            listeners.push((address.to_owned(), gauge.clone()));
            gauge
        })
    }

    /// Counts a connection that the gateway closed.
    pub fn closed(&self, reason: CloseReason) {
        self.closed.get(reason as usize).into_iter().for_each(Counter::add);
    }

    /// Adds the pool of a worker, which is counted at each scrape.
    pub fn pool(&self, count: impl Fn() -> PoolCounts + Send + Sync + 'static) {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner).push(Pool(Box::new(count)));
    }

    /// Counts a request that has begun.
    pub fn begin(&self) {
        self.in_flight.more();
    }

    /// Counts a request that has ended.
    pub fn close(&self, labels: RequestLabels, meters: Option<&Meters>, facts: &Facts) {
        self.in_flight.less();
        self.server.observe(labels, facts);
        let meters = meters.unwrap_or(&self.other);
        meters.count_request(facts.status);
        let Some(operation) = facts.operation.filter(|operation| operation.rules().effect == Effect::Start) else {
            return;
        };
        match facts.outcome {
            Outcome::Answered if !facts.replayed => meters.count_execution(operation),
            // If no API key was injected, the doubt is about an earlier start, which was counted then.
            Outcome::Unknown if facts.credential.is_some() => meters.count_unknown_start(),
            Outcome::Answered | Outcome::Unknown | Outcome::NotStarted => {}
        }
    }

    /// Returns the connections in the pools of all workers.
    pub(crate) fn pool_counts(&self) -> PoolCounts {
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.iter().map(|Pool(count)| count()).fold(PoolCounts::default(), |all, one| PoolCounts {
            idle: all.idle + one.idle,
            shared: all.shared + one.shared,
            streams: all.streams + one.streams,
        })
    }
}
