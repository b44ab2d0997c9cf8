//! Tests of what is read of an execution and of a page, and of what is cut.

use serde_json::json;

use super::*;
use crate::json::Reason;

const TAG: Tag<'_> = Tag { name: "tenant", value: "billing" };
const ID: &str = "8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11";

/// Returns an item that has these members beside its id.
fn item(members: &str) -> String {
    format!(r#"{{"id":"{ID}"{}{members}}}"#, if members.is_empty() { "" } else { "," })
}

fn page(items: &[String], total: &str) -> String {
    format!(r#"{{"items":[{}],"page":1,"pageSize":10,"total":{total}}}"#, items.join(","))
}

fn is_owned(body: &str) -> bool {
    read_item(body.as_bytes(), TAG).expect(body).is_owned
}

/// Returns a body without these ranges.
pub(super) fn without(body: &[u8], cuts: &[Range<usize>]) -> Vec<u8> {
    let mut body = body.to_vec();
    cut(&mut body, cuts);
    body
}

/// Returns the body as it is passed on.
fn passed(body: &str) -> String {
    let cuts: Vec<_> = read_item(body.as_bytes(), TAG).expect(body).trigger_context.into_iter().collect();
    String::from_utf8(without(body.as_bytes(), &cuts)).unwrap()
}

#[test]
fn an_execution_belongs_to_the_tenant_whose_tag_its_metadata_carries_exactly() {
    for members in [
        r#""metadata":{"tenant":"billing"}"#,
        r#""metadata" : { "Tenant":"x", "team":"a","ten\u0061nt" : "b\u0069lling" } "#,
        r#""m\u0065tadata":{"tenant":"billing"},"Metadata":{"tenant":"other"},"inputs":{"metadata":{}}"#,
    ] {
        assert!(is_owned(&item(members)), "{members}");
    }
    for members in [
        "",
        r#""metadata":null"#,
        r#""metadata":{}"#,
        r#""metadata":[{"tenant":"billing"}]"#,
        r#""metadata":["tenant","billing"]"#,
        r#""metadata":"tenant""#,
        r#""metadata":{"tenant":null}"#,
        r#""metadata":{"tenant":["billing"]}"#,
        r#""metadata":{"tenant":"Billing"}"#,
        r#""metadata":{"tenant":"billing "}"#,
        r#""metadata":{"tenant":"bill"}"#,
        r#""metadata":{"tenant":"billing\u0000"}"#,
        r#""metadata":{"tenant":"billing\ud800"}"#,
        r#""metadata":{"Tenant":"billing"}"#,
        r#""metadata":{"nested":{"tenant":"billing"}}"#,
        r#""Metadata":{"tenant":"billing"}"#,
        r#""inputs":{"metadata":{"tenant":"billing"}}"#,
        r#""tenant":"billing""#,
    ] {
        assert!(!is_owned(&item(members)), "{members}");
    }
}

#[test]
fn the_id_is_read_in_any_case() {
    let upper = ID.to_uppercase();
    for id in [ID, &upper, "\\u0038d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11"] {
        let read = read_item(format!(r#"{{"agentId":"x","id":"{id}"}}"#).as_bytes(), TAG).unwrap();
        assert_eq!(read.id.to_string(), ID);
    }
    let no_uuid = Unreadable::Kind("id", "a hyphenated 36-character uuid");
    let simple = format!("\"{}\"", ID.replace('-', ""));
    for id in ["null", "1", "\"\"", "\"x\"", "[]", &simple, &format!("\"{{{ID}}}\""), &format!("\"urn:uuid:{ID}\"")] {
        assert_eq!(read_item(format!(r#"{{"id":{id}}}"#).as_bytes(), TAG), Err(no_uuid), "{id}");
    }
    assert_eq!(read_item(br#"{"Id":1,"executionId":2}"#, TAG), Err(Unreadable::Missing("id")));
}

#[test]
fn what_readers_may_take_differently_is_not_readable() {
    for (members, name) in [
        (format!(r#""id":"{ID}""#), "id"),
        (format!(r#""\u0069d":"{ID}""#), "id"),
        (r#""metadata":{"tenant":"billing"},"metadata":{"tenant":"billing"}"#.to_owned(), "metadata"),
        (r#""metadata":{"tenant":"other"},"a":1,"metad\u0061ta":{"tenant":"billing"}"#.to_owned(), "metadata"),
        (r#""metadata":null,"metadata":null"#.to_owned(), "metadata"),
        (r#""metadata":{"tenant":"other","tenant":"billing"}"#.to_owned(), "the tag"),
        (r#""metadata":{"tenant":"billing","a":1,"t\u0065nant":"billing"}"#.to_owned(), "the tag"),
        (r#""triggerContext":null,"triggerConte\u0078t":{}"#.to_owned(), "triggerContext"),
    ] {
        let expected = Unreadable::Repeated(name);
        assert_eq!(read_item(item(&members).as_bytes(), TAG), Err(expected), "{members}");
        assert_eq!(read_page(page(&[item(&members)], "1").as_bytes(), TAG), Err(expected), "{members}");
    }
    for members in [r#""comments":[],"comments":[]"#, r#""metadata":{"a":1,"a":2}"#, r#""x":{"id":1,"id":2}"#] {
        assert!(read_item(item(members).as_bytes(), TAG).is_ok(), "{members}");
    }
}

#[test]
fn only_the_trigger_context_of_an_item_is_cut_with_one_comma() {
    for (body, expected) in [
        (r#"{"id":"ID","triggerContext":null}"#, r#"{"id":"ID"}"#),
        (r#"{"triggerContext":{"source":"api","apiKey":{"id":[]}},"id":"ID"}"#, r#"{"id":"ID"}"#),
        ("{ \"triggerContext\" : 1 ,\n \"id\":\"ID\" }", "{ \n \"id\":\"ID\" }"),
        ("{\"id\":\"ID\" ,\t\"triggerContext\" :\r\n \"a,\" , \"b\":1}", "{\"id\":\"ID\"  , \"b\":1}"),
        (r#" {"id":"ID","trigger\u0043ontext":[1,{}] } "#, r#" {"id":"ID" } "#),
        (
            r#"{"id":"ID","TriggerContext":1,"triggercontext":2}"#,
            r#"{"id":"ID","TriggerContext":1,"triggercontext":2}"#,
        ),
        (r#"{"id":"ID","a":{"triggerContext":1}}"#, r#"{"id":"ID","a":{"triggerContext":1}}"#),
        (r#"{"id":"ID","a":1e9999,"b":"\ud800"}"#, r#"{"id":"ID","a":1e9999,"b":"\ud800"}"#),
    ] {
        assert_eq!(passed(&body.replace("ID", ID)), expected.replace("ID", ID), "{body}");
    }
    let only = br#"{"items":[{"triggerContext":1}],"page":1,"pageSize":1,"total":1}"#;
    assert_eq!(read_page(only, TAG), Err(Unreadable::Missing("id")), "no item consists of it alone");
}

#[test]
fn a_body_without_cuts_is_the_same_bytes_and_any_cuts_are_bounded_by_it() {
    let cases: [(&[Range<usize>], &str); 5] = [
        (&[], "0123456789"),
        (&[0..4, 4..10], ""),
        (&[0..1, 1..2, 9..10], "2345678"),
        (&[3..5, 4..6, 20..30], "0126789"),
        (&[0..0, 9..12], "012345678"),
    ];
    for (cuts, rest) in cases {
        assert_eq!(without(b"0123456789", cuts), rest.as_bytes(), "{cuts:?}");
    }
}

#[test]
fn a_page_tells_how_many_of_its_items_are_foreign_and_what_is_cut_of_each() {
    let own = item(r#""metadata":{"tenant":"billing"},"triggerContext":{"runner":{"email":"a@example.test"}}"#);
    let foreign = item(r#""triggerContext":1,"metadata":{"tenant":"other"}"#);
    let body = page(&[own.clone(), foreign, item(""), own], "4");
    let read = read_page(body.as_bytes(), TAG).unwrap();
    assert_eq!((read.items.len(), read.foreign(), read.page, read.page_size, read.total), (4, 2, 1, 10, 4));
    let cuts = read.cuts();
    assert!(cuts.len() == 3 && cuts.is_sorted_by_key(|cut| cut.start));
    let passed = without(body.as_bytes(), &cuts);
    assert!(serde_json::from_slice::<serde_json::Value>(&passed).is_ok());
    assert!(!passed.windows(5).any(|window| window == b"email"));
    let empty = read_page(page(&[], "0").as_bytes(), TAG).unwrap();
    assert_eq!((empty.foreign(), empty.cuts().len(), empty.total), (0, 0, 0));
}

#[test]
fn a_page_has_all_of_its_four_members_once() {
    let whole = json!({ "items": [], "page": 1, "pageSize": 10, "total": 7 });
    assert!(read_page(whole.to_string().as_bytes(), TAG).is_ok());
    for name in ["items", "page", "pageSize", "total"] {
        let mut less = whole.clone();
        less.as_object_mut().unwrap().remove(name);
        assert_eq!(read_page(less.to_string().as_bytes(), TAG), Err(Unreadable::Missing(name)));
        let twice = whole.to_string().replacen('{', &format!("{{\"{name}\":{},", whole[name]), 1);
        assert_eq!(read_page(twice.as_bytes(), TAG), Err(Unreadable::Repeated(name)));
        let numbers = ["-1", "-0", "1.0", "1e1", "\"1\"", "null", "18446744073709551616", "{}"];
        for value in numbers {
            let wrong =
                whole.to_string().replacen(&format!("\"{name}\":{}", whole[name]), &format!("\"{name}\":{value}"), 1);
            let refused = read_page(wrong.as_bytes(), TAG).unwrap_err();
            assert!(matches!(refused, Unreadable::Kind(named, _) if named == name), "{wrong} {refused:?}");
        }
    }
    assert_eq!(read_page(page(&[item(""), item("")], "1").as_bytes(), TAG), Err(Unreadable::Total));
    for (body, expected) in [
        ("[]", Unreadable::Kind("the page", "an object")),
        (r#"{"items":[1]}"#, Unreadable::Kind("an item", "an object")),
        (r#"{"items":[[]]}"#, Unreadable::Kind("an item", "an object")),
    ] {
        assert_eq!(read_page(body.as_bytes(), TAG), Err(expected), "{body}");
    }
}

#[test]
fn what_is_not_strict_json_is_not_readable_and_no_byte_of_it_is_told() {
    let deep = item(&format!(r#""a":{}{}"#, "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH)));
    for (body, reason) in [
        ("", Reason::Value),
        (&format!("\u{feff}{}", item("")), Reason::ByteOrderMark),
        (&format!("{}x", item("")), Reason::Trailing),
        (&item(r#""a":secret"#), Reason::Value),
        (&item(r#""secret\ud800":1"#), Reason::LoneSurrogate),
        (&item(r#""metadata":{"secret\ud800":1}"#), Reason::LoneSurrogate),
        (&deep, Reason::Depth),
    ] {
        let expected = if body.is_empty() { "kind" } else { "malformed" };
        let refused = read_item(body.as_bytes(), TAG).unwrap_err();
        assert_eq!(refused.code(), expected, "{body}");
        assert!(!refused.to_string().contains("secret"), "{refused}");
        if let Unreadable::Malformed(malformed) = refused {
            assert_eq!(malformed.reason(), reason, "{body}");
        }
    }
    let accepted = item(&format!(r#""a":{}{}"#, "[".repeat(MAX_DEPTH - 1), "]".repeat(MAX_DEPTH - 1)));
    assert!(read_item(accepted.as_bytes(), TAG).is_ok());
    let whole = item(r#""metadata":{"tenant":"billing"},"triggerContext":[1,"a"]"#);
    for cut in 0..whole.len() {
        assert!(read_item(&whole.as_bytes()[..cut], TAG).is_err(), "{cut}");
    }
}
