//! A record's line as JSON, written by hand: serde's way took as long as checking a small body, and nearly every value is
//! one that needs no escape.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use super::record::Line;
use crate::peer::Peer;

/// The longest detail that is written, in bytes.
const LONGEST_DETAIL: usize = 1000;

pub(super) fn json(lines: &mut Vec<u8>, line: &Line, took: Duration) -> io::Result<()> {
    begin(lines, "request", took)?;
    asked(lines, line)?;
    plain(lines, "credential", line.credential.as_deref());
    became(lines, line)
}

/// The members that every line of the log begins with, and how long the request took.
pub(super) fn begin(lines: &mut Vec<u8>, message: &str, took: Duration) -> io::Result<()> {
    let now = humantime::format_rfc3339_micros(SystemTime::now());
    write!(lines, r#"{{"timestamp":"{now}","level":"INFO","message":"{message}","duration_ms":"#)?;
    milliseconds(lines, took);
    Ok(())
}

/// Who asked for what.
pub(super) fn asked(lines: &mut Vec<u8>, line: &Line) -> io::Result<()> {
    plain(lines, "request_id", Some(line.request_id.as_str()));
    let trace_id = line.trace_id.map(|id| id.text());
    plain(lines, "trace_id", trace_id.as_ref().and_then(|text| std::str::from_utf8(text).ok()));
    lines.extend_from_slice(br#","peer":""#);
    address(lines, line.peer)?;
    lines.push(b'"');
    plain(lines, "tenant", line.tenant.as_deref());
    plain(lines, "operation", line.operation);
    plain(lines, "agent_id", line.agent_id.as_deref());
    plain(lines, "workflow_id", line.workflow_id.as_deref());
    Ok(())
}

/// What became of it, to the line's end.
pub(super) fn became(lines: &mut Vec<u8>, line: &Line) -> io::Result<()> {
    number(lines, "status", line.status);
    plain(lines, "outcome", Some(line.outcome.name()));
    plain(lines, "error", line.error);
    if let Some(detail) = &line.detail {
        lines.extend_from_slice(br#","detail":"#);
        serde_json::to_writer(&mut *lines, shortened(detail))?;
    }
    if let Some(digest) = line.idempotency {
        write!(lines, r#","idempotency_digest":"{digest}""#)?;
    }
    plain(lines, "idempotency_outcome", line.key);
    plain(lines, "looked_up", line.looked_up);
    if line.replayed {
        lines.extend_from_slice(br#","replayed":true"#);
    }
    if line.key_echoed {
        lines.extend_from_slice(br#","key_echoed":true"#);
    }
    plain(lines, "execution_id", line.execution_id.as_deref());
    number(lines, "bytes_in", line.bytes_in);
    let delivered: &[u8] = if line.delivered { b",\"delivered\":true}\n" } else { b",\"delivered\":false}\n" };
    lines.extend_from_slice(delivered);
    Ok(())
}

/// What an upstream's certificate says, for example, can be of any length.
fn shortened(detail: &str) -> &str {
    detail.get(..detail.floor_char_boundary(LONGEST_DETAIL)).unwrap_or(detail)
}

/// A member, if it is known, of characters that JSON does not escape: ids, and names of the code and the configuration.
pub(super) fn plain(lines: &mut Vec<u8>, name: &str, value: Option<&str>) {
    let Some(value) = value else { return };
    debug_assert!(!value.contains(['"', '\\']) && !value.contains(char::is_control), "{name} needs escapes");
    for part in [",\"", name, "\":\"", value, "\""] {
        lines.extend_from_slice(part.as_bytes());
    }
}

pub(super) fn number(lines: &mut Vec<u8>, name: &str, value: impl itoa::Integer) {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hyper::HeaderMap;
    use serde_json::{Value, json};

    use super::*;
    use crate::state::IdempotencyDigest;
    use crate::telemetry::record::{Outcome, Record};
    use crate::telemetry::request_id::RequestId;

    fn written(change: impl FnOnce(&mut Line), peer: &str, took: Duration) -> Value {
        let peer = Peer::Tcp(peer.parse().unwrap());
        let mut record = Record::new(Arc::default(), peer, RequestId::of(&HeaderMap::new()));
        change(&mut record.line);
        let mut lines = Vec::new();
        json(&mut lines, &record.line, took).unwrap();
        assert_eq!(lines.pop(), Some(b'\n'));
        let mut line: Value = serde_json::from_slice(&lines).unwrap();
        for random in ["timestamp", "request_id"] {
            assert!(line.as_object_mut().unwrap().remove(random).is_some_and(|value| value.is_string()));
        }
        line
    }

    #[test]
    fn what_is_known_is_written_and_what_is_not_is_left_out() {
        let line = written(|_| {}, "127.0.0.1:80", Duration::ZERO);
        let expected = json!({
            "level": "INFO", "message": "request", "duration_ms": 0.0, "peer": "127.0.0.1:80", "status": 0,
            "outcome": "not_started", "bytes_in": 0, "delivered": false
        });
        assert_eq!(line, expected);
        let all = |line: &mut Line| {
            line.tenant = Some("billing".into());
            line.operation = Some("AgentExecutePost");
            line.agent_id = Some("a".to_owned());
            line.workflow_id = Some("w".to_owned());
            line.credential = Some("main".into());
            line.status = 504;
            line.outcome = Outcome::Unknown;
            line.error = Some("upstream-broke");
            line.detail = Some("it said \"no\"\n".to_owned());
            line.idempotency = Some(IdempotencyDigest::of(&[b"k"]));
            line.key = Some("unknown");
            line.looked_up = Some("none");
            line.replayed = true;
            line.key_echoed = true;
            line.execution_id = Some("e".to_owned());
            line.bytes_in = 12;
            line.delivered = true;
        };
        let expected = json!({
            "level": "INFO", "message": "request", "duration_ms": 61_002.034, "peer": "[::1]:65535", "tenant": "billing",
            "operation": "AgentExecutePost", "agent_id": "a", "workflow_id": "w", "credential": "main", "status": 504,
            "outcome": "unknown", "error": "upstream-broke", "detail": "it said \"no\"\n",
            "idempotency_digest": IdempotencyDigest::of(&[b"k"]).to_string(), "idempotency_outcome": "unknown", "looked_up": "none",
            "replayed": true, "key_echoed": true, "execution_id": "e",
            "bytes_in": 12, "delivered": true
        });
        assert_eq!(written(all, "[::1]:65535", Duration::from_micros(61_002_034)), expected);
    }

    #[test]
    fn a_detail_of_any_length_is_cut_between_characters() {
        let long = |line: &mut Line| line.detail = Some(format!("x{}", "\u{e9}".repeat(600)));
        let line = written(long, "127.0.0.1:80", Duration::ZERO);
        assert_eq!(line["detail"], format!("x{}", "\u{e9}".repeat(499)));
    }
}
