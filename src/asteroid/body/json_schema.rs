//! JSON Schemas of bodies, made from the rules that judge them. What JSON Schema cannot say is left to the text beside it: repeated
//! names, and names that only look like known ones.

use serde_json::{Map, Value as Json, json};

use super::schema::{Member, Rule};
use crate::asteroid::UUID_PATTERN;

/// Returns the schema of an object with these members, among others. `describe` returns the description of a member.
pub(in crate::asteroid) fn of_members(known: &[Member], describe: fn(&str) -> Option<&'static str>) -> Json {
    let properties = known.iter().map(|member| (member.name.to_owned(), of_member(member, describe)));
    let properties: Map<String, Json> = properties.collect();
    let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": true});
    let required: Vec<&str> = known.iter().filter(|member| member.required).map(|member| member.name).collect();
    if !required.is_empty() {
        insert(&mut schema, "required", required.into());
    }
    let exclusions: Vec<Json> =
        known.iter().filter_map(|member| Some(not_both(member.name, member.excludes?))).collect();
    if !exclusions.is_empty() {
        insert(&mut schema, "allOf", exclusions.into());
    }
    schema
}

/// Returns the schema that refuses two members beside each other. `null` counts as absent.
fn not_both(one: &str, other: &str) -> Json {
    let is_there = json!({"not": {"type": "null"}});
    json!({"not": {"required": [one, other], "properties": {one: is_there, other: is_there}}})
}

fn of_member(member: &Member, describe: fn(&str) -> Option<&'static str>) -> Json {
    let mut schema = of_rule(&member.rule, describe);
    if !member.required && !matches!(member.rule, Rule::Absent(_)) {
        admit_null(&mut schema);
    }
    if let Some(description) = describe(member.name) {
        insert(&mut schema, "description", description.into());
    }
    schema
}

fn of_rule(rule: &Rule, describe: fn(&str) -> Option<&'static str>) -> Json {
    match rule {
        Rule::Uuid => json!({"type": "string", "format": "uuid", "pattern": UUID_PATTERN}),
        Rule::Text => json!({"type": "string"}),
        Rule::OneOf(texts) => json!({"type": "string", "enum": texts}),
        Rule::Boolean => json!({"type": "boolean"}),
        Rule::Integer(min, max) => json!({"type": "integer", "format": "int64", "minimum": min, "maximum": max}),
        // `null` counts as absent.
        Rule::Absent(_) => json!({"type": "null"}),
        Rule::Object => json!({"type": "object", "additionalProperties": true}),
        Rule::Texts => json!({"type": "object", "additionalProperties": {"type": "string"}}),
        Rule::Members(known) => of_members(known, describe),
        Rule::Each(known) => json!({"type": "array", "items": of_members(known, describe)}),
    }
}

/// Lets `null` stand for an absent member.
fn admit_null(schema: &mut Json) {
    if let Some(kind) = schema.get_mut("type") {
        *kind = json!([kind.take(), "null"]);
    }
    if let Some(Json::Array(texts)) = schema.get_mut("enum") {
        texts.push(Json::Null);
    }
}

fn insert(schema: &mut Json, name: &str, value: Json) {
    if let Json::Object(members) = schema {
        members.insert(name.to_owned(), value);
    }
}
