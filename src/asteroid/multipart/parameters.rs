//! A value with parameters, as in `Content-Type` and `Content-Disposition`: `value; name=token; name="text"`.

/// A parameter, with its value as it is between the quotes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameter<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: &'a [u8],
}

/// The reason why parameters cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ParameterError {
    /// One has not the form of a parameter.
    Malformed,
    /// A backslash precedes a quotation mark: the text ends there for some parsers, and goes on for others.
    Backslash,
}

/// Returns the value before the first semicolon, and the parameters after it.
pub(super) fn split(text: &[u8]) -> (&[u8], Parameters<'_>) {
    let end = text.iter().position(|byte| *byte == b';').unwrap_or(text.len());
    let (value, rest) = text.split_at_checked(end).unwrap_or_default();
    (trimmed(value), Parameters { rest })
}

/// The parameters that are left. None follow an error.
#[derive(Debug, Clone)]
pub(super) struct Parameters<'a> {
    /// Empty, or begins with a semicolon.
    rest: &'a [u8],
}

impl<'a> Iterator for Parameters<'a> {
    type Item = Result<Parameter<'a>, ParameterError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.rest);
        if rest.is_empty() {
            return None;
        }
        Some(parameter(rest).map(|(parameter, rest)| {
            self.rest = rest;
            parameter
        }))
    }
}

/// Reads a semicolon and one parameter; returns the bytes after them, too.
fn parameter(text: &[u8]) -> Result<(Parameter<'_>, &[u8]), ParameterError> {
    const MALFORMED: ParameterError = ParameterError::Malformed;
    let text = blanks(text.strip_prefix(b";").ok_or(MALFORMED)?);
    let (name, text) = token(text).ok_or(MALFORMED)?;
    let text = text.strip_prefix(b"=").ok_or(MALFORMED)?;
    let (value, text) = match text.strip_prefix(b"\"") {
        Some(text) => quoted(text)?,
        None => token(text).ok_or(MALFORMED)?,
    };
    let text = blanks(text);
    if text.is_empty() || text.starts_with(b";") { Ok((Parameter { name, value }, text)) } else { Err(MALFORMED) }
}

/// Returns the text up to the closing quotation mark, and the bytes after that.
fn quoted(text: &[u8]) -> Result<(&[u8], &[u8]), ParameterError> {
    let end = text.iter().position(|byte| *byte == b'"').ok_or(ParameterError::Malformed)?;
    let (value, rest) = text.split_at_checked(end).unwrap_or_default();
    let backslashes = value.iter().rev().take_while(|byte| **byte == b'\\').count();
    if backslashes % 2 == 1 {
        return Err(ParameterError::Backslash);
    }
    Ok((value, rest.get(1..).unwrap_or_default()))
}

/// Returns the token that begins here, if there is one, and the bytes after it.
pub(super) fn token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let end = text.iter().position(|byte| !is_token(byte)).unwrap_or(text.len());
    if end == 0 { None } else { text.split_at_checked(end) }
}

/// Returns a text without the blanks at its beginning.
fn blanks(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !is_blank(*byte)).unwrap_or(text.len());
    text.get(start..).unwrap_or_default()
}

/// Returns a text without the blanks around it.
pub(super) fn trimmed(text: &[u8]) -> &[u8] {
    let text = blanks(text);
    let end = text.iter().rposition(|byte| !is_blank(*byte)).map_or(0, |last| last + 1);
    text.get(..end).unwrap_or_default()
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}
