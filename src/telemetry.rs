//! What the gateway says about itself.

mod line;
pub mod log;
pub mod record;
pub mod request_id;
pub mod trace;

use log::Log;
use record::Record;
use trace::Tracer;

/// Where the record of a request goes when it is closed.
#[derive(Debug, Default)]
pub struct Sinks {
    /// Its line; absent where lines of this level are not wanted.
    pub log: Option<Log>,
    /// Its spans, where they are exported.
    pub tracer: Option<Tracer>,
}

impl Sinks {
    fn close(&self, record: &Record) {
        if let Some(log) = &self.log {
            record.write_to(log);
        }
        if let Some(tracer) = &self.tracer {
            tracer.close(record);
        }
    }
}
