//! A single pass over a body that records nothing: objects and arrays are entered by functions that are called for each of
//! their members and elements. So a body takes no memory, however many members it has.

use std::borrow::Cow;
use std::ops::Range;

use super::cursor::{Cursor, Text};
use super::escape;
use super::malformed::{Malformed, Reason};
use super::outline::Kind;
use super::scan;
use super::skip::{enter, skip};

/// A position in a body at which a value begins, or before which one has ended.
#[derive(Debug)]
pub struct Walk<'a> {
    text: &'a str,
    cursor: Cursor<'a>,
    depth: usize,
}

/// A value that was skipped.
#[derive(Debug, Clone)]
pub struct Token<'a> {
    text: &'a str,
    kind: Kind,
    start: usize,
    end: usize,
}

/// A member's name.
#[derive(Debug, Clone)]
pub struct Name<'a> {
    text: Cow<'a, str>,
    start: usize,
}

impl<'a> Walk<'a> {
    /// Begins at the value of a body, in which at most `max_depth` arrays and objects may be nested.
    ///
    /// # Errors
    ///
    /// If the body is not UTF-8, begins with a byte order mark, or is too long.
    pub fn new(body: &'a [u8], max_depth: usize) -> Result<Self, Malformed> {
        let text = scan::text(body)?;
        let mut cursor = Cursor::new(body);
        cursor.blank();
        Ok(Self { text, cursor, depth: max_depth })
    }

    /// Returns whether the value that begins here is an object, or else no value.
    #[must_use]
    pub fn is_object(&self) -> bool {
        self.cursor.peek() == b'{'
    }

    /// Returns whether the value that begins here is an array, or else no value.
    #[must_use]
    pub fn is_array(&self) -> bool {
        self.cursor.peek() == b'['
    }

    /// Returns the offset in the body: that of the value that begins here, or that behind the value that has ended.
    #[must_use]
    pub fn at(&self) -> usize {
        self.cursor.at()
    }

    /// Skips the value that begins here.
    ///
    /// # Errors
    ///
    /// If it is not JSON or is nested too deep.
    #[inline]
    pub fn skip(&mut self) -> Result<Token<'a>, Malformed> {
        let start = self.cursor.at();
        let (kind, cursor) = skip(self.cursor, self.depth)?;
        self.cursor = cursor;
        Ok(Token { text: self.text, kind, start, end: cursor.at() })
    }

    /// Enters the object that begins here. `member` is called for each of its members, at the value, which it must skip or enter.
    ///
    /// # Errors
    ///
    /// If it is not an object in JSON, if a name has an escaped half of a surrogate pair, or the first error of `member`.
    pub fn object<E: From<Malformed>>(
        &mut self,
        mut member: impl FnMut(&mut Self, Name<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.is_object() {
            return Err(self.cursor.fault(Reason::Value).into());
        }
        let mut is_closed = self.enter(b'}')?;
        let mut expected = Reason::NameOrBrace;
        while !is_closed {
            let name = self.cursor.name(expected)?;
            member(self, self.name(name)?)?;
            is_closed = self.is_closed(b'}', Reason::CommaOrBrace)?;
            expected = Reason::Name;
        }
        self.depth += 1;
        Ok(())
    }

    /// Enters the array that begins here. `element` is called for each of its elements, at the value, which it must skip or enter.
    ///
    /// # Errors
    ///
    /// If it is not an array in JSON, or the first error of `element`.
    pub fn array<E: From<Malformed>>(&mut self, mut element: impl FnMut(&mut Self) -> Result<(), E>) -> Result<(), E> {
        if !self.is_array() {
            return Err(self.cursor.fault(Reason::Value).into());
        }
        let mut is_closed = self.enter(b']')?;
        while !is_closed {
            element(self)?;
            is_closed = self.is_closed(b']', Reason::CommaOrBracket)?;
        }
        self.depth += 1;
        Ok(())
    }

    /// Ends after the value of the body.
    ///
    /// # Errors
    ///
    /// If something other than white space follows.
    pub fn finish(mut self) -> Result<(), Malformed> {
        self.cursor.blank();
        if self.cursor.is_at_end() { Ok(()) } else { Err(self.cursor.fault(Reason::Trailing)) }
    }

    /// Skips the opening bracket or brace; returns whether it is closed at once.
    fn enter(&mut self, end: u8) -> Result<bool, Malformed> {
        enter(&mut self.cursor, self.depth)?;
        self.depth -= 1;
        Ok(self.cursor.take(end))
    }

    /// Skips a comma or the closing bracket or brace; returns whether it was the latter.
    #[inline]
    fn is_closed(&mut self, end: u8, expected: Reason) -> Result<bool, Malformed> {
        self.cursor.blank();
        self.cursor.comma(end, expected).map(|is_comma| !is_comma)
    }

    #[inline]
    fn name(&self, Text { start, end, escaped }: Text) -> Result<Name<'a>, Malformed> {
        let raw = self.text.get(start..end).unwrap_or_default();
        let text = if escaped { escape::exact(raw) } else { Some(Cow::Borrowed(raw)) };
        let text = text.ok_or_else(|| Malformed::new(start, Reason::LoneSurrogate, false))?;
        Ok(Name { text, start: start - 1 })
    }
}

impl Token<'_> {
    /// Returns its range in the body, including quotes, braces and brackets.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Returns its text as written.
    #[must_use]
    pub fn raw(&self) -> &str {
        self.text.get(self.start..self.end).unwrap_or_default()
    }

    /// Returns whether it is a string with exactly this text, unescaped. A string with a lone half of a surrogate pair never is.
    #[must_use]
    pub fn is_text(&self, text: &str) -> bool {
        self.raw_text().is_some_and(|raw| escape::means(raw, text))
    }

    /// Returns a string's text, unescaped; `None` if it is not a string, or has a lone half of a surrogate pair.
    #[must_use]
    pub fn exact_text(&self) -> Option<Cow<'_, str>> {
        self.raw_text().and_then(escape::exact)
    }

    fn raw_text(&self) -> Option<&str> {
        (self.kind == Kind::String).then(|| self.text.get(self.start + 1..self.end - 1)).flatten()
    }
}

impl Name<'_> {
    /// Returns it unescaped.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the offset of its opening quote in the body.
    #[must_use]
    pub fn start(&self) -> usize {
        self.start
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::Shape;

    /// Enters every object and array down to a depth, and skips the rest.
    fn walk(walk: &mut Walk<'_>, depth: usize) -> Result<usize, Malformed> {
        let mut values = 1;
        if depth > 0 && walk.is_object() {
            walk.object(|at, _| self::walk(at, depth - 1).map(|inner| values += inner))?;
        } else if depth > 0 && walk.is_array() {
            walk.array(|at| self::walk(at, depth - 1).map(|inner| values += inner))?;
        } else {
            walk.skip()?;
        }
        Ok(values)
    }

    fn walked(body: &str, entered: usize, max_depth: usize) -> Result<usize, Malformed> {
        let mut at = Walk::new(body.as_bytes(), max_depth)?;
        let values = walk(&mut at, entered)?;
        at.finish().map(|()| values)
    }

    #[test]
    fn names_and_values_are_shown_where_they_lie() {
        let body = r#" {"a" : -12 , "\u0062":[true,"\u0041\""] } "#;
        let mut shown = Vec::new();
        let mut at = Walk::new(body.as_bytes(), 2).unwrap();
        at.object(|at, name| {
            let start = at.at();
            let token = at.skip()?;
            assert_eq!(token.span(), start..at.at());
            assert_eq!(body.as_bytes()[name.start()], b'"');
            assert_eq!(&body.as_bytes()[token.span()], token.raw().as_bytes());
            shown.push((name.text().to_owned(), token.raw().to_owned()));
            Ok::<_, Malformed>(())
        })
        .unwrap();
        at.finish().unwrap();
        let expected = [("a", "-12"), ("b", r#"[true,"\u0041\""]"#)];
        assert_eq!(shown, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_string_means_its_text_and_half_a_surrogate_pair_means_none() {
        let token = |body: &'static str| Walk::new(body.as_bytes(), 1).unwrap().skip().unwrap();
        assert_eq!(token(r#""\u0041\"""#).exact_text().as_deref(), Some("A\""));
        assert!(token(r#""\u0041""#).is_text("A") && !token("1").is_text("1"));
        assert_eq!(token("null").exact_text(), None);
        assert_eq!(token(r#""\ud800""#).exact_text(), None);
        assert!(!token(r#""\ud800""#).is_text("\u{fffd}"));
        assert_eq!(walked(r#"{"\ud800":1}"#, 1, 8).unwrap_err().reason(), Reason::LoneSurrogate);
    }

    #[test]
    fn a_member_that_is_not_skipped_and_a_value_of_another_kind_are_faults() {
        let mut at = Walk::new(br#"{"a":1}"#, 8).unwrap();
        let fault = at.object(|_, _| Ok::<_, Malformed>(())).unwrap_err();
        assert_eq!(fault.reason(), Reason::CommaOrBrace);
        for body in ["1", "", "]"] {
            let mut at = Walk::new(body.as_bytes(), 8).unwrap();
            assert!(at.object(|at, _| at.skip().map(drop)).is_err() && at.array(|at| at.skip().map(drop)).is_err());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_entered_is_accepted_exactly_if_it_is_accepted_when_it_is_skipped(
            tokens in prop::collection::vec(prop::sample::select(vec![
                "{", "}", "[", "]", ":", ",", "\"a\":", "\"c\"", "1", "0", "-", ".", "e", " ", "null", "\"", "\\", "{}", "[[",
            ]), 0..10),
            max_depth in 0..4_usize,
        ) {
            let body = tokens.concat();
            let skipped = scan::scan(body.as_bytes(), &Shape::Opaque, max_depth).map(drop);
            for entered in 0..5 {
                prop_assert_eq!(walked(&body, entered, max_depth).map(drop), skipped, "{}", body);
            }
        }
    }
}
