//! What the gateway shows at `/metrics`, read as Prometheus's text format.

use std::fmt::Debug;
use std::time::Instant;

use super::Program;
use super::caller::TIMEOUT;

/// Every sample of one look.
#[derive(Debug)]
pub(crate) struct Metrics(Vec<Sample>);

#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: f64,
}

impl Metrics {
    /// The only sample with this name and these labels, whatever other labels it has; nothing where there is none.
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

    /// Every sample of a name, as labels and value.
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
    /// What is shown now.
    pub(crate) fn metrics(&self) -> Metrics {
        let answer = self.admin("/metrics");
        assert_eq!(answer.status, 200);
        let text = String::from_utf8(answer.body).unwrap();
        Metrics(text.lines().filter(|line| !line.starts_with('#')).map(sample).collect())
    }

    /// Waits until something that is read of the metrics is this.
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

/// A line of the format; no label's value of these tests holds a quote, a comma or a brace at its end.
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
