//! The head of a part: its headers, line by line.

use memchr::memchr;

use super::HeadFault;
use super::parameters::{self, Parameter, ParameterError, token, trimmed};

/// The most bytes of a part's head.
pub const MAX_HEAD: usize = 8 * 1024;

/// The most headers of a part.
pub const MAX_HEADERS: usize = 16;

/// The only field of an upload.
const FIELD: &[u8] = b"files";

/// A head of which a part may have come.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// The line that has begun, with its CR.
    line: Vec<u8>,
    /// How many bytes have come.
    length: usize,
    headers: usize,
    has_disposition: bool,
    has_type: bool,
    has_encoding: bool,
}

impl Head {
    /// Reads the next bytes; returns whether the head is whole, and the bytes that were not read.
    pub(super) fn push<'b>(&mut self, mut bytes: &'b [u8], delimiter: &[u8]) -> Result<(bool, &'b [u8]), HeadFault> {
        while !bytes.is_empty() {
            let end = memchr(b'\n', bytes);
            let (line, rest) = bytes.split_at_checked(end.map_or(bytes.len(), |end| end + 1)).unwrap_or_default();
            self.length += line.len();
            if self.length > MAX_HEAD {
                return Err(HeadFault::TooLong);
            }
            self.line.extend_from_slice(line);
            bytes = rest;
            if end.is_some() {
                let line = std::mem::take(&mut self.line);
                let line = line.strip_suffix(b"\r\n").ok_or(HeadFault::LineEnd)?;
                if line.is_empty() {
                    return if self.has_disposition { Ok((true, rest)) } else { Err(HeadFault::NoDisposition) };
                }
                self.header(line, delimiter)?;
            }
        }
        Ok((false, bytes))
    }

    fn header(&mut self, line: &[u8], delimiter: &[u8]) -> Result<(), HeadFault> {
        if line.starts_with(delimiter) {
            return Err(HeadFault::Delimiter);
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            return Err(HeadFault::Folded);
        }
        self.headers += 1;
        if self.headers > MAX_HEADERS {
            return Err(HeadFault::TooManyHeaders);
        }
        if line.contains(&b'\r') {
            return Err(HeadFault::LineEnd);
        }
        if line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            return Err(HeadFault::ControlCharacter);
        }
        if simdutf8::basic::from_utf8(line).is_err() {
            return Err(HeadFault::Utf8);
        }
        let (name, rest) = token(line).ok_or(HeadFault::Header)?;
        let value = trimmed(rest.strip_prefix(b":").ok_or(HeadFault::Header)?);
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        let repeated = if is(b"content-disposition") {
            check_disposition(value)?;
            std::mem::replace(&mut self.has_disposition, true)
        } else if is(b"content-transfer-encoding") {
            if ![&b"binary"[..], b"8bit", b"7bit"].iter().any(|known| value.eq_ignore_ascii_case(known)) {
                return Err(HeadFault::Encoding);
            }
            std::mem::replace(&mut self.has_encoding, true)
        } else if is(b"content-type") {
            std::mem::replace(&mut self.has_type, true)
        } else {
            false
        };
        if repeated { Err(HeadFault::RepeatedHeader) } else { Ok(()) }
    }
}

/// Checks the value of a `Content-Disposition`.
fn check_disposition(value: &[u8]) -> Result<(), HeadFault> {
    let (kind, parameters) = parameters::split(value);
    if !kind.eq_ignore_ascii_case(b"form-data") {
        return Err(HeadFault::Disposition);
    }
    let (mut field, mut has_filename, mut has_extended) = (None, false, false);
    for parameter in parameters {
        let Parameter { name, value } = parameter.map_err(|error| match error {
            ParameterError::Malformed => HeadFault::Disposition,
            ParameterError::Backslash => HeadFault::Backslash,
        })?;
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        let repeated = if is(b"name") {
            field.replace(value).is_some()
        } else if is(b"filename") {
            std::mem::replace(&mut has_filename, true)
        } else if is(b"filename*") {
            std::mem::replace(&mut has_extended, true)
        } else {
            return Err(HeadFault::UnknownParameter);
        };
        if repeated {
            return Err(HeadFault::RepeatedParameter);
        }
    }
    match field {
        Some(FIELD) => Ok(()),
        Some(_) => Err(HeadFault::Field),
        None => Err(HeadFault::NoField),
    }
}
