//! `traces`: the collector of spans, and the sampling.

use crate::config::file;
use crate::config::finding::{Findings, Path};
use crate::trace::Ratio;

use super::{Collector, Traces, upstream};

const SERVICE_NAME: &str = "asteroid-gateway";

/// No message quotes the URL, since it may contain a password or a token.
const SHAPE: &str = "must be a URL such as http://127.0.0.1:4318/v1/traces: https://, or http:// for localhost, \
                     127.0.0.0/8 and [::1]; with its path, and without user, query and fragment";

pub(super) fn resolve(written: Option<file::Traces>, findings: &mut Findings) -> Option<Option<Traces>> {
    let Some(written) = written else { return Some(None) };
    let path = Path::default().join("traces");
    let collector = match written.otlp.as_deref() {
        None => findings.refuse(&path.join("otlp"), format!("is missing; it {SHAPE}")),
        Some(url) => collector(url).or_else(|| findings.refuse(&path.join("otlp"), SHAPE)),
    };
    let sample = match written.sample.as_ref().map_or(Some(Ratio::ALL), |file::Number(text)| ratio(text)) {
        None => findings.refuse(&path.join("sample"), "must be a number from 0 to 1"),
        sample => sample,
    };
    let service_name = written.service_name.unwrap_or_else(|| SERVICE_NAME.to_owned());
    let is_name = (1..=255).contains(&service_name.len()) && !service_name.contains(char::is_control);
    let service_name = if is_name {
        Some(service_name)
    } else {
        findings.refuse(&path.join("service_name"), "must be 1 to 255 bytes of text without control characters")
    };
    Some(Some(Traces { collector: collector?, sample: sample?, service_name: service_name? }))
}

fn collector(url: &str) -> Option<Collector> {
    let upstream::Url { endpoint, base_path } = upstream::parse(url).ok()?;
    (!base_path.is_empty()).then_some(Collector { endpoint, path: base_path })
}

fn ratio(text: &str) -> Option<Ratio> {
    let ratio: f64 = text.trim().parse().ok()?;
    Ratio::new(ratio)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::endpoint::Scheme;

    #[test]
    fn a_ratio_takes_its_part_of_the_random_numbers() {
        let max = (1 << 56) - 1;
        for (ratio, min) in
            [("1", Some(0)), ("1.0", Some(0)), ("0.5", Some(1 << 55)), ("0.25", Some(3 << 54)), ("0", None)]
        {
            let read = self::ratio(ratio).unwrap();
            match min {
                None => assert!(!read.takes(max)),
                Some(min) => {
                    assert!(read.takes(min) && read.takes(max), "{ratio}");
                    assert!(min == 0 || !read.takes(min - 1), "{ratio}");
                }
            }
        }
        for text in ["", "x", "-0.1", "1.1", "10%", "NaN", "inf", "1/2"] {
            assert_eq!(self::ratio(text), None, "{text}");
        }
    }

    #[test]
    fn a_collector_is_a_whole_url_and_in_cleartext_on_this_machine() {
        let read = collector("https://otlp.example:4318/v1/traces").unwrap();
        assert_eq!((read.endpoint.authority.as_str(), read.path.as_str()), ("otlp.example:4318", "/v1/traces"));
        assert_eq!(collector("http://localhost:4318/v1/traces").unwrap().endpoint.scheme, Scheme::Http);
        for url in [
            "",
            "localhost:4318",
            "http://127.0.0.1:4318",
            "http://127.0.0.1:4318/",
            "http://otel-collector:4318/v1/traces",
            "https://token@otlp.example/v1/traces",
            "https://otlp.example/v1/traces?token=x",
            "grpc://127.0.0.1:4317/v1/traces",
        ] {
            assert_eq!(collector(url), None, "{url}");
        }
    }
}
