//! Tests of each rule for a body, and of the faults reported.

use super::{OnConflict, References, Start, StartKind, Tags, check_rerun, schema, validate};
use crate::asteroid::body::schema::Rule;
use crate::asteroid::body::{MAX_DEPTH, Refusal};
use crate::asteroid::era::Era;

fn refused(body: &str) -> Vec<(String, String)> {
    let faults = Start::parse(body.as_bytes()).map_or_else(|refusal| refusal.faults, |_| vec![]);
    faults.into_iter().map(|fault| (fault.pointer, fault.detail)).collect()
}

fn pointers(body: &str) -> Vec<String> {
    refused(body).into_iter().map(|(pointer, _)| pointer).collect()
}

/// A uuid in its usual form.
const ID: &str = "8D0F7A52-1c5e-4b8e-9f59-2f6f1f0a7c11";

/// Returns the faults of a body in which `ID` stands for a uuid.
fn told(body: &str) -> Vec<(String, String)> {
    refused(&body.replace("ID", &format!("\"{ID}\"")))
}

fn fault(pointer: &str, detail: &str) -> (String, String) {
    (pointer.to_owned(), detail.to_owned())
}

#[test]
fn what_the_specification_allows_is_accepted() {
    for body in [
        "{}",
        r#" {"metadata":null,"inputs":{"metadata":{"x":1},"a":1,"a":2},"later":[1e999]} "#,
        r#"{"metadata":{"run":"7","Run":"8",".":""},"dynamicData":{"\ud800":1}}"#,
        r#"{"tempFiles":[{"id":ID,"name":"n"},{"id":ID,"name":"","size":1}],"version":9223372036854775807}"#,
        r#"{"executionOptions":{"softTimeoutMins":1,"sharedStorageKey":"","variantKey":"a","later":{}}}"#,
        r#"{"agentProfileId":ID,"profileId":ID,"head":false,"onCapacityLimit":"queue","tempFiles":[]}"#,
        r#"{"agentProfilePoolId":ID,"profileGroupId":ID,"version":-0,"onCapacityLimit":"reject"}"#,
    ] {
        assert_eq!(told(body), [], "{body}");
    }
}

#[test]
fn null_is_the_same_as_absent_if_a_member_may_be_absent() {
    let names = schema::BODY.iter().map(|member| member.name);
    let body: Vec<String> = names.map(|name| format!("\"{name}\":null")).collect();
    assert_eq!(refused(&format!("{{{}}}", body.join(","))), []);
    assert_eq!(refused(r#"{"executionOptions":{"softTimeoutMins":null,"variantKey":null}}"#), []);
    for (one, value) in [("agentProfileId", "ID"), ("version", "1")] {
        let other = if one == "version" { "head" } else { "agentProfilePoolId" };
        assert_eq!(told(&format!(r#"{{"{one}":{value},"{other}":null}}"#)), []);
        assert_eq!(told(&format!(r#"{{"{other}":null,"{one}":{value}}}"#)), []);
    }
}

#[test]
fn a_member_of_another_kind_is_told_what_it_must_be() {
    for (name, expected) in [
        ("agentProfileId", "a string"),
        ("agentProfilePoolId", "a string"),
        ("profileId", "a string"),
        ("profileGroupId", "a string"),
        ("onCapacityLimit", "a string"),
        ("inputs", "an object"),
        ("dynamicData", "an object"),
        ("metadata", "an object"),
        ("executionOptions", "an object"),
        ("tempFiles", "an array"),
        ("version", "an integer"),
    ] {
        let expected = fault(&format!("/{name}"), &format!("must be {expected}, not a boolean"));
        assert_eq!(refused(&format!(r#"{{"{name}":true}}"#)), [expected]);
    }
    assert_eq!(refused(r#"{"head":"true"}"#), [fault("/head", "must be a boolean, not a string")]);
    for name in ["sharedStorageKey", "variantKey"] {
        let expected = fault(&format!("/executionOptions/{name}"), "must be a string, not a number");
        assert_eq!(refused(&format!(r#"{{"executionOptions":{{"{name}":1}}}}"#)), [expected]);
    }
}

#[test]
fn an_id_is_a_hyphenated_uuid() {
    let braces = format!("{{{ID}}}");
    let urn = format!("urn:uuid:{ID}");
    for id in ["", "x", &ID.replace('-', ""), &ID.replace('D', "G"), &braces, &urn, &ID.replace('-', "_")] {
        let expected = [fault("/profileId", "must be a hyphenated 36-character uuid")];
        assert_eq!(refused(&format!(r#"{{"profileId":"{id}"}}"#)), expected);
    }
    assert_eq!(refused(&format!(r#"{{"profileId":"{}"}}"#, ID.replace('8', "\\u0038"))), []);
}

#[test]
fn an_integer_is_a_literal_without_fraction_or_exponent_within_64_bits() {
    for number in ["1.0", "1e3", "1E0", "0.5", "9223372036854775808", "-9223372036854775809"] {
        let detail = "must be an integer without fraction or exponent, within 64 bits";
        assert_eq!(refused(&format!(r#"{{"version":{number}}}"#)), [fault("/version", detail)]);
        let pointers = pointers(&format!(r#"{{"executionOptions":{{"softTimeoutMins":{number}}}}}"#));
        assert_eq!(pointers, ["/executionOptions/softTimeoutMins"]);
    }
    for minutes in ["0", "-0", "-5"] {
        let expected = fault("/executionOptions/softTimeoutMins", "must be at least 1");
        assert_eq!(refused(&format!(r#"{{"executionOptions":{{"softTimeoutMins":{minutes}}}}}"#)), [expected]);
    }
    assert_eq!(refused(r#"{"executionOptions":{"softTimeoutMins":9223372036854775807}}"#), []);
}

#[test]
fn what_happens_at_the_capacity_limit_is_one_of_two_words() {
    for word in ["", "Queue", "reject ", "wait"] {
        let expected = fault("/onCapacityLimit", "must be reject or queue");
        assert_eq!(refused(&format!(r#"{{"onCapacityLimit":"{word}"}}"#)), [expected]);
    }
}

#[test]
fn members_that_exclude_each_other_are_one_fault_whichever_comes_first() {
    for (one, of_one, other, of_other) in [
        ("agentProfileId", "ID", "agentProfilePoolId", "ID"),
        ("profileId", "ID", "profileGroupId", "ID"),
        ("version", "1", "head", "true"),
    ] {
        let detail = format!("cannot be combined with {one}; leave one out");
        let expected = [fault(&format!("/{other}"), &detail)];
        assert_eq!(told(&format!(r#"{{"{one}":{of_one},"{other}":{of_other}}}"#)), expected);
        assert_eq!(told(&format!(r#"{{"{other}":{of_other},"{one}":{of_one}}}"#)), expected);
    }
}

#[test]
fn a_temporary_file_has_an_id_and_a_name() {
    assert_eq!(
        told(r#"{"tempFiles":[{"id":ID,"name":"a"},{},[],{"id":null,"name":null},{"name":7,"id":"x"}]}"#),
        [
            fault("/tempFiles/1", "must have the member id"),
            fault("/tempFiles/1", "must have the member name"),
            fault("/tempFiles/2", "must be an object, not an array"),
            fault("/tempFiles/3/id", "must be a string, not null"),
            fault("/tempFiles/3/name", "must be a string, not null"),
            fault("/tempFiles/4/name", "must be a string, not a number"),
            fault("/tempFiles/4/id", "must be a hyphenated 36-character uuid"),
        ]
    );
}

#[test]
fn every_object_that_has_rules_is_read() {
    for member in &schema::BODY {
        let twice = r#"{"k":"","k":""}"#;
        let (value, place) = match member.rule {
            Rule::Texts | Rule::Members(_) => (twice.to_owned(), "/k"),
            Rule::Each(_) => (format!("[{twice}]"), "/0/k"),
            Rule::Uuid
            | Rule::Text
            | Rule::OneOf(_)
            | Rule::Boolean
            | Rule::Integer(..)
            | Rule::Object
            | Rule::Absent(_) => continue,
        };
        let pointers = pointers(&format!(r#"{{"{}":{value}}}"#, member.name));
        assert_eq!(pointers.first(), Some(&format!("/{}{place}", member.name)));
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
        [(String::new(), "is not JSON at byte 18: a name in double quotes was expected (line 3, column 1)".to_owned())]
    );
    let nested = |levels: usize| format!(r#"{{"later":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
    assert_eq!(refused(&nested(MAX_DEPTH - 1)), []);
    assert_eq!(pointers(&nested(MAX_DEPTH)), [""]);
    assert_eq!(pointers(r#"{"ten\ud800ant":1}"#), [""]);
}

#[test]
fn metadata_is_an_object_of_strings() {
    assert_eq!(refused(r#"{"metadata":[]}"#), [("/metadata".to_owned(), "must be an object, not an array".to_owned())]);
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
    let file = r#"{"id":ID,"name":"a","name":"b"}"#.replace("ID", &format!("\"{ID}\""));
    assert_eq!(pointers(&format!(r#"{{"tempFiles":[{file}]}}"#)), ["/tempFiles/0/name"]);
    assert_eq!(refused(&format!(r#"{{"inputs":{twice},"dynamicData":{twice},"later":[{twice}]}}"#)), []);
}

#[test]
fn a_name_that_is_a_known_one_but_for_its_capitals_is_refused_where_the_gateway_reads() {
    for name in ["Metadata", "METADATA", "metadatA", r"\u004detadata", r"met\u0041data"] {
        let body = format!(r#"{{"metadata":{{}},"{name}":{{"tenant":"other"}}}}"#);
        let [(_, detail)] = &refused(&body)[..] else { panic!("{body}") };
        assert_eq!(detail, "must be spelled exactly: metadata");
    }
    for (name, known) in [
        ("AgentProfileId", "agentProfileId"),
        ("tempfiles", "tempFiles"),
        ("ver\u{17f}ion", "version"),
        ("vers\u{131}on", "version"),
        ("\u{130}nputs", "inputs"),
    ] {
        let expected = fault(&format!("/{name}"), &format!("must be spelled exactly: {known}"));
        assert_eq!(refused(&format!(r#"{{"{name}":null}}"#)), [expected]);
    }
    assert_eq!(pointers(r#"{"executionOptions":{"variant\u212aey":"a"}}"#), ["/executionOptions/variant\u{212a}ey"]);
    assert_eq!(refused(r#"{"metadatas":1,"meta-data":2,"inputs":{"Metadata":3},"metadata":{"Version":""}}"#), []);
}

#[test]
fn every_fault_is_told_at_once() {
    let body = r#"{"metadata":{"a":1,"b":[],"c":"","c":""},"Metadata":{},"head":0,"version":"","x":1,"x":2}"#;
    let expected = ["/x", "/metadata/c", "/metadata/a", "/metadata/b", "/Metadata", "/head", "/head", "/version"];
    assert_eq!(pointers(body), expected);
}

#[test]
fn a_small_body_cannot_ask_for_a_huge_answer() {
    let members = vec![r#""":0"#; 100_000].join(",");
    assert_eq!(refused(&format!("{{{members}}}")).len(), Refusal::MAX_FAULTS);
    let numbers: Vec<String> = (0..1000).map(|number| format!("\"{number}\":1")).collect();
    assert_eq!(refused(&format!(r#"{{"metadata":{{{}}}}}"#, numbers.join(","))).len(), Refusal::MAX_FAULTS);
    let files = ["{}"; 1000].join(",");
    assert_eq!(refused(&format!(r#"{{"tempFiles":[{files}]}}"#)).len(), Refusal::MAX_FAULTS);
}

fn of_kind(kind: StartKind, body: &str) -> Result<References, Vec<String>> {
    let body = body.replace("ID", &format!("\"{ID}\""));
    let valid = validate(body.as_bytes(), kind, &Tags::new([]), OnConflict::Reject);
    valid.map(|valid| valid.references).map_err(|refusal| refusal.faults.iter().map(ToString::to_string).collect())
}

#[test]
fn only_a_start_that_waits_says_for_how_long() {
    for seconds in ["1", "25", "null"] {
        assert!(of_kind(StartKind::Sync, &format!(r#"{{"timeoutSeconds":{seconds}}}"#)).is_ok(), "{seconds}");
    }
    for seconds in ["0", "26", "-1"] {
        let refused = of_kind(StartKind::Sync, &format!(r#"{{"timeoutSeconds":{seconds}}}"#)).unwrap_err();
        assert_eq!(refused, ["/timeoutSeconds must be from 1 to 25"]);
    }
    let refused = of_kind(StartKind::Sync, r#"{"timeoutSeconds":1.5,"version":1,"head":true}"#).unwrap_err();
    assert_eq!(
        refused,
        [
            "/timeoutSeconds must be an integer without fraction or exponent, within 64 bits",
            "/head cannot be combined with version; leave one out"
        ]
    );
    assert!(of_kind(StartKind::Agent, r#"{"timeoutSeconds":99}"#).is_ok(), "the upstream judges it");
}

#[test]
fn a_start_of_a_version_takes_the_inputs_of_its_era() {
    let [old, new] = [Era::Old, Era::New].map(|era| move |body: &str| of_kind(StartKind::Version(era), body));
    for body in ["{}", r#"{"inputVariables":{},"metadata":{},"parentExecutionId":ID,"agentProfileId":ID}"#] {
        assert!(old(body).is_ok() && new(body).is_ok(), "{body}");
    }
    assert!(new(r#"{"inputs":{},"inputVariables":null}"#).is_ok());
    assert_eq!(
        new(r#"{"inputs":{},"inputVariables":{}}"#).unwrap_err(),
        ["/inputs cannot be combined with inputVariables; leave one out"]
    );
    assert_eq!(new(r#"{"inputVariables":[]}"#).unwrap_err(), ["/inputVariables must be an object, not an array"]);
    let refused = old(r#"{"inputs":{}}"#).unwrap_err();
    assert!(refused[0].starts_with("/inputs belongs to the newer era") && refused.len() == 1, "{refused:?}");
    assert!(old(r#"{"inputs":null}"#).is_ok(), "null is the same as absent");
    for kind in [Era::Old, Era::New].map(StartKind::Version) {
        assert_eq!(of_kind(kind, r#"{"parentExecutionId":"x"}"#).unwrap_err().len(), 1);
        assert_eq!(of_kind(kind, r#"{"ParentExecutionId":ID}"#).unwrap_err().len(), 1);
    }
}

#[test]
fn what_a_body_names_is_found_and_a_file_of_another_tenant_is_told_by_its_place() {
    let body = r#"{"inputs":{"tempFiles":[{"id":ID}]},"parentExecution\u0049d":ID,"temp\u0046iles":[{"id":"ffffffff-1c5e-4b8e-9f59-2f6f1f0a7c1\u0031","name":"a"},{"id":ID,"name":"b"}]}"#;
    let found = of_kind(StartKind::Version(Era::New), body).unwrap();
    let id = ID.parse().unwrap();
    assert_eq!((found.parent, found.files.len(), found.files[1]), (Some(id), 2, Some(id)));
    assert!(found.check_files(|_| false).is_ok());
    let refusal = found.check_files(|file| file == id).unwrap_err();
    let faults: Vec<&str> = refusal.faults.iter().map(|fault| fault.pointer.as_str()).collect();
    assert_eq!(faults, ["/tempFiles/1/id"]);
    let none = of_kind(StartKind::Agent, r#"{"tempFiles":null,"parentExecutionId":null}"#).unwrap();
    assert_eq!(none, References::default());
}

#[test]
fn a_rerun_takes_inputs_and_a_profile() {
    let checked = |body: &str| check_rerun(body.replace("ID", &format!("\"{ID}\"")).as_bytes());
    for body in ["{}", r#"{"inputs":{"a":1},"profileId":ID,"agentProfileId":null,"metadata":null,"later":1}"#] {
        assert_eq!(checked(body), Ok(References::default()), "{body}");
    }
    let found = checked(r#"{"parentExecutionId":ID,"tempFiles":[{"id":ID,"name":"a"}]}"#).unwrap();
    assert_eq!((found.parent, found.files), (Some(ID.parse().unwrap()), vec![Some(ID.parse().unwrap())]));
    let metadata = checked(r#"{"metadata":{"tenant":"sales"}}"#).unwrap_err();
    assert_eq!(metadata.faults[0].pointer, "/metadata");
    for body in
        ["[]", "", r#"{"inputs":[]}"#, r#"{"profileId":"x"}"#, r#"{"Inputs":{}}"#, r#"{"inputs":{},"inputs":{}}"#]
    {
        assert!(checked(body).is_err(), "{body}");
    }
}
