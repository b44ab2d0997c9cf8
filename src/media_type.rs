//! Chooses the media type that a client prefers by its `Accept` headers (RFC 9110, sections 12.4.2 and 12.5.1), and finds the
//! content coding of a body.

use hyper::HeaderMap;
use hyper::header::{ACCEPT, CONTENT_ENCODING, HeaderValue};

/// A media type that can be sent.
#[derive(Debug, Clone, Copy)]
pub struct Offer {
    /// Type and subtype, in lower case.
    pub essence: &'static str,
    /// The parameter `version`. A range that asks for another one does not mean this type.
    pub version: Option<&'static str>,
}

/// One element of an `Accept` header.
struct Range<'h> {
    essence: &'h str,
    version: Option<&'h str>,
    weight: f32,
}

/// Returns whether a client names `special`, and gives it at least the weight of `ordinary`.
#[must_use]
pub fn prefers(headers: &HeaderMap, special: Offer, ordinary: Offer) -> bool {
    let weight = named(headers, special);
    weight.is_some_and(|weight| weight > 0.0 && weight >= weight_of(headers, ordinary))
}

/// Returns the first `Content-Encoding` with a coding other than `identity`. An empty element counts as another coding.
#[must_use]
pub fn content_coding(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get_all(CONTENT_ENCODING).iter().find(|value| {
        let mut codings = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        codings.any(|coding| !coding.eq_ignore_ascii_case(b"identity"))
    })
}

/// Returns the weight of an offer, which is that of the most specific range that matches it.
fn weight_of(headers: &HeaderMap, offer: Offer) -> f32 {
    let kind = offer.essence.split('/').next().unwrap_or_default();
    let of_kind = |range: &Range<'_>| {
        let (of, any) = range.essence.split_once('/').unwrap_or_default();
        any == "*" && of.eq_ignore_ascii_case(kind)
    };
    let heaviest = |weights: &mut dyn Iterator<Item = Range<'_>>| weights.map(|range| range.weight).reduce(f32::max);
    let weight = named(headers, offer).or_else(|| heaviest(&mut ranges(headers).filter(of_kind)));
    weight.or_else(|| heaviest(&mut ranges(headers).filter(|range| range.essence == "*/*"))).unwrap_or(0.0)
}

/// Returns the largest weight of the ranges that name an offer, if there are any.
fn named(headers: &HeaderMap, offer: Offer) -> Option<f32> {
    let names = |range: &Range<'_>| {
        let same_version = range.version.is_none_or(|version| offer.version == Some(version));
        range.essence.eq_ignore_ascii_case(offer.essence) && (offer.version.is_none() || same_version)
    };
    ranges(headers).filter(names).map(|range| range.weight).reduce(f32::max)
}

fn ranges(headers: &HeaderMap) -> impl Iterator<Item = Range<'_>> {
    let texts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| split(text, ',')).filter_map(range)
}

/// Parses one element. An element with an invalid weight is ignored.
fn range(text: &str) -> Option<Range<'_>> {
    let mut parts = split(text, ';').map(str::trim);
    let mut range = Range { essence: parts.next()?, version: None, weight: 1.0 };
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        let (name, value) = (name.trim(), value.trim().trim_matches('"'));
        if name.eq_ignore_ascii_case("q") {
            range.weight = value.parse().ok().filter(|weight| (0.0..=1.0).contains(weight))?;
        } else if name.eq_ignore_ascii_case("version") {
            range.version = Some(value);
        }
    }
    Some(range)
}

/// Splits a text at each separator outside quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |character| {
        quoted ^= character == '"';
        !quoted && character == separator
    })
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    const SPECIAL: Offer = Offer { essence: "application/special", version: Some("1.0.0") };
    const ORDINARY: Offer = Offer { essence: "text/plain", version: Some("0.0.4") };

    fn is_preferred(accept: &[&'static str]) -> bool {
        let headers = accept.iter().map(|text| (ACCEPT, HeaderValue::from_static(text)));
        prefers(&headers.collect(), SPECIAL, ORDINARY)
    }

    #[test]
    fn the_special_type_is_sent_if_it_is_named_and_no_less_wanted() {
        for accept in [
            "application/special",
            "Application/SPECIAL ; Q=0.2, */*;q=0.1",
            "text/plain;q=0.3, application/special;q=0.3",
            "application/special;version=1.0.0;q=0.6,application/special;version=0.0.1;q=0.1,text/plain;q=0.5",
            "application/special;q=0.5, text/*;q=0.4, */*",
            "x/y;p=\",application/other\", application/special",
            "application/special;q=0.1, text/plain;version=2;q=0.9",
        ] {
            assert!(is_preferred(&[accept]), "{accept}");
        }
        assert!(is_preferred(&["text/plain;q=0.5", "application/special"]));
    }

    #[test]
    fn the_ordinary_type_is_sent_otherwise() {
        for accept in [
            "",
            "*/*",
            "application/*",
            "application/specialised",
            "application/special;q=0",
            "application/special;q=0.000, text/plain;version=0.0.4",
            "text/plain;version=0.0.4;q=0.9, application/special;q=0.1",
            "application/special;q=0.4, text/*;q=0.5",
            "application/special;q=0.4, */*;q=0.5",
            "application/special;version=0.0.1",
            "application/special;q=2",
            "x/y;p=\",application/special\"",
        ] {
            assert!(!is_preferred(&[accept]), "{accept}");
        }
        assert!(!is_preferred(&[]));
    }

    #[test]
    fn every_coding_but_identity_is_one() {
        let coding = |values: &[&'static str]| {
            let values = values.iter().map(|value| (CONTENT_ENCODING, HeaderValue::from_static(value)));
            content_coding(&values.collect()).cloned()
        };
        for values in [&[][..], &["identity"], &["Identity, identity"], &["identity", "identity"]] {
            assert_eq!(coding(values), None, "{values:?}");
        }
        for (values, found) in [(&["gzip"][..], "gzip"), (&["identity", "br, x"], "br, x"), (&[""], "")] {
            assert_eq!(coding(values), Some(HeaderValue::from_static(found)), "{values:?}");
        }
    }
}
