//! What records are written to.

use std::fmt;
use std::io::{self, ErrorKind, Write};

use super::file::File;

/// Where records go.
#[derive(Debug)]
pub(super) enum Output {
    /// A file.
    File(File),
    /// Standard output, which the log writes to as well.
    Stdout,
}

impl Output {
    /// Writes what is pending. After a failure the rest is still pending.
    pub(super) fn append(&mut self, pending: &mut Pending<'_>) -> io::Result<()> {
        match self {
            Output::File(file) => file.append(pending),
            Output::Stdout => {
                // Held for the whole batch, so that no line of the log comes between. What it could not write completely is
                // flushed before anything of ours, by itself.
                let mut stdout = io::stdout().lock();
                pending.write_to(&mut stdout)?;
                stdout.flush()
            }
        }
    }

    /// After each batch: makes written records survive a loss of power, at the latest when nothing is waiting.
    pub(super) fn settle(&mut self, idle: bool) {
        if let Output::File(file) = self {
            file.settle(idle);
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Output::File(file) => fmt::Display::fmt(file, out),
            Output::Stdout => out.write_str("standard output"),
        }
    }
}

/// Whole lines, and how much of them is written.
#[derive(Debug)]
pub(super) struct Pending<'a> {
    lines: &'a [u8],
    written: usize,
}

impl<'a> Pending<'a> {
    pub(super) fn new(lines: &'a [u8]) -> Pending<'a> {
        Pending { lines, written: 0 }
    }

    /// How many bytes are written.
    pub(super) fn written(&self) -> usize {
        self.written
    }

    /// How many bytes are written of a line that is not whole.
    pub(super) fn fragment(&self) -> usize {
        let written = self.lines.get(..self.written).unwrap_or_default();
        written.len() - written.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)
    }

    /// What was written of a line that is not whole is to be written again.
    pub(super) fn take_back(&mut self) {
        self.written -= self.fragment();
    }

    /// Writes until nothing is left or writing fails.
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
    fn a_line_that_is_not_whole_is_known_and_can_be_written_again() {
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
        for (room, fragment) in [(0, 0), (1, 1), (3, 3), (4, 0), (6, 2)] {
            let mut pending = Pending::new(b"one\ntwo\n");
            assert!(pending.write_to(&mut Takes(room)).is_err());
            assert_eq!((pending.written(), pending.fragment()), (room, fragment));
            pending.take_back();
            assert_eq!((pending.written(), pending.fragment()), (room - fragment, 0));
        }
        let mut pending = Pending::new(b"one\ntwo\n");
        assert!(pending.write_to(&mut Takes(8)).is_ok());
        assert_eq!(pending.fragment(), 0);
    }
}
