//! The body of a request, whose pieces are sent without being copied together.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec::IntoIter;

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use crate::json::Pieces;

/// A body in pieces, which are sent one after another under one Content-Length.
#[derive(Debug)]
pub struct Body {
    pieces: IntoIter<Bytes>,
    left: u64,
}

impl From<Pieces> for Body {
    fn from(pieces: Pieces) -> Body {
        Body { left: pieces.len(), pieces: pieces.into_iter() }
    }
}

impl From<Bytes> for Body {
    fn from(body: Bytes) -> Body {
        Body { left: body.len() as u64, pieces: vec![body].into_iter() }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.next();
        self.left -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
