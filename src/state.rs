//! What is counted and outlives a [`Snapshot`](crate::proxy::snapshot::Snapshot): kept by name, so that a new
//! configuration loses no count.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The counts of this process.
#[derive(Debug, Default)]
pub struct State {
    in_flight: Mutex<BTreeMap<String, Arc<InFlight>>>,
}

impl State {
    /// The exchanges in flight of a tenant, the same for every snapshot that names it.
    #[must_use]
    pub fn in_flight(&self, tenant: &str) -> Arc<InFlight> {
        let mut tenants = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tenants.entry(tenant.to_owned()).or_default())
    }

    /// The tenants that have exchanges in flight, and how many, for the log.
    #[must_use]
    pub fn unsettled(&self) -> String {
        let tenants = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = tenants.iter().map(|(tenant, in_flight)| (tenant, in_flight.count()));
        let named: Vec<String> = counts.filter(|(_, n)| *n > 0).map(|(tenant, n)| format!("{tenant}: {n}")).collect();
        named.join(", ")
    }
}

/// How many exchanges of one tenant are not settled.
#[derive(Debug, Default)]
pub struct InFlight(AtomicUsize);

impl InFlight {
    /// One more.
    pub fn enter(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One less.
    pub fn leave(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// The count now.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}
