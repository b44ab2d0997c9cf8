//! Who may not call: web pages, and whoever asked for another host.
//!
//! The gateway needs no credential, so a page in a developer's browser could use it: directly, which its `Origin` and
//! `Sec-Fetch-Site` show, or by DNS rebinding, which its `Host` shows.

use std::collections::BTreeSet;
use std::net::IpAddr;

use hyper::header::{HOST, HeaderName, ORIGIN};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;

use crate::error::Error;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The names that a listener answers for, on any port.
#[derive(Debug)]
pub struct Hosts {
    loopback: bool,
    named: BTreeSet<String>,
}

impl Hosts {
    /// Loopback listeners answer to the names of loopback and to `named`; others to `named`, or to all where it is empty.
    /// Names are in lower case and IPv6 addresses without brackets.
    #[must_use]
    pub fn new(address: IpAddr, named: &[String]) -> Hosts {
        Hosts { loopback: address.is_loopback(), named: named.iter().cloned().collect() }
    }

    fn answer_for(&self, host: &str) -> bool {
        let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host).to_ascii_lowercase();
        if self.loopback {
            is_loopback(&host) || self.named.contains(&host)
        } else {
            self.named.is_empty() || self.named.contains(&host)
        }
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Refuses a request that no service would send.
///
/// # Errors
///
/// [`Error::Target`], [`Error::Host`], [`Error::Misdirected`], [`Error::Browser`].
pub fn check(hosts: &Hosts, request: &Parts) -> Result<(), Error> {
    if request.uri.authority().is_some() {
        return Err(Error::Target);
    }
    let mut values = request.headers.get_all(HOST).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(Error::Host) };
    let authority = Authority::try_from(value.as_bytes()).map_err(|_| Error::Host)?;
    if authority.as_str().contains('@') {
        return Err(Error::Host);
    }
    if !hosts.answer_for(authority.host()) {
        return Err(Error::Misdirected(authority.host().to_owned()));
    }
    if request.headers.contains_key(ORIGIN) {
        return Err(Error::Browser("Origin"));
    }
    if request.headers.get_all(SEC_FETCH_SITE).iter().any(|site| site != "none") {
        return Err(Error::Browser("Sec-Fetch-Site"));
    }
    Ok(())
}
