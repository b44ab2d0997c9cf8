//! Passing a value of which nothing is read: its grammar and its depth, in a loop instead of recursion, so that a
//! caller's nesting has no stack to exhaust.

use super::cursor::Cursor;
use super::malformed::{Malformed, Reason};
use super::nesting::Nesting;
use super::value::Kind;

/// Passes the value that begins at `cursor`, inside which `room` arrays and objects may be open at once, itself
/// included.
pub(super) fn skip(mut cursor: Cursor<'_>, mut room: usize) -> Result<(Kind, Cursor<'_>), Malformed> {
    let kind = match cursor.peek() {
        b'{' => Kind::Object,
        b'[' => Kind::Array,
        _ => return scalar(&mut cursor).map(|kind| (kind, cursor)),
    };
    let mut nesting = Nesting::default();
    loop {
        // A value begins here.
        match cursor.peek() {
            b'{' => {
                enter(&mut cursor, room)?;
                if !cursor.take(b'}') {
                    nesting.open(true);
                    room -= 1;
                    cursor.name(Reason::NameOrBrace)?;
                    continue;
                }
            }
            b'[' => {
                enter(&mut cursor, room)?;
                if !cursor.take(b']') {
                    nesting.open(false);
                    room -= 1;
                    continue;
                }
            }
            _ => {
                scalar(&mut cursor)?;
            }
        }
        // A value ends here, and perhaps what it is in.
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
            room += 1;
        }
    }
}

/// Passes the bracket or brace that opens a container, and the white space behind it.
#[inline(always)]
pub(super) fn enter(cursor: &mut Cursor<'_>, room: usize) -> Result<(), Malformed> {
    if room == 0 {
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
