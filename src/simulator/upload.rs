//! Reads the body of an upload as it arrives, and keeps its files apart until it has arrived as a whole.

use aws_lc_rs::digest::{Context, SHA256};
use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use serde::Serialize;

use super::Simulator;
use super::file::{FileWriter, NewFile, written_sum};
use super::multipart::{MultipartReader, Part};
use super::refusal::Refusal;

/// The number of files in one upload.
const MAX_FILES: usize = 100;

/// What is recorded of an upload in place of its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceivedUpload {
    /// The bytes that were read.
    pub bytes: u64,
    /// Their SHA-256, in hexadecimal digits.
    pub sha256: String,
    /// Whether the body was read to its end.
    pub is_whole: bool,
}

/// A body that is being received.
pub(super) struct UploadReader {
    bytes: u64,
    sum: Context,
    is_whole: bool,
    /// The first fault ends it, with all its files.
    form: Result<Form, Refusal>,
}

struct Form {
    reader: MultipartReader,
    files: Vec<NewFile>,
    current: Option<FileWriter>,
}

impl UploadReader {
    pub(super) fn new(head: &Parts) -> UploadReader {
        let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let form = MultipartReader::new(content_type)
            .map(|reader| Form { reader, files: Vec::new(), current: None })
            .map_err(Refusal::bad);
        UploadReader { bytes: 0, sum: Context::new(&SHA256), is_whole: false, form }
    }

    pub(super) fn read(&mut self, bytes: &[u8], simulator: &Simulator) {
        self.bytes += bytes.len() as u64;
        self.sum.update(bytes);
        if let Ok(form) = &mut self.form
            && let Err(refusal) = form.read(bytes, simulator)
        {
            self.form = Err(refusal);
        }
    }

    /// Ends the body, which was received as a whole.
    pub(super) fn finish(&mut self) {
        self.is_whole = true;
    }

    /// Returns what is recorded of it.
    pub(super) fn received(&self) -> ReceivedUpload {
        ReceivedUpload { bytes: self.bytes, sha256: written_sum(self.sum.clone()), is_whole: self.is_whole }
    }

    /// Returns the files. An upload that is broken, or contains something else, has none.
    pub(super) fn files(self) -> Result<Vec<NewFile>, Refusal> {
        let mut form = self.form?;
        if !self.is_whole {
            return Err(Refusal::bad("the upload is not complete"));
        }
        form.reader.finish().map_err(Refusal::bad)?;
        form.files.extend(form.current.map(FileWriter::finish));
        if form.files.is_empty() {
            return Err(Refusal::bad("the upload has no file"));
        }
        Ok(form.files)
    }
}

impl Form {
    fn read(&mut self, bytes: &[u8], simulator: &Simulator) -> Result<(), Refusal> {
        let Form { reader, files, current } = self;
        reader.read(bytes, |part| {
            match part {
                Part::File { name, media_type } => {
                    files.extend(current.take().map(FileWriter::finish));
                    if files.len() == MAX_FILES {
                        let message = format!("an upload has at most {MAX_FILES} files");
                        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message));
                    }
                    *current = Some(FileWriter::new(name, media_type));
                }
                Part::Bytes(bytes) => {
                    if let Some(file) = current {
                        file.write(bytes, |count| simulator.lock().files.acquire(count));
                    }
                }
            }
            Ok(())
        })
    }
}
