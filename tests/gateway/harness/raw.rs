//! An upstream over plain TCP that answers with given bytes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The treatment of its first request. Every other request, on any connection, is answered with its own id.
#[derive(Debug, Clone, Default)]
pub(crate) struct FirstExchange {
    /// Whether it answers without reading the body.
    pub(crate) early: bool,
    pub(crate) answer: Vec<u8>,
    pub(crate) then: AfterAnswer,
}

/// The action after the first answer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum AfterAnswer {
    /// The next request is read.
    #[default]
    Keep,
    Close,
    Reset,
    /// The same answer is repeated, a byte at a time.
    Drip,
}

/// A running upstream.
pub(crate) struct RawUpstream {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    first: Arc<Mutex<Option<TcpStream>>>,
}

impl RawUpstream {
    pub(crate) fn start(first: FirstExchange) -> RawUpstream {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        // A small buffer, so that the system does not take the whole of a body that is not read.
        socket.set_recv_buffer_size(64 * 1024).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let listener = runtime.block_on(async { socket.listen(64).unwrap().into_std().unwrap() });
        listener.set_nonblocking(false).unwrap();
        let address = listener.local_addr().unwrap();
        let raw = RawUpstream { address, connections: Arc::default(), first: Arc::default() };
        let (connections, kept) = (Arc::clone(&raw.connections), Arc::clone(&raw.first));
        std::thread::spawn(move || accept(&listener, &first, &connections, &kept));
        raw
    }

    /// Returns the number of connections that were made to it.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Writes to the first connection, without a request.
    pub(crate) fn write(&self, bytes: &[u8]) {
        self.first.lock().unwrap().as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// Reads the first connection to its end, and returns the number of the bytes.
    pub(crate) fn rest(&self) -> usize {
        self.rest_bytes().len()
    }

    /// Reads the first connection to its end.
    pub(crate) fn rest_bytes(&self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is an end too.
        drop(self.first.lock().unwrap().as_mut().unwrap().read_to_end(&mut rest));
        rest
    }
}

fn accept(listener: &TcpListener, first: &FirstExchange, connections: &AtomicUsize, kept: &Mutex<Option<TcpStream>>) {
    for stream in listener.incoming() {
        let stream = stream.unwrap();
        let first = (connections.fetch_add(1, Ordering::SeqCst) == 0).then(|| first.clone());
        // A further handle to a socket would keep it open.
        if first.as_ref().is_some_and(|first| matches!(first.then, AfterAnswer::Keep)) {
            *kept.lock().unwrap() = Some(stream.try_clone().unwrap());
        }
        // The other side may end a connection at any time.
        std::thread::spawn(move || drop(serve(&stream, first)));
    }
}

fn serve(stream: &TcpStream, mut first: Option<FirstExchange>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let (mut length, mut id) = (0, String::new());
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                if line == "\r\n" {
                    break;
                }
                continue;
            };
            match name {
                "content-length" => length = value.parse().unwrap(),
                "x-request-id" => id = value.to_owned(),
                _ => {}
            }
        }
        let FirstExchange { early, answer, then } =
            first.take().unwrap_or_else(|| FirstExchange { answer: own(&id), ..FirstExchange::default() });
        if !early {
            reader.read_exact(&mut vec![0; length])?;
        }
        match then {
            AfterAnswer::Drip => {
                for byte in answer.iter().cycle() {
                    writer.write_all(&[*byte])?;
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
            AfterAnswer::Keep | AfterAnswer::Close | AfterAnswer::Reset => writer.write_all(&answer)?,
        }
        match then {
            AfterAnswer::Close => return stream.shutdown(std::net::Shutdown::Both),
            AfterAnswer::Reset => return reset(stream),
            // The rest of the body stays unread.
            AfterAnswer::Keep if early => std::thread::sleep(super::caller::TIMEOUT),
            AfterAnswer::Keep | AfterAnswer::Drip => {}
        }
    }
}

/// Makes the system reset a connection when it is closed. This needs a socket that is registered with a runtime.
pub(super) fn reset(stream: &TcpStream) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _inside = runtime.enter();
    let stream = stream.try_clone()?;
    stream.set_nonblocking(true)?;
    tokio::net::TcpStream::from_std(stream)?.set_zero_linger()
}

fn own(id: &str) -> Vec<u8> {
    format!("HTTP/1.1 202 Accepted\r\nContent-Length: {}\r\n\r\n{id}", id.len()).into_bytes()
}
