//! The single pass over a body: checks its grammar and depth, and records the values that a [`Shape`] lists.
//!
//! Listed values are read by recursion, as deep as the shape; all others are skipped in a loop.

use super::cursor::{Cursor, Text};
use super::malformed::{Malformed, Reason};
use super::outline::{Kind, Name, Node, Outline};
use super::skip::{enter, skip};
use super::{escape, outline};

/// The parts of a value that are recorded; the rest is only checked.
#[derive(Debug)]
pub enum Shape {
    /// Only the value as a whole.
    Opaque,
    /// The members of an object: those with a listed name by that name's shape, the others as opaque values.
    Object(&'static [(&'static str, Shape)]),
    /// The elements of an array, each by this shape.
    Elements(&'static Shape),
}

/// The number of nodes of ordinary bodies, so that one allocation is enough for them.
const ORDINARY_NODES: usize = 24;

/// Checks that `body` is one JSON value in UTF-8 (RFC 8259, without a byte order mark) with at most `max_depth` nested
/// arrays and objects, and records the positions of the values that `shape` lists.
///
/// A value of another kind than its shape is recorded with its kind, and its content is not read. A shape that contains
/// itself is followed by recursion: `max_depth` must then be small.
///
/// # Errors
///
/// The first fault, with its offset. An escaped half of a surrogate pair is a fault in a name of an object that is
/// read, because a parser that drops it would see another name. Elsewhere it is accepted, as in the grammar.
pub fn scan<'a>(body: &'a [u8], shape: &'static Shape, max_depth: usize) -> Result<Outline<'a>, Malformed> {
    let text = text(body)?;
    let mut scan = Scan { text, nodes: Vec::with_capacity(ORDINARY_NODES) };
    let mut cursor = Cursor::new(body);
    cursor.blank();
    let mut cursor = scan.value(cursor, shape, outline::ROOT, Name::Nth(0), max_depth)?;
    cursor.blank();
    if !cursor.is_at_end() {
        return Err(cursor.fault(Reason::Trailing));
    }
    Ok(Outline::new(text, scan.nodes))
}

/// Returns the text of a body that is UTF-8 without a byte order mark and whose offsets fit into 32 bits.
pub(super) fn text(body: &[u8]) -> Result<&str, Malformed> {
    if u32::try_from(body.len()).is_err() {
        return Err(Malformed::new(0, Reason::Length, false));
    }
    let text = simdutf8::basic::from_utf8(body).map_err(|_| not_utf8(body))?;
    if text.starts_with('\u{feff}') {
        return Err(Malformed::new(0, Reason::ByteOrderMark, false));
    }
    Ok(text)
}

#[cold]
fn not_utf8(body: &[u8]) -> Malformed {
    let valid = std::str::from_utf8(body).map_or_else(|fault| fault.valid_up_to(), str::len);
    let is_utf16 = body.starts_with(b"\xff\xfe") || body.starts_with(b"\xfe\xff");
    Malformed::new(valid, if is_utf16 { Reason::ByteOrderMark } else { Reason::Utf8 }, false)
}

/// The listed members with their shapes.
type Members = &'static [(&'static str, Shape)];

struct Scan<'a> {
    text: &'a str,
    nodes: Vec<Node>,
}

impl<'a> Scan<'a> {
    /// Records the value that begins here and may have `max_depth` levels of arrays and objects, including itself.
    fn value(
        &mut self,
        cursor: Cursor<'a>,
        shape: &'static Shape,
        parent: usize,
        name: Name,
        max_depth: usize,
    ) -> Result<Cursor<'a>, Malformed> {
        let start = cursor.at();
        let node = self.nodes.len();
        self.nodes.push(Node::open(parent, name, start));
        let (kind, cursor) = match (cursor.peek(), shape) {
            (b'{', Shape::Object(members)) => (Kind::Object, self.object(cursor, members, node, max_depth)?),
            (b'[', Shape::Elements(shape)) => (Kind::Array, self.array(cursor, shape, node, max_depth)?),
            _ => skip(cursor, max_depth)?,
        };
        let next = self.nodes.len();
        if let Some(node) = self.nodes.get_mut(node) {
            node.close(kind, cursor.at(), next);
        }
        Ok(cursor)
    }

    fn object(
        &mut self,
        mut cursor: Cursor<'a>,
        members: Members,
        node: usize,
        max_depth: usize,
    ) -> Result<Cursor<'a>, Malformed> {
        enter(&mut cursor, max_depth)?;
        let mut closed = cursor.take(b'}');
        let mut expected = Reason::NameOrBrace;
        while !closed {
            let name = cursor.name(expected)?;
            let shape = self.shape_of(name, members)?;
            cursor = self.value(cursor, shape, node, Name::Text(name), max_depth - 1)?;
            cursor.blank();
            closed = !cursor.comma(b'}', Reason::CommaOrBrace)?;
            expected = Reason::Name;
        }
        Ok(cursor)
    }

    fn array(
        &mut self,
        mut cursor: Cursor<'a>,
        shape: &'static Shape,
        node: usize,
        max_depth: usize,
    ) -> Result<Cursor<'a>, Malformed> {
        enter(&mut cursor, max_depth)?;
        let mut closed = cursor.take(b']');
        let mut before = 0;
        while !closed {
            cursor = self.value(cursor, shape, node, Name::Nth(before), max_depth - 1)?;
            cursor.blank();
            closed = !cursor.comma(b']', Reason::CommaOrBracket)?;
            before += 1;
        }
        Ok(cursor)
    }

    /// Returns the shape of the member with this name.
    fn shape_of(&self, name: Text, members: Members) -> Result<&'static Shape, Malformed> {
        let raw = self.text.get(name.start..name.end).unwrap_or_default();
        let text = if name.escaped {
            &escape::exact(raw).ok_or_else(|| Malformed::new(name.start, Reason::LoneSurrogate, false))?
        } else {
            raw
        };
        Ok(members.iter().find(|(listed, _)| *listed == text).map_or(&Shape::Opaque, |(_, shape)| shape))
    }
}
