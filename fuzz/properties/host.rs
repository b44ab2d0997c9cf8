//! The check of the host: for any head, each listener decides like a second implementation of RFC 3986, RFC 9112 and RFC
//! 9113. No malformed host is accepted.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::LazyLock;

use asteroid_gateway::config::resolve::Address;
use asteroid_gateway::proxy::error::Error;
use asteroid_gateway::proxy::guard::{self, Hosts};
use hyper::Version;
use hyper::http::request::Parts;

use super::head;

const NAMES: [&str; 4] = ["gateway.internal", "10.0.0.7", "2001:db8::1", "2001:db8::a"];

struct Listener {
    hosts: Hosts,
    address: Address,
    names: &'static [&'static str],
}

/// Listeners on loopback, on another address and at a Unix socket, each with and without names.
static LISTENERS: LazyLock<Vec<Listener>> = LazyLock::new(|| {
    let tcp = |address: &str| Address::Tcp(address.parse().expect("it is an address"));
    let unix = Address::Unix { path: "/run/gateway.sock".into(), mode: 0o660 };
    let listener = |address: &Address, names: &'static [&'static str]| {
        let hosts = Hosts::new(address, &names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        Listener { hosts, address: address.clone(), names }
    };
    let addresses = [tcp("127.0.0.1:80"), tcp("10.0.0.1:80"), unix];
    addresses.iter().flat_map(|address| [listener(address, &NAMES), listener(address, &[])]).collect()
});

#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    Framing,
    Target,
    Host,
    /// The text is not a host. The gateway may also answer that it is not one of the listener's names.
    Unreadable,
    Misdirected(String),
    Browser,
}

pub(crate) fn check(input: &[u8]) {
    let Some(head) = head::parse(input) else { return };
    for listener in &*LISTENERS {
        match (guard::check(&listener.hosts, &head), expected(listener, &head)) {
            (Ok(()), Ok(()))
            | (Err(Error::Malformed(_)), Err(Refusal::Framing))
            | (Err(Error::Target), Err(Refusal::Target))
            | (Err(Error::Host), Err(Refusal::Host | Refusal::Unreadable))
            | (Err(Error::Misdirected(_)), Err(Refusal::Unreadable))
            | (Err(Error::Browser(_)), Err(Refusal::Browser)) => {}
            (Err(Error::Misdirected(name)), Err(Refusal::Misdirected(expected))) => assert_eq!(name, expected),
            (found, expected) => panic!("{} decides {found:?}, and should {expected:?}", listener.address),
        }
    }
}

fn expected(listener: &Listener, head: &Parts) -> Result<(), Refusal> {
    let values = |name: &str| head.headers.get_all(name).iter().map(|value| value.as_bytes().to_ascii_lowercase());
    let codings: Vec<_> = values("transfer-encoding").collect();
    if !(codings.is_empty() || codings == [b"chunked"]) || values("expect").any(|expected| expected != b"100-continue")
    {
        return Err(Refusal::Framing);
    }
    expect_host(listener, head)?;
    if values("origin").next().is_some() || head.headers.get_all("sec-fetch-site").iter().any(|site| site != "none") {
        return Err(Refusal::Browser);
    }
    Ok(())
}

fn expect_host(listener: &Listener, head: &Parts) -> Result<(), Refusal> {
    let hosts: Vec<&[u8]> = head.headers.get_all("host").iter().map(|host| host.as_bytes()).collect();
    let authority = head.uri.authority().map(|authority| authority.as_str().as_bytes());
    match (head.version, hosts.len(), head.uri.scheme_str()) {
        (_, 2.., _) => return Err(Refusal::Host),
        (Version::HTTP_2, ..) | (_, _, Some("http" | "https")) => {}
        _ if authority.is_some() => return Err(Refusal::Target),
        _ => {}
    }
    if hosts.is_empty() && head.version == Version::HTTP_11 {
        return Err(Refusal::Host);
    }
    if matches!(listener.address, Address::Unix { .. }) && listener.names.is_empty() {
        return Ok(());
    }
    let asked = authority.or(hosts.first().copied()).ok_or(Refusal::Host)?;
    let (name, port) = host_and_port(asked).ok_or(Refusal::Unreadable)?;
    if head.version == Version::HTTP_2 {
        for host in hosts {
            if host_and_port(host) != Some((name.clone(), port)) {
                return Err(Refusal::Host);
            }
        }
    }
    let is_named = listener.names.contains(&name.as_str());
    let answers = match &listener.address {
        Address::Tcp(address) if address.ip().is_loopback() => {
            is_named || name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
        }
        _ => is_named || listener.names.is_empty(),
    };
    if answers { Ok(()) } else { Err(Refusal::Misdirected(name)) }
}

/// Parses `host [":" port]` of RFC 3986, section 3.2.2, without percent-encoding and IPvFuture. Returns a name in lower case
/// and without a final dot, and an address in its shortest form.
fn host_and_port(text: &[u8]) -> Option<(String, Option<u16>)> {
    let text = str::from_utf8(text).ok()?;
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port = match port {
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(port.parse().ok()?),
        Some(_) => return None,
        None => None,
    };
    if let Some(literal) = host.strip_prefix('[') {
        let address: Ipv6Addr = literal.strip_suffix(']')?.parse().ok()?;
        return Some((address.to_canonical().to_string(), port));
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte);
    (!name.is_empty() && name.bytes().all(is_allowed)).then(|| (name.to_ascii_lowercase(), port))
}
