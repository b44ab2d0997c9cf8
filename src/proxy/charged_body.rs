//! A body in memory, for which a tenant is charged.

use std::ops::Range;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body;

use crate::state::{Hold, OverQuota};
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

    /// Removes ranges, which are in order and do not overlap. The other bytes stay.
    pub fn cut(&mut self, ranges: impl IntoIterator<Item = Range<usize>>) {
        let (mut read, mut written) = (0, 0);
        for range in ranges {
            if range.start < read || range.end < range.start || range.end > self.bytes.len() {
                continue;
            }
            self.bytes.copy_within(read..range.start, written);
            written += range.start - read;
            read = range.end;
        }
        self.bytes.copy_within(read.., written);
        self.bytes.truncate(written + self.bytes.len() - read);
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::state::{Quota, Share};

    #[test]
    fn what_is_cut_goes_and_every_other_byte_stays() {
        let share = Arc::new(Share::new(Arc::new(Quota::new(100))));
        for (ranges, left) in [(vec![], "0123456789"), (vec![0..3, 3..4, 8..10], "4567"), (vec![0..5, 5..10], "")] {
            let mut body = ChargedBody::new(share.hold(0, true).unwrap());
            body.append(b"0123456789", 10).unwrap();
            body.cut(ranges);
            assert_eq!(body.as_ref(), left.as_bytes());
        }
    }
}
