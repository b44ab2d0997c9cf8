//! What the gateway says about itself.

mod line;
pub mod log;
pub mod record;
pub mod request_id;

use log::Log;
use record::Record;

/// Where the record of a request goes when it is closed.
#[derive(Debug, Default)]
pub struct Sinks {
    /// Its line; absent where lines of this level are not wanted.
    pub log: Option<Log>,
}

impl Sinks {
    fn close(&self, record: &Record) {
        if let Some(log) = &self.log {
            record.write_to(log);
        }
    }
}
