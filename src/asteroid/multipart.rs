//! The check of an upload, a `multipart/form-data` body (RFC 7578) that is passed on unchanged while it arrives.
//!
//! A checker sees each byte once and keeps none of a file. It refuses a body that parsers may read differently: one that it accepts
//! has the same parts, the same fields and the same ends of files for each parser. So the upstream finds nothing in it that is
//! hidden from the gateway.

mod boundary;
mod content;
mod fault;
mod head;
mod parameters;

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

pub use boundary::Boundary;
pub use fault::{Fault, HeadFault};
pub use head::{MAX_HEAD, MAX_HEADERS};

use content::{Found, Line, Search};
use head::Head;

/// The most blanks after the last boundary.
const MAX_BLANKS: usize = 64;

/// The most parts of a body.
pub const MAX_PARTS: usize = 1000;

/// A check of one body, in the order of its bytes. It takes a few KiB, however long the body is.
#[derive(Debug)]
pub struct Checker {
    search: Search,
    state: State,
    head: Head,
    /// How many parts have begun.
    parts: usize,
    has_first_head: bool,
}

/// The part of the body that is expected next.
///
/// ```text
/// Opening ─▶ Delimiter ─▶ Padding ─▶ LineFeed ─▶ Head ─▶ Content ─▶ Delimiter …
///                └──▶ Hyphen ─▶ Closed ─▶ LastLineFeed ─▶ End
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The rest of the first delimiter, of which these many bytes have come.
    Opening(usize),
    /// The bytes after a boundary: two hyphens, or the end of its line.
    Delimiter,
    /// Blanks after a boundary, then the end of its line.
    Padding,
    /// The line feed of a delimiter that is not the last.
    LineFeed,
    /// The rest of a part's head.
    Head,
    /// The rest of a part's content.
    Content(Line),
    /// The second hyphen after the last boundary.
    Hyphen,
    /// The end of the body, perhaps after blanks, of which these many have come, or a line end.
    Closed(usize),
    /// The line feed of the last delimiter.
    LastLineFeed,
    /// The end of the body.
    End,
}

impl Checker {
    /// Begins before the first byte of a body.
    #[must_use]
    pub fn new(boundary: Boundary) -> Checker {
        let search = Search::new(boundary.into_delimiter());
        Checker { search, state: State::Opening(0), head: Head::default(), parts: 0, has_first_head: false }
    }

    /// Checks the next bytes of the body. After a fault, the verdict is final, and no further bytes are pushed.
    ///
    /// # Errors
    ///
    /// If no further bytes can make an upload of it.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), Fault> {
        while let Some((&byte, rest)) = bytes.split_first() {
            bytes = match self.state {
                State::Head => self.push_head(bytes)?,
                State::Content(line) => self.push_content(line, bytes)?,
                state => {
                    self.state = self.after(state, byte)?;
                    rest
                }
            };
        }
        Ok(())
    }

    /// Returns whether the head of the first part was accepted. Before that, nothing shows that the body is an upload.
    #[must_use]
    pub fn has_first_head(&self) -> bool {
        self.has_first_head
    }

    /// Returns whether the last boundary has come. Only blanks and one line end may follow.
    #[must_use]
    pub fn has_last_boundary(&self) -> bool {
        matches!(self.state, State::Closed(_) | State::LastLineFeed | State::End)
    }

    /// Ends the check at the end of the body.
    ///
    /// # Errors
    ///
    /// If the body has not come to its end.
    pub fn finish(&self) -> Result<(), Fault> {
        match self.state {
            State::Closed(_) | State::End => Ok(()),
            State::LastLineFeed => Err(Fault::Epilogue),
            _ if self.parts == 0 => Err(Fault::Opening),
            _ => Err(Fault::Unfinished { part: self.parts }),
        }
    }

    /// Returns the state after one byte of a delimiter.
    fn after(&mut self, state: State, byte: u8) -> Result<State, Fault> {
        match (state, byte) {
            // The line end before the first delimiter may be left out.
            (State::Opening(0), b'-') => Ok(State::Opening(3)),
            (State::Opening(count), byte) if self.search.opens_with(count, byte) => {
                Ok(if self.search.is_whole(count + 1) { State::Delimiter } else { State::Opening(count + 1) })
            }
            (State::Opening(_), _) => Err(Fault::Opening),
            (State::Delimiter, b'-') => Ok(State::Hyphen),
            (State::Delimiter | State::Padding, b' ' | b'\t') => Ok(State::Padding),
            (State::Delimiter | State::Padding, b'\r') => Ok(State::LineFeed),
            (State::LineFeed, b'\n') => self.next_part(),
            (State::Hyphen, b'-') if self.parts == 0 => Err(Fault::Empty),
            (State::Hyphen, b'-') => Ok(State::Closed(0)),
            (State::Closed(blanks), b' ' | b'\t') if blanks < MAX_BLANKS => Ok(State::Closed(blanks + 1)),
            (State::Closed(_), b'\r') => Ok(State::LastLineFeed),
            (State::LastLineFeed, b'\n') => Ok(State::End),
            (State::Closed(_) | State::LastLineFeed | State::End, _) => Err(Fault::Epilogue),
            (State::Delimiter | State::Padding | State::LineFeed | State::Hyphen, _) if self.parts == 0 => {
                Err(Fault::Opening)
            }
            _ => Err(Fault::BoundaryInContent { part: self.parts }),
        }
    }

    fn next_part(&mut self) -> Result<State, Fault> {
        self.parts += 1;
        self.head = Head::default();
        if self.parts > MAX_PARTS { Err(Fault::TooManyParts) } else { Ok(State::Head) }
    }

    /// Reads a head; returns the bytes that follow.
    fn push_head<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], Fault> {
        let part = self.parts;
        let (is_whole, rest) =
            self.head.push(bytes, self.search.delimiter()).map_err(|fault| Fault::Head { part, fault })?;
        if is_whole {
            self.has_first_head = true;
            self.state = State::Content(Line::FIRST);
        }
        Ok(rest)
    }

    /// Skips content; returns the bytes that follow.
    fn push_content<'b>(&mut self, line: Line, bytes: &'b [u8]) -> Result<&'b [u8], Fault> {
        match self.search.find(line, bytes) {
            Found::Nothing(line) => {
                self.state = State::Content(line);
                Ok(&[])
            }
            Found::Delimiter(rest) => {
                self.state = State::Delimiter;
                Ok(rest)
            }
            Found::Ambiguous => Err(Fault::BoundaryInContent { part: self.parts }),
        }
    }
}
