//! What is counted and measured for Prometheus.
//!
//! Counts of a tenant are in [`state`](crate::state), where they outlive a reload; here are those of the process, and the one
//! table of names. A request finds its counts by index: there is no map on its way, and memory is taken only where
//! something happens for the first time.

pub mod client;
pub(crate) mod duration;
mod gauge;
mod label;
mod reload;
mod server;
pub(crate) mod table;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::counter::Counter;
use crate::state::Meters;
use crate::transport::pool::PoolCounts;

use crate::facts::{Facts, Outcome};

pub use gauge::{Gauge, Open};
pub use label::{Asked, Label};
pub use reload::Reloads;

/// The tenant of requests that have none; one of that name is counted with them.
pub const OTHER: &str = "other";

/// What is counted and measured of the process as a whole.
#[derive(Debug, Default)]
pub struct Metrics {
    pub(crate) server: server::Requests,
    /// Requests to the upstream, of every worker.
    pub client: Arc<client::UpstreamRequests>,
    pub(crate) in_flight: Gauge,
    /// What requests came to that belong to no tenant.
    other: Arc<Meters>,
    /// Connections of callers by the address of their listener.
    pub(crate) listeners: Mutex<Vec<(String, Gauge)>>,
    /// Connections of callers that waited for a place.
    pub delayed: Counter,
    pub(crate) closed: [Counter; CloseReason::ALL.len()],
    pools: Mutex<Vec<Pool>>,
    /// Tries to take over a changed configuration.
    pub reloads: Reloads,
}

/// Why the gateway closed a connection that its caller may still have wanted to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// It came from outside `trusted_peers`.
    Outsider,
    /// The head of its first request did not come in time.
    Late,
    /// It had been silent longest when there was no place for another.
    Evicted,
}

impl CloseReason {
    pub(crate) const ALL: [(CloseReason, &'static str); 3] =
        [(CloseReason::Outsider, "outsider"), (CloseReason::Late, "late"), (CloseReason::Evicted, "evicted")];
}

/// Asks one worker's pool.
struct Pool(Box<dyn Fn() -> PoolCounts + Send + Sync>);

impl std::fmt::Debug for Pool {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Pool")
    }
}

impl Metrics {
    /// Nothing counted yet; requests of no tenant are counted as `other`'s.
    #[must_use]
    pub fn new(other: Arc<Meters>) -> Metrics {
        let metrics = Metrics { other, ..Metrics::default() };
        metrics.reloads.loaded(SystemTime::now());
        metrics
    }

    /// Counts the connections of a listener, by its address in the configuration.
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

    /// Asks a worker's pool whenever somebody looks.
    pub fn pool(&self, count: impl Fn() -> PoolCounts + Send + Sync + 'static) {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner).push(Pool(Box::new(count)));
    }

    /// Counts a request that has begun.
    pub fn begin(&self) {
        self.in_flight.more();
    }

    /// Counts a request that has ended.
    pub fn close(&self, asked: Asked, meters: Option<&Meters>, facts: &Facts) {
        self.in_flight.less();
        self.server.observe(asked, facts);
        let meters = meters.unwrap_or(&self.other);
        meters.request(facts.status);
        let Some(operation) = facts.operation else { return };
        match facts.outcome {
            Outcome::Answered if !facts.replayed => meters.started(operation),
            // Where no key was injected, the doubt is an earlier start's, which was counted then.
            Outcome::Unknown if facts.credential.is_some() => meters.unknown(),
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
