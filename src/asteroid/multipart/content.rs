//! The search for the end of a part's content.
//!
//! For RFC 2046, a delimiter is the boundary after two hyphens at the beginning of a line. Some parsers also take a lone CR or LF for
//! the end of a line, or the line end before the content for the one before the boundary. A boundary at such a place is ambiguous.

use memchr::memmem::Finder;

/// A search for one delimiter.
#[derive(Debug)]
pub(super) struct Search {
    /// Two hyphens and the boundary. It has no line end.
    finder: Finder<'static>,
}

/// The beginning of a delimiter that the bytes before may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// No delimiter: the last byte is neither a line end nor part of a boundary that follows one.
    Inside,
    /// A delimiter: after such a line end, these many of its bytes have come.
    After(LineEnd, usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineEnd {
    /// The one between a part's head and its content.
    Head,
    CarriageReturn,
    LineFeed,
    Both,
}

/// The result of a search.
#[derive(Debug)]
pub(super) enum Found<'b> {
    /// No delimiter, but perhaps its beginning.
    Nothing(Line),
    /// A delimiter, and the bytes after it.
    Delimiter(&'b [u8]),
    /// The boundary, at a place where only some parsers see a delimiter.
    Ambiguous,
}

impl Line {
    /// The beginning of content.
    pub(super) const FIRST: Line = Line::After(LineEnd::Head, 0);
}

impl Search {
    pub(super) fn new(delimiter: Vec<u8>) -> Search {
        Search { finder: Finder::new(&delimiter).into_owned() }
    }

    pub(super) fn delimiter(&self) -> &[u8] {
        self.finder.needle()
    }

    /// Returns whether a line end and the delimiter have this byte at an index.
    pub(super) fn opens_with(&self, index: usize, byte: u8) -> bool {
        let expected = match index {
            0 => Some(&b'\r'),
            1 => Some(&b'\n'),
            index => self.delimiter().get(index - 2),
        };
        expected == Some(&byte)
    }

    /// Returns whether a line end and the delimiter have these many bytes.
    pub(super) fn is_whole(&self, count: usize) -> bool {
        count == self.delimiter().len() + 2
    }

    /// Searches the next bytes of a part's content.
    pub(super) fn find<'b>(&self, line: Line, bytes: &'b [u8]) -> Found<'b> {
        let (mut line, mut bytes) = (line, bytes);
        loop {
            // A delimiter that may have begun is followed byte by byte, as it seldom goes on for long.
            while line != Line::Inside {
                let Some((&byte, rest)) = bytes.split_first() else { return Found::Nothing(line) };
                (line, bytes) = (self.after(line, byte), rest);
                if let Some(found) = self.whole(line, bytes) {
                    return found;
                }
            }
            let Some(at) = self.finder.find(bytes) else { return Found::Nothing(self.last(bytes)) };
            let (before, rest) = bytes.split_at_checked(at).unwrap_or_default();
            bytes = rest.get(self.delimiter().len()..).unwrap_or_default();
            let end = match before {
                [.., b'\r', b'\n'] => LineEnd::Both,
                [.., b'\n'] => LineEnd::LineFeed,
                [.., b'\r'] => LineEnd::CarriageReturn,
                _ => continue,
            };
            if let Some(found) = self.whole(Line::After(end, self.delimiter().len()), bytes) {
                return found;
            }
        }
    }

    /// Returns the delimiter that ends before these bytes, if it is whole.
    fn whole<'b>(&self, line: Line, rest: &'b [u8]) -> Option<Found<'b>> {
        match line {
            Line::After(end, count) if count == self.delimiter().len() => {
                Some(if end == LineEnd::Both { Found::Delimiter(rest) } else { Found::Ambiguous })
            }
            _ => None,
        }
    }

    fn after(&self, line: Line, byte: u8) -> Line {
        match (line, byte) {
            (Line::After(LineEnd::CarriageReturn, 0), b'\n') => Line::After(LineEnd::Both, 0),
            (_, b'\r') => Line::After(LineEnd::CarriageReturn, 0),
            (_, b'\n') => Line::After(LineEnd::LineFeed, 0),
            (Line::After(end, count), byte) if self.delimiter().get(count) == Some(&byte) => {
                Line::After(end, count + 1)
            }
            _ => Line::Inside,
        }
    }

    /// Returns the beginning of a delimiter that may be at the end of these bytes, which have no whole one.
    fn last(&self, bytes: &[u8]) -> Line {
        // The longest beginning of a delimiter lacks one byte of a line end of two bytes and the delimiter itself.
        let start = bytes.len().saturating_sub(self.delimiter().len() + 1);
        let tail = bytes.get(start..).unwrap_or_default();
        tail.iter().fold(Line::Inside, |line, byte| self.after(line, *byte))
    }
}
