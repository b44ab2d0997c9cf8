//! New connections to a service: name, TCP, TLS, then HTTP/1.1 or HTTP/2 as the service chooses, within one time-out.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::header::InvalidHeaderValue;
use hyper::http::uri::{Authority, InvalidUri};
use rustls::AlertDescription;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use crate::tasks::Tasks;

use super::cause::Cause;
use super::dial::Dialer;
use super::endpoint::{Endpoint, Scheme};
use super::error::ConnectError;
use super::link::Link;
use super::resolve::Resolver;
use super::{http1, http2, tls};

/// The addresses of a service, or the way to them.
#[derive(Debug, Clone)]
enum Destination {
    /// An address, or `localhost`: both loopback addresses, whatever name servers say.
    Addresses(Arc<[SocketAddr]>),
    Name(Arc<Resolver>),
}

/// Makes connections to a service. Its clones share what they know of the service's addresses.
#[derive(Debug, Clone)]
pub struct Connector {
    destination: Destination,
    dialer: Arc<Dialer>,
    host: String,
    tls: Option<Tls>,
    timeout: Duration,
}

#[derive(Debug, Clone)]
struct Tls {
    client: Arc<tls::ClientTls>,
    name: ServerName<'static>,
    authority: Authority,
}

/// A new connection, with the protocol that the service chose.
#[derive(Debug)]
pub enum NewConnection {
    /// For one request at a time.
    Http1(http1::Connection),
    /// For many at once.
    Http2(http2::Connection),
}

/// Why there can be no connection to an endpoint; `config::resolve` has ruled it out for every endpoint it names.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The host is no name that a certificate can have.
    #[error(transparent)]
    Name(#[from] InvalidDnsNameError),
    /// Host and port are no authority of a URL.
    #[error(transparent)]
    Authority(#[from] InvalidUri),
    /// Host and port are no value of a `Host` header.
    #[error(transparent)]
    Host(#[from] InvalidHeaderValue),
}

impl Connector {
    /// Creates a connector that takes at most `timeout` for each connection, and uses `client` if the endpoint's scheme is
    /// https.
    ///
    /// # Errors
    ///
    /// [`EndpointError`].
    pub fn new(
        endpoint: &Endpoint,
        client: &Arc<tls::ClientTls>,
        timeout: Duration,
    ) -> Result<Connector, EndpointError> {
        let Endpoint { scheme, host, port, authority } = endpoint;
        let port = *port;
        let host = host.to_owned();
        let tls = match scheme {
            Scheme::Https => Some(Tls {
                client: Arc::clone(client),
                name: ServerName::try_from(host.clone())?,
                authority: authority.parse()?,
            }),
            Scheme::Http => None,
        };
        let of = |ip: IpAddr| SocketAddr::new(ip, port);
        let destination = match (host.parse(), host.as_str()) {
            (Ok(address), _) => Destination::Addresses(Arc::new([of(address)])),
            (Err(_), "localhost") => {
                Destination::Addresses(Arc::new([of(Ipv4Addr::LOCALHOST.into()), of(Ipv6Addr::LOCALHOST.into())]))
            }
            (Err(_), name) => Destination::Name(Arc::new(Resolver::new(name, port))),
        };
        Ok(Connector { destination, dialer: Arc::default(), host, tls, timeout })
    }

    /// Begins to look up the service's name, if it has one.
    pub fn prepare(&self, tasks: &Tasks) {
        if let Destination::Name(resolver) = &self.destination {
            resolver.begin(tasks);
        }
    }

    /// Returns how long a connection may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Returns whether the service may choose HTTP/2.
    #[must_use]
    pub fn may_share(&self) -> bool {
        self.tls.is_some()
    }

    /// Returns a number that changes with the authorities that may sign the service's certificate.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.tls.as_ref().map_or(0, |tls| tls.client.generation())
    }

    /// Makes a connection that has not carried a request yet; `tasks` drives it until it closes.
    ///
    /// # Errors
    ///
    /// [`ConnectError`], at the deadline at the latest; nothing of a request was sent.
    pub async fn connect(&self, deadline: Instant, tasks: &Tasks) -> Result<NewConnection, ConnectError> {
        // Read first: if the authorities change while it connects, the connection counts as one of the old generation.
        let generation = self.generation();
        let connecting = async {
            let stream = self.tcp(deadline, tasks).await?;
            let Some(Tls { client, name, authority }) = &self.tls else {
                return begin_http1(Link::plain(stream), generation, tasks).await;
            };
            let stream = TlsConnector::from(client.config()).connect(name.clone(), stream).await;
            let stream = stream.map_err(|source| ConnectError::Tls { host: self.host.clone(), source })?;
            if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                return begin_http1(Link::tls(stream), generation, tasks).await;
            }
            let (link, settings) = Link::http2(stream);
            let state = link.state();
            let begun = http2::Connection::begin(link, settings, authority.clone(), generation, tasks).await;
            let ended = |cause| state.alert().map_or(ConnectError::Closed(cause), |alert| self.refused_by(alert));
            begun.map(NewConnection::Http2).map_err(ended)
        };
        timeout_at(deadline, connecting).await.unwrap_or(Err(ConnectError::Timeout { after: self.timeout }))
    }

    /// Returns the error of a service that refused the TLS handshake with this alert.
    #[must_use]
    pub fn refused_by(&self, alert: AlertDescription) -> ConnectError {
        let source = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::AlertReceived(alert));
        ConnectError::Tls { host: self.host.clone(), source }
    }

    async fn tcp(&self, deadline: Instant, tasks: &Tasks) -> Result<TcpStream, ConnectError> {
        let addresses = match &self.destination {
            Destination::Addresses(addresses) => Arc::clone(addresses),
            Destination::Name(resolver) => resolver.addresses(deadline, self.timeout, tasks).await?,
        };
        self.dialer.connect(&addresses, deadline, self.timeout).await
    }
}

async fn begin_http1<S>(link: Link<S>, generation: u64, tasks: &Tasks) -> Result<NewConnection, ConnectError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let begun = http1::Connection::begin(link, generation, tasks).await;
    begun.map(NewConnection::Http1).map_err(|error| ConnectError::Closed(Cause::of(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn localhost_is_this_machine_and_no_name_server_is_asked_for_it() {
        let (client, _) = tls::ClientTls::new(None).await.unwrap();
        let (host, authority) = ("localhost".to_owned(), "localhost:8".to_owned());
        let endpoint = Endpoint { scheme: Scheme::Http, host, port: 8, authority };
        let connector = Connector::new(&endpoint, &client, Duration::ZERO).unwrap();
        let Destination::Addresses(addresses) = connector.destination else { panic!("it is no name to look up") };
        assert_eq!(*addresses, ["127.0.0.1:8", "[::1]:8"].map(|address| address.parse().unwrap()));
    }
}
