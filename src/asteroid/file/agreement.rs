//! Asserts that the reading of files in answers and its [`oracle`] agree on generated answers, and that whatever entries are cut, the
//! others stay as they are.

use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::oracle::{self, Directory};
use super::tests::without;
use super::{Entry, cuts, read_files};

fn blank() -> impl Strategy<Value = &'static str> + Clone {
    prop_oneof![4 => Just(""), 1 => select(vec![" ", "\n", "\t\r\n "])]
}

/// Returns what is between these brackets, with commas and blanks.
fn joined(open: char, parts: Vec<(&str, String, &str)>, inner: &str, close: char) -> String {
    let is_empty = parts.is_empty();
    let parts: Vec<String> =
        parts.into_iter().map(|(before, part, behind)| format!("{before}{part}{behind}")).collect();
    format!("{open}{}{}{close}", if is_empty { inner } else { "" }, parts.join(","))
}

fn entry() -> impl Strategy<Value = String> {
    let execution = select(vec![
        r#""executionId":"8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11""#,
        r#""execution\u0049d" : "8D0F7A52-1C5E-4B8E-9F59-2F6F1F0A7C12""#,
        r#""executionId":"8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c1\u0033""#,
    ]);
    let faulty = select(vec![
        r#""executionId":null"#,
        r#""executionId":1"#,
        r#""executionId":"8d0f7a521c5e4b8e9f592f6f1f0a7c11""#,
        r#""ExecutionId":"8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11""#,
    ]);
    let execution = prop_oneof![20 => execution, 3 => faulty];
    let other = select(vec![r#""fileName":"a,]}\"é""#, r#""x":[{"executionId":1},{}]"#, r#""fileSize" : 1"#]);
    let member = prop_oneof![40 => other.clone(), 1 => execution.clone()];
    let members = (execution, vec(member, 0..3)).prop_map(|(execution, mut members)| {
        members.push(execution);
        members
    });
    let object = (members.prop_shuffle(), blank(), blank()).prop_map(|(members, before, behind)| {
        joined('{', members.into_iter().map(|member| (before, member.to_owned(), behind)).collect(), "", '}')
    });
    let other = select(vec!["{}", "{ }", "null", "1", "[]", "\"],\"", "[[{}]]"]).prop_map(str::to_owned);
    prop_oneof![20 => object, 1 => other]
}

fn answer() -> impl Strategy<Value = String> {
    let entries =
        (vec((blank(), entry(), blank()), 0..5), blank()).prop_map(|(entries, inner)| joined('[', entries, inner, ']'));
    let faulty = select(vec!["{}", "1", "\"[]\""]).prop_map(str::to_owned);
    let directory = prop_oneof![80 => entries, 4 => Just("null".to_owned()), 1 => faulty];
    let name = select(vec!["uploads", "shared", "debug", "later", "sh\\u0061red", ""]);
    let directory =
        (name, blank(), directory).prop_map(|(name, blank, files)| format!("\"{name}\"{blank}:{blank}{files}"));
    let directories = (vec((blank(), directory, blank()), 0..4), blank())
        .prop_map(|(directories, inner)| joined('{', directories, inner, '}'));
    let directories = prop_oneof![80 => directories, 1 => Just("null".to_owned()), 1 => Just("[]".to_owned())];
    let directories = directories.prop_map(|directories| format!("\"directories\":{directories}")).boxed();
    let other =
        select(vec![r#""lastUpdated":"2026-11-01T00:00:00Z""#, r#""Directories":[{}]"#, r#""x":{"directories":1}"#]);
    let other = vec(other.prop_map(str::to_owned), 0..2);
    let count = prop_oneof![60 => Just(1_usize), 1 => Just(0), 1 => Just(2)];
    let members = (count.prop_flat_map(move |count| vec(directories.clone(), count)), other)
        .prop_map(|(directories, other)| [directories, other].concat())
        .prop_shuffle();
    (members, blank(), blank()).prop_map(|(members, before, behind)| {
        let members = members.into_iter().map(|member| (before, member, behind)).collect();
        format!("{before}{}{behind}", joined('{', members, "", '}'))
    })
}

/// Returns the directories without the entries of which `goes` says so, by number.
fn filtered(directories: &[Directory], goes: impl Fn(usize) -> bool) -> Vec<Directory> {
    let mut number = 0;
    let mut stays = || {
        number += 1;
        !goes(number - 1)
    };
    let filter = |(name, entries): &Directory| {
        let entries = entries.as_ref();
        (name.clone(), entries.map(|entries| entries.iter().filter(|_| stays()).cloned().collect()))
    };
    directories.iter().map(filter).collect()
}

fn assert_same(body: &str, chosen: u32) {
    let (read, expected) = (read_files(body.as_bytes()), oracle::directories(body.as_bytes()));
    let Ok(entries) = read else { return assert_eq!(expected, None, "{read:?} {body}") };
    let directories = expected.expect(body);
    let text = |range: &Range<usize>| body.get(range.clone()).expect("no character is cut");
    let shown = |entry: &Entry| (text(&entry.range).to_owned(), entry.execution.map(|id| id.to_string()));
    let all = directories.iter().filter_map(|(_, entries)| entries.clone()).flatten().collect::<Vec<_>>();
    assert_eq!(entries.iter().map(shown).collect::<Vec<_>>(), all, "{body}");
    let goes = |number: usize| chosen & (1 << (number % 32)) != 0;
    let mut number = 0;
    let ranges = cuts(body.as_bytes(), &entries, |_| {
        number += 1;
        goes(number - 1)
    });
    assert!(ranges.is_sorted_by(|one, other| one.end <= other.start), "{ranges:?} {body}");
    let going = entries.iter().enumerate().filter(|(number, _)| goes(*number)).map(|(_, entry)| text(&entry.range));
    let cut = ranges.iter().map(|range| {
        let text = text(range).trim();
        text.strip_prefix(',').or_else(|| text.strip_suffix(',')).unwrap_or(text).trim()
    });
    assert!(going.eq(cut), "{ranges:?} {body}");
    let passed = without(body.as_bytes(), &ranges);
    let left = oracle::directories(&passed);
    assert_eq!(left, Some(filtered(&directories, goes)), "{body} became {}", String::from_utf8_lossy(&passed));
    assert!(serde_json::from_slice::<serde_json::Value>(&passed).is_ok(), "{body}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn files_are_read_as_a_second_reader_reads_them_and_any_of_them_can_be_cut(answer in answer(), chosen in any::<u32>()) {
        for chosen in [chosen, 0, u32::MAX, 1, !1] {
            assert_same(&answer, chosen);
        }
    }

    #[test]
    fn answers_with_a_byte_removed_or_changed_are_read_as_a_second_reader_reads_them(
        answer in answer(),
        at in any::<Index>(),
        with in "[\",:{}\\[\\] \\\\1]?",
        chosen in any::<u32>(),
    ) {
        let mut answer = answer;
        let places: Vec<usize> = answer.char_indices().filter(|(_, char)| char.is_ascii()).map(|(at, _)| at).collect();
        let at = places[at.index(places.len())];
        answer.replace_range(at..=at, &with);
        assert_same(&answer, chosen);
    }
}
