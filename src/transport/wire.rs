//! A request as its bytes leave over HTTP/1.1, for people to look at.

use std::io;

use hyper::Request;
use hyper::body::Body as _;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;

use super::body::Body;
use super::http1;

/// What ends a head.
const END: &[u8] = b"\r\n\r\n";

/// A request's bytes.
#[derive(Debug)]
pub struct Written {
    /// The head and the body.
    pub bytes: Vec<u8>,
    /// How many of them are the head's, the empty line included.
    pub head: usize,
}

/// Sends the request to nobody and keeps what is written, by the same connection as upstreams are spoken to.
///
/// # Errors
///
/// Where hyper does not write it, which it does with whatever the stages build.
pub async fn written(request: Request<Body>) -> io::Result<Written> {
    let body = usize::try_from(request.body().size_hint().lower()).map_err(io::Error::other)?;
    let (near, mut far) = tokio::io::duplex(64 * 1024);
    let (mut sender, connection) = http1::builder().handshake(TokioIo::new(near)).await.map_err(io::Error::other)?;
    let reading = async {
        let mut bytes = Vec::new();
        let mut head = None;
        while head.is_none_or(|head| bytes.len() < head + body) {
            if far.read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let ended = |bytes: &[u8]| bytes.windows(END.len()).position(|window| window == END);
            head = head.or_else(|| ended(&bytes).map(|at| at + END.len()));
        }
        Ok(Written { bytes, head: head.unwrap_or_default() })
    };
    tokio::select! {
        written = reading => written,
        ended = connection => Err(ended.map_or_else(io::Error::other, |()| io::ErrorKind::UnexpectedEof.into())),
        answered = sender.send_request(request) => Err(answered.map_or_else(io::Error::other, |_| io::ErrorKind::InvalidData.into())),
    }
}
