//! Compares the scanner with serde_json on documents that are generated, corrupted byte by byte, and random.
//!
//! `IgnoredAny` has only the grammar: it accepts lone halves of surrogate pairs, numbers of any size and any depth,
//! exactly like the scanner for opaque values. `Value` accepts neither of the first two, and at most 127 levels. Both
//! accept repeated names.

use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::{Kind, Reason, Shape, Value, scan};

static READ: Shape =
    Shape::Object(&[("a", Shape::Object(&[("b", Shape::Object(&[]))])), ("c", Shape::Elements(&Shape::Object(&[])))]);

fn is_json(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

fn assert_same_verdict(body: &[u8]) {
    let opaque = scan(body, &Shape::Opaque, usize::MAX).map(|_| ());
    assert_eq!(opaque.is_ok(), is_json(body), "{opaque:?}: {}", body.escape_ascii());
    let read = scan(body, &READ, usize::MAX);
    match &read {
        Err(fault) if fault.reason() == Reason::LoneSurrogate => {}
        _ => assert_eq!(read.as_ref().err(), opaque.as_ref().err(), "{}", body.escape_ascii()),
    }
    if let Ok(json) = serde_json::from_slice::<serde_json::Value>(body) {
        let outline = read.expect("a Value has no lone half of a surrogate pair");
        if outline.duplicates().next().is_none() {
            assert_same_values(outline.root(), &json);
        }
    }
}

/// Asserts that the recorded values are those that serde_json read, as far as the shape lists them.
fn assert_same_values(value: Value<'_>, json: &serde_json::Value) {
    assert_eq!(&serde_json::from_str::<serde_json::Value>(value.raw()).unwrap(), json);
    let kind = match json {
        serde_json::Value::Null => Kind::Null,
        serde_json::Value::Bool(_) => Kind::Bool,
        serde_json::Value::Number(_) => Kind::Number,
        serde_json::Value::String(_) => Kind::String,
        serde_json::Value::Array(_) => Kind::Array,
        serde_json::Value::Object(_) => Kind::Object,
    };
    assert_eq!(value.kind(), kind);
    assert_eq!(value.text().as_deref(), json.as_str());
    // For serde_json, -0 is a float.
    assert_eq!(value.as_i64().filter(|_| value.raw() != "-0"), json.as_i64());
    for (index, element) in value.elements().enumerate() {
        assert_same_values(element, &json[index]);
    }
    for member in value.members() {
        let name = member.name().unwrap();
        assert_eq!(value.get(&name).unwrap().span(), member.span());
        assert_same_values(member, &json[&*name]);
    }
    if value.members().next().is_some() {
        assert_eq!(value.members().count(), json.as_object().unwrap().len());
    }
}

fn blank() -> impl Strategy<Value = String> {
    prop_oneof![4 => Just(String::new()), 1 => "[ \n\r\t]{1,3}"]
}

/// Generates a string as written: ordinary characters, every escape, halves of surrogate pairs.
fn string() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        8 => "[ !#-\\[\\]-~]{1,40}",
        2 => "\\\\[\"\\\\/bfnrt]",
        1 => "\\\\u[0-9a-fA-F]{4}",
        1 => "\\\\ud[89ab][0-9a-f]{2}\\\\ud[c-f][0-9a-f]{2}",
        1 => "[é€😀\u{7f}\u{2028}]",
    ];
    prop::collection::vec(character, 0..4).prop_map(|parts| format!("\"{}\"", parts.concat()))
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => prop::sample::select(vec![r#""a""#, r#""b""#, r#""c""#, r#""\u0061""#, r#""\u0062""#, r#""\u0063""#])
            .prop_map(str::to_owned),
        1 => string(),
    ]
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["null", "true", "false", "0", "-0"]).prop_map(str::to_owned),
        "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,4})?([eE][+-]?[0-9]{1,4})?",
        string(),
    ]
}

fn joined(items: Vec<(String, String, String)>, open: char, close: char, inner: &str) -> String {
    let items: Vec<String> = items.into_iter().map(|(before, item, behind)| before + &item + &behind).collect();
    let inner = if items.is_empty() { inner } else { "" };
    format!("{open}{inner}{}{close}", items.join(","))
}

fn document() -> impl Strategy<Value = String> {
    let value = scalar().prop_recursive(5, 40, 5, |inner| {
        let element = (blank(), inner.clone(), blank());
        let member = (blank(), (name(), blank(), blank(), inner), blank()).prop_map(|(before, member, behind)| {
            let (name, colon_before, colon_behind, value) = member;
            (before, format!("{name}{colon_before}:{colon_behind}{value}"), behind)
        });
        prop_oneof![
            1 => (prop::collection::vec(element, 0..5), blank())
                .prop_map(|(elements, inner)| joined(elements, '[', ']', &inner)),
            2 => (prop::collection::vec(member, 0..5), blank())
                .prop_map(|(members, inner)| joined(members, '{', '}', &inner)),
        ]
    });
    (blank(), value, blank()).prop_map(|(before, value, behind)| before + &value + &behind)
}

#[derive(Debug, Clone)]
enum Change {
    Replace(u8),
    Insert(u8),
    Remove,
    Cut,
}

fn change() -> impl Strategy<Value = (prop::sample::Index, Change)> {
    let byte = prop_oneof![
        4 => prop::sample::select(b"{}[]:,\"\\ \n0123456789-+.eEutfn/bdD\0".to_vec()),
        1 => any::<u8>()
    ];
    let change = prop_oneof![
        4 => byte.clone().prop_map(Change::Replace),
        4 => byte.prop_map(Change::Insert),
        4 => Just(Change::Remove),
        1 => Just(Change::Cut),
    ];
    (any::<prop::sample::Index>(), change)
}

fn corrupt(document: &str, changes: &[(prop::sample::Index, Change)]) -> Vec<u8> {
    let mut body = document.as_bytes().to_vec();
    for (offset, change) in changes {
        let offset = offset.index(body.len() + 1);
        match change {
            Change::Insert(byte) => body.insert(offset, *byte),
            Change::Cut => body.truncate(offset),
            Change::Replace(byte) if offset < body.len() => body[offset] = *byte,
            Change::Remove if offset < body.len() => drop(body.remove(offset)),
            Change::Replace(_) | Change::Remove => {}
        }
    }
    body
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_document_is_accepted(document in document()) {
        prop_assert!(is_json(document.as_bytes()), "{}", document);
        assert_same_verdict(document.as_bytes());
    }

    #[test]
    fn spoiled_documents_are_accepted_exactly_when_they_are_json(
        document in document(),
        changes in prop::collection::vec(change(), 1..4),
    ) {
        assert_same_verdict(&corrupt(&document, &changes));
    }

    #[test]
    fn random_tokens_are_accepted_exactly_when_they_are_json(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", ":", ",", "\"a\"", "\"c\"", "1", "0", "-", ".", "e", " ", "null", "\"", "\\", "\\u00",
        ]), 0..8),
    ) {
        assert_same_verdict(tokens.concat().as_bytes());
    }
}
