//! What a scan has found: the values that were read, where they are, and the way to each.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

/// The kinds of JSON values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number.
    Number,
    /// A string.
    String,
    /// An object.
    Object,
    /// An array.
    Array,
}

impl Kind {
    /// The kind of the value that begins with a byte; where none does, the scan fails before anybody is told.
    pub(super) fn of(first: Option<u8>) -> Kind {
        match first {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') => Kind::Null,
            _ => Kind::Number,
        }
    }
}

/// One value that was read. Nodes are in the order of the text, so the descendants of one follow it directly.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// The index of the value around it; the root's own for the root.
    pub(super) parent: usize,
    /// The index behind its last descendant.
    pub(super) after: usize,
    /// The member's name without quotes; empty for elements.
    pub(super) name: Range<usize>,
    pub(super) escaped: bool,
    pub(super) span: Range<usize>,
}

/// The values that were read in a text. There is always a root.
#[derive(Debug)]
pub struct Outline<'a> {
    body: &'a [u8],
    nodes: Vec<Node>,
}

/// One value of an [`Outline`].
#[derive(Debug, Clone, Copy)]
pub struct Value<'o> {
    body: &'o [u8],
    nodes: &'o [Node],
    index: usize,
    node: &'o Node,
}

/// Below this many members, comparing all names is faster than hashing them.
const FEW: usize = 12;

impl<'a> Outline<'a> {
    pub(super) fn new(body: &'a [u8], nodes: Vec<Node>) -> Outline<'a> {
        Outline { body, nodes }
    }

    /// The whole text's value.
    #[must_use]
    pub fn root(&self) -> Option<Value<'_>> {
        self.value(0)
    }

    fn value(&self, index: usize) -> Option<Value<'_>> {
        self.nodes.get(index).map(|node| Value { body: self.body, nodes: &self.nodes, index, node })
    }

    /// Every member, in the objects that were read, whose name stood before in the same object. Names are compared after
    /// unescaping; the time is about linear, whatever the names are.
    #[must_use]
    pub fn duplicates(&self) -> Vec<Value<'_>> {
        let values = (0..self.nodes.len()).filter_map(|index| self.value(index));
        values.filter(|value| value.kind() == Kind::Object).flat_map(Value::duplicates).collect()
    }
}

impl<'o> Value<'o> {
    /// Its kind.
    #[must_use]
    pub fn kind(self) -> Kind {
        self.node.kind
    }

    /// Where it is, in bytes.
    #[must_use]
    pub fn span(self) -> Range<usize> {
        self.node.span.clone()
    }

    /// Its bytes.
    #[must_use]
    pub fn raw(self) -> &'o [u8] {
        self.body.get(self.span()).unwrap_or_default()
    }

    /// The values in it, if it was read: members of an object, elements of an array.
    pub fn children(self) -> impl Iterator<Item = Value<'o>> {
        let mut next = self.index + 1;
        std::iter::from_fn(move || {
            let node = self.nodes.get(next).filter(|_| next < self.node.after)?;
            let child = Value { index: next, node, ..self };
            next = node.after;
            Some(child)
        })
    }

    /// The first member of this name.
    #[must_use]
    pub fn get(self, name: &str) -> Option<Value<'o>> {
        self.children().find(|child| child.name() == name)
    }

    /// Its name in the object around it, unescaped.
    #[must_use]
    pub fn name(self) -> Cow<'o, str> {
        // The scan refused names that cannot be decoded.
        decode(self.body.get(self.node.name.clone()).unwrap_or_default(), self.node.escaped).unwrap_or_default()
    }

    /// The text of a string, unescaped; nothing for other kinds, or where an escape is half of a surrogate pair.
    #[must_use]
    pub fn text(self) -> Option<Cow<'o, str>> {
        let content = self.raw().strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        decode(content, content.contains(&b'\\'))
    }

    /// The way to it from the root: a JSON pointer (RFC 6901).
    #[must_use]
    pub fn pointer(self) -> String {
        let Some(parent) = self.parent() else { return String::new() };
        let mut pointer = parent.pointer();
        pointer.push('/');
        if parent.kind() == Kind::Array {
            let position = parent.children().take_while(|sibling| sibling.index < self.index).count();
            pointer.push_str(&position.to_string());
        } else {
            pointer.push_str(&self.name().replace('~', "~0").replace('/', "~1"));
        }
        pointer
    }

    fn parent(self) -> Option<Value<'o>> {
        let index = self.node.parent;
        let node = self.nodes.get(index).filter(|_| self.index > 0)?;
        Some(Value { index, node, ..self })
    }

    fn duplicates(self) -> Vec<Value<'o>> {
        let members: Vec<Value<'o>> = self.children().collect();
        if members.len() > FEW {
            // The hash is keyed: a caller cannot choose names that collide.
            let mut seen = HashSet::with_capacity(members.len());
            return members.into_iter().filter(|member| !seen.insert(member.name())).collect();
        }
        let earlier = |at: usize| members.iter().take(at);
        let repeated = |at: usize, name: &str| earlier(at).any(|other| other.name() == name);
        let members = members.iter().enumerate();
        members.filter(|(at, member)| repeated(*at, &member.name())).map(|(_, member)| *member).collect()
    }
}

/// The text of a string's content; nothing where an escape is half of a surrogate pair.
pub(super) fn decode(content: &[u8], escaped: bool) -> Option<Cow<'_, str>> {
    if escaped {
        let quoted = [b"\"", content, b"\""].concat();
        return serde_json::from_slice(&quoted).ok().map(Cow::Owned);
    }
    // Validated with the whole text; parts of it between ASCII quotes are as valid.
    str::from_utf8(content).ok().map(Cow::Borrowed)
}
