//! The error of a body that is not JSON, with its reason and its position.

use std::fmt;

/// The error of a body that is not JSON or is nested too deep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    offset: usize,
    reason: Reason,
    at_end: bool,
}

/// The fault at the position where reading stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Something other than a value.
    #[error("a value was expected")]
    Value,
    /// A member without an opening quote.
    #[error("a name in double quotes was expected")]
    Name,
    /// Neither a name nor the end of the object after its opening brace.
    #[error("a name in double quotes or }} was expected")]
    NameOrBrace,
    /// A name without its colon.
    #[error("a colon was expected")]
    Colon,
    /// Neither a comma nor the end of the object after a member.
    #[error("a comma or }} was expected")]
    CommaOrBrace,
    /// Neither a comma nor the end of the array after an element.
    #[error("a comma or ] was expected")]
    CommaOrBracket,
    /// A sign, a point or an exponent without its digits.
    #[error("a digit was expected")]
    Digit,
    /// A number such as `012`.
    #[error("a number must not have a leading 0")]
    LeadingZero,
    /// A byte below 0x20 inside a string.
    #[error("a control character in a string must be escaped")]
    Control,
    /// A backslash before a character that is none of `"\/bfnrtu`.
    #[error("this is not a JSON escape")]
    Escape,
    /// `\u` without four hexadecimal digits.
    #[error("four hexadecimal digits were expected")]
    HexDigits,
    /// A string without its closing quote.
    #[error("a closing double quote was expected")]
    Quote,
    /// An escaped half of a surrogate pair in a name that is read: parsers disagree on such a name.
    #[error("a name must not contain half of a surrogate pair")]
    LoneSurrogate,
    /// A byte order mark of UTF-8 or UTF-16 before the value.
    #[error("a byte order mark is not allowed")]
    ByteOrderMark,
    /// Bytes that are not UTF-8.
    #[error("the bytes are not UTF-8")]
    Utf8,
    /// Arrays and objects nested too deep.
    #[error("arrays and objects are nested too deep")]
    Depth,
    /// Something after the value.
    #[error("nothing may follow the value")]
    Trailing,
    /// A body of 4 GiB or more.
    #[error("the body is too long to be read")]
    Length,
}

impl Malformed {
    pub(super) fn new(offset: usize, reason: Reason, at_end: bool) -> Self {
        Self { offset, reason, at_end }
    }

    /// Returns the position where reading stopped, in bytes from the beginning; the body's length if it ended too
    /// early.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Returns the fault at that position.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Returns the line and column of the fault in `body`, both from 1; the column is in bytes.
    #[must_use]
    pub fn line_and_column(&self, body: &[u8]) -> (usize, usize) {
        let before = body.get(..self.offset).unwrap_or(body);
        let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        (1 + before.iter().filter(|&&byte| byte == b'\n').count(), 1 + before.len() - line_start)
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.at_end { ", but the body ends" } else { "" };
        write!(f, "at byte {}: {}{end}", self.offset, self.reason)
    }
}

impl std::error::Error for Malformed {}

#[cfg(test)]
mod tests {
    use crate::json::{Shape, scan};

    #[test]
    fn a_fault_names_its_byte_and_what_was_expected_there() {
        let fault = scan(br#"{"a":1 "b":2}"#, &Shape::Opaque, 8).unwrap_err();
        assert_eq!(fault.to_string(), "at byte 7: a comma or } was expected");
        let fault = scan(br#"{"a":[1"#, &Shape::Opaque, 8).unwrap_err();
        assert_eq!(fault.to_string(), "at byte 7: a comma or ] was expected, but the body ends");
    }

    #[test]
    fn lines_and_columns_count_from_one() {
        let body = b"{\n\"a\": 1,\n  x}";
        let fault = scan(body, &Shape::Opaque, 8).unwrap_err();
        assert_eq!((fault.offset(), fault.line_and_column(body)), (12, (3, 3)));
        let fault = scan(b"x", &Shape::Opaque, 8).unwrap_err();
        assert_eq!(fault.line_and_column(b"x"), (1, 1));
    }
}
