//! Skips an opaque value, and checks its grammar and depth, in a loop instead of recursion, so that deep nesting cannot
//! exhaust the stack.

use super::cursor::Cursor;
use super::malformed::{Malformed, Reason};
use super::nesting::Nesting;
use super::outline::Kind;

/// Skips the value that begins at `cursor` and may have `max_depth` levels of arrays and objects, including itself.
pub(super) fn skip(mut cursor: Cursor<'_>, max_depth: usize) -> Result<(Kind, Cursor<'_>), Malformed> {
    let kind = match cursor.peek() {
        b'{' => Kind::Object,
        b'[' => Kind::Array,
        _ => return scalar(&mut cursor).map(|kind| (kind, cursor)),
    };
    let mut remaining_depth = max_depth;
    let mut nesting = Nesting::default();
    loop {
        // A value begins here.
        match cursor.peek() {
            b'{' => {
                enter(&mut cursor, remaining_depth)?;
                if !cursor.take(b'}') {
                    nesting.open(true);
                    remaining_depth -= 1;
                    cursor.name(Reason::NameOrBrace)?;
                    continue;
                }
            }
            b'[' => {
                enter(&mut cursor, remaining_depth)?;
                if !cursor.take(b']') {
                    nesting.open(false);
                    remaining_depth -= 1;
                    continue;
                }
            }
            _ => {
                scalar(&mut cursor)?;
            }
        }
        // A value ends here, and perhaps its containers with it.
        loop {
            if nesting.is_empty() {
                return Ok((kind, cursor));
            }
            cursor.blank();
            if nesting.in_object() {
                if cursor.comma(b'}', Reason::CommaOrBrace)? {
                    cursor.name(Reason::Name)?;
                    break;
                }
            } else if cursor.comma(b']', Reason::CommaOrBracket)? {
                break;
            }
            nesting.close();
            remaining_depth += 1;
        }
    }
}

/// Skips the opening bracket or brace of a container, and the white space after it.
#[inline(always)]
pub(super) fn enter(cursor: &mut Cursor<'_>, max_depth: usize) -> Result<(), Malformed> {
    if max_depth == 0 {
        return Err(cursor.fault(Reason::Depth));
    }
    cursor.skip();
    cursor.blank();
    Ok(())
}

#[inline(always)]
fn scalar(cursor: &mut Cursor<'_>) -> Result<Kind, Malformed> {
    match cursor.peek() {
        b'"' => cursor.string().map(|_| Kind::String),
        b'-' | b'0'..=b'9' => cursor.number().map(|()| Kind::Number),
        b't' => cursor.word(b"true").map(|()| Kind::Bool),
        b'f' => cursor.word(b"false").map(|()| Kind::Bool),
        b'n' => cursor.word(b"null").map(|()| Kind::Null),
        _ => Err(cursor.fault(Reason::Value)),
    }
}
