//! Why a request brought no answer, and whether the service may have seen it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::Request;
use hyper::client::conn::TrySendError;
use rustls::{AlertDescription, CertificateError};

use super::body::Body;
use super::cause::Cause;
use super::link::LinkState;

/// How a request to a service fails, by the error types of RFC 9209, section 2.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureCode {
    /// No answer came in time.
    ResponseTimeout,
    /// The connection broke before the end of the answer.
    ConnectionTerminated,
    /// Nothing listens at the address.
    ConnectionRefused,
    /// No connection was made in time.
    ConnectionTimeout,
    /// The service takes no connection or no request.
    DestinationUnavailable,
    /// The name has no address, or none was found in time.
    Dns,
    /// TLS failed.
    Tls,
}

impl FailureCode {
    /// Every code, in the order of their discriminants.
    pub const ALL: [FailureCode; 7] = [
        FailureCode::ResponseTimeout,
        FailureCode::ConnectionTerminated,
        FailureCode::ConnectionRefused,
        FailureCode::ConnectionTimeout,
        FailureCode::DestinationUnavailable,
        FailureCode::Dns,
        FailureCode::Tls,
    ];

    /// Returns the error type, as it stands in a `Proxy-Status` and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            FailureCode::ResponseTimeout => "http_response_timeout",
            FailureCode::ConnectionTerminated => "connection_terminated",
            FailureCode::ConnectionRefused => "connection_refused",
            FailureCode::ConnectionTimeout => "connection_timeout",
            FailureCode::DestinationUnavailable => "destination_unavailable",
            FailureCode::Dns => "dns_error",
            FailureCode::Tls => "tls_protocol_error",
        }
    }
}

/// Why there is no connection. Names and addresses are the operator's own and may be shown to callers.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address.
    #[error("the name {host} could not be resolved: {source}")]
    Resolve {
        /// The service's name.
        host: String,
        /// The system's error.
        source: io::Error,
    },
    /// The name was not resolved in time.
    #[error("the name {host} was not resolved within {}: the name servers of this machine do not answer", humantime::format_duration(*.after))]
    ResolveTimeout {
        /// The service's name.
        host: String,
        /// The time-out.
        after: Duration,
    },
    /// Nothing listens at the address.
    #[error("{address} refused the connection")]
    Refused {
        /// The address that was tried last.
        address: SocketAddr,
    },
    /// TCP failed otherwise.
    #[error("connecting to {address} failed: {source}")]
    Failed {
        /// The address that was tried last.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The time-out for a connection passed.
    #[error("no connection within {}", humantime::format_duration(*.after))]
    Timeout {
        /// The time-out.
        after: Duration,
    },
    /// The certificate does not verify, or TLS failed otherwise.
    #[error("TLS with {host} failed: {}", explain(source))]
    Tls {
        /// The service's name.
        host: String,
        /// The error of rustls.
        source: io::Error,
    },
    /// The service closed a new connection before anything was written to it.
    #[error("it closed the connection before the request was sent: {0}")]
    Closed(Cause),
    /// The service takes no request over HTTP/2.
    #[error("it takes no requests at the moment: it refused the stream, or allows none")]
    Declined,
}

impl ConnectError {
    /// Returns its error type.
    #[must_use]
    pub fn code(&self) -> FailureCode {
        match self {
            ConnectError::Resolve { .. } | ConnectError::ResolveTimeout { .. } => FailureCode::Dns,
            ConnectError::Timeout { .. } => FailureCode::ConnectionTimeout,
            ConnectError::Tls { .. } => FailureCode::Tls,
            ConnectError::Refused { .. } => FailureCode::ConnectionRefused,
            ConnectError::Failed { .. } | ConnectError::Closed(_) | ConnectError::Declined => {
                FailureCode::DestinationUnavailable
            }
        }
    }
}

/// Explains an error of rustls in words that operators know.
fn explain(source: &io::Error) -> String {
    let cause = source.get_ref().and_then(|cause| cause.downcast_ref());
    let Some(rustls::Error::InvalidCertificate(invalid)) = cause else { return source.to_string() };
    let explanation = match invalid {
        CertificateError::UnknownIssuer => {
            "no authority that is trusted here signed its certificate; see upstream.ca_file"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name"
        }
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "it shows an authority's certificate as its own (make it with basicConstraints=CA:FALSE)"
        }
        _ => return source.to_string(),
    };
    explanation.to_owned()
}

/// Why a request brought no answer.
#[derive(Debug)]
pub enum SendError {
    /// The service has not seen a byte of the request, or says that it has not looked at it.
    NotSent(ConnectError),
    /// The connection broke after the request was written, in part or whole.
    Broke(Cause),
    /// The time-out passed after the request was handed to a connection.
    Timeout,
}

impl SendError {
    /// Returns its error type.
    #[must_use]
    pub fn code(&self) -> FailureCode {
        match self {
            SendError::NotSent(reason) => reason.code(),
            SendError::Broke(_) => FailureCode::ConnectionTerminated,
            SendError::Timeout => FailureCode::ResponseTimeout,
        }
    }
}

/// Why a request brought no answer over one connection.
#[derive(Debug)]
pub enum AttemptError {
    /// The connection had ended before anything was written; the request may go over another.
    Unsent(Cause),
    /// The service says that it has not looked at the request, which may be sent again.
    Declined,
    /// The service refused the TLS handshake, after the request was written and without looking at it.
    Handshake(AlertDescription),
    /// See [`SendError::Broke`].
    Broke(Cause),
}

impl AttemptError {
    /// Creates it from hyper's error, which holds the request if not a byte of it was written.
    pub(super) fn new(mut error: TrySendError<Request<Body>>, link: &LinkState) -> AttemptError {
        let is_unsent = error.take_message().is_some();
        if let Some(alert) = link.handshake_refusal() {
            return AttemptError::Handshake(alert);
        }
        let cause = Cause::of(&error.into_error()).with(link.cause().as_ref());
        if is_unsent { AttemptError::Unsent(cause) } else { AttemptError::Broke(cause) }
    }
}
