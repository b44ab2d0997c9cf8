//! Reads from the HTTP/2 frames of a service the facts that h2 does not tell.

use std::collections::BTreeSet;

/// The most streams that are remembered as answered. A stream that the gateway resets may end without a frame of the service.
const MAX_ANSWERED: usize = 1024;

/// A reader of the frames of one connection. It counts the bytes that bring no content, and notices if the service contradicts
/// itself.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// The head of the next frame, or as much of it as has come.
    head: Vec<u8>,
    /// How much of the frame's payload is still to come.
    left: usize,
    is_counted: bool,
    /// The present frame, if its payload matters: its kind, its stream, and the first four bytes of its payload.
    end: Option<(u8, u32, Vec<u8>)>,
    /// The streams on which an answer, perhaps an interim one, has begun and not ended.
    answered: BTreeSet<u32>,
    are_contradictory: bool,
}

impl Frames {
    const HEAD: usize = 9;
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const GOAWAY: u8 = 7;
    const WINDOW_UPDATE: u8 = 8;
    const END_STREAM: u8 = 1;
    const REFUSED_STREAM: u32 = 7;

    /// Reads bytes that have come, and returns how many of them are no content.
    pub(super) fn count(&mut self, mut bytes: &[u8]) -> usize {
        let mut counted = 0;
        while !bytes.is_empty() {
            let take = if self.left > 0 { self.left } else { Frames::HEAD - self.head.len() };
            let (taken, rest) = bytes.split_at(take.min(bytes.len()));
            bytes = rest;
            if self.left > 0 {
                self.left -= taken.len();
                self.read(taken);
            } else {
                self.head.extend_from_slice(taken);
                let &[a, b, c, kind, flags, d, e, f, g] = self.head.as_slice() else { continue };
                self.head.clear();
                self.left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                // A frame without content counts, or a service could send empty frames without end.
                self.is_counted = self.left == 0 || !matches!(kind, Frames::DATA | Frames::WINDOW_UPDATE);
                counted += if self.is_counted { Frames::HEAD } else { 0 };
                // The highest bit is reserved.
                self.begin(kind, flags, u32::from_be_bytes([d & 0x7f, e, f, g]));
                continue;
            }
            counted += if self.is_counted { taken.len() } else { 0 };
        }
        counted
    }

    /// Returns whether the service has refused a request as not looked at, after it had begun to answer it.
    pub(super) fn are_contradictory(&self) -> bool {
        self.are_contradictory
    }

    fn begin(&mut self, kind: u8, flags: u8, stream: u32) {
        self.end = matches!(kind, Frames::RST_STREAM | Frames::GOAWAY).then(|| (kind, stream, Vec::with_capacity(4)));
        match kind {
            Frames::DATA | Frames::HEADERS if flags & Frames::END_STREAM != 0 => {
                self.answered.remove(&stream);
            }
            Frames::HEADERS => {
                self.answered.insert(stream);
                if self.answered.len() > MAX_ANSWERED {
                    self.answered.pop_first();
                }
            }
            _ => {}
        }
    }

    /// Reads a part of a payload.
    fn read(&mut self, part: &[u8]) {
        let Some((kind, stream, payload)) = &mut self.end else { return };
        payload.extend(part.iter().take(4 - payload.len()));
        let &[a, b, c, d] = payload.as_slice() else { return };
        let (kind, stream, word) = (*kind, *stream, u32::from_be_bytes([a, b, c, d]));
        self.end = None;
        if kind == Frames::RST_STREAM {
            let was_answered = self.answered.remove(&stream);
            self.are_contradictory |= was_answered && word == Frames::REFUSED_STREAM;
        } else {
            // The word is the last stream that the service looked at.
            self.are_contradictory |= self.answered.last().is_some_and(|last| *last > word & 0x7fff_ffff);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    #[test]
    fn content_and_windows_are_not_counted_however_the_bytes_are_cut() {
        let frame = |kind, payload: &[u8]| frame(kind, 0, 1, payload);
        let all =
            [frame(1, b"head"), frame(0, &[7; 70_000]), frame(8, &[0; 4]), frame(0, b""), frame(6, &[0; 8])].concat();
        let expected = (9 + 4) + 9 + (9 + 8);
        for size in [1, 2, 8, 9, 10, 4096, all.len()] {
            let mut frames = Frames::default();
            let counted: usize = all.chunks(size).map(|part| frames.count(part)).sum();
            assert_eq!(counted, expected, "in parts of {size}");
        }
    }

    #[test]
    fn what_was_begun_to_be_answered_cannot_be_refused_however_the_bytes_are_cut() {
        let head = |stream| frame(1, 4, stream, b"head");
        let whole = |stream| [head(stream), frame(0, 1, stream, b"{}")].concat();
        let reset = |stream, code: u32| frame(3, 0, stream, &code.to_be_bytes());
        let goaway = |last: u32| frame(7, 0, 0, &[&last.to_be_bytes()[..], &[0; 4], b"debug"].concat());
        let cases = [
            ([head(3), reset(3, 7)].concat(), true),
            ([head(3), reset(5, 7)].concat(), false),
            ([head(3), reset(3, 8)].concat(), false),
            ([whole(3), reset(3, 7)].concat(), false),
            ([frame(1, 5, 3, b"head"), reset(3, 7)].concat(), false),
            (reset(3, 7), false),
            ([head(1), head(3), goaway(1)].concat(), true),
            ([head(1), head(3), goaway(3)].concat(), false),
            ([head(1), whole(3), goaway(1)].concat(), false),
            ([head(3), reset(3, 0), goaway(1)].concat(), false),
            ([head(3), frame(0, 0, 3, b"{"), reset(3, 7)].concat(), true),
        ];
        for (bytes, expected) in cases {
            for size in [1, 4, 9, bytes.len()] {
                let mut frames = Frames::default();
                for part in bytes.chunks(size) {
                    frames.count(part);
                }
                assert_eq!(frames.are_contradictory(), expected, "{bytes:?} in parts of {size}");
            }
        }
    }

    #[test]
    fn the_streams_that_are_remembered_have_a_bound() {
        let mut frames = Frames::default();
        for n in 0..3000 {
            frames.count(&frame(1, 4, 2 * n + 1, b"head"));
        }
        assert_eq!(frames.answered.len(), MAX_ANSWERED);
    }
}
