//! The gateway's `/metrics`, parsed as Prometheus's text format.

use std::fmt::Debug;
use std::time::Instant;

use super::Program;
use super::caller::TIMEOUT;

/// All samples of one scrape.
#[derive(Debug)]
pub(crate) struct Metrics(Vec<Sample>);

#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: f64,
}

impl Metrics {
    /// Returns the only sample with this name and these labels, among others; `None` if there is none.
    #[track_caller]
    pub(crate) fn find(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |sample: &Sample| labels.iter().all(|(name, value)| sample.label(name) == Some(value));
        let mut found = self.0.iter().filter(|sample| sample.name == name && has(sample));
        let first = found.next().map(|sample| sample.value);
        assert_eq!(found.next().map(|sample| &sample.labels), None, "{name} {labels:?} is more than one");
        first
    }

    pub(crate) fn samples(&self) -> &[Sample] {
        &self.0
    }

    /// Returns every sample with this name, as its label values and its value.
    pub(crate) fn all(&self, name: &str) -> Vec<(String, f64)> {
        let of_name = self.0.iter().filter(|sample| sample.name == name);
        of_name
            .map(|sample| {
                (sample.labels.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(" "), sample.value)
            })
            .collect()
    }
}

impl Sample {
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }
}

impl Program {
    /// Scrapes the metrics.
    pub(crate) fn metrics(&self) -> Metrics {
        let answer = self.admin("/metrics");
        assert_eq!(answer.status, 200);
        let text = String::from_utf8(answer.body).unwrap();
        Metrics(text.lines().filter(|line| !line.starts_with('#')).map(sample).collect())
    }

    /// Waits until `read` returns this value for the metrics.
    #[track_caller]
    pub(crate) fn wait_for_metrics<T: PartialEq + Debug>(&self, read: impl Fn(&Metrics) -> T, expected: &T) {
        let begun = Instant::now();
        loop {
            let seen = read(&self.metrics());
            if seen == *expected {
                return;
            }
            assert!(begun.elapsed() < TIMEOUT, "{seen:?} did not become {expected:?}");
        }
    }
}

/// Parses a line of the format. In these tests, no label value contains a quote, or a comma or brace at its end.
fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let labels = labels.strip_suffix('}').unwrap();
    let labels = labels.split("\",").filter(|label| !label.is_empty()).map(|label| {
        let (name, value) = label.split_once("=\"").unwrap();
        (name.to_owned(), value.trim_end_matches('"').to_owned())
    });
    Sample { name: name.to_owned(), labels: labels.collect(), value: value.parse().unwrap() }
}
