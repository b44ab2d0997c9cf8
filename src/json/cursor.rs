//! Moves over the leaves of the grammar (RFC 8259): white space, names, strings, numbers, words.
//!
//! The loops of the callers keep a cursor in registers. So rare paths take and return it by value, and the others are
//! inlined.

use super::malformed::{Malformed, Reason};
use super::run;

/// A position in a body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The offsets of a string's characters, and whether a backslash is among them.
#[derive(Clone, Copy)]
pub(super) struct Text {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) escaped: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Returns the offset of the next byte.
    #[inline(always)]
    pub(super) fn at(self) -> usize {
        self.at
    }

    /// Returns the next byte; NUL at the end of the body. No rule allows NUL outside strings, so every rule fails there.
    #[inline(always)]
    pub(super) fn peek(self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    #[inline(always)]
    pub(super) fn skip(&mut self) {
        self.at += 1;
    }

    /// Skips `byte` if it is the next one; returns whether it was.
    #[inline(always)]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let taken = self.peek() == byte;
        if taken {
            self.at += 1;
        }
        taken
    }

    #[inline(always)]
    pub(super) fn is_at_end(self) -> bool {
        self.at >= self.bytes.len()
    }

    #[cold]
    #[inline(never)]
    pub(super) fn fault(self, reason: Reason) -> Malformed {
        Malformed::new(self.at, reason, self.is_at_end())
    }

    /// Skips white space.
    #[inline(always)]
    pub(super) fn blank(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    /// Skips a name, its colon and the white space up to its value.
    #[inline(always)]
    pub(super) fn name(&mut self, expected: Reason) -> Result<Text, Malformed> {
        if self.peek() != b'"' {
            return Err(self.fault(expected));
        }
        let name = self.string()?;
        self.blank();
        if !self.take(b':') {
            return Err(self.fault(Reason::Colon));
        }
        self.blank();
        Ok(name)
    }

    /// Skips a comma and the white space after it, or else `end`; returns whether it was a comma.
    #[inline(always)]
    pub(super) fn comma(&mut self, end: u8, expected: Reason) -> Result<bool, Malformed> {
        if self.take(b',') {
            self.blank();
            Ok(true)
        } else if self.take(end) {
            Ok(false)
        } else {
            Err(self.fault(expected))
        }
    }

    /// Skips a string, from its opening quote.
    #[inline(always)]
    pub(super) fn string(&mut self) -> Result<Text, Malformed> {
        self.skip();
        let start = self.at;
        self.at = run::end(self.bytes, start);
        if self.peek() == b'"' {
            let end = self.at;
            self.skip();
            return Ok(Text { start, end, escaped: false });
        }
        *self = self.rest_of_string()?;
        Ok(Text { start, end: self.at - 1, escaped: true })
    }

    /// Skips the rest of a string, from its first backslash, control character or missing end.
    #[inline(never)]
    fn rest_of_string(mut self) -> Result<Self, Malformed> {
        loop {
            match self.peek() {
                b'"' => {
                    self.skip();
                    return Ok(self);
                }
                b'\\' => self.escape()?,
                _ if self.is_at_end() => return Err(self.fault(Reason::Quote)),
                _ => return Err(self.fault(Reason::Control)),
            }
            self.at = run::end(self.bytes, self.at);
        }
    }

    /// Skips one escape, from its backslash. Halves of surrogate pairs are accepted, as in the grammar.
    #[inline(always)]
    fn escape(&mut self) -> Result<(), Malformed> {
        self.skip();
        match self.peek() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.skip(),
            b'u' => {
                self.skip();
                for _ in 0..4 {
                    if !self.peek().is_ascii_hexdigit() {
                        return Err(self.fault(Reason::HexDigits));
                    }
                    self.skip();
                }
            }
            _ => return Err(self.fault(Reason::Escape)),
        }
        Ok(())
    }

    /// Skips a number of any size, from its sign or first digit.
    #[inline(always)]
    pub(super) fn number(&mut self) -> Result<(), Malformed> {
        self.take(b'-');
        if self.take(b'0') {
            if self.peek().is_ascii_digit() {
                return Err(self.fault(Reason::LeadingZero));
            }
        } else {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.skip();
            if matches!(self.peek(), b'+' | b'-') {
                self.skip();
            }
            self.digits()?;
        }
        Ok(())
    }

    #[inline(always)]
    fn digits(&mut self) -> Result<(), Malformed> {
        if !self.peek().is_ascii_digit() {
            return Err(self.fault(Reason::Digit));
        }
        while self.peek().is_ascii_digit() {
            self.skip();
        }
        Ok(())
    }

    /// Skips `word`, whose first letter was seen.
    #[inline(always)]
    pub(super) fn word<const N: usize>(&mut self, word: &[u8; N]) -> Result<(), Malformed> {
        if self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) != Some(word) {
            return Err(self.fault(Reason::Value));
        }
        self.at += N;
        Ok(())
    }
}
