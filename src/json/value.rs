//! One value of an outline.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use super::escape;
use super::outline::{Kind, Node, Outline, ROOT};

/// The number of members up to which they are compared with each other; more are hashed.
const FEW: usize = 8;

/// A recorded value.
#[derive(Debug, Clone, Copy)]
pub struct Value<'o> {
    outline: &'o Outline<'o>,
    node: usize,
}

impl Outline<'_> {
    /// Returns the outermost value.
    #[must_use]
    pub fn root(&self) -> Value<'_> {
        Value::new(self, 0)
    }

    /// Returns, in the objects that are read, every member with the unescaped name of an earlier member of the object.
    ///
    /// The time grows linearly with the number of members.
    pub fn duplicates(&self) -> impl Iterator<Item = Value<'_>> {
        let objects = self.nodes.iter().enumerate().filter(|(_, node)| node.kind == Kind::Object);
        objects.flat_map(|(node, _)| Value::new(self, node).repeated())
    }
}

impl<'o> Value<'o> {
    fn new(outline: &'o Outline<'o>, node: usize) -> Self {
        Self { outline, node }
    }

    /// Every index comes from the outline itself, so the empty node is never returned.
    fn node(self) -> &'o Node {
        const NOTHING: &Node = &Node {
            kind: Kind::Null,
            name_escaped: false,
            start: 0,
            end: 0,
            name_start: 0,
            name_end: 0,
            parent: u32::MAX,
            next: u32::MAX,
        };
        self.outline.nodes.get(self.node).unwrap_or(NOTHING)
    }

    /// Returns its kind.
    #[must_use]
    pub fn kind(self) -> Kind {
        self.node().kind
    }

    /// Returns its range in the body, including quotes, braces and brackets.
    #[must_use]
    pub fn span(self) -> Range<usize> {
        self.node().start as usize..self.node().end as usize
    }

    /// Returns its text as written.
    #[must_use]
    pub fn raw(self) -> &'o str {
        self.outline.slice(self.node().start, self.node().end)
    }

    /// Returns the members of an object that is read, in the order of the body; nothing for other values.
    pub fn members(self) -> impl Iterator<Item = Value<'o>> {
        self.children(Kind::Object)
    }

    /// Returns the elements of an array that is read, in the order of the body; nothing for other values.
    pub fn elements(self) -> impl Iterator<Item = Value<'o>> {
        self.children(Kind::Array)
    }

    fn children(self, of: Kind) -> impl Iterator<Item = Value<'o>> {
        let end = if self.kind() == of { self.node().next as usize } else { 0 };
        let child = move |node| (node < end).then_some(Value { outline: self.outline, node });
        std::iter::successors(child(self.node + 1), move |before| child(before.node().next as usize))
    }

    /// Returns the first member with this name, compared unescaped.
    #[must_use]
    pub fn get(self, name: &str) -> Option<Value<'o>> {
        self.members().find(|member| member.is_named(name))
    }

    /// Returns a member's name, unescaped; `None` if the value is not a member.
    #[must_use]
    pub fn name(self) -> Option<Cow<'o, str>> {
        let raw = self.raw_name()?;
        Some(if self.node().name_escaped { escape::lossy(raw) } else { Cow::Borrowed(raw) })
    }

    /// Returns whether it is a member with this name, unescaped.
    #[must_use]
    pub fn is_named(self, name: &str) -> bool {
        let escaped = self.node().name_escaped;
        self.raw_name().is_some_and(|raw| if escaped { escape::means(raw, name) } else { raw == name })
    }

    fn raw_name(self) -> Option<&'o str> {
        let Node { name_start, name_end, .. } = *self.node();
        (self.parent()?.kind() == Kind::Object).then(|| self.outline.slice(name_start, name_end))
    }

    fn parent(self) -> Option<Value<'o>> {
        let node = self.node().parent as usize;
        (node != ROOT).then_some(Value { outline: self.outline, node })
    }

    fn raw_text(self) -> Option<&'o str> {
        let Node { kind, start, end, .. } = *self.node();
        (kind == Kind::String).then(|| self.outline.slice(start + 1, end - 1))
    }

    /// Returns a string's text, unescaped, with U+FFFD for every lone half of a surrogate pair; `None` if the value is
    /// not a string.
    #[must_use]
    pub fn text(self) -> Option<Cow<'o, str>> {
        self.raw_text().map(escape::lossy)
    }

    /// Returns whether it is a string with exactly this text, unescaped. A string with a lone half of a surrogate pair
    /// never is.
    #[must_use]
    pub fn is_text(self, text: &str) -> bool {
        self.raw_text().is_some_and(|raw| escape::means(raw, text))
    }

    /// Returns whether it is a number written without fraction and exponent, of any size.
    #[must_use]
    pub fn is_integer(self) -> bool {
        self.kind() == Kind::Number && !self.raw().contains(['.', 'e', 'E'])
    }

    /// Returns it as an integer (see [`is_integer`](Self::is_integer)), if it fits into a signed 64-bit number.
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        if self.is_integer() { self.raw().parse().ok() } else { None }
    }

    /// Returns its JSON pointer (RFC 6901), with unescaped names; empty for the outermost value.
    #[must_use]
    pub fn pointer(self) -> String {
        let mut way = vec![self];
        way.extend(std::iter::successors(self.parent(), |value| value.parent()));
        let mut pointer = String::new();
        for step in way.iter().rev().skip(1) {
            pointer.push('/');
            match step.name() {
                Some(name) => pointer.push_str(&name.replace('~', "~0").replace('/', "~1")),
                None => pointer.push_str(&step.node().name_start.to_string()),
            }
        }
        pointer
    }

    /// Returns the members of this object that have the name of an earlier member.
    fn repeated(self) -> Vec<Value<'o>> {
        let count = self.members().count();
        if count > FEW {
            // The standard hasher is seeded at random, so that no caller can choose names that collide.
            let mut seen = HashSet::with_capacity(count);
            return self.members().filter(|member| !seen.insert(member.name())).collect();
        }
        let came_before = |member: &Value<'o>| {
            self.members().take_while(|earlier| earlier.node < member.node).any(|earlier| earlier.same_name(*member))
        };
        self.members().filter(came_before).collect()
    }

    fn same_name(self, other: Value<'o>) -> bool {
        let (one, two) = (self.node(), other.node());
        if one.name_escaped || two.name_escaped {
            return self.name() == other.name();
        }
        one.name_end - one.name_start == two.name_end - two.name_start
            && self.outline.slice(one.name_start, one.name_end) == self.outline.slice(two.name_start, two.name_end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Reason, Shape, scan};

    static READ: Shape = Shape::Object(&[
        ("a", Shape::Object(&[("deep", Shape::Object(&[]))])),
        ("list", Shape::Elements(&Shape::Object(&[]))),
    ]);

    fn read(body: &str) -> Outline<'_> {
        scan(body.as_bytes(), &READ, 8).unwrap()
    }

    fn duplicates(body: &str) -> Vec<String> {
        read(body).duplicates().map(Value::pointer).collect()
    }

    #[test]
    fn values_are_found_where_they_lie() {
        let body = r#" {"a" : {"x": -12, "y":"\u0041\"","deep":{"z":null}} , "list":[{},[1],{"k":true}], "n":1.0} "#;
        let outline = read(body);
        let root = outline.root();
        let (a, list) = (root.get("a").unwrap(), root.get("list").unwrap());
        assert_eq!((root.kind(), root.span()), (Kind::Object, 1..body.len() - 1));
        assert_eq!(a.get("x").unwrap().raw(), "-12");
        assert_eq!(a.get("x").unwrap().as_i64(), Some(-12));
        assert_eq!(a.get("y").unwrap().text().unwrap(), "A\"");
        assert_eq!(a.get("y").unwrap().raw(), r#""\u0041\"""#);
        assert_eq!(a.get("deep").unwrap().get("z").unwrap().kind(), Kind::Null);
        let kinds: Vec<Kind> = list.elements().map(Value::kind).collect();
        assert_eq!(kinds, [Kind::Object, Kind::Array, Kind::Object]);
        assert_eq!(list.elements().last().unwrap().get("k").unwrap().raw(), "true");
        let names: Vec<_> = root.members().filter_map(Value::name).collect();
        assert_eq!(names, ["a", "list", "n"]);
    }

    #[test]
    fn what_is_opaque_or_of_another_kind_is_recorded_and_not_read() {
        let outline = read(r#"{"a":[{"x":1}],"list":{"x":1},"other":{"x":1}}"#);
        let root = outline.root();
        let kinds: Vec<Kind> = root.members().map(Value::kind).collect();
        assert_eq!(kinds, [Kind::Array, Kind::Object, Kind::Object]);
        for member in root.members() {
            assert_eq!(member.members().count() + member.elements().count(), 0, "{}", member.raw());
        }
        assert!(root.get("x").is_none());
    }

    #[test]
    fn names_are_compared_unescaped() {
        let outline = read(r#"{"\u0061":{"\u0064eep":{"k":1}}, "a\\u0062":2}"#);
        let root = outline.root();
        assert_eq!(root.get("a").unwrap().get("deep").unwrap().get("k").unwrap().raw(), "1");
        assert_eq!(root.get(r"a\u0062").unwrap().raw(), "2");
        assert!(root.get("ab").is_none());
    }

    #[test]
    fn an_integer_is_a_literal_without_fraction_or_exponent() {
        let outline = read(r#"{"list":[0,-0,9223372036854775807,9223372036854775808,1.0,1e2,1E2,"1",true]}"#);
        let list = outline.root().get("list").unwrap();
        let integers: Vec<_> = list.elements().map(|value| (value.is_integer(), value.as_i64())).collect();
        let none = (false, None);
        assert_eq!(
            integers,
            [(true, Some(0)), (true, Some(0)), (true, Some(i64::MAX)), (true, None), none, none, none, none, none]
        );
    }

    #[test]
    fn pointers_escape_tilde_and_slash_and_number_elements() {
        let outline = read(r#"{"a":{"x~y/z":1,"~1":2,"":3,"\u002f":4},"list":[0,{"k":1}]}"#);
        let root = outline.root();
        let members: Vec<_> = root.get("a").unwrap().members().map(Value::pointer).collect();
        assert_eq!(members, ["/a/x~0y~1z", "/a/~01", "/a/", "/a/~1"]);
        let element = root.get("list").unwrap().elements().last().unwrap();
        assert_eq!(element.get("k").unwrap().pointer(), "/list/1/k");
        assert_eq!(root.pointer(), "");
    }

    #[test]
    fn every_repetition_of_a_name_is_a_duplicate_whatever_its_escapes() {
        assert_eq!(duplicates(r#"{"b":1,"c":2,"\u0062":3,"B":4}"#), ["/b"]);
        assert_eq!(
            duplicates(r#"{"a":{"x":1,"x":2,"x":3},"list":[{"k":1},{"k":1,"k":2}]}"#),
            ["/a/x", "/a/x", "/list/1/k"]
        );
        assert_eq!(duplicates(r#"{"a":1,"a":{"deep":{"":1,"":2}}}"#), ["/a", "/a/deep/"]);
        let many: Vec<String> = (0..40).map(|n| format!(r#""k{}":{n}"#, n % 39)).collect();
        assert_eq!(duplicates(&format!(r#"{{"a":{{{}}}}}"#, many.join(","))), ["/a/k0"]);
    }

    #[test]
    fn what_is_not_read_may_repeat_names() {
        assert_eq!(duplicates(r#"{"other":{"x":1,"x":2},"list":[[{"k":1,"k":1}]]}"#), Vec::<String>::new());
    }

    #[test]
    fn a_hundred_thousand_members_are_not_compared_each_with_each() {
        // Comparing each with each takes a quarter of an hour, and the runner ends the test long before.
        let members: Vec<String> = (0..100_000).map(|n| format!(r#""{}":0"#, n / 2)).collect();
        let body = format!("{{{}}}", members.join(","));
        assert_eq!(read(&body).duplicates().count(), 50_000);
    }

    #[test]
    fn half_a_surrogate_pair_is_refused_in_a_name_that_is_read_and_nowhere_else() {
        for body in [r#"{"ten\ud800ant":1}"#, r#"{"a":{"\udc00":1}}"#, r#"{"list":[{"\ud800\ud800":1}]}"#] {
            assert_eq!(scan(body.as_bytes(), &READ, 8).unwrap_err().reason(), Reason::LoneSurrogate, "{body}");
        }
        let outline = read(r#"{"a":{"x":"\ud800"},"other":{"\ud800":1},"\ud83d\ude00":1}"#);
        let value = outline.root().get("a").unwrap().get("x").unwrap();
        assert_eq!(value.text().unwrap(), "\u{fffd}");
        assert!(!value.is_text("\u{fffd}"), "it is not the character that stands for it");
    }
}
