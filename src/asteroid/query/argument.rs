//! Decodes a query string, and encodes one.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::error::{Error, Excerpt};
use super::{MAX_LENGTH, MAX_PARAMETERS};

/// Everything but the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A parameter as a caller wrote it, decoded.
#[derive(Debug)]
pub(super) struct Argument<'q> {
    pub(super) name: Cow<'q, str>,
    pub(super) value: Cow<'q, str>,
}

/// Returns the parameters of a query string in their order. Empty ones are skipped: `a=1&&b=2` has two.
pub(super) fn read(query: Option<&str>) -> Result<Vec<Argument<'_>>, Error> {
    let query = query.unwrap_or_default();
    if query.len() > MAX_LENGTH {
        return Err(Error::TooLong);
    }
    let mut arguments = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        if arguments.len() == MAX_PARAMETERS {
            return Err(Error::TooMany);
        }
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        arguments.push(Argument { name: decode(name)?, value: decode(value)? });
    }
    Ok(arguments)
}

fn decode(text: &str) -> Result<Cow<'_, str>, Error> {
    if text.contains('+') {
        return Err(Error::Plus(Excerpt::new(text)));
    }
    // The library leaves a percent sign alone that begins no escape. Others refuse it, or drop it.
    let begins_escape =
        |rest: &str| matches!(rest.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
    if !text.split('%').skip(1).all(begins_escape) {
        return Err(Error::Percent(Excerpt::new(text)));
    }
    let text = percent_decode_str(text).decode_utf8().map_err(|_| Error::Utf8(Excerpt::new(text)))?;
    if text.contains(char::is_control) { Err(Error::Control(Excerpt::new(&text))) } else { Ok(text) }
}

/// A query string that is being written.
#[derive(Debug, Default)]
pub(super) struct Writer(String);

impl Writer {
    /// Adds a parameter, encoded.
    pub(super) fn push(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.extend(utf8_percent_encode(name, ENCODED));
        self.0.push('=');
        self.0.extend(utf8_percent_encode(value, ENCODED));
    }

    /// Returns the query string.
    pub(super) fn finish(self) -> Result<String, Error> {
        if self.0.len() > MAX_LENGTH { Err(Error::TooLong) } else { Ok(self.0) }
    }
}
