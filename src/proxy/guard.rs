//! Refuses the requests of web pages, and requests for another host.
//!
//! The gateway needs no credential, so a page in a developer's browser could use it: directly, which its `Origin` and
//! `Sec-Fetch-Site` show, or by DNS rebinding, which its `Host` shows.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use hyper::Version;
use hyper::header::{EXPECT, HOST, HeaderName, HeaderValue, ORIGIN, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;

use crate::config::resolve::Address;
use crate::proxy::error::Error;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The names that a listener answers for, on any port.
#[derive(Debug)]
pub struct Hosts {
    loopback: bool,
    /// Whether any `Host` is accepted.
    accepts_any: bool,
    names: BTreeSet<String>,
}

impl Hosts {
    /// Creates the names of a listener. A loopback listener answers to the names of loopback and to `names`; another one to
    /// `names`, or to all names if it is empty.
    ///
    /// Names are in lower case, without a final dot, and IPv6 addresses without brackets. No browser reaches a Unix socket. Its
    /// callers send whatever their clients need for a URL: the path of the socket, or nothing.
    #[must_use]
    pub fn new(address: &Address, names: &[String]) -> Hosts {
        let loopback = matches!(address, Address::Tcp(address) if address.ip().is_loopback());
        let accepts_any = matches!(address, Address::Unix { .. }) && names.is_empty();
        Hosts { loopback, accepts_any, names: names.iter().cloned().collect() }
    }

    /// Returns whether `Host` is one of the names as nearly every caller writes it. If so, it need not be parsed.
    fn contains_verbatim(&self, host: &[u8]) -> bool {
        let Ok(host) = std::str::from_utf8(host) else { return false };
        let name = host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(name, _)| name);
        // An IPv6 address stands in brackets.
        self.loopback && matches!(name, "localhost" | "127.0.0.1") || !name.contains(':') && self.names.contains(name)
    }

    fn contains(&self, name: &str) -> bool {
        if self.loopback {
            is_loopback(name) || self.names.contains(name)
        } else {
            self.names.is_empty() || self.names.contains(name)
        }
    }
}

/// A host and its port, as `Host`, `:authority` or a target names them.
#[derive(Debug, PartialEq, Eq)]
struct HostAndPort {
    /// In lower case, without brackets and without the final dot of a complete name.
    name: String,
    port: Option<u16>,
}

impl HostAndPort {
    fn parse(text: &[u8]) -> Result<HostAndPort, Error> {
        let authority = Authority::try_from(text).map_err(|_| Error::Host)?;
        let suffix = authority.as_str().strip_prefix(authority.host()).ok_or(Error::Host)?;
        let port = match suffix.strip_prefix(':') {
            Some(port) if is_port(port) => port.parse().ok(),
            // `Host` has no user before the host.
            _ if !suffix.is_empty() => return Err(Error::Host),
            _ => None,
        };
        let host = authority.host();
        let name = match host.strip_prefix('[') {
            Some(literal) => literal.strip_suffix(']').filter(|literal| literal.parse::<Ipv6Addr>().is_ok()),
            None => Some(host.strip_suffix('.').unwrap_or(host)).filter(|name| !name.contains(['[', ']'])),
        };
        let name = name.ok_or(Error::Host)?;
        if name.is_empty() {
            return Err(Error::Host);
        }
        let address = name.parse().map(|address: IpAddr| address.to_canonical().to_string());
        Ok(HostAndPort { name: address.unwrap_or_else(|_| name.to_ascii_lowercase()), port })
    }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|digit| digit.is_ascii_digit()) && text.parse::<u16>().is_ok()
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

/// Refuses transfer codings other than chunked and expectations other than 100-continue, as hyper lets both pass.
fn check_framing(request: &Parts) -> Result<(), Error> {
    let mut codings = request.headers.get_all(TRANSFER_ENCODING).iter();
    let coded = codings.next().is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if coded || codings.next().is_some() {
        return Err(Error::Malformed("Transfer-Encoding must be chunked, and be sent once"));
    }
    let expectations = request.headers.get_all(EXPECT).iter();
    if expectations.into_iter().any(|expected| !expected.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        return Err(Error::Malformed("Expect must be 100-continue"));
    }
    Ok(())
}

/// Checks the host that is requested: the one in the target, or else the one in `Host` (RFC 9112, section 3.2.2; RFC 9113,
/// section 8.3.1). Over HTTP/2 both must be the same, as many servers read only one of them.
fn check_host(hosts: &Hosts, request: &Parts) -> Result<(), Error> {
    let is_http2 = request.version == Version::HTTP_2;
    let mut values = request.headers.get_all(HOST).iter();
    let host = values.next().map(HeaderValue::as_bytes);
    if values.next().is_some() {
        return Err(Error::Host);
    }
    let target = &request.uri;
    let is_absolute = matches!(target.scheme_str(), Some("http" | "https"));
    let authority = target.authority().map(|authority| authority.as_str().as_bytes());
    if authority.is_some() && !is_http2 && !is_absolute {
        return Err(Error::Target);
    }
    if host.is_none() && request.version == Version::HTTP_11 {
        return Err(Error::Host);
    }
    if hosts.accepts_any {
        return Ok(());
    }
    let asked = authority.or(host).ok_or(Error::Host)?;
    if let (true, Some(host)) = (is_http2 && authority.is_some(), host)
        && HostAndPort::parse(host)? != HostAndPort::parse(asked)?
    {
        return Err(Error::Host);
    }
    if hosts.contains_verbatim(asked) {
        return Ok(());
    }
    let HostAndPort { name, .. } = HostAndPort::parse(asked)?;
    if hosts.contains(&name) { Ok(()) } else { Err(Error::Misdirected(name)) }
}
