//! The reference for operators: a table for each section.

use std::fmt::Write;

use serde_json::Value as Json;

use super::ask::Absence;
use super::schema::Reference;

const HEAD: &str = "# Configuration

<!-- Generated from src/config/file.rs: REGENERATE=1 cargo test --lib reference -->

Every setting of the configuration file, with its values and its default. An unknown setting is refused.

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

/// Returns the whole document, with the settings in the order of `order`.
pub(super) fn text(reference: &Reference, order: &[String]) -> String {
    let mut text = HEAD.to_owned();
    section(&mut text, reference, order, "", &reference.schema);
    text
}

fn section(text: &mut String, reference: &Reference, order: &[String], path: &str, schema: &Json) {
    let position = |path: &str| order.iter().position(|known| known == path);
    let properties = schema["properties"].as_object().into_iter().flatten();
    let path_of = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let mut properties: Vec<(String, &Json)> = properties.map(|(name, value)| (path_of(name), value)).collect();
    properties.sort_by_key(|(path, _)| position(path));
    let (sections, leaves): (Vec<_>, Vec<_>) = properties.into_iter().partition(|(_, value)| inside(value).is_some());
    if !leaves.is_empty() {
        let heading = if path.is_empty() { "Top level".to_owned() } else { format!("`{path}`") };
        let description = schema["description"].as_str().filter(|_| !path.is_empty()).unwrap_or_default();
        write!(text, "\n## {heading}\n").unwrap();
        if !description.is_empty() {
            write!(text, "\n{description}\n").unwrap();
        }
        text.push_str("\n| setting | value | default | description |\n|---|---|---|---|\n");
        leaves.iter().for_each(|(path, schema)| row(text, reference, path, schema));
    }
    for (path, value) in &sections {
        let Some((behind, inner)) = inside(value) else { continue };
        let mut inner = inner.clone();
        // The purpose of a list or a map is described once, for the whole.
        inner["description"] = value["description"].clone();
        section(text, reference, order, &format!("{path}{behind}"), &inner);
    }
}

/// Returns the schema of a section inside this one, and the end of its config path.
fn inside(schema: &Json) -> Option<(&'static str, &Json)> {
    let has_keys = |schema: &&Json| schema["properties"].is_object();
    Some(schema)
        .filter(has_keys)
        .map(|schema| ("", schema))
        .or_else(|| schema.get("items").filter(has_keys).map(|schema| ("[]", schema)))
        .or_else(|| schema.get("additionalProperties").filter(has_keys).map(|schema| (".*", schema)))
}

fn row(text: &mut String, reference: &Reference, path: &str, schema: &Json) {
    let say = |path: &str| reference.settings.get(path);
    let (value_type, absence) = if let Some((value_type, absence)) = say(path) {
        (value_type.clone(), absence.clone())
    } else if let Some((value_type, _)) = say(&format!("{path}[]")) {
        (format!("a list, each {value_type}"), Absence::Other)
    } else {
        ("names of your choice, each with text".to_owned(), Absence::Other)
    };
    let default = match absence {
        Absence::Refused => "required".to_owned(),
        Absence::Default(Json::String(value)) if value.is_empty() => "empty".to_owned(),
        Absence::Default(Json::String(value)) => format!("`{value}`"),
        Absence::Default(value) => format!("`{value}`"),
        Absence::Inherited(general) => format!("as `{general}`"),
        Absence::Other => String::new(),
    };
    let description = schema["description"].as_str().unwrap_or_default();
    // The type has a column of its own.
    let description = description.replace(&format!(" Takes: {value_type}."), "");
    let name = path.rsplit('.').next().unwrap();
    writeln!(text, "| `{name}` | {value_type} | {default} | {description} |").unwrap();
}
