//! The body of a start: for any bytes, reading it never panics and agrees with serde_json, and an accepted body follows the
//! rules. A forwarded body contains the tags, and every other byte as it was received.

/// A second list of the rules for bodies. The gateway's own tests compare it with the gateway, too.
#[path = "../../src/asteroid/start/oracle.rs"]
mod oracle;

use std::sync::LazyLock;

use asteroid_gateway::asteroid::body::is_alike;
use asteroid_gateway::asteroid::start::{OnConflict, Start, Tags};
use asteroid_gateway::json::{Shape, Splice, scan, splice};
use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::Value;

const TAGS: [(&str, &str); 2] = [("tenant", "billing"), ("te\"am", "b\\\u{1}é")];

static ENCODED: LazyLock<Tags> =
    LazyLock::new(|| Tags::new(TAGS.map(|(name, value)| (name.to_owned(), value.to_owned()))));

pub(crate) fn check(body: &[u8]) {
    let text = std::str::from_utf8(body);
    let is_json = text.is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
    assert_eq!(scan(body, &Shape::Opaque, usize::MAX).is_ok(), is_json);

    match Start::parse(body) {
        Ok(start) => {
            assert!(is_json);
            check_start(body, &start);
        }
        Err(refusal) => assert!(!refusal.faults.is_empty()),
    }
}

fn check_start(body: &[u8], start: &Start<'_>) {
    // A Value accepts no lone half of a surrogate pair, no huge exponent, and less depth than the gateway.
    let original = serde_json::from_slice::<Value>(body).ok();
    assert_eq!(original.as_ref().map(oracle::pointers).unwrap_or_default(), Vec::<String>::new());
    let conflict = original.as_ref().is_some_and(conflicts);
    let lookalike = original.as_ref().is_some_and(looks_like_a_tag);
    match start.tag(&ENCODED, OnConflict::Reject) {
        Ok(splices) => {
            assert!(!conflict && !lookalike);
            sent(body, splices, original.as_ref());
        }
        Err(faults) => {
            assert!(!faults.is_empty() && (conflict || lookalike || original.is_none()));
            match start.tag(&ENCODED, OnConflict::Overwrite) {
                Ok(splices) => sent(body, splices, original.as_ref()),
                Err(_) => assert!(lookalike || original.is_none(), "nothing else keeps a tag from being overwritten"),
            }
        }
    }
}

fn conflicts(original: &Value) -> bool {
    TAGS.iter().any(|(name, value)| original["metadata"].get(name).is_some_and(|sent| sent != value))
}

/// Returns whether the body has a member of `metadata` that could be mistaken for a tag.
fn looks_like_a_tag(original: &Value) -> bool {
    let is_one = |name: &String| TAGS.iter().any(|(tag, _)| tag == name);
    let looks_like_one = |name: &String| TAGS.iter().any(|(tag, _)| is_alike(tag, name));
    original["metadata"]
        .as_object()
        .is_some_and(|members| members.keys().any(|name| !is_one(name) && looks_like_one(name)))
}

fn sent(body: &[u8], splices: Vec<Splice>, original: Option<&Value>) {
    let sent = splice(&Bytes::copy_from_slice(body), splices.clone()).expect("splices are in order").concat();
    assert_eq!(taken_back(body, &sent, &splices), body);

    let start = Start::parse(&sent).expect("a tagged body keeps the rules");
    assert_eq!(start.tag(&ENCODED, OnConflict::Reject), Ok(vec![]));

    if let Some(original) = original {
        let mut expected = original.clone();
        if expected["metadata"].is_null() {
            expected["metadata"] = Value::Object(serde_json::Map::new());
        }
        for (name, value) in TAGS {
            expected["metadata"][name] = Value::from(value);
        }
        assert_eq!(serde_json::from_slice::<Value>(&sent).expect("a tagged body is JSON"), expected);
    }
}

/// Returns the sent body with every splice replaced by the original bytes.
fn taken_back(body: &[u8], sent: &[u8], splices: &[Splice]) -> Vec<u8> {
    let (mut original, mut rest, mut read) = (Vec::new(), sent, 0);
    for splice in splices {
        let (kept, behind) = rest.split_at(splice.at.start - read);
        rest = behind.strip_prefix(&splice.with[..]).expect("the splice is where it says");
        original.extend_from_slice(kept);
        original.extend_from_slice(&body[splice.at.clone()]);
        read = splice.at.end;
    }
    original.extend_from_slice(rest);
    original
}
