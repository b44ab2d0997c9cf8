//! The two text formats of metrics: OpenMetrics, which Prometheus asks for, and the older format, which every other reader accepts.

use hyper::HeaderMap;

use crate::media_type::{self, Offer};
use crate::metrics::table::{Kind, TABLE};

const OPEN_METRICS: Offer = Offer { essence: "application/openmetrics-text", version: Some("1.0.0") };
const PROMETHEUS: Offer = Offer { essence: "text/plain", version: Some("0.0.4") };

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpositionFormat {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus's own, 0.0.4.
    Prometheus,
}

impl ExpositionFormat {
    /// Returns the format that a reader's headers ask for.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> ExpositionFormat {
        if media_type::prefers(headers, OPEN_METRICS, PROMETHEUS) {
            ExpositionFormat::OpenMetrics
        } else {
            ExpositionFormat::Prometheus
        }
    }

    /// Returns the format's media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            ExpositionFormat::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            ExpositionFormat::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Converts text from OpenMetrics to the older format, and returns it. The older format has no end mark, and names a counter's
/// metadata as its samples are named.
pub(super) fn to_prometheus(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len() + 1024);
    for line in open_metrics.lines().filter(|line| *line != "# EOF") {
        let counter =
            line.strip_prefix("# ").and_then(|comment| comment.split(' ').nth(1)).filter(|name| is_counter(name));
        match counter.and_then(|name| line.split_once(name)) {
            Some((before, after)) => {
                for part in [before, counter.unwrap_or_default(), "_total", after] {
                    text.push_str(part);
                }
            }
            None => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

/// Returns whether this is a counter's name without `_total`.
fn is_counter(base: &str) -> bool {
    TABLE.iter().any(|row| row.kind == Kind::Counter && row.name.strip_suffix("_total") == Some(base))
}
