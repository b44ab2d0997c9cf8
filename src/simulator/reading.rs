//! Reads the body of a request, as far as a fault lets it.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::http::request::Parts;

use super::Simulator;
use super::file::NewFile;
use super::operation::{Call, Operation};
use super::refusal::Refusal;
use super::upload::{ReceivedUpload, UploadReader};

/// The largest body that is read, unless it is an upload.
const MAX_BODY: usize = 32 * 1024 * 1024;

/// A body that is being read.
pub(super) struct BodyReader {
    incoming: Incoming,
    bytes_read: u64,
    /// The body, unless it is an upload.
    bytes: BytesMut,
    /// The upload, if it is one.
    upload: Option<UploadReader>,
}

/// The body is broken, or longer than the bound.
#[derive(Debug)]
pub(super) struct BodyError;

impl BodyReader {
    pub(super) fn new(head: &Parts, incoming: Incoming) -> BodyReader {
        let call = Call::of(&head.method, head.uri.path());
        let is_upload = call.is_ok_and(|call| matches!(call.operation, Operation::Upload | Operation::Stage));
        let upload = is_upload.then(|| UploadReader::new(head));
        BodyReader { incoming, bytes_read: 0, bytes: BytesMut::new(), upload }
    }

    /// Reads on, until so many bytes are read or the body ends. A broken upload is an error only of its files.
    pub(super) async fn read_until(&mut self, count: u64, simulator: &Simulator) -> Result<(), BodyError> {
        while self.bytes_read < count {
            let frame = match (self.incoming.frame().await, &mut self.upload) {
                (Some(Ok(frame)), _) => frame,
                (Some(Err(_)), None) => return Err(BodyError),
                (Some(Err(_)), Some(_)) => return Ok(()),
                (None, None) => return Ok(()),
                (None, Some(upload)) => {
                    upload.finish();
                    return Ok(());
                }
            };
            let Ok(bytes) = frame.into_data() else { continue };
            self.bytes_read += bytes.len() as u64;
            match &mut self.upload {
                Some(upload) => upload.read(&bytes, simulator),
                None if self.bytes.len() + bytes.len() > MAX_BODY => return Err(BodyError),
                None => self.bytes.extend_from_slice(&bytes),
            }
        }
        Ok(())
    }

    /// Reads the body to its end.
    pub(super) async fn read_all(&mut self, simulator: &Simulator) -> Result<(), BodyError> {
        self.read_until(u64::MAX, simulator).await
    }

    /// Returns what is recorded of what was read.
    pub(super) fn received(&self) -> (&[u8], Option<ReceivedUpload>) {
        (&self.bytes, self.upload.as_ref().map(UploadReader::received))
    }

    /// Returns the body, the files if it is an upload, and what is not read.
    pub(super) fn into_parts(self) -> (Bytes, Option<Result<Vec<NewFile>, Refusal>>, Incoming) {
        (self.bytes.freeze(), self.upload.map(UploadReader::files), self.incoming)
    }
}
