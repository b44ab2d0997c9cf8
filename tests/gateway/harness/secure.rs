//! A gateway with a TLS listener, and callers over HTTP/1.1 and HTTP/2.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsConnector;

use super::caller::{connect, encrypt};
use super::certificates::Authority;
use super::frames::FrameConnection;
use super::{Asteroid, Caller, EXECUTE, Program};

/// A gateway with a certificate for `localhost`, in front of a simulated Asteroid.
pub(crate) struct TlsPair {
    pub(crate) asteroid: Asteroid,
    pub(crate) gateway: Program,
    pub(crate) authority: Authority,
    certificates: TempDir,
}

impl TlsPair {
    pub(crate) fn start() -> TlsPair {
        TlsPair::with("")
    }

    /// Starts a gateway with further sections of the configuration.
    pub(crate) fn with(sections: &str) -> TlsPair {
        TlsPair::before(Asteroid::start(), sections)
    }

    /// Starts a gateway with further sections, in front of this simulator.
    pub(crate) fn before(asteroid: Asteroid, sections: &str) -> TlsPair {
        let (authority, certificates) = (Authority::new(), tempfile::tempdir().unwrap());
        authority.write("localhost", certificates.path());
        let gateway = Program::run(asteroid.configuration().with(sections).tls(certificates.path()));
        TlsPair { asteroid, gateway, authority, certificates }
    }

    /// Returns the directory of `cert.pem` and `key.pem`.
    pub(crate) fn certificates(&self) -> &Path {
        self.certificates.path()
    }

    /// Connects a caller over HTTP/1.1.
    pub(crate) fn caller(&self) -> Caller {
        Caller::connect_tls(self.gateway.address(), self.authority.client(b"http/1.1"))
    }

    /// Connects a caller that speaks HTTP/2 frame by frame.
    pub(crate) fn frames(&self) -> FrameConnection<StreamOwned<ClientConnection, TcpStream>> {
        FrameConnection::new(encrypt(connect(self.gateway.address()), self.authority.client(b"h2")))
    }

    /// Returns the certificate that the gateway presents to a new connection.
    pub(crate) fn shown_certificate(&self) -> Vec<u8> {
        let mut stream = encrypt(connect(self.gateway.address()), self.authority.client(b"h2"));
        stream.conn.complete_io(&mut stream.sock).unwrap();
        stream.conn.peer_certificates().unwrap()[0].to_vec()
    }

    /// Connects a caller over HTTP/2 that uses hyper.
    pub(crate) fn http2(&self) -> Http2 {
        Http2::connect(self.gateway.address(), self.authority.client(b"h2"))
    }
}

/// The body of a request over HTTP/2.
type RequestBody = UnsyncBoxBody<Bytes, Infallible>;

/// A connection over HTTP/2 that uses hyper.
pub(crate) struct Http2 {
    sender: SendRequest<RequestBody>,
    runtime: Runtime,
}

impl Http2 {
    /// Connects to `localhost` at this address.
    pub(crate) fn connect(address: SocketAddr, config: Arc<ClientConfig>) -> Http2 {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let sender = runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let stream = TlsConnector::from(config).connect("localhost".try_into().unwrap(), stream).await.unwrap();
            let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            sender
        });
        Http2 { sender, runtime }
    }

    /// Posts JSON to [`EXECUTE`], with these further headers.
    pub(crate) fn post(&mut self, headers: &[(&str, &str)], body: &str) -> hyper::Result<Response<Bytes>> {
        self.send(self::post(headers, body))
    }

    /// Posts a body in these parts to a path of `localhost`. Its end comes in a frame of its own, and its length is announced only
    /// by a header.
    pub(crate) fn post_parts<'p>(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        parts: impl Iterator<Item = &'p [u8]>,
    ) -> hyper::Result<Response<Bytes>> {
        let frames: Vec<_> = parts.map(|part| Ok(Frame::data(Bytes::copy_from_slice(part)))).collect();
        let mut request = Request::post(format!("https://localhost{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()).unwrap())
    }

    fn send(&mut self, request: Request<RequestBody>) -> hyper::Result<Response<Bytes>> {
        self.runtime.block_on(async { whole(self.sender.send_request(request).await?).await })
    }

    /// Gets what is at a path of `localhost`.
    pub(crate) fn get(&mut self, path: &str) -> hyper::Result<Response<Bytes>> {
        self.send(Request::get(format!("https://localhost{path}")).body(Full::default().boxed_unsync()).unwrap())
    }

    /// Posts JSON; returns `None` if the connection accepts no further request, so that this one was not sent.
    pub(crate) fn try_post(&mut self, body: &str) -> Option<hyper::Result<Response<Bytes>>> {
        let request = self::post(&[], body);
        self.runtime.block_on(async {
            match self.sender.try_send_request(request).await {
                Ok(response) => Some(whole(response).await),
                Err(mut error) => match error.take_message() {
                    Some(_unsent) => None,
                    None => Some(Err(error.into_error())),
                },
            }
        })
    }

    /// Waits until the other side has closed.
    pub(crate) fn closed(&mut self) {
        let closed = async {
            while self.sender.ready().await.is_ok() {
                tokio::task::yield_now().await
            }
        };
        self.runtime.block_on(async { tokio::time::timeout(super::caller::TIMEOUT, closed).await }).unwrap();
    }
}

fn post(headers: &[(&str, &str)], body: &str) -> Request<RequestBody> {
    let mut request = Request::post(format!("https://localhost{EXECUTE}")).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(Bytes::copy_from_slice(body.as_bytes())).boxed_unsync()).unwrap()
}

/// Reads an answer to its end, and adds its trailers as an extension.
async fn whole(response: Response<Incoming>) -> hyper::Result<Response<Bytes>> {
    let (mut head, body) = response.into_parts();
    let body = body.collect().await?;
    if let Some(trailers) = body.trailers() {
        head.extensions.insert(trailers.clone());
    }
    Ok(Response::from_parts(head, body.to_bytes()))
}
