//! A request as bytes of HTTP/1.1, to be shown to people.

use std::io;

use hyper::Request;
use hyper::body::Body as _;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;

use super::body::Body;
use super::http1;

/// The end of a head.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// The bytes of a request.
#[derive(Debug)]
pub struct WireRequest {
    /// The head and the body.
    pub bytes: Vec<u8>,
    /// The length of the head, with the empty line at its end.
    pub head_len: usize,
}

/// Returns the bytes of a request, as the connections to services write them. Nothing is sent.
///
/// # Errors
///
/// If hyper does not write it, which it does with every request that the stages build.
pub async fn serialize(request: Request<Body>) -> io::Result<WireRequest> {
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
            let ended = |bytes: &[u8]| bytes.windows(HEAD_END.len()).position(|window| window == HEAD_END);
            head = head.or_else(|| ended(&bytes).map(|at| at + HEAD_END.len()));
        }
        Ok(WireRequest { bytes, head_len: head.unwrap_or_default() })
    };
    tokio::select! {
        read = reading => read,
        ended = connection => Err(ended.map_or_else(io::Error::other, |()| io::ErrorKind::UnexpectedEof.into())),
        answered = sender.send_request(request) => Err(answered.map_or_else(io::Error::other, |_| io::ErrorKind::InvalidData.into())),
    }
}
