//! Who may not call: web pages, and whoever asked for another host.
//!
//! The gateway needs no credential, so a page in a developer's browser could use it: directly, which its `Origin` and
//! `Sec-Fetch-Site` show, or by DNS rebinding, which its `Host` shows.

use std::collections::BTreeSet;
use std::net::IpAddr;

use hyper::Version;
use hyper::header::{EXPECT, HOST, HeaderName, ORIGIN, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;

use crate::config::resolve::Address;
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
    /// Names are in lower case and IPv6 addresses without brackets. No browser reaches a Unix socket, and callers there
    /// write whatever their clients need for a URL.
    #[must_use]
    pub fn new(address: &Address, named: &[String]) -> Hosts {
        let loopback = matches!(address, Address::Tcp(address) if address.ip().is_loopback());
        Hosts { loopback, named: named.iter().cloned().collect() }
    }

    /// Whether `Host` says one of the names as nearly every caller writes it, so that nothing has to be parsed.
    fn plainly_name(&self, host: &[u8]) -> bool {
        let Ok(host) = std::str::from_utf8(host) else { return false };
        let is_port = |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|digit| digit.is_ascii_digit());
        let name = host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(name, _)| name);
        self.loopback && matches!(name, "localhost" | "127.0.0.1") || self.named.contains(name)
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
/// [`Error::Target`], [`Error::Malformed`], [`Error::Host`], [`Error::Misdirected`], [`Error::Browser`].
pub fn check(hosts: &Hosts, request: &Parts) -> Result<(), Error> {
    check_framing(request)?;
    check_host(hosts, request)?;
    if request.headers.contains_key(ORIGIN) {
        return Err(Error::Browser("Origin"));
    }
    if request.headers.get_all(SEC_FETCH_SITE).iter().any(|site| site != "none") {
        return Err(Error::Browser("Sec-Fetch-Site"));
    }
    Ok(())
}

/// hyper takes any coding whose last one is chunked, and lets expectations pass that nobody here meets.
fn check_framing(request: &Parts) -> Result<(), Error> {
    let mut codings = request.headers.get_all(TRANSFER_ENCODING).iter();
    let coded = codings.next().is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if coded || codings.next().is_some() {
        return Err(Error::Malformed("the only Transfer-Encoding that is taken is chunked, once"));
    }
    let expectations = request.headers.get_all(EXPECT).iter();
    if expectations.into_iter().any(|expected| !expected.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        return Err(Error::Malformed("the only Expect that is met is 100-continue"));
    }
    Ok(())
}

/// Which host is asked: `Host` in HTTP/1, `:authority` in HTTP/2, where a `Host` beside it must say the same.
fn check_host(hosts: &Hosts, request: &Parts) -> Result<(), Error> {
    let mut values = request.headers.get_all(HOST).iter();
    let host = values.next();
    if values.next().is_some() {
        return Err(Error::Host);
    }
    if request.version == Version::HTTP_2 {
        let asked = request.uri.authority().ok_or(Error::Host)?;
        if host.is_some_and(|host| !host.as_bytes().eq_ignore_ascii_case(asked.as_str().as_bytes())) {
            return Err(Error::Host);
        }
        return check_authority(hosts, asked);
    }
    if request.uri.authority().is_some() {
        return Err(Error::Target);
    }
    let host = host.ok_or(Error::Host)?.as_bytes();
    if hosts.plainly_name(host) {
        return Ok(());
    }
    check_authority(hosts, &Authority::try_from(host).map_err(|_| Error::Host)?)
}

fn check_authority(hosts: &Hosts, authority: &Authority) -> Result<(), Error> {
    if authority.as_str().contains('@') {
        return Err(Error::Host);
    }
    if !hosts.answer_for(authority.host()) {
        return Err(Error::Misdirected(authority.host().to_owned()));
    }
    Ok(())
}
