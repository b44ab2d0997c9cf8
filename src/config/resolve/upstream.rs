//! `upstream`: the parts of the URL, and the header that carries the API key.

use std::net::IpAddr;
use std::path::PathBuf;

use hyper::Uri;
use hyper::header::HeaderName;
use hyper::http::uri::Authority;
use rustls::pki_types::DnsName;
use uuid::Uuid;

use crate::asteroid::era::Era;
use crate::config::finding::{Findings, Path};
use crate::config::{file, pasted, suggestion};
use crate::transport::endpoint::{Endpoint, Scheme};

use super::{Upstream, header, listing};

const URL: &str = "https://odyssey.asteroid.ai/agents/v2";
const CREDENTIAL_HEADER: &str = "X-Asteroid-Agents-Api-Key";

/// The header that carries the API key to servers of the new era.
const NEW_CREDENTIAL_HEADER: &str = "x-api-key";

/// The ends of the base paths of the two versions of the API on one server.
const V2: &str = "/agents/v2";
const V1: &str = "/api/v1";

pub(super) fn resolve(written: file::Upstream, path: &Path, findings: &mut Findings) -> Option<Upstream> {
    let header = written.credential_header.as_deref().unwrap_or(CREDENTIAL_HEADER);
    let credential_header = match credential_header(header) {
        Ok(header) => Some(header),
        Err(message) => findings.refuse(&path.join("credential_header"), message),
    };
    let url = match parse(written.url.as_deref().unwrap_or(URL)) {
        Ok(url) => Some(url),
        Err(message) => findings.refuse(&path.join("url"), message),
    };
    let ca_file = match written.ca_file {
        Some(file) if pasted::is_not_a_path(&file) => findings.refuse(
            &path.join("ca_file"),
            "must be the path of a PEM file, such as /etc/tls/ca.pem or ./ca.pem, not its content",
        ),
        file => Some(file.map(PathBuf::from)),
    };
    let organization_id = match written.organization_id.as_deref().map(uuid) {
        None => Some(None),
        Some(Some(id)) => Some(Some(id)),
        Some(None) => findings.refuse(&path.join("organization_id"), "must be a hyphenated 36-character uuid"),
    };
    let era = era(written.api.as_deref(), credential_header.as_ref(), &path.join("api"), findings);
    let list_parameters = listing::parameters(written.list_parameters, &path.join("list_parameters"), findings);
    let (url, ca_file, organization_id) = (url?, ca_file?, organization_id?);
    if url.endpoint.scheme == Scheme::Http {
        if ca_file.is_some() {
            findings.refuse::<()>(&path.join("ca_file"), "has no use with an http:// upstream; leave it out");
        }
        findings.warnings.push(&path.join("url"), "the API key is sent in cleartext, though only on this machine");
    }
    Some(Upstream {
        endpoint: url.endpoint,
        v1_base_path: v1_base_path(&url.base_path),
        base_path: url.base_path,
        credential_header: credential_header?,
        ca_file,
        organization_id,
        era: era?,
        list_parameters: list_parameters?,
    })
}

fn era(
    written: Option<&str>,
    credential_header: Option<&HeaderName>,
    path: &Path,
    findings: &mut Findings,
) -> Option<Era> {
    match written {
        None if credential_header.is_some_and(|header| header == NEW_CREDENTIAL_HEADER) => Some(Era::New),
        None | Some("old") => Some(Era::Old),
        Some("new") => Some(Era::New),
        Some(other) => {
            let question = suggestion::question(other, ["old", "new"]);
            findings.refuse(path, format!("must be old or new{question}"))
        }
    }
}

/// Returns the base path of version 1 of the API on the same server, if that of version 2 shows where it is.
fn v1_base_path(base_path: &str) -> Option<String> {
    base_path.strip_suffix(V2).map(|root| format!("{root}{V1}"))
}

fn uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| text.len() == 36)
}

fn credential_header(name: &str) -> Result<HeaderName, &'static str> {
    let name = header::name(name)
        .ok_or("must be the name of a header, made of words, such as X-Asteroid-Agents-Api-Key or X-Api-Key")?;
    if header::is_taken(&name) {
        Err("this header has another meaning; choose one such as X-Api-Key")
    } else {
        Ok(name)
    }
}

pub(super) struct Url {
    pub(super) endpoint: Endpoint,
    pub(super) base_path: String,
}

/// Parses the URL. No message quotes it, since it may contain a password or an API key.
pub(super) fn parse(text: &str) -> Result<Url, &'static str> {
    const SHAPE: &str = "must be a URL such as https://odyssey.asteroid.ai/agents/v2";
    // `Uri` drops a fragment silently.
    if text.contains('#') {
        return Err("must not have a fragment (#…)");
    }
    if text.contains('?') {
        return Err("must not have a query (?…); the API key is sent in `credential_header`");
    }
    let uri: Uri = text.parse().map_err(|_| SHAPE)?;
    let scheme = match uri.scheme_str() {
        Some(scheme) if scheme.eq_ignore_ascii_case("https") => Scheme::Https,
        Some(scheme) if scheme.eq_ignore_ascii_case("http") => Scheme::Http,
        Some(_) => return Err("must begin with https://, or with http:// for this machine"),
        None => return Err(SHAPE),
    };
    let authority = uri.authority().ok_or(SHAPE)?;
    if authority.as_str().contains('@') {
        return Err("must not have a user or a password; the API key is sent in `credential_header`");
    }
    let host = host(authority.host()).ok_or("has no valid host: write a DNS name or an IP address")?;
    let own_port = if scheme == Scheme::Https { 443 } else { 80 };
    let port = port(authority)?.unwrap_or(own_port);
    if scheme == Scheme::Http && !is_loopback(&host) {
        return Err(
            "http:// is only for localhost, 127.0.0.0/8 and [::1]; write https://, so that the API key cannot be read in transit",
        );
    }
    let bracketed = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let authority = if port == own_port { bracketed } else { format!("{bracketed}:{port}") };
    let endpoint = Endpoint { scheme, host, port, authority };
    Ok(Url { endpoint, base_path: base_path(uri.path())? })
}

/// Returns the port of an authority, or `None` if it has none. `Uri` accepts any number, and a sign.
///
/// # Errors
///
/// If the port is not 1 to 65535.
pub fn port(authority: &Authority) -> Result<Option<u16>, &'static str> {
    let after_user = authority.as_str().rsplit('@').next().unwrap_or_default();
    let digits = match after_user.strip_prefix(authority.host()) {
        Some("") => return Ok(None),
        rest => {
            rest.and_then(|rest| rest.strip_prefix(':')).filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
        }
    };
    let port = digits.and_then(|digits| digits.parse().ok()).filter(|port| *port != 0);
    port.map(Some).ok_or("has no valid port: write 1 to 65535")
}

/// Returns a DNS name in lower case without a final dot, or an IP address in its shortest form; IPv6 may have brackets.
pub(super) fn host(text: &str) -> Option<String> {
    if let Some(address) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return address.parse().ok().map(|address: std::net::Ipv6Addr| address.to_string());
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_string());
    }
    DnsName::try_from(text).ok().map(|name| name.as_ref().to_ascii_lowercase())
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn base_path(path: &str) -> Result<String, &'static str> {
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.split('/').skip(1).any(|segment| matches!(segment, "" | "." | "..")) {
        return Err("must have a plain path, without empty, . or .. segments");
    }
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        for (text, scheme, host, port, authority, base_path) in [
            (URL, Scheme::Https, "odyssey.asteroid.ai", 443, "odyssey.asteroid.ai", "/agents/v2"),
            (
                "https://Odyssey.Asteroid.AI/Agents/",
                Scheme::Https,
                "odyssey.asteroid.ai",
                443,
                "odyssey.asteroid.ai",
                "/Agents",
            ),
            ("https://a.example:443", Scheme::Https, "a.example", 443, "a.example", ""),
            ("https://a.example:8443/", Scheme::Https, "a.example", 8443, "a.example:8443", ""),
            ("https://a.example./v2", Scheme::Https, "a.example", 443, "a.example", "/v2"),
            ("HTTP://localhost:9000", Scheme::Http, "localhost", 9000, "localhost:9000", ""),
            ("http://LOCALHOST", Scheme::Http, "localhost", 80, "localhost", ""),
            ("http://127.8.9.1:80/x", Scheme::Http, "127.8.9.1", 80, "127.8.9.1", "/x"),
            ("http://[::1]:9000", Scheme::Http, "::1", 9000, "[::1]:9000", ""),
            ("https://[2001:DB8:0::1]", Scheme::Https, "2001:db8::1", 443, "[2001:db8::1]", ""),
        ] {
            let url = parse(text).unwrap_or_else(|message| panic!("{text}: {message}"));
            let at = &url.endpoint;
            let parts = (at.scheme, at.host.as_str(), at.port, at.authority.as_str(), url.base_path.as_str());
            assert_eq!(parts, (scheme, host, port, authority, base_path), "{text}");
        }
    }

    #[test]
    fn version_1_is_beside_version_2_and_unknown_elsewhere() {
        for (base_path, v1) in [
            ("/agents/v2", Some("/api/v1")),
            ("/x/y/agents/v2", Some("/x/y/api/v1")),
            ("", None),
            ("/agents", None),
            ("/agents/v2/x", None),
            ("/Agents/v2", None),
            ("/xagents/v2", None),
        ] {
            assert_eq!(v1_base_path(base_path).as_deref(), v1, "{base_path}");
        }
    }

    #[test]
    fn an_unsafe_or_unclear_url_is_refused_without_showing_it() {
        for (text, reason) in [
            ("", "must be a URL"),
            ("odyssey.asteroid.ai", "must be a URL"),
            ("/agents/v2", "must be a URL"),
            ("https://", "must be a URL"),
            ("https:///agents", "must be a URL"),
            ("https://a b", "must be a URL"),
            ("https://sch\u{f6}n.example", "must be a URL"),
            ("ftp://a.example", "must begin with"),
            ("unix:///run/s", "must be"),
            ("https://CANARY:CANARY@a.example", "user or a password"),
            ("https://CANARY@a.example", "user or a password"),
            ("https://a.example/?key=CANARY", "query"),
            ("https://a.example/?", "query"),
            ("https://a.example/#CANARY", "fragment"),
            ("https://a.example:0", "port"),
            ("https://a.example:", "port"),
            ("https://a.example:65536", "port"),
            ("https://a.example:+443", "port"),
            ("https://[::1]:99999", "port"),
            ("https://[::1]:4294967739", "port"),
            ("https://a_.-b.example", "host"),
            ("https://1.2.3", "host"),
            ("https://a.example/../b", "path"),
            ("https://a.example//b", "path"),
            ("https://a.example/b//", "path"),
            ("http://a.example", "localhost"),
            ("http://10.0.0.1", "localhost"),
            ("http://127.0.0.1.example", "localhost"),
            ("http://localhost.example", "localhost"),
            ("http://0.0.0.0", "localhost"),
            ("http://[::ffff:127.0.0.1]", "localhost"),
            ("http://[::]", "localhost"),
        ] {
            let message = parse(text).map(|_| "taken").unwrap_or_else(|message| message);
            assert!(message.contains(reason), "{text}: {message}");
            assert!(!message.contains("CANARY"), "{text}: {message}");
        }
    }

    #[test]
    fn the_api_key_has_a_header_of_its_own() {
        for name in header::TAKEN.into_iter().chain([
            "Host",
            "Content-Length",
            "content-type",
            "Proxy-Authorization",
            "",
            "a b",
        ]) {
            assert!(credential_header(name).is_err(), "{name}");
        }
        for name in ["X-Asteroid-Agents-Api-Key", "X-Api-Key", "authorization"] {
            assert_eq!(credential_header(name).unwrap().as_str(), name.to_ascii_lowercase());
        }
    }
}
