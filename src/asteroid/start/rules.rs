//! The rules of a start's body. All faults are collected, in the order of the rules.

use super::{Fault, METADATA, Refusal, called};
use crate::json::{Kind, Outline, Value};

/// Every rule that the body breaks, up to [`Refusal::LISTED`].
pub(super) fn faults(outline: &Outline<'_>) -> Vec<Fault> {
    let root = outline.root();
    if root.kind() != Kind::Object {
        return vec![Fault::of(root, format!("must be an object, not {}", called(root.kind())))];
    }
    let repeated = outline.duplicates().map(|member| Fault::of(member, "is there more than once"));
    repeated.chain(lookalikes(root)).chain(metadata(root)).take(Refusal::LISTED).collect()
}

/// Names that a reader takes for `metadata` which does not tell capitals from small letters, as Go's does: what is in
/// them could take the place of the tags. No character beyond ASCII folds to a letter of `metadata`.
fn lookalikes(root: Value<'_>) -> impl Iterator<Item = Fault> {
    let alike = |name: &str| name.eq_ignore_ascii_case(METADATA) && name != METADATA;
    root.members()
        .filter(move |member| member.name().is_some_and(|name| alike(&name)))
        .map(|member| Fault::of(member, "must be written in small letters: metadata"))
}

/// The specification: an object whose values are strings.
fn metadata(root: Value<'_>) -> impl Iterator<Item = Fault> {
    root.members().filter(|member| member.is_named(METADATA)).flat_map(|metadata| {
        let kind = metadata.kind();
        let itself = (!matches!(kind, Kind::Object | Kind::Null))
            .then(|| Fault::of(metadata, format!("must be an object, not {}", called(kind))));
        let values = metadata
            .members()
            .filter(|value| value.kind() != Kind::String)
            .map(|value| Fault::of(value, format!("must be a string, not {}", called(value.kind()))));
        itself.into_iter().chain(values)
    })
}

#[cfg(test)]
mod tests {
    use super::super::{DEPTH, Start};
    use super::*;

    fn refused(body: &str) -> Vec<(String, String)> {
        let faults = Start::parse(body.as_bytes()).map_or_else(|refusal| refusal.faults, |_| vec![]);
        faults.into_iter().map(|fault| (fault.pointer, fault.detail)).collect()
    }

    fn pointers(body: &str) -> Vec<String> {
        refused(body).into_iter().map(|(pointer, _)| pointer).collect()
    }

    #[test]
    fn what_the_specification_allows_is_accepted() {
        for body in [
            "{}",
            r#" {"metadata":null,"inputs":{"metadata":{"x":1},"a":1,"a":2},"later":[1e999]} "#,
            r#"{"metadata":{"run":"7","Run":"8",".":""},"dynamicData":{"\ud800":1}}"#,
            r#"{"tempFiles":[{"id":"1","name":"n"},{"id":"1","name":"n"}],"executionOptions":{"softTimeoutMins":5}}"#,
        ] {
            assert_eq!(refused(body), [], "{body}");
        }
    }

    #[test]
    fn a_body_that_is_no_object_is_refused() {
        let fault = |detail: &str| vec![(String::new(), detail.to_owned())];
        assert_eq!(refused("[]"), fault("must be an object, not an array"));
        assert_eq!(refused(r#""{}""#), fault("must be an object, not a string"));
        assert_eq!(refused("null"), fault("must be an object, not null"));
    }

    #[test]
    fn a_body_that_is_no_json_is_refused_with_its_place() {
        assert_eq!(
            refused("{\n  \"inputs\": {},\n}"),
            [(
                String::new(),
                "is not JSON at byte 18: a name in double quotes was expected (line 3, column 1)".to_owned()
            )]
        );
        let nested = |levels: usize| format!(r#"{{"inputs":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
        assert_eq!(refused(&nested(DEPTH - 1)), []);
        assert_eq!(pointers(&nested(DEPTH)), [""]);
        assert_eq!(pointers(r#"{"ten\ud800ant":1}"#), [""]);
    }

    #[test]
    fn metadata_is_an_object_of_strings() {
        assert_eq!(
            refused(r#"{"metadata":[]}"#),
            [("/metadata".to_owned(), "must be an object, not an array".to_owned())]
        );
        assert_eq!(
            refused(r#"{"metadata":{"a":1,"b":"","c":null,"d/e":{"x":1}}}"#),
            [
                ("/metadata/a".to_owned(), "must be a string, not a number".to_owned()),
                ("/metadata/c".to_owned(), "must be a string, not null".to_owned()),
                ("/metadata/d~1e".to_owned(), "must be a string, not an object".to_owned()),
            ]
        );
        assert_eq!(pointers(r#"{"met\u0061data":7}"#), ["/metadata"]);
    }

    #[test]
    fn names_are_unique_where_the_gateway_reads() {
        let twice = r#"{"k":1,"\u006b":2}"#;
        assert_eq!(pointers(r#"{"version":1,"version":1}"#), ["/version"]);
        assert_eq!(pointers(r#"{"metadata":null,"met\u0061data":{}}"#), ["/metadata"]);
        assert_eq!(pointers(r#"{"metadata":{"k":"","k":""}}"#), ["/metadata/k"]);
        assert_eq!(pointers(&format!(r#"{{"executionOptions":{twice}}}"#)), ["/executionOptions/k"]);
        assert_eq!(pointers(&format!(r#"{{"tempFiles":[{{}},{twice}]}}"#)), ["/tempFiles/1/k"]);
        assert_eq!(refused(&format!(r#"{{"inputs":{twice},"dynamicData":{twice},"later":[{twice}]}}"#)), []);
    }

    #[test]
    fn a_name_that_is_metadata_but_for_its_capitals_is_refused() {
        for name in ["Metadata", "METADATA", "metadatA", r"\u004detadata", r"met\u0041data"] {
            let body = format!(r#"{{"metadata":{{}},"{name}":{{"tenant":"other"}}}}"#);
            let [(_, detail)] = &refused(&body)[..] else { panic!("{body}") };
            assert_eq!(detail, "must be written in small letters: metadata");
        }
        assert_eq!(refused(r#"{"metadatas":1,"meta-data":2,"inputs":{"Metadata":3}}"#), []);
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let body = r#"{"metadata":{"a":1,"b":[],"c":"","c":""},"Metadata":{},"x":1,"x":2}"#;
        assert_eq!(pointers(body), ["/x", "/metadata/c", "/Metadata", "/metadata/a", "/metadata/b"]);
    }

    #[test]
    fn a_small_body_cannot_ask_for_a_huge_answer() {
        let members = vec![r#""":0"#; 100_000].join(",");
        assert_eq!(refused(&format!("{{{members}}}")).len(), Refusal::LISTED);
    }
}
