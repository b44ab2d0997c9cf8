//! What the gateway says about itself.

mod line;
pub mod log;
pub mod metrics;
pub mod record;
pub mod request_id;

use std::time::Duration;

use log::Log;
use metrics::Metrics;
use record::Record;

/// Where the record of a request goes when it is closed.
#[derive(Debug, Default)]
pub struct Sinks {
    /// Its line; absent where lines of this level are not wanted.
    pub log: Option<Log>,
    /// What it counts for.
    pub metrics: Metrics,
}

impl Sinks {
    fn close(&self, record: &Record, took: Duration) {
        self.metrics.close(record, took);
        if let Some(log) = &self.log {
            record.write_to(log, took);
        }
    }
}
