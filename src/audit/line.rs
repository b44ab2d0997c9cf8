//! A record as one line of JSON, with the members of a request's line in the log.

use std::io::{self, Write};

use crate::event;
use crate::facts::Facts;
use crate::facts::json::{literal, number, text, write_begin, write_request, write_result};

pub(super) fn json(line: &mut Vec<u8>, facts: &Facts) -> io::Result<()> {
    write_begin(line, "audit", event::AUDIT_RECORDED, facts.took())?;
    write_request(line, facts)?;
    literal(line, "decision", Some(facts.decision.code()));
    text(line, "credential", facts.credential.as_deref())?;
    if let Some(fingerprint) = facts.fingerprint {
        write!(line, r#","credential_fingerprint":"{fingerprint}""#)?;
    }
    line.extend_from_slice(br#","limits_left":{"#);
    let before = line.len();
    for (limit, amount) in facts.remaining.iter() {
        number(line, limit.code(), amount.count);
    }
    // Each member begins with a comma, and the first needs none.
    if line.len() > before {
        line.remove(before);
    }
    line.push(b'}');
    write_result(line, facts)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use hyper::HeaderMap;
    use serde_json::Value;
    use uuid::Uuid;

    use super::*;
    use crate::asteroid::operation::{IdName, Operation};
    use crate::caller::Peer;
    use crate::facts::request_id::RequestId;
    use crate::facts::trace_context::Context;
    use crate::facts::{AuditDecision, ErrorCode, LookupOutcome};
    use crate::secret::{Salt, Secret};
    use crate::state::{IdempotencyDigest, IdempotencyOutcome, Limit};

    fn full() -> Facts {
        let mut facts = Facts::new(Peer::Tcp("[::1]:80".parse().unwrap()), RequestId::of(&HeaderMap::new()));
        facts.trace_id = Some(Context::begin(|_| false).trace_id);
        facts.decision = AuditDecision::Sent;
        facts.fingerprint = Some(Secret::placeholder("key").unwrap().fingerprint(&Salt::new("salt")));
        facts.operation = Some(Operation::AgentExecute);
        facts.error = Some(ErrorCode::Limit);
        facts.idempotency_outcome = Some(IdempotencyOutcome::Free);
        facts.lookup = Some(LookupOutcome::One);
        [facts.tenant, facts.credential] = [Some("x".into()), Some("x".into())];
        facts.ids = [IdName::Agent, IdName::Workflow].map(|name| Some((name, "x".to_owned())));
        facts.rerun_of = Some(Uuid::nil());
        facts.detail = Some("x".to_owned());
        facts.execution_id = Some(Uuid::nil());
        facts.idempotency = Some(IdempotencyDigest::of(&[b"k"]));
        facts.replayed = true;
        facts.key_echoed = true;
        facts
    }

    fn written(facts: &Facts) -> Value {
        let mut line = Vec::new();
        json(&mut line, facts).unwrap();
        serde_json::from_slice(&line).unwrap()
    }

    #[test]
    fn the_documentation_names_every_member_and_no_other() {
        let document = include_str!("../../docs/AUDIT.md");
        let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
        let named: BTreeSet<&str> = rows.flat_map(|names| names.trim_end_matches('`').split("`, `")).collect();
        let (start, mut other) = (full(), full());
        other.ids = [IdName::Version, IdName::Organization].map(|name| Some((name, "x".to_owned())));
        let records = [written(&start), written(&other)];
        let members = records.iter().flat_map(|record| record.as_object().unwrap().keys());
        assert_eq!(named, members.map(String::as_str).collect());
        let example = document.lines().find(|line| line.starts_with('{')).unwrap();
        let example: Value = serde_json::from_str(example).unwrap();
        assert!(example.as_object().unwrap().keys().all(|name| named.contains(name.as_str())));
    }

    #[test]
    fn what_is_left_of_limits_is_written_in_any_number() {
        let mut facts = full();
        assert_eq!(written(&facts)["limits_left"], serde_json::json!({}));
        facts.remaining.record(Limit::Budget, 3, None);
        assert_eq!(written(&facts)["limits_left"], serde_json::json!({"budget": 3}));
        facts.remaining.record(Limit::Requests, 0, Some(1));
        assert_eq!(written(&facts)["limits_left"], serde_json::json!({"requests": 0, "budget": 3}));
    }

    #[test]
    fn a_record_takes_at_most_8_kib_whatever_it_says() {
        let mut facts = full();
        let longest_name: String = "x".repeat(128);
        [facts.tenant, facts.credential] = [Some(longest_name.as_str().into()), Some(longest_name.as_str().into())];
        // Each of these characters takes six bytes in JSON.
        facts.detail = Some("\u{1}".repeat(100_000));
        let mut line = Vec::new();
        json(&mut line, &facts).unwrap();
        assert!((6000..8 * 1024).contains(&line.len()), "{}", line.len());
    }
}
