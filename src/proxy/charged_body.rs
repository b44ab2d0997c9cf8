//! A body in memory, for which a tenant is charged.

use std::ops::Range;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body;

use crate::asteroid::item;
use crate::state::{Hold, OverQuota};
use crate::transport::cause::Cause;
use crate::transport::error::FailureCode;
use crate::transport::response::ResponseBody;

/// A body in memory of its own, for which its tenant is charged as long as any part of it is in use.
#[derive(Debug)]
pub struct ChargedBody {
    bytes: Vec<u8>,
    hold: Hold,
}

/// The reason why an answer is not read as a whole.
#[derive(Debug)]
pub enum Error {
    /// It broke off.
    Broke(String),
    /// It did not come in time.
    Timeout,
    /// It is longer than this limit, in bytes.
    TooLarge(usize),
    /// There is no memory for it.
    Memory,
}

impl Error {
    /// Returns the code under which the metrics count it, if it is the service's.
    pub(super) fn failure(&self) -> Option<FailureCode> {
        match self {
            Error::Broke(_) => Some(FailureCode::ConnectionTerminated),
            Error::Timeout => Some(FailureCode::ResponseTimeout),
            Error::TooLarge(_) | Error::Memory => None,
        }
    }
}

impl ChargedBody {
    /// Creates an empty body, whose memory is charged to `hold`.
    #[must_use]
    pub fn new(hold: Hold) -> ChargedBody {
        ChargedBody { bytes: Vec::new(), hold }
    }

    /// Appends a part. Memory grows with the bytes that have arrived, not with the announced length, and at most doubles.
    ///
    /// # Errors
    ///
    /// [`OverQuota`], if there is no memory for it.
    pub fn append(&mut self, data: &[u8], max: usize) -> Result<(), OverQuota> {
        let (length, capacity) = (self.bytes.len() + data.len(), self.bytes.capacity());
        if length > capacity {
            let grown = length.max((2 * capacity).min(max));
            self.hold.grow(grown - capacity)?;
            self.bytes.reserve_exact(grown - self.bytes.len());
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    /// Reads an answer of at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Broke`], [`Error::TooLarge`], [`Error::Memory`].
    pub(super) async fn read(incoming: &mut ResponseBody, limit: usize, hold: Hold) -> Result<ChargedBody, Error> {
        let announced = usize::try_from(incoming.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > limit {
            return Err(Error::TooLarge(limit));
        }
        let mut whole = ChargedBody::new(hold);
        while let Some(frame) = incoming.frame().await {
            let Ok(data) = frame.map_err(|error| Error::Broke(error.to_string()))?.into_data() else { continue };
            let length = whole.bytes.len() + data.len();
            if length > limit {
                return Err(Error::TooLarge(limit));
            }
            whole.append(&data, if announced >= length { announced } else { limit }).map_err(|_| Error::Memory)?;
        }
        Ok(whole)
    }

    /// Reads the beginning of an answer: at most `length` bytes or a little more. Without memory for that, `uncharged` bytes are read all
    /// the same. Returns it, and whether it is the whole answer.
    ///
    /// # Errors
    ///
    /// The cause, if the answer breaks off.
    pub(super) async fn read_beginning(
        incoming: &mut ResponseBody,
        length: usize,
        uncharged: usize,
        hold: Hold,
    ) -> Result<(ChargedBody, bool), Cause> {
        let mut read = ChargedBody::new(hold);
        while !incoming.is_end_stream() && read.bytes.len() < length {
            let Some(frame) = incoming.frame().await else { return Ok((read, true)) };
            let Ok(data) = frame?.into_data() else { continue };
            if read.append(&data, length).is_err() {
                // This part has been read, and is passed on with the others.
                read.bytes.extend_from_slice(&data);
                if read.bytes.len() >= uncharged {
                    break;
                }
            }
        }
        let is_whole = incoming.is_end_stream();
        Ok((read, is_whole))
    }

    /// Cuts ranges out of it, in its order. All other bytes stay.
    pub fn cut(&mut self, cuts: &[Range<usize>]) {
        item::cut(&mut self.bytes, cuts);
    }
}

impl AsRef<[u8]> for ChargedBody {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl From<ChargedBody> for Bytes {
    fn from(body: ChargedBody) -> Bytes {
        Bytes::from_owner(body)
    }
}
