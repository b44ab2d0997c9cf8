//! A caller that writes the given bytes, and reads one answer at a time.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::Value;

use super::{EXECUTE, json};

/// The time for which a test waits for anything before it fails.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// One connection.
pub(crate) struct Caller {
    stream: BufReader<Box<dyn Stream>>,
    address: SocketAddr,
}

/// A connection, plain or encrypted.
pub(crate) trait Stream: Read + Write + Send {
    /// Ends the sending side.
    fn end_sending(&mut self) -> std::io::Result<()>;

    /// Makes the system reset the connection when it is closed.
    fn reset_at_close(&self) -> std::io::Result<()>;
}

impl Stream for TcpStream {
    fn end_sending(&mut self) -> std::io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    fn reset_at_close(&self) -> std::io::Result<()> {
        super::raw::reset(self)
    }
}

impl Stream for UnixStream {
    fn end_sending(&mut self) -> std::io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    fn reset_at_close(&self) -> std::io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }
}

/// Ends the sending side with close_notify only: the TCP connection below stays open.
impl Stream for StreamOwned<ClientConnection, TcpStream> {
    fn end_sending(&mut self) -> std::io::Result<()> {
        self.conn.send_close_notify();
        self.flush()
    }

    fn reset_at_close(&self) -> std::io::Result<()> {
        self.sock.reset_at_close()
    }
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Caller {
    pub(crate) fn connect(address: SocketAddr) -> Caller {
        Caller { stream: BufReader::new(Box::new(connect(address))), address }
    }

    /// Connects to a Unix socket. Its `Host` is an arbitrary address.
    pub(crate) fn connect_unix(path: &Path) -> std::io::Result<Caller> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Caller { stream: BufReader::new(Box::new(stream)), address: (Ipv4Addr::LOCALHOST, 80).into() })
    }

    /// Creates a caller over HTTP/1.1 on an existing connection.
    pub(crate) fn over(stream: impl Stream + 'static, address: SocketAddr) -> Caller {
        Caller { stream: BufReader::new(Box::new(stream)), address }
    }

    /// Connects over TLS and HTTP/1.1 to a server whose name is `localhost`.
    pub(crate) fn connect_tls(address: SocketAddr, config: Arc<ClientConfig>) -> Caller {
        Caller { stream: BufReader::new(Box::new(encrypt(connect(address), config))), address }
    }

    /// Returns the address of the server.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts an execution with this body.
    pub(crate) fn execute(&mut self, body: &str) -> Answer {
        self.post(EXECUTE, &[], body.as_bytes())
    }

    /// Posts JSON with a Content-Length and these further headers.
    pub(crate) fn post(&mut self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.send_post(path, headers, body);
        self.answer()
    }

    /// Does the same on a connection that may end; returns `None` if it does.
    pub(crate) fn try_post(&mut self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Answer> {
        let request = self.post_request(path, headers, body);
        self.stream.get_mut().write_all(&request).ok()?;
        self.try_answer()
    }

    /// Sends the request of [`Caller::post`], without reading the answer.
    pub(crate) fn send_post(&mut self, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        self.send(&self.post_request(path, headers, body));
    }

    fn post_request(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let given = |name: &str| headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        let mut head = format!("POST {path} HTTP/1.1\r\nContent-Length: {}\r\n", body.len());
        if !given("host") {
            head += &format!("Host: {}\r\n", self.address);
        }
        if !given("content-type") {
            head += "Content-Type: application/json\r\n";
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        [head.as_bytes(), b"\r\n", body].concat()
    }

    /// Sends a request without a body.
    pub(crate) fn request(&mut self, method: &str, path: &str) -> Answer {
        self.try_request(method, path).expect("an answer")
    }

    /// Does the same on a connection that may end; returns `None` if it does.
    pub(crate) fn try_request(&mut self, method: &str, path: &str) -> Option<Answer> {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        self.stream.get_mut().write_all(request.as_bytes()).ok()?;
        self.try_answer()
    }

    /// Writes bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    /// Writes bytes as they are, and ignores a failure, because the other side may have closed.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) {
        drop(self.stream.get_mut().write_all(bytes));
    }

    /// Hangs up.
    pub(crate) fn hang_up(self) {
        drop(self);
    }

    /// Resets the connection, like a process that is killed while bytes are unread.
    pub(crate) fn reset(self) {
        self.stream.get_ref().reset_at_close().unwrap();
    }

    /// Ends the sending side.
    pub(crate) fn end_sending(&mut self) {
        self.stream.get_mut().end_sending().unwrap();
    }

    /// Reads a whole answer.
    pub(crate) fn answer(&mut self) -> Answer {
        self.try_answer().expect("an answer")
    }

    /// Reads a whole answer; returns `None` if the connection ends before its end.
    pub(crate) fn try_answer(&mut self) -> Option<Answer> {
        let status: u16 = self.line()?.split(' ').nth(1)?.parse().ok()?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut answer = Answer { status, headers, body: Vec::new() };
        if let Some(length) = answer.header("content-length") {
            answer.body = vec![0; length.parse().ok()?];
            self.stream.read_exact(&mut answer.body).ok()?;
        } else if answer.header("transfer-encoding") == Some("chunked") {
            loop {
                let size = usize::from_str_radix(&self.line()?, 16).ok()?;
                let mut chunk = vec![0; size + 2];
                self.stream.read_exact(&mut chunk).ok()?;
                answer.body.extend_from_slice(&chunk[..size]);
                if size == 0 {
                    break;
                }
            }
        }
        Some(answer)
    }

    /// Waits until the other side closes, and returns whether it sent nothing more before.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => rest.is_empty(),
            Err(error) => matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof),
        }
    }

    /// Reads this many bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).map(|()| bytes)
    }

    /// Reads until the other side closes; a reset is an error.
    pub(crate) fn rest(&mut self) -> std::io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).map(|_| rest)
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
        Some(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

/// Connects with time-outs.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.set_write_timeout(Some(TIMEOUT)).unwrap();
    stream
}

/// Connects with time-outs, from this address of this machine.
pub(crate) fn connect_from(source: IpAddr, address: SocketAddr) -> std::io::Result<TcpStream> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind((source, 0).into())?;
        socket.connect(address).await?.into_std()
    })?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

/// Speaks TLS with a server whose name is `localhost`.
pub(crate) fn encrypt(stream: TcpStream, config: Arc<ClientConfig>) -> StreamOwned<ClientConnection, TcpStream> {
    StreamOwned::new(ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap(), stream)
}

impl Answer {
    /// Returns the only header with this name; a repeated one fails the test.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(header, _)| header == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "{name} came twice");
        value
    }

    pub(crate) fn json(&self) -> Value {
        json(&self.body)
    }

    /// Asserts that this is a complete error of the gateway with this code and outcome.
    pub(crate) fn assert_error(&self, status: u16, code: &str, outcome: &str) {
        let problem = self.json();
        assert_eq!(self.status, status, "{problem}");
        assert_eq!(problem["type"], format!("urn:asteroid-gateway:error:{code}"), "{problem}");
        assert_eq!(problem["outcome"], outcome, "{problem}");
        assert!(retries(status, outcome).contains(&problem["retry"].as_str().unwrap()), "{problem}");
        assert_eq!((&problem["code"], &problem["status"]), (&status.into(), &status.into()), "{problem}");
        assert_eq!(problem["message"], problem["detail"], "{problem}");
        assert!(problem["message"].as_str().is_some_and(|message| !message.is_empty()), "{problem}");
        let id = self.header("x-request-id").unwrap();
        assert_eq!(problem["instance"], format!("urn:request:{id}"), "{problem}");
        assert!(self.header("proxy-status").unwrap().starts_with("asteroid-gateway; error="), "{:?}", self.headers);
        assert_eq!(self.header("content-type"), Some("application/json"));
    }
}

/// Returns what an error of the gateway may say of a retry.
fn retries(status: u16, outcome: &str) -> &'static [&'static str] {
    match status {
        409 => &["same-key"],
        422 => &["new-key"],
        _ if outcome == "unknown" => &["same-key", "never"],
        408 | 504 => &["same-key", "later"],
        429 | 503 => &["later"],
        502 => &["later", "never"],
        _ => &["never"],
    }
}
