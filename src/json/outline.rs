//! What was recorded of a body: where the values lie that are read, and how they hang together.

use super::cursor::Text;
use super::value::{Kind, Value};

/// The parent of the outermost value.
pub(super) const ROOT: usize = u32::MAX as usize;

/// What a value is called where it stands.
pub(super) enum Name {
    /// A member's name.
    Text(Text),
    /// How many elements come before it; 0 for the outermost value.
    Nth(usize),
}

/// A value's place. Offsets are of 32 bits because a hostile body is mostly members; the body's length was checked.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) name_escaped: bool,
    pub(super) start: u32,
    pub(super) end: u32,
    /// Where a member's name lies, without its quotes; of an element, `name_start` is how many come before it.
    pub(super) name_start: u32,
    pub(super) name_end: u32,
    pub(super) parent: u32,
    /// The node behind all that is inside this one.
    pub(super) next: u32,
}

impl Node {
    /// A node whose end is not known yet.
    #[inline]
    pub(super) fn open(parent: usize, name: Name, start: usize) -> Self {
        let start = short(start);
        let name = match name {
            Name::Text(text) => text,
            Name::Nth(before) => Text { start: before, end: before, escaped: false },
        };
        Self {
            kind: Kind::Null,
            name_escaped: name.escaped,
            start,
            end: start,
            name_start: short(name.start),
            name_end: short(name.end),
            parent: short(parent),
            next: 0,
        }
    }

    #[inline]
    pub(super) fn close(&mut self, kind: Kind, end: usize, next: usize) {
        self.kind = kind;
        self.end = short(end);
        self.next = short(next);
    }
}

fn short(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

/// The values of a body that its [`Shape`](super::Shape) asked for, in the order of the body.
#[derive(Debug)]
pub struct Outline<'a> {
    text: &'a str,
    pub(super) nodes: Vec<Node>,
}

impl<'a> Outline<'a> {
    /// The first of `nodes` is the outermost value.
    pub(super) fn new(text: &'a str, nodes: Vec<Node>) -> Self {
        Self { text, nodes }
    }

    /// The outermost value.
    #[must_use]
    pub fn root(&self) -> Value<'_> {
        Value::new(self, 0)
    }

    /// Every member of an object that is read whose name, unescaped, an earlier member of that object has.
    ///
    /// The time it takes grows with the number of members, not with its square.
    pub fn duplicates(&self) -> impl Iterator<Item = Value<'_>> {
        let objects = self.nodes.iter().enumerate().filter(|(_, node)| node.kind == Kind::Object);
        objects.flat_map(|(node, _)| Value::new(self, node).repeated())
    }

    pub(super) fn slice(&self, start: u32, end: u32) -> &'a str {
        self.text.get(start as usize..end as usize).unwrap_or_default()
    }
}
