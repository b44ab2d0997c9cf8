//! HTTP/2 frame by frame, in ways that no client library allows.

use std::io::{Read, Write};

use super::EXECUTE;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// An HTTP/2 connection.
pub(crate) struct FrameConnection<S>(S);

/// A received frame.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// Returns the bytes of a frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Returns a header block in which nothing is indexed or compressed.
pub(crate) fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).ok().filter(|length| *length < 127).unwrap());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// Returns the headers of a start.
pub(crate) fn start() -> Vec<(&'static str, &'static str)> {
    vec![
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", EXECUTE),
        ("content-type", "application/json"),
    ]
}

impl<S: Read + Write> FrameConnection<S> {
    pub(crate) fn new(stream: S) -> FrameConnection<S> {
        FrameConnection(stream)
    }

    /// Sends the preface and empty settings.
    pub(crate) fn begin(mut self) -> FrameConnection<S> {
        self.send(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat());
        self
    }

    /// Writes bytes as they are; the other side may have closed already.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        drop(self.0.write_all(bytes).and_then(|()| self.0.flush()));
    }

    /// Reads the next frame; returns `None` if the connection has ended.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.0.read_exact(&mut payload).ok()?;
        Some(Frame { kind: head[3], stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload })
    }

    /// Reads until a GOAWAY, and returns its code; `None` if the connection ends without one.
    pub(crate) fn goaway(&mut self) -> Option<u32> {
        let frame = std::iter::from_fn(|| self.next()).find(|frame| frame.kind == GOAWAY)?;
        Some(u32::from_be_bytes(frame.payload[4..8].try_into().unwrap()))
    }

    /// Reads until a stream is answered or ends, and returns which.
    pub(crate) fn outcome(&mut self, stream: u32) -> StreamEnd {
        while let Some(frame) = self.next() {
            match frame.kind {
                RST_STREAM if frame.stream == stream => {
                    return StreamEnd::Reset(u32::from_be_bytes(frame.payload[..4].try_into().unwrap()));
                }
                GOAWAY => return StreamEnd::Goaway(u32::from_be_bytes(frame.payload[4..8].try_into().unwrap())),
                HEADERS if frame.stream == stream => return StreamEnd::Answered(frame.payload[0]),
                _ => {}
            }
        }
        StreamEnd::Closed
    }
}

/// The end of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum StreamEnd {
    Reset(u32),
    Goaway(u32),
    /// An answer, with the first byte of its headers, which is the index of a common status.
    Answered(u8),
    Closed,
}
