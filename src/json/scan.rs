//! One pass over the bytes: grammar (RFC 8259), UTF-8, depth, and an outline of the parts that are read.
//!
//! What is not read is skipped without recursion, so no nesting exhausts the stack; what is read nests as deep as its
//! [`Shape`], which is written in the source.

use std::fmt;
use std::ops::Range;

use wide::u8x32;

use super::outline::{Kind, Node, Outline, decode};

/// The deepest nesting that a caller of [`scan`] can allow.
pub const DEEPEST: usize = 128;

/// Which parts of a text are read. A value of another kind than its shape is recorded, and skipped inside.
#[derive(Debug)]
pub enum Shape {
    /// Checked for grammar, not looked into.
    Opaque,
    /// The members of an object are recorded; those listed are read by their shapes, all others are opaque.
    Object(&'static [(&'static str, Shape)]),
    /// The elements of an array are recorded and read.
    Elements(&'static Shape),
}

/// Why a text is no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// The byte at which it is seen, counted from 0.
    pub offset: usize,
    /// What is wrong there.
    pub reason: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "malformed JSON at byte {}: {}", self.offset, self.reason)
    }
}

/// Scans a whole text that nests at most `max_depth` deep, [`DEEPEST`] at most.
///
/// # Errors
///
/// The first place at which it is not one JSON value.
pub fn scan<'a>(body: &'a [u8], shape: &'static Shape, max_depth: usize) -> Result<Outline<'a>, Malformed> {
    if simdutf8::basic::from_utf8(body).is_err() {
        // Only std's slower validation tells where.
        let offset = str::from_utf8(body).err().map_or(0, |error| error.valid_up_to());
        return Err(Malformed { offset, reason: "the text must be UTF-8" });
    }
    let nodes = Vec::with_capacity(16);
    let mut scanner = Scanner { body, at: 0, depth: 0, max_depth: max_depth.min(DEEPEST), nodes };
    scanner.skip_space();
    scanner.read(shape, 0, 0..0, false)?;
    scanner.skip_space();
    if scanner.at < body.len() {
        return scanner.fail("nothing may follow the value");
    }
    Ok(Outline::new(body, scanner.nodes))
}

struct Scanner<'a> {
    body: &'a [u8],
    at: usize,
    depth: usize,
    max_depth: usize,
    nodes: Vec<Node>,
}

impl Scanner<'_> {
    fn fail<T>(&self, reason: &'static str) -> Result<T, Malformed> {
        Err(Malformed { offset: self.at, reason })
    }

    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    /// Steps over a byte if it is the next one.
    fn take(&mut self, byte: u8) -> bool {
        let taken = self.peek() == Some(byte);
        self.at += usize::from(taken);
        taken
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn open(&mut self) -> Result<(), Malformed> {
        if self.depth == self.max_depth {
            return self.fail("the value nests too deeply");
        }
        self.at += 1;
        self.depth += 1;
        self.skip_space();
        Ok(())
    }

    fn close(&mut self) {
        self.at += 1;
        self.depth -= 1;
    }

    /// Records the value that begins here, and what its shape names inside.
    fn read(
        &mut self,
        shape: &'static Shape,
        parent: usize,
        name: Range<usize>,
        escaped: bool,
    ) -> Result<(), Malformed> {
        let index = self.nodes.len();
        let start = self.at;
        let kind = Kind::of(self.peek());
        self.nodes.push(Node { kind, parent, after: 0, name, escaped, span: start..start });
        match (shape, kind) {
            (Shape::Object(listed), Kind::Object) => self.read_object(listed, index)?,
            (Shape::Elements(shape), Kind::Array) => self.read_array(shape, index)?,
            _ => self.skip_value()?,
        }
        let after = self.nodes.len();
        if let Some(node) = self.nodes.get_mut(index) {
            node.span = start..self.at;
            node.after = after;
        }
        Ok(())
    }

    fn read_object(&mut self, listed: &'static [(&'static str, Shape)], index: usize) -> Result<(), Malformed> {
        self.open()?;
        if self.peek() == Some(b'}') {
            self.close();
            return Ok(());
        }
        loop {
            let (name, escaped) = self.name()?;
            let shape = self.shape_of(&name, escaped, listed)?;
            self.read(shape, index, name, escaped)?;
            if !self.goes_on(b'}', "a comma or } must follow a member")? {
                return Ok(());
            }
        }
    }

    fn read_array(&mut self, shape: &'static Shape, index: usize) -> Result<(), Malformed> {
        self.open()?;
        if self.peek() == Some(b']') {
            self.close();
            return Ok(());
        }
        loop {
            self.read(shape, index, 0..0, false)?;
            if !self.goes_on(b']', "a comma or ] must follow an element")? {
                return Ok(());
            }
        }
    }

    /// Steps over what follows a member or an element: whether another one does.
    fn goes_on(&mut self, end: u8, reason: &'static str) -> Result<bool, Malformed> {
        self.skip_space();
        if self.take(b',') {
            self.skip_space();
            return Ok(true);
        }
        if self.peek() != Some(end) {
            return self.fail(reason);
        }
        self.close();
        Ok(false)
    }

    fn shape_of(
        &self,
        name: &Range<usize>,
        escaped: bool,
        listed: &'static [(&'static str, Shape)],
    ) -> Result<&'static Shape, Malformed> {
        let raw = self.body.get(name.clone()).unwrap_or_default();
        // A reader that drops half a character would take "ten\ud800ant" for "tenant".
        let Some(name) = decode(raw, escaped) else {
            return Err(Malformed { offset: name.start, reason: "a member's name has an unpaired surrogate" });
        };
        Ok(listed.iter().find(|(known, _)| *known == name).map_or(&Shape::Opaque, |(_, shape)| shape))
    }

    /// Steps over a member's name and its colon: where the name is, without quotes, and whether it has escapes.
    fn name(&mut self) -> Result<(Range<usize>, bool), Malformed> {
        if self.peek() != Some(b'"') {
            return self.fail("a member's name in double quotes was expected");
        }
        let start = self.at + 1;
        let escaped = self.string()?;
        let name = start..self.at - 1;
        self.skip_space();
        if !self.take(b':') {
            return self.fail("a colon must follow a member's name");
        }
        self.skip_space();
        Ok((name, escaped))
    }

    /// Steps over a value of any kind, without recursion.
    fn skip_value(&mut self) -> Result<(), Malformed> {
        let outside = self.depth;
        // One bit for each open container, set for objects; the innermost is the lowest.
        let mut objects: u128 = 0;
        loop {
            match Kind::of(self.peek()) {
                Kind::Object => {
                    self.open()?;
                    if self.peek() == Some(b'}') {
                        self.close();
                    } else {
                        objects = objects << 1 | 1;
                        self.name()?;
                        continue;
                    }
                }
                Kind::Array => {
                    self.open()?;
                    if self.peek() == Some(b']') {
                        self.close();
                    } else {
                        objects <<= 1;
                        continue;
                    }
                }
                _ => self.scalar()?,
            }
            // A value has ended: so may those around it.
            loop {
                if self.depth == outside {
                    return Ok(());
                }
                let in_object = objects & 1 == 1;
                let (end, reason) = if in_object {
                    (b'}', "a comma or } must follow a member")
                } else {
                    (b']', "a comma or ] must follow an element")
                };
                if self.goes_on(end, reason)? {
                    if in_object {
                        self.name()?;
                    }
                    break;
                }
                objects >>= 1;
            }
        }
    }

    fn scalar(&mut self) -> Result<(), Malformed> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            Some(_) => self.fail("a value was expected"),
            None => self.fail("the text ends where a value was expected"),
        }
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), Malformed> {
        if !self.body.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return self.fail("a value was expected; the only words are true, false and null");
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), Malformed> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        if let Some(b'0'..=b'9') = self.peek() {
            return self.fail("a number must not begin with 0");
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { self.fail("a digit was expected") } else { Ok(()) }
    }

    /// Steps over a string, its quotes included: whether it has escapes.
    fn string(&mut self) -> Result<bool, Malformed> {
        self.at += 1;
        let mut escaped = false;
        loop {
            self.run();
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return self.fail("a control character in a string must be escaped"),
                None => return self.fail("the text ends within a string"),
            }
        }
    }

    /// Steps to the next byte of a string that is not simply a part of it.
    fn run(&mut self) {
        let rest = self.body.get(self.at..).unwrap_or_default();
        let mut chunks = rest.chunks_exact(32);
        for chunk in chunks.by_ref() {
            let chunk: [u8; 32] = chunk.try_into().unwrap_or_default();
            let chunk = u8x32::new(chunk);
            let special = chunk.simd_eq(u8x32::splat(b'"'))
                | chunk.simd_eq(u8x32::splat(b'\\'))
                | chunk.simd_lt(u8x32::splat(0x20));
            let special = special.to_bitmask();
            if special != 0 {
                self.at += special.trailing_zeros() as usize;
                return;
            }
            self.at += 32;
        }
        let plain = |byte: &u8| *byte != b'"' && *byte != b'\\' && *byte >= 0x20;
        self.at += chunks.remainder().iter().take_while(|byte| plain(byte)).count();
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return self.fail("four hexadecimal digits must follow \\u");
                    }
                    self.at += 1;
                }
            }
            _ => return self.fail("no such escape in a string"),
        }
        Ok(())
    }
}
