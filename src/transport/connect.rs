//! New connections to the upstream: name, TCP, TLS, HTTP/1.1 or HTTP/2 as it chooses, within one time-out.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::InvalidHeaderValue;
use hyper::http::uri::{Authority, InvalidUri};
use hyper_util::rt::TokioIo;
use rustls::AlertDescription;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use crate::tasks::Tasks;

use super::body::Body;
use super::cause::Cause;
use super::dial::Dialer;
use super::endpoint::{Endpoint, Scheme};
use super::error::ConnectError;
use super::link::{Link, LinkState};
use super::resolve::Resolver;
use super::{http2, tls};

/// What is read at once of an answer over HTTP/1.1, in bytes. A head of twice as much is refused always, a longer one than
/// this where it does not come at once.
const BUFFER_BYTES: usize = 128 * 1024;

/// Where the upstream is.
#[derive(Debug, Clone)]
enum Destination {
    /// An address, or `localhost`: both loopback addresses, whatever name servers say.
    Known(Arc<[SocketAddr]>),
    Name(Arc<Resolver>),
}

/// Makes connections to the upstream. Its clones share what they know of the upstream's addresses.
#[derive(Debug, Clone)]
pub struct Connector {
    destination: Destination,
    dialer: Arc<Dialer>,
    host: String,
    tls: Option<Tls>,
    within: Duration,
}

#[derive(Debug, Clone)]
struct Tls {
    client: Arc<tls::Client>,
    name: ServerName<'static>,
    authority: Authority,
}

/// A new connection, as the upstream wants to be spoken to.
#[derive(Debug)]
pub enum NewConnection {
    /// For one request at a time; the task that drives it; and what is known of it.
    Http1(SendRequest<Body>, AbortHandle, Arc<LinkState>),
    /// For many at once.
    Http2(http2::Connection),
}

/// Why a connector cannot be made.
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
    /// A connector that takes `within` at most for each connection; `tls` is used if the endpoint's scheme is https.
    ///
    /// # Errors
    ///
    /// [`EndpointError`], which `config::resolve` has ruled out.
    pub fn new(endpoint: &Endpoint, client: &Arc<tls::Client>, within: Duration) -> Result<Connector, EndpointError> {
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
            (Ok(address), _) => Destination::Known(Arc::new([of(address)])),
            (Err(_), "localhost") => {
                Destination::Known(Arc::new([of(Ipv4Addr::LOCALHOST.into()), of(Ipv6Addr::LOCALHOST.into())]))
            }
            (Err(_), name) => Destination::Name(Arc::new(Resolver::new(name, port))),
        };
        Ok(Connector { destination, dialer: Arc::default(), host, tls, within })
    }

    /// Begins to look up the upstream's name, if it has to be.
    pub fn prepare(&self, tasks: &Tasks) {
        if let Destination::Name(resolver) = &self.destination {
            resolver.begin(tasks);
        }
    }

    /// How long a connection may take.
    #[must_use]
    pub fn within(&self) -> Duration {
        self.within
    }

    /// Whether the upstream may choose HTTP/2.
    #[must_use]
    pub fn may_share(&self) -> bool {
        self.tls.is_some()
    }

    /// Changes when those that may sign the upstream's certificate change.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.tls.as_ref().map_or(0, |tls| tls.client.generation())
    }

    /// A new connection that has not carried a request; `tasks` drives it until it closes.
    ///
    /// # Errors
    ///
    /// Whatever stood in the way until the deadline; nothing of a request was sent.
    pub async fn connect(&self, deadline: Instant, tasks: &Tasks) -> Result<NewConnection, ConnectError> {
        let connecting = async {
            let stream = self.tcp(deadline, tasks).await?;
            let Some(Tls { client, name, authority }) = &self.tls else {
                return handshake(Link::plain(stream), tasks).await;
            };
            let stream = TlsConnector::from(client.config()).connect(name.clone(), stream).await;
            let stream = stream.map_err(|source| ConnectError::Tls { host: self.host.clone(), source })?;
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                let (link, heard) = Link::http2(stream);
                let state = link.state();
                let begun = http2::Connection::begin(link, heard, authority.clone(), tasks).await;
                let ended = |cause| state.alert().map_or(ConnectError::Closed(cause), |alert| self.refused_by(alert));
                return begun.map(NewConnection::Http2).map_err(ended);
            }
            handshake(Link::tls(stream), tasks).await
        };
        timeout_at(deadline, connecting).await.unwrap_or(Err(ConnectError::Timeout { after: self.within }))
    }

    /// The upstream refused the TLS handshake with this alert.
    #[must_use]
    pub fn refused_by(&self, alert: AlertDescription) -> ConnectError {
        let source = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::AlertReceived(alert));
        ConnectError::Tls { host: self.host.clone(), source }
    }

    async fn tcp(&self, deadline: Instant, tasks: &Tasks) -> Result<TcpStream, ConnectError> {
        let addresses = match &self.destination {
            Destination::Known(addresses) => Arc::clone(addresses),
            Destination::Name(resolver) => resolver.addresses(deadline, self.within, tasks).await?,
        };
        self.dialer.connect(&addresses, deadline, self.within).await
    }
}

/// How HTTP/1.1 is spoken to upstreams.
pub(super) fn http1() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(BUFFER_BYTES);
    builder
}

async fn handshake<S>(link: Link<S>, tasks: &Tasks) -> Result<NewConnection, ConnectError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let state = link.state();
    let shaken = http1().handshake(TokioIo::new(link)).await;
    // HTTP/1.1 has no handshake on the wire: only a closed connection could fail here.
    let (sender, connection) = shaken.map_err(|error| ConnectError::Closed(Cause::of(&error)))?;
    // Whoever waits for an answer is told of a failure by the sender; between answers it is the end of the connection.
    let task = tasks.spawn_unwaited(async move { drop(connection.await) });
    Ok(NewConnection::Http1(sender, task, state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn localhost_is_this_machine_and_nobody_is_asked_for_it() {
        let (client, _) = tls::Client::new(None).await.unwrap();
        let (host, authority) = ("localhost".to_owned(), "localhost:8".to_owned());
        let endpoint = Endpoint { scheme: Scheme::Http, host, port: 8, authority };
        let connector = Connector::new(&endpoint, &client, Duration::ZERO).unwrap();
        let Destination::Known(addresses) = connector.destination else { panic!("it is no name to look up") };
        assert_eq!(*addresses, ["127.0.0.1:8", "[::1]:8"].map(|address| address.parse().unwrap()));
    }
}
