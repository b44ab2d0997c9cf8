//! The log line of a request, as JSON and as text.

use std::io::{self, Write};
use std::time::Duration;

use crate::event;
use crate::facts::json::{text as member, write_begin, write_request, write_result};
use crate::facts::{ErrorCode, Facts, Outcome, Route};

pub(super) fn write_json(lines: &mut Vec<u8>, facts: &Facts, took: Duration) -> io::Result<()> {
    write_begin(lines, "request", event::REQUEST_COMPLETED, took)?;
    write_request(lines, facts)?;
    member(lines, "credential", facts.credential.as_deref())?;
    write_result(lines, facts)
}

pub(super) fn write_text(lines: &mut Vec<u8>, facts: &Facts, took: Duration) -> io::Result<()> {
    write!(lines, "{} {}", facts.status, facts.route().map_or(facts.method, Route::name))?;
    let id_at = |at: usize| {
        let id = facts.ids.get(at).and_then(Option::as_ref);
        id.map_or(("", None), |(name, id)| (name.code().trim_end_matches("_id"), Some(id.as_str())))
    };
    let [execution_id, rerun_of] = [facts.execution_id, facts.rerun_of].map(|id| id.map(|id| id.to_string()));
    let named = [
        ("path", facts.path.as_deref()),
        ("tenant", facts.tenant.as_deref()),
        id_at(0),
        id_at(1),
        ("rerun_of", rerun_of.as_deref()),
        ("execution", execution_id.as_deref()),
        ("error", facts.error.map(ErrorCode::as_str)),
        ("detail", facts.detail.as_deref()),
    ];
    for (name, value) in named.iter().filter_map(|(name, value)| value.map(|value| (name, value))) {
        write!(lines, " {name}={value}")?;
    }
    if facts.replayed {
        write!(lines, " (replayed)")?;
    }
    if facts.key_echoed {
        write!(lines, " (the API key was redacted)")?;
    }
    if facts.outcome == Outcome::Unknown {
        write!(lines, " outcome=unknown")?;
    }
    if !facts.delivered {
        write!(lines, " (the caller hung up)")?;
    }
    writeln!(lines, " {:.1} ms", took.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::asteroid::operation::{IdName, Operation};
    use crate::caller::Peer;
    use crate::facts::request_id::RequestId;
    use crate::facts::{LookupOutcome, Outcome};
    use crate::state::{IdempotencyDigest, IdempotencyOutcome};

    fn written(change: impl FnOnce(&mut Facts), peer: &str, took: Duration) -> Value {
        let peer = Peer::Tcp(peer.parse().unwrap());
        let mut facts = Facts::new(peer, RequestId::of(&HeaderMap::new()));
        change(&mut facts);
        let mut lines = Vec::new();
        write_json(&mut lines, &facts, took).unwrap();
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
            "level": "INFO", "message": "request", "event": "request.completed", "duration_ms": 0.0,
            "peer": "127.0.0.1:80", "method": "_OTHER", "status": 0, "outcome": "not_started", "bytes_in": 0, "delivered": false
        });
        assert_eq!(line, expected);
        let all = |facts: &mut Facts| {
            facts.tenant = Some("billing".into());
            facts.method = "POST";
            facts.operation = Some(Operation::AgentExecute);
            facts.ids[0] = Some((IdName::Workflow, "w".to_owned()));
            facts.credential = Some("main".into());
            facts.status = 504;
            facts.outcome = Outcome::Unknown;
            facts.error = Some(ErrorCode::UpstreamBroke);
            facts.detail = Some("it said \"no\"\n".to_owned());
            facts.idempotency = Some(IdempotencyDigest::of(&[b"k"]));
            facts.idempotency_outcome = Some(IdempotencyOutcome::Unknown);
            facts.lookup = Some(LookupOutcome::None);
            facts.replayed = true;
            facts.key_echoed = true;
            facts.execution_id = Some(Uuid::nil());
            facts.bytes_in = 12;
            facts.delivered = true;
        };
        let expected = json!({
            "level": "INFO", "message": "request", "event": "request.completed", "duration_ms": 61_002.034,
            "peer": "[::1]:65535", "tenant": "billing", "method": "POST", "route": "/agents/{agentId}/execute",
            "operation": "AgentExecutePost", "workflow_id": "w", "credential": "main", "status": 504,
            "outcome": "unknown", "error": "upstream-broke", "detail": "it said \"no\"\n",
            "idempotency_digest": IdempotencyDigest::of(&[b"k"]).to_string(), "idempotency_outcome": "unknown", "looked_up": "none",
            "replayed": true, "key_echoed": true, "execution_id": Uuid::nil(),
            "bytes_in": 12, "delivered": true
        });
        assert_eq!(written(all, "[::1]:65535", Duration::from_micros(61_002_034)), expected);
    }

    #[test]
    fn a_detail_of_any_length_is_cut_between_characters() {
        let long = |facts: &mut Facts| facts.detail = Some(format!("x{}", "\u{e9}".repeat(600)));
        let line = written(long, "127.0.0.1:80", Duration::ZERO);
        assert_eq!(line["detail"], format!("x{}", "\u{e9}".repeat(499)));
    }
}
