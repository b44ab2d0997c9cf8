//! Tests of what is read of files in answers, and of what is cut.

use super::*;
use crate::asteroid::item::cut;

const OWN: &str = "8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11";
const FOREIGN: &str = "8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c12";

/// Returns a body without these ranges.
pub(super) fn without(body: &[u8], cuts: &[Range<usize>]) -> Vec<u8> {
    let mut body = body.to_vec();
    cut(&mut body, cuts);
    body
}

/// Returns the answer without the entries that name another execution than `OWN`, or none.
fn passed(body: &str) -> String {
    let entries = read_files(body.as_bytes()).expect(body);
    let own = Uuid::try_parse(OWN).ok();
    let cuts = cuts(body.as_bytes(), &entries, |entry| entry.execution != own);
    String::from_utf8(without(body.as_bytes(), &cuts)).unwrap()
}

/// Returns a text in which `@` is an entry of this execution and `#` one of another.
fn files(text: &str) -> String {
    let entry = |id: &str| format!(r#"{{"fileName":"a,]","executionId":"{id}"}}"#);
    text.replace('@', &entry(OWN)).replace('#', &entry(FOREIGN))
}

#[test]
fn whatever_entries_are_cut_the_rest_is_json_and_no_other_byte_changes() {
    for (list, rest) in [
        ("[]", "[]"),
        ("[@]", "[@]"),
        ("[#]", "[]"),
        ("[ # ]", "[  ]"),
        ("[#,#,#]", "[]"),
        ("[# ,\t# , #]", "[\t ]"),
        ("[#,@]", "[@]"),
        ("[# , # , @ , @]", "[  @ , @]"),
        ("[@,#]", "[@]"),
        ("[@ , # , # ]", "[@   ]"),
        ("[@,#,#,@]", "[@,@]"),
        ("[#,@,#,@,#]", "[@,@]"),
        ("[null,@,1,{},[@],\"\"]", "[@]"),
    ] {
        let answer = |list: &str| {
            let directories = format!(r#""uploads":[@] ,"shared" : {list}, "later":{list},"debug":null"#);
            files(&format!(r#"{{"n":[{{"x":1}}],"directories":{{{directories}}} ,"lastUpdated":"2026"}}"#))
        };
        let expected = answer(rest);
        assert_eq!(passed(&answer(list)), expected, "{list}");
        assert!(serde_json::from_str::<serde_json::Value>(&expected).is_ok(), "{expected}");
    }
}

#[test]
fn an_entry_belongs_to_the_execution_that_it_names_exactly() {
    let execution = |entry: &str| {
        let body = format!(r#"{{"directories":{{"shared":[{entry}]}}}}"#);
        read_files(body.as_bytes()).map(|entries| entries[0].execution.map(|id| id.to_string()))
    };
    for entry in [
        format!(r#"{{"executionId":"{OWN}"}}"#),
        format!(r#"{{"id":1,"execution\u0049d" : "{}","x":{{"executionId":"{FOREIGN}"}}}}"#, OWN.to_uppercase()),
        format!(r#"{{"ExecutionId":"{FOREIGN}","executionId":"\u0038{}"}}"#, OWN.trim_start_matches('8')),
    ] {
        assert_eq!(execution(&entry).unwrap().as_deref(), Some(OWN), "{entry}");
    }
    for entry in [
        "null".to_owned(),
        "{}".to_owned(),
        format!("\"{OWN}\""),
        format!(r#"["executionId","{OWN}"]"#),
        format!(r#"{{"executionid":"{OWN}"}}"#),
        format!(r#"{{"executionId":["{OWN}"]}}"#),
        format!(r#"{{"executionId":"{{{OWN}}}"}}"#),
        format!(r#"{{"executionId":"{}"}}"#, OWN.replace('-', "")),
    ] {
        assert_eq!(execution(&entry), Ok(None), "{entry}");
    }
    let twice = format!(r#"{{"executionId":"{OWN}","executi\u006fnId":"{OWN}"}}"#);
    assert_eq!(execution(&twice), Err(Unreadable::Repeated("executionId")));
}

#[test]
fn an_answer_without_directories_of_lists_is_not_readable() {
    for (body, expected) in [
        ("[]", Unreadable::Kind("the list of files", "an object")),
        ("{}", Unreadable::Missing("directories")),
        (r#"{"Directories":{}}"#, Unreadable::Missing("directories")),
        (r#"{"directories":[]}"#, Unreadable::Kind("directories", "an object")),
        (r#"{"directories":null}"#, Unreadable::Kind("directories", "an object")),
        (r#"{"directories":{"shared":{}}}"#, Unreadable::Kind("a directory", "an array or null")),
        (r#"{"directories":{"shared":"null"}}"#, Unreadable::Kind("a directory", "an array or null")),
        (r#"{"directories":{},"directories":{}}"#, Unreadable::Repeated("directories")),
    ] {
        assert_eq!(read_files(body.as_bytes()), Err(expected), "{body}");
    }
    for body in
        ["", "{", r#"{"directories":{}} x"#, r#"{"directories":{"a":[1,]}}"#, "{\"directories\":{\"\\ud800\":[]}}"]
    {
        let refused = read_files(body.as_bytes()).unwrap_err();
        assert!(matches!(refused, Unreadable::Malformed(_) | Unreadable::Kind(..)), "{body}");
    }
    assert_eq!(read_files(br#"{"directories":{}}"#), Ok(Vec::new()));
    let many = |count| format!(r#"{{"directories":{{"a":[],"b":[1{}]}}}}"#, ",1".repeat(count - 1));
    assert_eq!(read_files(many(MAX_ENTRIES).as_bytes()).unwrap().len(), MAX_ENTRIES);
    assert_eq!(read_files(many(MAX_ENTRIES + 1).as_bytes()), Err(Unreadable::TooMany("files", MAX_ENTRIES)));
}

#[test]
fn a_directory_that_occurs_twice_has_the_entries_of_both() {
    let body = files(r#"{"directories":{"shared":[@,#],"shared":[#,@]}}"#);
    assert_eq!(passed(&body), files(r#"{"directories":{"shared":[@],"shared":[@]}}"#));
}

#[test]
fn the_ids_of_staged_files_are_those_that_any_reader_finds() {
    let ids = |body: &str| staged(body.as_bytes()).into_iter().map(|id| id.to_string()).collect::<Vec<_>>();
    let two = format!(
        r#" {{"x":[{{"id":"{FOREIGN}"}}],"tempFiles" : [ {{"id":"{OWN}","name":"a"}},{{"name":"b","\u0069d":"{FOREIGN}"}}]}}"#
    );
    assert_eq!(ids(&two), [OWN, FOREIGN]);
    let twice = format!(r#"{{"tempFiles":[{{"id":"{OWN}","id":"{FOREIGN}"}}],"tempFiles":[{{"id":"{OWN}"}}]}}"#);
    assert_eq!(ids(&twice), [OWN, FOREIGN, OWN]);
    let cut = format!(r#"{{"tempFiles":[{{"id":"{OWN}"}},{{"id":"{FOREIGN}"#);
    assert_eq!(ids(&cut), [OWN]);
    for body in [
        "",
        "[]",
        "null",
        "{}",
        r#"{"tempFiles":null}"#,
        r#"{"tempFiles":{"id":"x"}}"#,
        r#"{"tempFiles":[1,{"id":2},{"id":"x"}]}"#,
    ] {
        assert!(ids(body).is_empty(), "{body}");
    }
}
