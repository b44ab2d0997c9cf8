//! A request's facts as members of a line of JSON, for the log and the audit.
//!
//! Written by hand: serde's way took as long as checking a small body, and nearly every value is one that needs no escape.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use super::{Facts, LookupOutcome};
use crate::asteroid::operation::Operation;
use crate::caller::Peer;
use crate::state::IdempotencyOutcome;

/// The longest detail that is written, in bytes.
const LONGEST_DETAIL: usize = 1000;

/// The members that every line of the log begins with, and how long the request took.
pub(crate) fn begin(lines: &mut Vec<u8>, message: &str, event: &str, took: Duration) -> io::Result<()> {
    let now = humantime::format_rfc3339_micros(SystemTime::now());
    write!(lines, r#"{{"timestamp":"{now}"#)?;
    for part in ["\",\"level\":\"INFO\",\"message\":\"", message, "\",\"event\":\"", event, "\",\"duration_ms\":"] {
        lines.extend_from_slice(part.as_bytes());
    }
    milliseconds(lines, took);
    Ok(())
}

/// Who asked for what.
pub(crate) fn asked(lines: &mut Vec<u8>, facts: &Facts) -> io::Result<()> {
    plain(lines, "request_id", Some(facts.request_id.as_str()));
    let trace_id = facts.trace_id.map(|id| id.text());
    plain(lines, "trace_id", trace_id.as_ref().and_then(|text| std::str::from_utf8(text).ok()));
    lines.extend_from_slice(br#","peer":""#);
    address(lines, facts.peer)?;
    lines.push(b'"');
    plain(lines, "tenant", facts.tenant.as_deref());
    plain(lines, "operation", facts.operation.map(Operation::name));
    plain(lines, "agent_id", facts.agent_id.as_deref());
    plain(lines, "workflow_id", facts.workflow_id.as_deref());
    Ok(())
}

/// What became of it, to the line's end.
pub(crate) fn became(lines: &mut Vec<u8>, facts: &Facts) -> io::Result<()> {
    number(lines, "status", facts.status);
    plain(lines, "outcome", Some(facts.outcome.name()));
    plain(lines, "error", facts.error);
    if let Some(detail) = &facts.detail {
        lines.extend_from_slice(br#","detail":"#);
        serde_json::to_writer(&mut *lines, shortened(detail))?;
    }
    if let Some(digest) = facts.idempotency {
        write!(lines, r#","idempotency_digest":"{digest}""#)?;
    }
    plain(lines, "idempotency_outcome", facts.idempotency_outcome.map(IdempotencyOutcome::code));
    plain(lines, "looked_up", facts.lookup.map(LookupOutcome::code));
    if facts.replayed {
        lines.extend_from_slice(br#","replayed":true"#);
    }
    if facts.key_echoed {
        lines.extend_from_slice(br#","key_echoed":true"#);
    }
    plain(lines, "execution_id", facts.execution_id.as_deref());
    number(lines, "bytes_in", facts.bytes_in);
    let delivered: &[u8] = if facts.delivered { b",\"delivered\":true}\n" } else { b",\"delivered\":false}\n" };
    lines.extend_from_slice(delivered);
    Ok(())
}

/// What an upstream's certificate says, for example, can be of any length.
fn shortened(detail: &str) -> &str {
    detail.get(..detail.floor_char_boundary(LONGEST_DETAIL)).unwrap_or(detail)
}

/// A member, if it is known, of characters that JSON does not escape: ids, and names of the code and the configuration.
pub(crate) fn plain(lines: &mut Vec<u8>, name: &str, value: Option<&str>) {
    let Some(value) = value else { return };
    debug_assert!(!value.contains(['"', '\\']) && !value.contains(char::is_control), "{name} needs escapes");
    for part in [",\"", name, "\":\"", value, "\""] {
        lines.extend_from_slice(part.as_bytes());
    }
}

pub(crate) fn number(lines: &mut Vec<u8>, name: &str, value: impl itoa::Integer) {
    for part in [",\"", name, "\":", itoa::Buffer::new().format(value)] {
        lines.extend_from_slice(part.as_bytes());
    }
}

/// With three digits behind the point.
fn milliseconds(lines: &mut Vec<u8>, took: Duration) {
    let micros = took.as_micros();
    let mut digits = itoa::Buffer::new();
    lines.extend_from_slice(digits.format(micros / 1000).as_bytes());
    lines.push(b'.');
    // A digit more, which is not written, keeps the zeros behind the point.
    lines.extend_from_slice(digits.format(1000 + micros % 1000).get(1..).unwrap_or_default().as_bytes());
}

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
