//! Lines that are being written.

use std::io::{self, ErrorKind, Write};

/// Whole lines, and how many bytes of them are written.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    lines: &'a [u8],
    written: usize,
}

impl<'a> Batch<'a> {
    /// Creates a batch of which nothing is written.
    pub(super) fn new(lines: &'a [u8]) -> Batch<'a> {
        Batch { lines, written: 0 }
    }

    /// Returns how many bytes are written.
    pub(super) fn written(&self) -> usize {
        self.written
    }

    /// Returns how many bytes are written of a line that is not complete.
    pub(super) fn fragment(&self) -> usize {
        let written = self.lines.get(..self.written).unwrap_or_default();
        written.len() - written.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)
    }

    /// Marks the written part of an incomplete line as not written.
    pub(super) fn retract_fragment(&mut self) {
        self.written -= self.fragment();
    }

    /// Writes until nothing is left or a write fails.
    pub(super) fn write_to(&mut self, output: &mut impl Write) -> io::Result<()> {
        while let Some(rest) = self.lines.get(self.written..).filter(|rest| !rest.is_empty()) {
            match output.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => self.written += written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incomplete_line_is_known_and_can_be_written_again() {
        struct Takes(usize);
        impl Write for Takes {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let taken = bytes.len().min(self.0);
                self.0 -= taken;
                if taken == 0 { Err(ErrorKind::StorageFull.into()) } else { Ok(taken) }
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        for (space, fragment) in [(0, 0), (1, 1), (3, 3), (4, 0), (6, 2)] {
            let mut batch = Batch::new(b"one\ntwo\n");
            assert!(batch.write_to(&mut Takes(space)).is_err());
            assert_eq!((batch.written(), batch.fragment()), (space, fragment));
            batch.retract_fragment();
            assert_eq!((batch.written(), batch.fragment()), (space - fragment, 0));
        }
        let mut batch = Batch::new(b"one\ntwo\n");
        assert!(batch.write_to(&mut Takes(8)).is_ok());
        assert_eq!(batch.fragment(), 0);
    }
}
