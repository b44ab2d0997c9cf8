//! The body of an answer, which may break off or trickle.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::time::Sleep;

use super::cut::ConnectionCut;
use super::fault::Trickle;

/// The zeros that are sent at once.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// A body that may break off or trickle.
pub(super) struct Body {
    bytes: Bytes,
    /// The bytes that its length promises and that are not sent yet.
    length: u64,
    /// The bytes that follow, all of them zeros.
    zeros: u64,
    /// If the bytes are only a part of the body: the cut that follows them, or `Some(None)` if nothing follows.
    then: Option<Option<Arc<ConnectionCut>>>,
    trickle: Option<Trickle>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Body {
    pub(super) fn whole(bytes: Bytes) -> Body {
        Body { length: bytes.len() as u64, bytes, zeros: 0, then: None, trickle: None, pause: None }
    }

    /// Returns bytes with so many zeros behind them that they have this length.
    pub(super) fn with_zeros(bytes: Bytes, length: u64) -> Body {
        let zeros = length.saturating_sub(bytes.len() as u64);
        Body { length: bytes.len() as u64 + zeros, zeros, ..Body::whole(bytes) }
    }

    pub(super) fn half(mut bytes: Vec<u8>, cut: Option<Arc<ConnectionCut>>) -> Body {
        let length = bytes.len() as u64;
        bytes.truncate(bytes.len() / 2);
        Body { length, then: Some(cut), ..Body::whole(bytes.into()) }
    }

    pub(super) fn trickling(bytes: Bytes, trickle: Trickle) -> Body {
        Body { trickle: Some(trickle), ..Body::whole(bytes) }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        let mut bytes = std::mem::take(&mut self.bytes);
        if bytes.is_empty() && self.zeros > 0 {
            let count = usize::try_from(self.zeros).map_or(ZEROS.len(), |zeros| zeros.min(ZEROS.len()));
            bytes = Bytes::from_static(&ZEROS).slice(..count);
            self.zeros -= count as u64;
        }
        if bytes.is_empty() {
            let Some(cut) = &self.then else { return Poll::Ready(None) };
            if let Some(cut) = cut {
                cut.request(ConnectionCut::CLOSE);
            }
            return Poll::Pending;
        }
        if let Some(trickle) = self.trickle {
            self.bytes = bytes.split_off(trickle.bytes.clamp(1, bytes.len()));
            self.pause = Some(Box::pin(tokio::time::sleep(Duration::from_millis(trickle.every_ms))));
        }
        self.length = self.length.saturating_sub(bytes.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty() && self.zeros == 0 && self.then.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}
