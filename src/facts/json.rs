//! The facts about a request as members of a line of JSON, for the log and the audit.
//!
//! Written by hand, as serde took as long for a line as for checking a small body. A value that is not of the source is searched
//! for characters that need an escape, so none can break a line.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::{ErrorCode, Facts, LookupOutcome, Route};
use crate::caller::Peer;
use crate::state::IdempotencyOutcome;

/// The longest detail that is written, in bytes.
const LONGEST_DETAIL: usize = 1000;

/// Appends the members that every line of the log begins with, and how long the request took.
pub(crate) fn write_begin(
    lines: &mut Vec<u8>,
    message: &'static str,
    event: &'static str,
    took: Duration,
) -> io::Result<()> {
    let now = humantime::format_rfc3339_micros(SystemTime::now());
    write!(lines, r#"{{"timestamp":"{now}"#)?;
    for part in ["\",\"level\":\"INFO\",\"message\":\"", message, "\",\"event\":\"", event, "\",\"duration_ms\":"] {
        lines.extend_from_slice(part.as_bytes());
    }
    milliseconds(lines, took);
    Ok(())
}

/// Appends the request: its ids, its peer and its call.
pub(crate) fn write_request(lines: &mut Vec<u8>, facts: &Facts) -> io::Result<()> {
    text(lines, "request_id", Some(facts.request_id.as_str()))?;
    if let Some(trace_id) = facts.trace_id {
        append(lines, "trace_id", &trace_id.text());
    }
    lines.extend_from_slice(br#","peer":""#);
    address(lines, facts.peer)?;
    lines.push(b'"');
    text(lines, "tenant", facts.tenant.as_deref())?;
    literal(lines, "method", Some(facts.method));
    literal(lines, "route", facts.route().map(Route::template));
    text(lines, "path", facts.path.as_deref())?;
    literal(lines, "operation", facts.route().map(Route::name));
    for (name, id) in facts.ids.iter().flatten() {
        text(lines, name.code(), Some(id))?;
    }
    if let Some(id) = facts.rerun_of {
        append_uuid(lines, "rerun_of", id);
    }
    Ok(())
}

/// Appends the result, and ends the line.
pub(crate) fn write_result(lines: &mut Vec<u8>, facts: &Facts) -> io::Result<()> {
    number(lines, "status", facts.status);
    literal(lines, "outcome", facts.may_take_effect().then(|| facts.outcome.code()));
    literal(lines, "error", facts.error.map(ErrorCode::as_str));
    text(lines, "detail", facts.detail.as_deref().map(shortened))?;
    if let Some(digest) = facts.idempotency {
        write!(lines, r#","idempotency_digest":"{digest}""#)?;
    }
    literal(lines, "idempotency_outcome", facts.idempotency_outcome.map(IdempotencyOutcome::code));
    literal(lines, "looked_up", facts.lookup.map(LookupOutcome::code));
    if facts.replayed {
        lines.extend_from_slice(br#","replayed":true"#);
    }
    if facts.key_echoed {
        lines.extend_from_slice(br#","key_echoed":true"#);
    }
    if let Some(id) = facts.execution_id {
        append_uuid(lines, "execution_id", id);
    }
    number(lines, "bytes_in", facts.bytes_in);
    let delivered: &[u8] = if facts.delivered { b",\"delivered\":true}\n" } else { b",\"delivered\":false}\n" };
    lines.extend_from_slice(delivered);
    Ok(())
}

/// Cuts a detail that may be of any length, as it may repeat what an upstream's certificate says.
fn shortened(detail: &str) -> &str {
    detail.get(..detail.floor_char_boundary(LONGEST_DETAIL)).unwrap_or(detail)
}

/// Appends a member with any text, escaped if it needs to be.
pub(crate) fn text(lines: &mut Vec<u8>, name: &'static str, value: Option<&str>) -> io::Result<()> {
    let Some(value) = value else { return Ok(()) };
    if is_plain(value) {
        append(lines, name, value.as_bytes());
        return Ok(());
    }
    for part in [",\"", name, "\":"] {
        lines.extend_from_slice(part.as_bytes());
    }
    serde_json::to_writer(&mut *lines, value)?;
    Ok(())
}

/// Appends a member with a name or a code of the source, none of which needs an escape.
pub(crate) fn literal(lines: &mut Vec<u8>, name: &'static str, value: Option<&'static str>) {
    let Some(value) = value else { return };
    debug_assert!(is_plain(value), "{name} needs escapes");
    append(lines, name, value.as_bytes());
}

/// Appends a member with a text that needs no escape.
fn append(lines: &mut Vec<u8>, name: &'static str, value: &[u8]) {
    for part in [b",\"", name.as_bytes(), b"\":\"", value, b"\""] {
        lines.extend_from_slice(part);
    }
}

fn append_uuid(lines: &mut Vec<u8>, name: &'static str, id: Uuid) {
    append(lines, name, id.hyphenated().encode_lower(&mut Uuid::encode_buffer()).as_bytes());
}

/// Returns whether a text needs no escape in JSON. Without an early end, the loop is one over vectors.
fn is_plain(text: &str) -> bool {
    text.bytes().fold(true, |is_plain, byte| is_plain & (byte >= b' ') & (byte != b'"') & (byte != b'\\'))
}

/// Appends a member with a number.
pub(crate) fn number(lines: &mut Vec<u8>, name: &'static str, value: impl itoa::Integer) {
    for part in [",\"", name, "\":", itoa::Buffer::new().format(value)] {
        lines.extend_from_slice(part.as_bytes());
    }
}

/// Appends milliseconds with three decimals.
fn milliseconds(lines: &mut Vec<u8>, took: Duration) {
    let micros = took.as_micros();
    let mut digits = itoa::Buffer::new();
    lines.extend_from_slice(digits.format(micros / 1000).as_bytes());
    lines.push(b'.');
    // The 1000 keeps the leading zeros of the decimals; its digit is not written.
    lines.extend_from_slice(digits.format(1000 + micros % 1000).get(1..).unwrap_or_default().as_bytes());
}

/// Appends the address of a peer.
fn address(lines: &mut Vec<u8>, peer: Peer) -> io::Result<()> {
    let Peer::Tcp(SocketAddr::V4(peer)) = peer else { return write!(lines, "{peer}") };
    let mut digits = itoa::Buffer::new();
    let mut end = [b'.', b'.', b'.', b':'].iter();
    for octet in peer.ip().octets() {
        lines.extend_from_slice(digits.format(octet).as_bytes());
        lines.extend(end.next());
    }
    lines.extend_from_slice(digits.format(peer.port()).as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_a_member_that_reads_as_itself(value: String) {
            let mut line = b"{\"a\":1".to_vec();
            text(&mut line, "b", Some(&value)).unwrap();
            line.push(b'}');
            prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&line).unwrap(), serde_json::json!({"a": 1, "b": value}));
            prop_assert!(!line.contains(&b'\n'));
        }
    }

    #[test]
    fn a_quote_a_backslash_or_a_control_character_needs_an_escape_and_nothing_else_does() {
        for byte in 0..128_u8 {
            let text = format!("plain {}\u{e9}", char::from(byte));
            let written = serde_json::to_string(&text).unwrap();
            assert_eq!(is_plain(&text), written == format!("\"{text}\""), "{text:?}");
        }
    }
}
