//! The check of requests to the admin listener: it refuses those of foreign web pages, and those with an unknown `Host`.
//!
//! A web page whose host name resolves to this machine could read metrics and names of tenants (DNS rebinding). So `Host` must be
//! an IP address, localhost or a name in `admin.hosts`.

use std::net::IpAddr;

use hyper::header::{HOST, HeaderName, HeaderValue, ORIGIN};
use hyper::http::uri::Authority;
use hyper::{Method, Request, StatusCode, Version};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// The reason why a request is refused: the status and the text of the answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GuardError(pub(super) StatusCode, pub(super) String);

/// Checks a request.
///
/// # Errors
///
/// If its `Host` is not one of the listener's, or if a browser sends it for the page of another site.
pub(super) fn check<B>(hosts: &[String], request: &Request<B>) -> Result<(), GuardError> {
    let authority = read_authority(request)?;
    if let Some(authority) = &authority
        && !answers_for(hosts, authority.host())
    {
        let text = format!(
            "this listener does not answer for the Host {:?}; use its IP address or localhost, or add the name to \
             admin.hosts\n",
            authority.host().chars().take(255).collect::<String>()
        );
        return Err(GuardError(StatusCode::MISDIRECTED_REQUEST, text));
    }
    let from_elsewhere = |origin: &HeaderValue| {
        let origin = origin.to_str().unwrap_or_default();
        let origin = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        authority.is_none() || origin != authority.as_ref().map(Authority::as_str)
    };
    let is_foreign = |site: &HeaderValue| site != "none" && site != "same-origin";
    let headers = request.headers();
    // A person may follow a link to the root path.
    let is_visit = request.method() == Method::GET
        && request.uri().path() == "/"
        && headers.get(SEC_FETCH_MODE).is_some_and(|mode| mode == "navigate");
    let is_cross_site = headers.get_all(SEC_FETCH_SITE).iter().any(is_foreign) && !is_visit;
    if is_cross_site || headers.get_all(ORIGIN).iter().any(from_elsewhere) {
        let text = "requests that a browser makes for the page of another site are refused\n";
        return Err(GuardError(StatusCode::FORBIDDEN, text.to_owned()));
    }
    Ok(())
}

/// Returns the host and port of a request. Only a request in HTTP/1.0 may name none.
fn read_authority<B>(request: &Request<B>) -> Result<Option<Authority>, GuardError> {
    let malformed =
        || GuardError(StatusCode::BAD_REQUEST, "a request must carry exactly one valid Host header\n".to_owned());
    let mut values = request.headers().get_all(HOST).iter();
    let (host, another) = (values.next(), values.next());
    if another.is_some() || host.is_none() && request.version() != Version::HTTP_10 {
        return Err(malformed());
    }
    let host = host.map(|host| Authority::try_from(host.as_bytes()).map_err(|_| malformed())).transpose()?;
    // The authority of a target in absolute form takes precedence over `Host`.
    let authority = request.uri().authority().cloned().or(host);
    let is_host = |authority: &Authority| {
        let port = authority.as_str().strip_prefix(authority.host()).map(|port| port.strip_prefix(':').unwrap_or(port));
        port.is_some_and(|port| port.is_empty() || port.parse::<u16>().is_ok()) && !authority.host().is_empty()
    };
    if authority.as_ref().is_some_and(|authority| !is_host(authority)) { Err(malformed()) } else { Ok(authority) }
}

fn answers_for(hosts: &[String], host: &str) -> bool {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host == "localhost" || host.parse::<IpAddr>().is_ok() || hosts.contains(&host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal_status(request: hyper::http::request::Builder) -> Option<u16> {
        let request = request.body(()).unwrap();
        check(&["gateway.internal".to_owned()], &request).err().map(|GuardError(status, _)| status.as_u16())
    }

    #[test]
    fn addresses_localhost_and_configured_names_are_answered_for_and_no_others() {
        for (host, refused) in [
            ("127.0.0.1:9090", None),
            ("10.1.2.3", None),
            ("[::1]:9090", None),
            ("LOCALHOST:1", None),
            ("localhost.", None),
            ("Gateway.Internal.:9090", None),
            ("gateway.internal.evil.example", Some(421)),
            ("evil.example:9090", Some(421)),
            ("127.0.0.1.evil.example", Some(421)),
            ("localhost:99999", Some(400)),
            ("user@localhost", Some(400)),
            ("", Some(400)),
            ("a b", Some(400)),
        ] {
            assert_eq!(refusal_status(Request::get("/metrics").header(HOST, host)), refused, "{host}");
        }
        assert_eq!(refusal_status(Request::get("/livez")), Some(400));
        assert_eq!(refusal_status(Request::get("/livez").version(Version::HTTP_10)), None);
        assert_eq!(refusal_status(Request::get("/").header(HOST, "localhost").header(HOST, "localhost")), Some(400));
        assert_eq!(refusal_status(Request::get("http://evil.example/livez").header(HOST, "localhost")), Some(421));
    }

    #[test]
    fn a_browser_s_request_for_another_site_is_refused_except_a_visit_of_the_root_path() {
        let from = |site: &str, path: &str, mode: &str| {
            refusal_status(
                Request::get(path).header(HOST, "localhost").header(SEC_FETCH_SITE, site).header(SEC_FETCH_MODE, mode),
            )
        };
        for (site, path, mode, refused) in [
            ("none", "/readyz", "navigate", None),
            ("same-origin", "/metrics", "cors", None),
            ("cross-site", "/", "navigate", None),
            ("cross-site", "/", "no-cors", Some(403)),
            ("cross-site", "/metrics", "navigate", Some(403)),
            ("same-site", "/metrics", "cors", Some(403)),
        ] {
            assert_eq!(from(site, path, mode), refused, "{site} {path} {mode}");
        }
        let origin = |origin: &str| {
            refusal_status(Request::get("/metrics").header(HOST, "localhost:9090").header(ORIGIN, origin))
        };
        assert_eq!(origin("http://localhost:9090"), None);
        for foreign in ["null", "http://evil.example", "http://localhost:8080", "localhost:9090"] {
            assert_eq!(origin(foreign), Some(403), "{foreign}");
        }
    }
}
