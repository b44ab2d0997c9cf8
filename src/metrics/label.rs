//! The labels of series. Each has a bounded set of values, whatever callers and the upstream send.

use std::borrow::Cow;

use hyper::Method;

use crate::facts::{METHODS, Route};
use crate::transport::endpoint::Scheme;

/// A label and its value.
pub type Label<'a> = (&'static str, Cow<'a, str>);

/// The schemes of listeners, in the order of their numbers.
const SCHEMES: [Scheme; 2] = [Scheme::Http, Scheme::Https];

/// How many values the label of a method has: one for each known method, and one for all others.
const METHOD_COUNT: usize = METHODS.len() + 1;

/// OpenTelemetry's label for every other value.
const OTHER: &str = "_OTHER";

/// The labels of a request that are known from its head.
#[derive(Debug, Clone, Copy)]
pub struct RequestLabels {
    scheme: Scheme,
    method: usize,
}

/// How many combinations of labels there are.
pub(super) const COMBINATIONS: usize = SCHEMES.len() * METHOD_COUNT * (Route::COUNT + 1);

impl Default for RequestLabels {
    fn default() -> RequestLabels {
        RequestLabels::new(Scheme::Http, &Method::POST)
    }
}

impl RequestLabels {
    /// Returns the labels for the head of a request.
    #[must_use]
    pub fn new(scheme: Scheme, method: &Method) -> RequestLabels {
        let known = METHODS.iter().position(|known| known == method);
        RequestLabels { scheme, method: known.unwrap_or(METHODS.len()) }
    }

    pub(super) fn index(self, route: Option<Route>) -> usize {
        let route = route.map_or(Route::COUNT, Route::number);
        (self.scheme as usize * METHOD_COUNT + self.method) * (Route::COUNT + 1) + route
    }

    /// Returns the scheme, the method and the route of an index.
    pub(super) fn labels(index: usize) -> (&'static str, &'static str, Option<&'static str>) {
        let routes = Route::COUNT + 1;
        let route = Route::with_number(index % routes).map(Route::template);
        let method = METHODS.get(index / routes % METHOD_COUNT).map_or(OTHER, Method::as_str);
        let scheme = SCHEMES.get(index / routes / METHOD_COUNT).map_or(OTHER, |scheme| scheme.name());
        (scheme, method, route)
    }
}

/// The registered statuses of HTTP. Any other is shown as its class.
const KNOWN: [u16; 52] = [
    200, 201, 202, 203, 204, 205, 206, 300, 301, 302, 303, 304, 305, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407,
    408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 423, 424, 425, 426, 428, 429, 431, 451, 500, 501, 502,
    503, 504, 505, 506, 507, 511,
];

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// How many values a status has: none, the known ones, the classes, and one for numbers that are no status of HTTP.
pub(super) const STATUSES: usize = 1 + KNOWN.len() + CLASSES.len() + 1;

/// Returns the index of a status. 0 stands for no status.
pub(super) fn status_index(status: u16) -> usize {
    if status == 0 {
        return 0;
    }
    let class = || usize::from(status / 100).saturating_sub(1).min(CLASSES.len());
    1 + KNOWN.binary_search(&status).unwrap_or_else(|_| KNOWN.len() + class())
}

/// Returns the status of an index.
pub(super) fn status(index: usize) -> Option<Cow<'static, str>> {
    let index = index.checked_sub(1)?;
    Some(match KNOWN.get(index) {
        Some(known) => Cow::Owned(known.to_string()),
        None => CLASSES.get(index - KNOWN.len()).map_or(OTHER, |class| *class).into(),
    })
}

/// Returns the error type of a request of which only the status says that it failed: the status itself, as OpenTelemetry has it.
pub(super) fn status_error(index: usize, least: &str) -> Option<Cow<'static, str>> {
    status(index).filter(|status| status.as_ref() >= least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_has_its_own_index_and_is_shown_as_what_it_is() {
        let mut indices = Vec::new();
        let brew = Method::from_bytes(b"BREW").unwrap();
        let methods = || METHODS.iter().map(|method| (method, method.as_str())).chain([(&brew, OTHER)]);
        assert_eq!(methods().count(), METHOD_COUNT);
        for scheme in SCHEMES {
            for (method, method_name) in methods() {
                for route in (0..Route::COUNT).map(Route::with_number).chain([None]) {
                    let index = RequestLabels::new(scheme, method).index(route);
                    let route = route.map(Route::template);
                    assert_eq!(RequestLabels::labels(index), (scheme.name(), method_name, route));
                    indices.push(index);
                }
            }
        }
        assert_eq!(indices, (0..COMBINATIONS).collect::<Vec<_>>());
    }

    #[test]
    fn a_status_is_itself_where_http_registers_it_and_else_its_class() {
        let shown = |code: u16| {
            assert!(status_index(code) < STATUSES);
            status(status_index(code))
        };
        assert_eq!(shown(0), None);
        for known in KNOWN {
            assert_eq!(shown(known).as_deref(), Some(&*known.to_string()));
        }
        for (code, class) in [(100, "1xx"), (299, "2xx"), (399, "3xx"), (499, "4xx"), (599, "5xx"), (999, OTHER)] {
            assert_eq!(shown(code).as_deref(), Some(class));
        }
        for (code, error) in [(202, None), (404, None), (502, Some("502")), (599, Some("5xx"))] {
            assert_eq!(status_error(status_index(code), "5").as_deref(), error);
        }
    }
}
