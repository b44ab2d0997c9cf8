//! The reference for operators: a table for each section.

use std::fmt::Write;

use serde_json::Value as Json;

use super::ask::Absence;
use super::schema::Reference;

const HEAD: &str = "# Configuration

<!-- Generated from src/config/file.rs: REGENERATE=1 cargo test --lib reference -->

Every setting of the configuration file, with its values and its default. An unknown key is refused.

- Start from [config/gateway.yaml](../config/gateway.yaml). [config/gateway.full.yaml](../config/gateway.full.yaml) shows every
  setting in its place.
- `asteroid-gateway check --config FILE` lists every fault of a file.
- Editors that support [config/gateway.schema.json](../config/gateway.schema.json) complete and check a file.
- Never write a secret into a configuration, only its place.

An environment variable overrides a setting. Its name is `ASTEROID_GATEWAY__` and the path in upper case, with two underscores
between levels: `ASTEROID_GATEWAY__TIMEOUTS__RESPONSE=90s` overrides `timeouts.response`. Names are lower-cased, so only tenants,
credentials and tags in lower case can be set. Write a list or a section as YAML on one line; it replaces that of the file.

In a path, `*` stands for a name that you choose, and `[]` for each element of a list.
";

/// The whole document; keys are in the order of `order`.
pub(super) fn text(reference: &Reference, order: &[String]) -> String {
    let mut text = HEAD.to_owned();
    section(&mut text, reference, order, "", &reference.schema);
    text
}

fn section(text: &mut String, reference: &Reference, order: &[String], key: &str, schema: &Json) {
    let position = |key: &str| order.iter().position(|known| known == key);
    let properties = schema["properties"].as_object().into_iter().flatten();
    let key_of = |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
    let mut properties: Vec<(String, &Json)> = properties.map(|(name, value)| (key_of(name), value)).collect();
    properties.sort_by_key(|(key, _)| position(key));
    let (sections, leaves): (Vec<_>, Vec<_>) = properties.into_iter().partition(|(_, value)| inside(value).is_some());
    if !leaves.is_empty() {
        let heading = if key.is_empty() { "Top level".to_owned() } else { format!("`{key}`") };
        let description = schema["description"].as_str().filter(|_| !key.is_empty()).unwrap_or_default();
        write!(text, "\n## {heading}\n").unwrap();
        if !description.is_empty() {
            write!(text, "\n{description}\n").unwrap();
        }
        text.push_str("\n| key | value | default | description |\n|---|---|---|---|\n");
        leaves.iter().for_each(|(key, schema)| row(text, reference, key, schema));
    }
    for (key, value) in &sections {
        let Some((behind, inner)) = inside(value) else { continue };
        let mut inner = inner.clone();
        // What a list or a map is for is said once, of the whole.
        inner["description"] = value["description"].clone();
        section(text, reference, order, &format!("{key}{behind}"), &inner);
    }
}

/// The schema of what has keys of its own, and what its key ends in.
fn inside(schema: &Json) -> Option<(&'static str, &Json)> {
    let has_keys = |schema: &&Json| schema["properties"].is_object();
    Some(schema)
        .filter(has_keys)
        .map(|schema| ("", schema))
        .or_else(|| schema.get("items").filter(has_keys).map(|schema| ("[]", schema)))
        .or_else(|| schema.get("additionalProperties").filter(has_keys).map(|schema| (".*", schema)))
}

fn row(text: &mut String, reference: &Reference, key: &str, schema: &Json) {
    let say = |key: &str| reference.keys.get(key);
    let (takes, absence) = if let Some((takes, absence)) = say(key) {
        (takes.clone(), absence.clone())
    } else if let Some((takes, _)) = say(&format!("{key}[]")) {
        (format!("a list, each {takes}"), Absence::Other)
    } else {
        ("names of your choice, each with text".to_owned(), Absence::Other)
    };
    let default = match absence {
        Absence::Refused => "required".to_owned(),
        Absence::Default(Json::String(value)) if value.is_empty() => "empty".to_owned(),
        Absence::Default(Json::String(value)) => format!("`{value}`"),
        Absence::Default(value) => format!("`{value}`"),
        Absence::Other => String::new(),
    };
    let description = schema["description"].as_str().unwrap_or_default();
    // It stands in a column of its own.
    let description = description.replace(&format!(" Takes: {takes}."), "");
    let name = key.rsplit('.').next().unwrap();
    writeln!(text, "| `{name}` | {takes} | {default} | {description} |").unwrap();
}
