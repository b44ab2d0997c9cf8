//! The body of an answer, which ends only if the service said that it ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use hyper::{Response, Version};

use super::cause::Cause;
use super::link::LinkState;

/// The body of an answer. If it breaks off, it fails.
#[derive(Debug)]
pub struct ResponseBody {
    incoming: Incoming,
    is_http2: bool,
    link: Arc<LinkState>,
    has_failed: bool,
}

impl ResponseBody {
    /// Replaces the body of an answer that came over this connection.
    #[must_use]
    pub fn of(answer: Response<Incoming>, link: Arc<LinkState>) -> Response<ResponseBody> {
        let is_http2 = answer.version() == Version::HTTP_2;
        answer.map(|incoming| ResponseBody { incoming, is_http2, link, has_failed: false })
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Cause;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cause>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(context));
        let failure = match &frame {
            Some(Err(error)) => Cause::of(error).with(self.link.cause().as_ref()),
            // hyper takes the end of a stream or of a connection with NO_ERROR for the end of the body.
            None if self.is_http2 && !self.incoming.is_end_stream() && !self.has_failed => {
                Cause::new("the stream was ended with NO_ERROR before the end of the answer")
            }
            _ => return Poll::Ready(frame.and_then(Result::ok).map(Ok)),
        };
        self.has_failed = true;
        Poll::Ready(Some(Err(failure)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// Returns whether an answer has one length, so that its connection may carry another request. With two lengths it is not
/// clear which bytes belong to the next answer (RFC 9112, section 6.3).
#[must_use]
pub fn has_one_length<B>(answer: &Response<B>) -> bool {
    !(answer.headers().contains_key(TRANSFER_ENCODING) && answer.headers().contains_key(CONTENT_LENGTH))
}

/// Refuses an answer whose body has another transfer coding than chunks: none was asked for, and hyper passes the coded bytes
/// on (RFC 9112, section 7).
///
/// # Errors
///
/// The cause, without words of the service's own.
pub fn check_transfer_coding<B>(answer: &Response<B>) -> Result<(), Cause> {
    let mut codings = answer.headers().get_all(TRANSFER_ENCODING).iter();
    let is_plain = match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    };
    if is_plain { Ok(()) } else { Err(Cause::new("its answer has a transfer coding other than chunked")) }
}
