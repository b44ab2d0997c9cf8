//! The outline of a body: the positions of the values that are read, and their tree.

use super::cursor::Text;

/// The kind of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number of any size, as written.
    Number,
    /// A string.
    String,
    /// An object.
    Object,
    /// An array.
    Array,
}

/// The parent index of the outermost value.
pub(super) const ROOT: usize = u32::MAX as usize;

/// The name or index of a value in its container.
pub(super) enum Name {
    /// A member's name.
    Text(Text),
    /// The index of an element; 0 for the outermost value.
    Nth(usize),
}

/// A value's position. Offsets have 32 bits to save memory, because a hostile body may consist mostly of members. The
/// body's length was checked.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) name_escaped: bool,
    pub(super) start: u32,
    pub(super) end: u32,
    /// The position of a member's name, without its quotes. For an element, `name_start` is its index.
    pub(super) name_start: u32,
    pub(super) name_end: u32,
    pub(super) parent: u32,
    /// The index of the node after all nodes inside this one.
    pub(super) next: u32,
}

impl Node {
    /// Creates a node whose end is not known yet.
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

/// The values of a body that its [`Shape`](super::Shape) lists, in the order of the body.
#[derive(Debug)]
pub struct Outline<'a> {
    text: &'a str,
    pub(super) nodes: Vec<Node>,
}

impl<'a> Outline<'a> {
    /// Creates an outline; the first of `nodes` is the outermost value.
    pub(super) fn new(text: &'a str, nodes: Vec<Node>) -> Self {
        Self { text, nodes }
    }

    pub(super) fn slice(&self, start: u32, end: u32) -> &'a str {
        self.text.get(start as usize..end as usize).unwrap_or_default()
    }
}
