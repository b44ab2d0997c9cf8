//! Reads `multipart/form-data` piece by piece, as RFC 7578 and RFC 2046 describe it, and keeps no more than the head of a part.

use bytes::{Buf, BytesMut};
use memchr::memmem;

/// The largest head of a part, in bytes.
const MAX_HEAD: usize = 8 * 1024;

/// The most spaces between a boundary and the end of its line.
const MAX_PADDING: usize = 256;

/// The longest boundary, by RFC 2046.
const MAX_BOUNDARY: usize = 70;

/// The name of the field that contains the files.
const FIELD: &str = "files";

/// Something that was read.
#[derive(Debug)]
pub(super) enum Part<'a> {
    /// A file begins.
    File {
        /// Its name.
        name: String,
        /// Its media type.
        media_type: String,
    },
    /// The next bytes of the file.
    Bytes(&'a [u8]),
}

/// A reader of one body.
#[derive(Debug)]
pub(super) struct MultipartReader {
    /// What ends the content of a part: the end of a line, two hyphens and the boundary.
    delimiter: Vec<u8>,
    /// What was received and could not be read without what follows it.
    pending: BytesMut,
    state: State,
}

/// ```text
/// Preamble ──> Delimiter ──> Head ──> Content ──> Delimiter ──> … ──> Delimiter ──> Epilogue
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first boundary.
    Preamble,
    /// Behind a boundary, in its line.
    Delimiter,
    /// In the head of a part.
    Head,
    /// In the content of a part.
    Content,
    /// Behind the closing boundary.
    Epilogue,
}

impl MultipartReader {
    /// Creates a reader of a body with this media type.
    pub(super) fn new(content_type: Option<&str>) -> Result<MultipartReader, String> {
        let (media_type, parameters) = content_type.unwrap_or_default().split_once(';').unwrap_or_default();
        if !media_type.trim().eq_ignore_ascii_case("multipart/form-data") {
            return Err("the body must be multipart/form-data with a boundary".to_owned());
        }
        let boundary = parameter(parameters, "boundary").unwrap_or_default();
        if boundary.is_empty() || boundary.len() > MAX_BOUNDARY {
            return Err("the boundary must have 1 to 70 characters".to_owned());
        }
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        // The first boundary may begin the body, as if an empty line were before it.
        Ok(MultipartReader { delimiter, pending: BytesMut::from("\r\n"), state: State::Preamble })
    }

    /// Reads the next bytes, and calls `take` with what they contain.
    pub(super) fn read<E: From<String>>(
        &mut self,
        bytes: &[u8],
        mut take: impl FnMut(Part<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.state == State::Epilogue {
            return Ok(());
        }
        self.pending.extend_from_slice(bytes);
        while self.step(&mut take)? {}
        Ok(())
    }

    /// Ends the body.
    pub(super) fn finish(&self) -> Result<(), String> {
        if self.state == State::Epilogue { Ok(()) } else { Err("the closing boundary is missing".to_owned()) }
    }

    /// Takes one step. Returns whether another is possible without more bytes.
    fn step<E: From<String>>(&mut self, take: &mut impl FnMut(Part<'_>) -> Result<(), E>) -> Result<bool, E> {
        match self.state {
            State::Preamble | State::Content => self.search(take),
            State::Delimiter => Ok(self.end_line()?),
            State::Head => {
                let Some(head) = self.head()? else { return Ok(false) };
                self.state = State::Content;
                take(head).map(|()| true)
            }
            State::Epilogue => Ok(false),
        }
    }

    /// Searches the next delimiter. All before it is content, or part of the preamble.
    fn search<E: From<String>>(&mut self, take: &mut impl FnMut(Part<'_>) -> Result<(), E>) -> Result<bool, E> {
        let length = self.delimiter.len();
        let found = memmem::find(&self.pending, &self.delimiter);
        let next = found.map(|at| self.pending.get(at + length).copied());
        let (content, skipped, state, goes_on) = match (found, next.flatten()) {
            (Some(at), Some(b' ' | b'\t' | b'\r' | b'-')) => (at, length, State::Delimiter, true),
            // A longer word than the boundary.
            (Some(at), Some(_)) => (at + 1, 0, self.state, true),
            (Some(at), None) => (at, 0, self.state, false),
            (None, _) => (self.pending.len().saturating_sub(length - 1), 0, self.state, false),
        };
        let content = self.pending.split_to(content);
        self.pending.advance(skipped);
        if self.state == State::Content && !content.is_empty() {
            take(Part::Bytes(&content))?;
        }
        self.state = state;
        Ok(goes_on)
    }

    /// Reads what follows a boundary in its line.
    fn end_line(&mut self) -> Result<bool, String> {
        if self.pending.starts_with(b"--") {
            self.state = State::Epilogue;
            self.pending.clear();
            return Ok(false);
        }
        let padding = self.pending.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        match self.pending.get(padding..).unwrap_or_default() {
            [b'\r', b'\n', ..] => {
                self.pending.advance(padding + 2);
                self.state = State::Head;
                Ok(true)
            }
            [] | [b'\r'] if padding <= MAX_PADDING => Ok(false),
            [b'-'] if padding == 0 => Ok(false),
            _ => Err("a boundary is followed by something else than the end of its line".to_owned()),
        }
    }

    /// Reads the head of a part, if it is there as a whole.
    fn head(&mut self) -> Result<Option<Part<'static>>, String> {
        let Some(end) = memmem::find(&self.pending, b"\r\n\r\n").filter(|end| *end <= MAX_HEAD) else {
            let is_too_long = self.pending.len() > MAX_HEAD;
            return if is_too_long { Err("the head of a part is longer than 8 KiB".to_owned()) } else { Ok(None) };
        };
        let head = self.pending.split_to(end + 4);
        let head = str::from_utf8(&head).map_err(|_| "the head of a part is not UTF-8".to_owned())?;
        let value = |name: &str| {
            let mut fields = head.lines().filter_map(|line| line.split_once(':'));
            fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
        };
        let (kind, parameters) = value("content-disposition").unwrap_or_default().split_once(';').unwrap_or_default();
        if !kind.trim().eq_ignore_ascii_case("form-data") || parameter(parameters, "name").as_deref() != Some(FIELD) {
            return Err(format!("each part must be form-data with the name {FIELD}"));
        }
        let name = parameter(parameters, "filename").filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| "each part must have a file name".to_owned())?;
        let media_type = value("content-type").unwrap_or("application/octet-stream").to_owned();
        Ok(Some(Part::File { name, media_type }))
    }
}

/// Returns the value of a parameter, such as `b` of `a=b; c="d"`.
fn parameter(parameters: &str, name: &str) -> Option<String> {
    let mut rest = parameters;
    loop {
        let (found, value) = rest.split_once('=')?;
        let value = value.trim_start();
        let (text, behind) = if let Some(quoted) = value.strip_prefix('"') {
            let (mut text, mut characters) = (String::new(), quoted.chars());
            loop {
                match characters.next()? {
                    '"' => break,
                    '\\' => text.push(characters.next()?),
                    other => text.push(other),
                }
            }
            (text, characters.as_str())
        } else {
            let end = value.find(';').unwrap_or(value.len());
            let (token, behind) = value.split_at(end);
            (token.trim_end().to_owned(), behind)
        };
        if found.trim().eq_ignore_ascii_case(name) {
            return Some(text);
        }
        rest = behind.trim_start().strip_prefix(';')?;
    }
}

#[cfg(test)]
mod tests;
