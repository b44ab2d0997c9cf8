//! The body of a request: pieces in memory, which are sent without being copied together, or a stream.

use std::error::Error as StdError;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec::IntoIter;

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Frame, SizeHint};

use crate::json::Pieces;

/// The reason why a stream broke off.
pub type Error = Box<dyn StdError + Send + Sync>;

/// The body of a request.
#[derive(Debug)]
pub enum Body {
    /// Pieces, which are sent one after another under one Content-Length.
    Pieces {
        /// Those that are still to be sent.
        pieces: IntoIter<Bytes>,
        /// Their length.
        left: u64,
    },
    /// A stream. If it fails, the request is not sent to its end.
    Stream(UnsyncBoxBody<Bytes, Error>),
}

impl Body {
    /// Creates a body from a stream.
    #[must_use]
    pub fn stream(body: impl hyper::body::Body<Data = Bytes, Error = Error> + Send + 'static) -> Body {
        Body::Stream(body.boxed_unsync())
    }
}

impl From<Pieces> for Body {
    fn from(pieces: Pieces) -> Body {
        Body::Pieces { left: pieces.len(), pieces: pieces.into_iter() }
    }
}

impl From<Bytes> for Body {
    fn from(body: Bytes) -> Body {
        Body::Pieces { left: body.len() as u64, pieces: vec![body].into_iter() }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut *self {
            Body::Pieces { pieces, left } => {
                let piece = pieces.next();
                *left -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
                Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
            }
            Body::Stream(stream) => Pin::new(stream).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Pieces { left, .. } => *left == 0,
            Body::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Pieces { left, .. } => SizeHint::with_exact(*left),
            Body::Stream(stream) => stream.size_hint(),
        }
    }
}
