//! Applies insertions and replacements to a body, as pieces to send. Unchanged parts are shared, not copied.

use std::ops::Range;

use bytes::Bytes;

/// Bytes that replace a part of a body; if that part is empty, they are inserted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splice {
    /// The replaced range, in bytes from the beginning of the body.
    pub at: Range<usize>,
    /// The replacement.
    pub with: Bytes,
}

/// The error of splices that overlap, are out of order, or lie outside the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("splices overlap, are out of order or lie outside the body")]
pub struct SpliceError;

/// A body in pieces, in the order of sending. No piece is empty.
#[derive(Debug, Clone, Default)]
pub struct Pieces {
    pieces: Vec<Bytes>,
    len: u64,
}

/// Applies `splices` to `body` and returns the result. They must be in the order of the body; several may be at the same
/// position.
///
/// # Errors
///
/// If the splices overlap, are out of order or lie outside the body.
pub fn splice(body: &Bytes, splices: Vec<Splice>) -> Result<Pieces, SpliceError> {
    let mut pieces = Pieces { pieces: Vec::with_capacity(2 * splices.len() + 1), len: 0 };
    let mut sent = 0;
    for Splice { at, with } in splices {
        if at.start < sent || at.end < at.start || at.end > body.len() {
            return Err(SpliceError);
        }
        pieces.push(body.slice(sent..at.start));
        pieces.push(with);
        sent = at.end;
    }
    pieces.push(body.slice(sent..));
    Ok(pieces)
}

impl From<Bytes> for Pieces {
    fn from(body: Bytes) -> Pieces {
        let mut pieces = Pieces::default();
        pieces.push(body);
        pieces
    }
}

impl Pieces {
    fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.len += piece.len() as u64;
            self.pieces.push(piece);
        }
    }

    /// Returns the length of all pieces together, in bytes: the Content-Length.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Returns whether the body is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the pieces, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Bytes> {
        self.pieces.iter()
    }

    /// Returns a copy of all pieces in one vector, for printing.
    #[must_use]
    pub fn concat(&self) -> Vec<u8> {
        self.pieces.concat()
    }
}

impl IntoIterator for Pieces {
    type Item = Bytes;
    type IntoIter = std::vec::IntoIter<Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.pieces.into_iter()
    }
}

impl<'a> IntoIterator for &'a Pieces {
    type Item = &'a Bytes;
    type IntoIter = std::slice::Iter<'a, Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(at: Range<usize>, with: &'static str) -> Splice {
        Splice { at, with: Bytes::from_static(with.as_bytes()) }
    }

    #[test]
    fn what_stays_is_shared_with_the_body() {
        let body = Bytes::from_static(b"0123456789");
        let pieces = splice(&body, vec![at(1..1, "a"), at(1..1, "b"), at(3..5, "cde"), at(10..10, "f")]).unwrap();
        assert_eq!(pieces.concat(), b"0ab12cde56789f");
        assert_eq!(pieces.len(), 14);
        let stayed: Vec<_> = pieces.iter().filter(|piece| piece[0].is_ascii_digit()).collect();
        assert_eq!(stayed.len(), 3);
        assert!(stayed.iter().all(|piece| body.as_ptr_range().contains(&piece.as_ptr())));
    }

    #[test]
    fn no_piece_is_empty() {
        let body = Bytes::from_static(b"01");
        assert_eq!(splice(&body, vec![at(0..2, "")]).unwrap().into_iter().count(), 0);
        assert!(splice(&body, vec![at(0..2, "")]).unwrap().is_empty());
        assert_eq!(splice(&body, vec![at(0..0, "x"), at(1..1, "")]).unwrap().into_iter().count(), 3);
        assert_eq!(splice(&body, vec![]).unwrap().concat(), b"01");
    }

    #[test]
    #[expect(clippy::reversed_empty_ranges, reason = "a reversed range must be refused")]
    fn splices_out_of_order_or_outside_are_refused() {
        let body = Bytes::from_static(b"0123456789");
        for misplaced in [
            vec![at(4..6, ""), at(5..7, "")],
            vec![at(4..4, ""), at(3..3, "")],
            vec![at(9..11, "")],
            vec![at(3..2, "")],
        ] {
            assert!(splice(&body, misplaced.clone()).is_err(), "{misplaced:?}");
        }
    }
}
