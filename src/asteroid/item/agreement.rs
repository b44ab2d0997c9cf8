//! Asserts that the reading of answers and its [`oracle`] agree on generated items and pages: every member that is judged,
//! absent, repeated or wrong, in any order, with names escaped and white space between tokens at random.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::oracle::{self, Tree};
use super::tests::without;
use super::{Item, read_item, read_page};
use crate::asteroid::execution::Tag;

const TAG: (&str, &str) = ("tenant", "billing");

fn blank() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just(""), 1 => select(vec![" ", "\n", "\t\r\n "])]
}

/// Returns a name as written, sometimes with one of its letters escaped.
fn written(name: &'static str) -> impl Strategy<Value = String> {
    (any::<prop::sample::Index>(), prop::bool::weighted(0.2)).prop_map(move |(at, escapes)| {
        let letters = name.chars().enumerate();
        let at = at.index(name.len());
        let write = |(n, letter): (usize, char)| {
            if escapes && n == at { format!("\\u{:04x}", u32::from(letter)) } else { letter.to_string() }
        };
        format!("\"{}\"", letters.map(write).collect::<String>())
    })
}

fn member(name: &'static str, value: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
    (written(name), blank(), blank(), value)
        .prop_map(|(name, before, behind, value)| format!("{name}{before}:{behind}{value}"))
        .boxed()
}

fn one_of(values: &'static [&'static str]) -> BoxedStrategy<String> {
    select(values).prop_map(str::to_owned).boxed()
}

/// Returns an object of these members, each there with its probability or repeated, in any order.
fn object(members: Vec<(f64, BoxedStrategy<String>)>) -> BoxedStrategy<String> {
    let there = |(probability, member): (f64, BoxedStrategy<String>)| {
        let count = prop_oneof![99 => Just(1_usize), 1 => Just(2)];
        let count =
            (prop::bool::weighted(probability), count).prop_map(|(is_there, count)| if is_there { count } else { 0 });
        count.prop_flat_map(move |count| vec((blank(), member.clone(), blank()), count))
    };
    let members: Vec<_> = members.into_iter().map(there).collect();
    let members = members.prop_map(|members| members.concat()).prop_shuffle();
    (members, blank()).prop_map(|(members, inner)| format!("{{{}}}", joined(members, inner))).boxed()
}

fn joined(parts: Vec<(&str, String, &str)>, inner: &str) -> String {
    if parts.is_empty() {
        return inner.to_owned();
    }
    let parts: Vec<String> =
        parts.into_iter().map(|(before, part, behind)| format!("{before}{part}{behind}")).collect();
    parts.join(",")
}

fn any_value() -> BoxedStrategy<String> {
    one_of(&[
        "null",
        "true",
        "0",
        "7",
        "-1",
        "1.5",
        "1e400",
        r#""""#,
        r#""billing""#,
        r#""\ud800""#,
        "[]",
        "{}",
        r#"[{"triggerContext":1}]"#,
        r#"{"id":1,"id":2,"metadata":{"tenant":"billing"},"triggerContext":"},{"}"#,
        r#"[[ [ 1 , {"a":"\\\"" } ]]]"#,
    ])
}

fn item() -> BoxedStrategy<String> {
    let id = one_of(&[
        r#""8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11""#,
        r#""8D0F7A52-1C5E-4B8E-9F59-2F6F1F0A7C12""#,
        r#""8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c1\u0033""#,
    ]);
    let tag = prop_oneof![20 => one_of(&[r#""billing""#, r#""b\u0069lling""#]), 1 => one_of(&[r#""Billing""#, r#""""#, "null", "[]"])];
    let metadata = object(vec![
        (0.98, member("tenant", tag)),
        (0.3, member("Tenant", any_value())),
        (0.3, member("team", any_value())),
    ]);
    let metadata = prop_oneof![40 => metadata, 1 => any_value()];
    let id = prop_oneof![60 => id, 1 => any_value()];
    object(vec![
        (0.99, member("id", id)),
        (0.98, member("metadata", metadata)),
        (0.6, member("triggerContext", any_value())),
        (0.2, member("TriggerContext", any_value())),
        (0.3, member("inputs", any_value())),
        (0.3, member("comments", any_value())),
    ])
}

fn page() -> BoxedStrategy<String> {
    let items = (vec((blank(), item(), blank()), 0..5), blank())
        .prop_map(|(items, inner)| format!("[{}]", joined(items, inner)));
    let number = |right: &'static [&'static str]| prop_oneof![60 => one_of(right), 1 => any_value()];
    object(vec![
        (0.99, member("items", prop_oneof![60 => items.boxed(), 1 => any_value()])),
        (0.99, member("page", number(&["1", "2"]))),
        (0.99, member("pageSize", number(&["10"]))),
        (0.99, member("total", number(&["4", "5", "100", "18446744073709551615", "3"]))),
        (0.2, member("Items", any_value())),
        (0.2, member("triggerContext", any_value())),
    ])
}

fn judged(items: &[Item]) -> Vec<oracle::Judged> {
    items.iter().map(|item| (item.id.to_string(), item.is_owned, item.trigger_context.is_some())).collect()
}

/// Compares the reading of an answer with the oracle's.
fn assert_same(body: &str) {
    let tag = Tag { name: TAG.0, value: TAG.1 };
    // Numbers that are too large and halves of surrogate pairs are JSON, but not for serde_json.
    let tree = serde_json::from_str::<Tree>(body).ok();
    let cut = |items: &[Item]| {
        let cuts: Vec<_> = items.iter().filter_map(|item| item.trigger_context.clone()).collect();
        assert!(cuts.is_sorted_by(|one, other| one.end <= other.start), "{body}");
        without(body.as_bytes(), &cuts)
    };
    let (item, page) = (read_item(body.as_bytes(), tag), read_page(body.as_bytes(), tag));
    if let Ok(item) = &item {
        assert_eq!(read_item(&cut(std::slice::from_ref(item)), tag).unwrap().trigger_context, None, "{body}");
    }
    if let Ok(page) = &page {
        let again = read_page(&cut(&page.items), tag).unwrap();
        assert!(
            again.cuts().is_empty() && again.foreign() == page.foreign() && again.items.len() == page.items.len(),
            "{body}"
        );
    }
    let Some(tree) = tree else { return };
    let read = item.as_ref().ok().map(|item| judged(std::slice::from_ref(item)).remove(0));
    assert_eq!(read, oracle::item(&tree, TAG), "{body}");
    let read = page.as_ref().ok().map(|page| (judged(&page.items), [page.page, page.page_size, page.total]));
    assert_eq!(read, oracle::page(&tree, TAG), "{body}");
    for (items, is_page) in [(item.ok().map(|item| vec![item]), false), (page.ok().map(|page| page.items), true)] {
        let Some(items) = items else { continue };
        let shown = serde_json::from_slice::<Tree>(&cut(&items)).expect("what is passed on is JSON");
        assert_eq!(shown, oracle::shown(tree.clone(), is_page), "{body}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn items_are_judged_as_a_second_reader_judges_them(item in item()) {
        assert_same(&item);
    }

    #[test]
    fn pages_are_judged_as_a_second_reader_judges_them(page in page(), before in blank(), behind in blank()) {
        assert_same(&format!("{before}{page}{behind}"));
    }

    #[test]
    fn answers_with_a_byte_removed_or_changed_are_judged_as_a_second_reader_judges_them(
        page in page(),
        at in any::<prop::sample::Index>(),
        with in "[\",:{}\\[\\] \\\\1]?",
    ) {
        let mut page = page;
        let at = at.index(page.len());
        page.replace_range(at..=at, &with);
        assert_same(&page);
    }
}
