//! What the gateway says about itself.

pub mod audit;
mod line;
pub mod log;
pub mod metrics;
pub mod record;
pub mod request_id;
pub mod trace;

use std::sync::Arc;

use audit::{Audit, Place};
use log::Log;
use metrics::Metrics;
use record::Record;
use trace::Tracer;

/// Where the record of a request goes when it is closed.
#[derive(Debug, Default)]
pub struct Sinks {
    /// Its line; absent where lines of this level are not wanted.
    pub log: Option<Log>,
    /// Its spans, where they are exported.
    pub tracer: Option<Tracer>,
    /// The audit, where there is one.
    pub audit: Option<Arc<Audit>>,
    /// What it counts for.
    pub metrics: Metrics,
}

impl Sinks {
    fn close(&self, record: &Record, place: Option<Place>) {
        self.metrics.close(record);
        if let Some(place) = place {
            place.fill(record);
        }
        if let Some(log) = &self.log {
            record.write_to(log);
        }
        if let Some(tracer) = &self.tracer {
            tracer.close(record);
        }
    }
}
