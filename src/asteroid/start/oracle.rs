//! A second implementation of the rules, over serde_json's values and in the words of the specification. Tests and the
//! fuzz target compare the gateway's check with it. The two share no code.

use serde_json::{Map, Value};

const BODY: [&str; 13] = [
    "agentProfileId",
    "agentProfilePoolId",
    "profileId",
    "profileGroupId",
    "inputs",
    "dynamicData",
    "tempFiles",
    "metadata",
    "version",
    "head",
    "executionOptions",
    "onCapacityLimit",
    "parentExecutionId",
];
const OPTIONS: [&str; 3] = ["sharedStorageKey", "variantKey", "softTimeoutMins"];
const FILE: [&str; 2] = ["id", "name"];

/// Returns the sorted JSON pointers of the body's faults. Repeated names are not visible in a value, and `-0.0` cannot
/// be distinguished from the integer `-0`.
pub(super) fn pointers(body: &Value) -> Vec<String> {
    let Value::Object(body) = body else { return vec![String::new()] };
    let mut wrong = lookalikes("", body, &BODY);
    let there = |name: &str| body.get(name).filter(|value| !value.is_null());
    let mut must = |name: &str, holds: fn(&Value) -> bool| {
        if there(name).is_some_and(|value| !holds(value)) {
            wrong.push(format!("/{name}"));
        }
    };
    must("agentProfileId", is_uuid);
    must("agentProfilePoolId", is_uuid);
    must("profileId", is_uuid);
    must("profileGroupId", is_uuid);
    must("parentExecutionId", is_uuid);
    must("inputs", Value::is_object);
    must("dynamicData", Value::is_object);
    must("tempFiles", Value::is_array);
    must("metadata", Value::is_object);
    must("version", is_integer);
    must("head", Value::is_boolean);
    must("executionOptions", Value::is_object);
    must("onCapacityLimit", |value| value == "reject" || value == "queue");
    for (one, other) in [("agentProfilePoolId", "agentProfileId"), ("profileGroupId", "profileId"), ("head", "version")]
    {
        if there(one).is_some() && there(other).is_some() {
            wrong.push(format!("/{one}"));
        }
    }
    if let Some(Value::Object(metadata)) = there("metadata") {
        let others = metadata.iter().filter(|(_, value)| !value.is_string());
        wrong.extend(others.map(|(name, _)| format!("/metadata/{}", escaped(name))));
    }
    if let Some(Value::Object(options)) = there("executionOptions") {
        wrong.extend(lookalikes("/executionOptions", options, &OPTIONS));
        let fits = |name: &str, value: &Value| match name {
            "softTimeoutMins" => is_integer(value) && value.as_f64() >= Some(1.0),
            _ => value.is_string(),
        };
        let set = OPTIONS.iter().filter_map(|name| Some((name, options.get(*name).filter(|value| !value.is_null())?)));
        let others = set.filter(|(name, value)| !fits(name, value));
        wrong.extend(others.map(|(name, _)| format!("/executionOptions/{name}")));
    }
    for (place, file) in there("tempFiles").and_then(Value::as_array).into_iter().flatten().enumerate() {
        wrong.extend(temp_file(&format!("/tempFiles/{place}"), file));
    }
    wrong.sort_unstable();
    wrong
}

fn temp_file(at: &str, file: &Value) -> Vec<String> {
    let Value::Object(file) = file else { return vec![at.to_owned()] };
    let mut wrong = lookalikes(at, file, &FILE);
    for (name, fits) in [("id", is_uuid as fn(&Value) -> bool), ("name", Value::is_string)] {
        match file.get(name) {
            None => wrong.push(at.to_owned()),
            Some(value) if !fits(value) => wrong.push(format!("{at}/{name}")),
            Some(_) => {}
        }
    }
    wrong
}

/// Returns the names that differ from a known one only by case. No generated one does so by a character beyond ASCII.
fn lookalikes(at: &str, object: &Map<String, Value>, known: &[&str]) -> Vec<String> {
    let alike = |name: &&String| known.iter().any(|known| name.eq_ignore_ascii_case(known) && *name != known);
    object.keys().filter(alike).map(|name| format!("{at}/{}", escaped(name))).collect()
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn is_uuid(value: &Value) -> bool {
    let Some(groups) = value.as_str().map(|text| text.split('-').collect::<Vec<_>>()) else { return false };
    let is_hexadecimal = |group: &&str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) && groups.iter().all(is_hexadecimal)
}

fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.as_f64().is_some_and(|number| number == 0.0 && number.is_sign_negative())
}
