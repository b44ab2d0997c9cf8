//! Asserts that the rules and their [`oracle`] agree on generated bodies: every known member, some similar and some
//! unknown ones, each absent, valid or invalid, in any order, with names escaped at random.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::properties::written;
use super::{Start, oracle};

const UUID: &str = r#""8D0F7A52-1c5e-4b8e-9f59-2f6f1f0a7c11""#;

/// Values of every kind, at the bounds of the rules and beyond.
const VALUES: [&str; 26] = [
    "null",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "9223372036854775807",
    "9223372036854775808",
    "1.0",
    "1e2",
    r#""""#,
    r#""text""#,
    r#""reject""#,
    r#""qu\u0065ue""#,
    r#""Queue""#,
    UUID,
    r#""8d0f7a521c5e4b8e9f592f6f1f0a7c11""#,
    r#""8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c1g""#,
    r#""8d0f7a52-1c5e-4b8e-9f592-f6f1f0a7c11""#,
    r#""8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c1\ud83d\ude00""#,
    "[]",
    "[null]",
    "{}",
    r#"{"a":"b"}"#,
    r#"{"a~/b":null,"Metadata":"","c":{}}"#,
    r#"[{"id":1},{"name":null}]"#,
];

type Written = BoxedStrategy<Option<String>>;

fn any_value() -> BoxedStrategy<String> {
    select(&VALUES[..]).prop_map(str::to_owned).boxed()
}

/// A member that is absent more often than present.
fn member(name: &'static str, right: BoxedStrategy<String>) -> Written {
    let value = prop_oneof![2 => right, 1 => any_value()];
    let member = (written(Just(name)), value).prop_map(|(name, value)| format!("{name}:{value}"));
    prop::option::weighted(0.3, member).boxed()
}

fn one_of(values: &'static [&'static str]) -> BoxedStrategy<String> {
    select(values).prop_map(str::to_owned).boxed()
}

fn object(members: Vec<Written>) -> BoxedStrategy<String> {
    let listed = members.prop_shuffle();
    listed.prop_map(|members| format!("{{{}}}", members.into_iter().flatten().collect::<Vec<_>>().join(","))).boxed()
}

fn body() -> BoxedStrategy<String> {
    let uuid = || one_of(&[UUID]);
    let options = object(vec![
        member("sharedStorageKey", one_of(&[r#""a""#])),
        member("variantKey", one_of(&[r#""""#])),
        member("softTimeoutMins", one_of(&["1", "60"])),
        member("SoftTimeoutMins", any_value()),
        member("later", any_value()),
    ]);
    let file = || object(vec![member("id", uuid()), member("name", one_of(&[r#""a""#])), member("Name", any_value())]);
    let whole = || one_of(&[r#"{"id":"8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11","name":"a","later":1}"#]);
    let files = vec(prop_oneof![file(), whole(), any_value()], 0..3).prop_map(|files| format!("[{}]", files.join(",")));
    let metadata = object(vec![member("a", one_of(&[r#""1""#])), member("b~/c", one_of(&[r#""""#]))]);
    object(vec![
        member("agentProfileId", uuid()),
        member("agentProfilePoolId", uuid()),
        member("profileId", uuid()),
        member("profileGroupId", uuid()),
        member("parentExecutionId", uuid()),
        member("ParentExecutionID", any_value()),
        member("inputs", one_of(&["{}", r#"{"version":"x"}"#])),
        member("dynamicData", one_of(&["{}"])),
        member("metadata", metadata),
        member("version", one_of(&["7", "-9223372036854775808"])),
        member("head", one_of(&["true", "false"])),
        member("executionOptions", options),
        member("tempFiles", files.boxed()),
        member("onCapacityLimit", one_of(&[r#""queue""#])),
        member("VERSION", any_value()),
        member("agentprofileid", any_value()),
        member("profile", any_value()),
        member("~1/", any_value()),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_faults_are_exactly_those_that_a_reader_of_the_specification_finds(
        body in prop_oneof![9 => body(), 1 => any_value()],
    ) {
        let faults = Start::parse(body.as_bytes()).map_or_else(|refusal| refusal.faults, |_| Vec::new());
        let mut pointers: Vec<String> = faults.into_iter().map(|fault| fault.pointer).collect();
        pointers.sort_unstable();
        prop_assert_eq!(pointers, oracle::pointers(&serde_json::from_str(&body).unwrap()), "{}", body);
    }
}
