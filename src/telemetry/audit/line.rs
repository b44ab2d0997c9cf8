//! A record as one line of JSON, in the manner of the log's.

use std::io::{self, Write};

use super::super::line::{asked, became, begin, number, plain};
use super::super::record::Record;

pub(super) fn json(line: &mut Vec<u8>, record: &Record) -> io::Result<()> {
    begin(line, "audit", record.took())?;
    asked(line, &record.line)?;
    plain(line, "decision", Some(record.audit.decision.name()));
    plain(line, "credential", record.line.credential.as_deref());
    if let Some(fingerprint) = record.audit.fingerprint {
        write!(line, r#","credential_fingerprint":"{fingerprint}""#)?;
    }
    line.extend_from_slice(br#","limits_left":{"#);
    let begun = line.len();
    for (limit, amount) in record.remaining.iter() {
        number(line, limit.code(), amount.count);
    }
    // Each member brings its comma, and the first needs none.
    if line.len() > begun {
        line.remove(begun);
    }
    line.push(b'}');
    became(line, &record.line)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use hyper::HeaderMap;
    use serde_json::Value;

    use super::super::Decision;
    use super::*;
    use crate::peer::Peer;
    use crate::secret::{Salt, Secret};
    use crate::state::{IdempotencyDigest, Limit};
    use crate::telemetry::request_id::RequestId;
    use crate::telemetry::trace::context::Context;

    fn full() -> Box<Record> {
        let mut record =
            Record::new(Arc::default(), Peer::Tcp("[::1]:80".parse().unwrap()), RequestId::of(&HeaderMap::new()));
        record.line.trace_id = Some(Context::begin(|_| false).trace_id);
        record.audit.decision = Decision::Sent;
        record.audit.fingerprint = Some(Secret::placeholder("key").unwrap().fingerprint(&Salt::new("salt")));
        let line = &mut record.line;
        [line.operation, line.error, line.key, line.looked_up] = [Some("x"); 4];
        [line.tenant, line.credential] = [Some("x".into()), Some("x".into())];
        [&mut line.agent_id, &mut line.workflow_id, &mut line.detail, &mut line.execution_id]
            .into_iter()
            .for_each(|text| *text = Some("x".to_owned()));
        line.idempotency = Some(IdempotencyDigest::of(&[b"k"]));
        line.replayed = true;
        line.key_echoed = true;
        record
    }

    fn written(record: &Record) -> Value {
        let mut line = Vec::new();
        json(&mut line, record).unwrap();
        serde_json::from_slice(&line).unwrap()
    }

    #[test]
    fn the_documentation_names_every_member_and_no_other() {
        let document = include_str!("../../../docs/AUDIT.md");
        let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
        let named: BTreeSet<&str> = rows.flat_map(|names| names.trim_end_matches('`').split("`, `")).collect();
        let record = written(&full());
        assert_eq!(named, record.as_object().unwrap().keys().map(String::as_str).collect());
        let example = document.lines().find(|line| line.starts_with('{')).unwrap();
        let example: Value = serde_json::from_str(example).unwrap();
        assert!(example.as_object().unwrap().keys().all(|name| named.contains(name.as_str())));
    }

    #[test]
    fn what_is_left_of_limits_is_written_in_any_number() {
        let mut record = full();
        assert_eq!(written(&record)["limits_left"], serde_json::json!({}));
        record.remaining.record(Limit::Budget, 3, None);
        assert_eq!(written(&record)["limits_left"], serde_json::json!({"budget": 3}));
        record.remaining.record(Limit::Requests, 0, Some(1));
        assert_eq!(written(&record)["limits_left"], serde_json::json!({"requests": 0, "budget": 3}));
    }
}
