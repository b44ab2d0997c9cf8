//! Compares tagging with serde_json on generated bodies: `metadata` absent, `null`, empty and filled, names and values
//! escaped at random, white space anywhere, numbers of any size, members in any order.

use bytes::Bytes;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value as Json;

use super::{OnConflict, Start, Tags};
use crate::json::{Splice, splice};

const NAMES: [&str; 5] = ["tenant", "team", "a~/b", "é\"\\\n", ""];
const VALUES: [&str; 5] = ["billing", "", "b\\\"\u{1}é", "😀", "Billing"];

fn blank() -> impl Strategy<Value = String> {
    prop_oneof![3 => Just(String::new()), 1 => "[ \n\r\t]{1,3}"]
}

/// A text as a JSON string, with some characters escaped needlessly.
pub(super) fn written(text: impl Strategy<Value = &'static str>) -> impl Strategy<Value = String> {
    (text, any::<u32>()).prop_map(|(text, escaped)| {
        let character = |(place, character): (usize, char)| {
            if escaped >> place & 1 == 1 || character < ' ' || "\"\\".contains(character) {
                character.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
            } else {
                character.to_string()
            }
        };
        format!("\"{}\"", text.chars().enumerate().map(character).collect::<String>())
    })
}

fn member(name: impl Strategy<Value = String>, value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (blank(), name, blank(), blank(), value, blank())
        .prop_map(|(before, name, left, right, value, behind)| format!("{before}{name}{left}:{right}{value}{behind}"))
}

fn object(members: &[String], inner: &str) -> String {
    if members.is_empty() { format!("{{{inner}}}") } else { format!("{{{}}}", members.join(",")) }
}

fn metadata() -> impl Strategy<Value = Option<String>> {
    let entries: Vec<_> = NAMES
        .iter()
        .map(|name| prop::option::weighted(0.4, member(written(Just(*name)), written(select(&VALUES[..])))))
        .collect();
    let filled = (entries.prop_shuffle(), blank())
        .prop_map(|(entries, inner)| object(&entries.into_iter().flatten().collect::<Vec<_>>(), &inner));
    let value = prop_oneof![1 => Just("null".to_owned()), 4 => filled];
    prop::option::weighted(0.7, member(written(Just("metadata")), value))
}

fn body() -> impl Strategy<Value = String> {
    let others = select(vec![
        r#""version":-9223372036854775808"#,
        r#""inputs": {"metadata":{"tenant":"other","tenant":1},"n":[1.00,-0,1E5]}"#,
        r#""tempFiles" :[{"id":"8D0F7A52-1c5e-4b8e-9f59-2f6f1f0a7c11","name":"\u00e9"}]"#,
        r#""executionOptions":{"softTimeoutMins":5 }"#,
        r#""dynamicData":{ "metadata" : null}"#,
        "\"lat\\u0065r\"\n:\t[[],{},12345678901234567890123456789012345678901234567890]",
    ]);
    let others = vec(others, 0..4).prop_map(|mut others| {
        others.sort_unstable();
        others.dedup();
        others.into_iter().map(str::to_owned).collect::<Vec<String>>()
    });
    (others, metadata(), any::<prop::sample::Index>(), blank(), blank(), blank()).prop_map(
        |(mut members, metadata, place, before, inner, behind)| {
            if let Some(metadata) = metadata {
                members.insert(place.index(members.len() + 1), metadata);
            }
            format!("{before}{}{behind}", object(&members, &inner))
        },
    )
}

fn tags() -> impl Strategy<Value = Vec<(String, String)>> {
    btree_map(select(&NAMES[..]), select(&VALUES[..]), 1..4)
        .prop_map(|tags| tags.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// Returns the splices and the resulting body.
fn tagged(
    body: &str,
    tags: &[(String, String)],
    on_conflict: OnConflict,
) -> Result<(Vec<Splice>, String), Vec<String>> {
    let start = Start::parse(body.as_bytes()).expect("the body keeps the rules");
    let splices = start
        .tag(&Tags::new(tags.iter().cloned()), on_conflict)
        .map_err(|faults| faults.into_iter().map(|fault| fault.pointer).collect::<Vec<_>>())?;
    let pieces = splice(&Bytes::copy_from_slice(body.as_bytes()), splices.clone()).unwrap();
    let sent = pieces.concat();
    assert_eq!(pieces.len(), sent.len() as u64);
    Ok((splices, String::from_utf8(sent).unwrap()))
}

/// Returns the sent body with every splice undone; calls `taken` with the text that each had replaced.
fn taken_back(body: &str, sent: &str, splices: &[Splice], mut taken: impl FnMut(&str)) -> String {
    let (mut original, mut rest, mut read) = (String::new(), sent, 0);
    for splice in splices {
        let (kept, behind) = rest.split_at(splice.at.start - read);
        rest = behind.strip_prefix(std::str::from_utf8(&splice.with).unwrap()).expect("the splice is where it says");
        original.push_str(kept);
        let token = body.get(splice.at.clone()).expect("what was replaced is text");
        original.push_str(token);
        taken(token);
        read = splice.at.end;
    }
    original + rest
}

fn pointer_of(name: &str) -> String {
    format!("/metadata/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Returns the tags that the body has with another value, and the body with all tags.
fn merged(body: &str, tags: &[(String, String)]) -> (Vec<String>, Json) {
    let mut json: Json = serde_json::from_str(body).unwrap();
    let metadata = json.as_object_mut().unwrap().entry("metadata").or_insert(Json::Null);
    if metadata.is_null() {
        *metadata = Json::Object(serde_json::Map::new());
    }
    let metadata = metadata.as_object_mut().unwrap();
    let differs = |(name, value): &&(String, String)| metadata.get(name).is_some_and(|sent| sent != value.as_str());
    let conflicts = tags.iter().filter(differs).map(|(name, _)| name.clone()).collect();
    metadata.extend(tags.iter().map(|(name, value)| (name.clone(), Json::from(value.as_str()))));
    (conflicts, json)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_tags_are_merged_and_every_other_byte_stays(body in body(), tags in tags()) {
        let (conflicts, expected) = merged(&body, &tags);
        let (splices, sent) = tagged(&body, &tags, OnConflict::Overwrite).unwrap();
        prop_assert_eq!(serde_json::from_str::<Json>(&sent).unwrap(), expected, "{}", sent);
        prop_assert!(Start::parse(sent.as_bytes()).is_ok(), "{}", sent);

        let mut replaced = Vec::new();
        let original = taken_back(&body, &sent, &splices, |token| {
            if !token.is_empty() && token != "null" {
                replaced.push(serde_json::from_str::<String>(token).expect("only a whole value is replaced"));
            }
        });
        prop_assert_eq!(original, &*body);
        prop_assert_eq!(replaced.len(), conflicts.len());

        let (again, _) = tagged(&sent, &tags, OnConflict::Reject).unwrap();
        prop_assert_eq!(again, vec![], "what is tagged needs no tags");
    }

    #[test]
    fn a_conflict_is_rejected_with_a_fault_for_each_tag_and_nothing_else_is(body in body(), tags in tags()) {
        let (conflicts, expected) = merged(&body, &tags);
        match tagged(&body, &tags, OnConflict::Reject) {
            Ok((_, sent)) => {
                prop_assert!(conflicts.is_empty(), "{}", sent);
                prop_assert_eq!(serde_json::from_str::<Json>(&sent).unwrap(), expected);
            }
            Err(mut pointers) => {
                let mut expected: Vec<String> = conflicts.iter().map(|name| pointer_of(name)).collect();
                expected.sort_unstable();
                pointers.sort_unstable();
                prop_assert_eq!(pointers, expected);
            }
        }
    }
}
