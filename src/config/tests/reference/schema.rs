//! The JSON Schema for editors: its shape and its descriptions from the types, its bounds and defaults asked of `resolve`.
//!
//! Draft 7, which every editor knows. Nothing is required in it: what a file leaves out may come from the environment.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use serde_json::{Value as Json, json};

use super::ask::{Absence, Full, Takes};
use crate::config::file::Gateway;

/// Everything that there is to say of every key.
pub(super) struct Reference {
    pub(super) schema: Json,
    /// By key: what it takes in words, and what its absence means.
    pub(super) keys: BTreeMap<String, (String, Absence)>,
}

impl Reference {
    pub(super) fn new() -> Reference {
        let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
        let mut schema = settings.into_generator().into_root_schema_for::<Gateway>().to_value();
        schema["title"] = json!("asteroid-gateway");
        schema["description"] = json!("The configuration of asteroid-gateway. Generated: see docs/CONFIGURATION.md.");
        let mut reference = Reference { schema: Json::Null, keys: BTreeMap::new() };
        reference.complete(&Full::read(), "", &mut schema);
        reference.schema = schema;
        reference
    }

    /// Completes the schema of one key and of those inside it.
    fn complete(&mut self, full: &Full, key: &str, schema: &mut Json) {
        // A comment is broken into lines for its readers here.
        let description = schema["description"].as_str().unwrap_or_default().replace('\n', " ");
        let is_named = !key.ends_with(['*', ']']);
        // serde's own, which says no more than that the key may be left out.
        schema.as_object_mut().unwrap().remove("default");
        assert!(!description.is_empty() || !is_named, "{key} has no comment in config/file.rs");
        if is_named {
            schema["description"] = json!(description);
        }
        if is(schema, "object") {
            schema["type"] = json!(["object", "null"]);
            if let Some(values) = schema.get_mut("additionalProperties").filter(|values| values.is_object()) {
                self.complete(full, &format!("{key}.*"), values);
            }
            for (name, value) in schema.get_mut("properties").and_then(Json::as_object_mut).into_iter().flatten() {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                self.complete(full, &key, value);
            }
        } else if is(schema, "array") {
            schema["type"] = json!(["array", "null"]);
            self.complete(full, &format!("{key}[]"), &mut schema["items"]);
        } else {
            let takes = leaf(full, key, schema);
            let absence = if is_named { full.absence(key) } else { Absence::Other };
            if let Absence::Default(value) = &absence {
                schema["default"] = value.clone();
            }
            if is_named && takes != "text" {
                schema["description"] = json!(format!("{description} Takes: {takes}."));
            }
            self.keys.insert(key.to_owned(), (takes, absence));
        }
    }
}

/// Writes into the schema what a single value must be, and says it in words.
fn leaf(full: &Full, key: &str, schema: &mut Json) -> String {
    if is(schema, "boolean") {
        schema["type"] = json!("boolean");
        return "`true` or `false`".to_owned();
    }
    let is_auto = || full.refusal(&full.places(key)[0], json!("auto")).is_none();
    let (rules, said) = match full.takes(key) {
        Takes::Words(mut words) => {
            let said = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ");
            let mut taken: Vec<Json> = words.drain(..).map(Json::from).collect();
            // What YAML takes `off` for.
            let flag = Json::Bool(false);
            let place = &full.places(key)[0];
            taken.extend((full.refusal(place, flag.clone()).is_none()).then_some(flag));
            schema.as_object_mut().unwrap().remove("type");
            (json!({ "enum": taken }), said)
        }
        Takes::Time(bounds) => (
            json!({ "type": "string", "pattern": "^ *([0-9]+ *[A-Za-z]+ *)+$" }),
            format!("a duration with its unit, {bounds}"),
        ),
        Takes::Size(bounds) => {
            let size = " *[0-9]+([.][0-9]+)? *[A-Za-z]+ *";
            let is_auto = is_auto();
            let pattern = if is_auto { format!("^( *auto *|{size})$") } else { format!("^{size}$") };
            let said = if is_auto { "`auto`, or a size with its unit" } else { "a size with its unit" };
            (json!({ "type": "string", "pattern": pattern }), format!("{said}, {bounds}"))
        }
        Takes::Rate(bounds) => (
            json!({ "type": "string", "pattern": "^ *[0-9]+ */ *[smhd] *$" }),
            format!("a rate such as 30/m, {bounds} per second, minute, hour or day"),
        ),
        Takes::Count(least, most) if is_auto() => (
            json!({ "type": ["integer", "string"], "minimum": least, "maximum": most, "pattern": "^ *auto *$" }),
            format!("`auto`, or a whole number, {least} to {most}"),
        ),
        Takes::Count(least, most) => (
            json!({ "type": "integer", "minimum": least, "maximum": most }),
            format!("a whole number, {least} to {most}"),
        ),
        Takes::Permissions(said) => (
            json!({ "type": ["string", "integer"], "pattern": "^0?[67][0-7]{2}$", "minimum": 600, "maximum": 777 }),
            said,
        ),
        Takes::Text(asked) => {
            let said = match &asked {
                Some(asked) => asked.strip_prefix("must be ").filter(|said| !said.starts_with("text")),
                None => None,
            };
            let kind = if full.has_number(key) { "number" } else { "string" };
            (json!({ "type": kind }), said.unwrap_or("text").to_owned())
        }
    };
    schema.as_object_mut().unwrap().extend(rules.as_object().unwrap().clone());
    said
}

/// Whether a schema is for this type; `null` beside it comes of `Option`.
fn is(schema: &Json, kind: &str) -> bool {
    match &schema["type"] {
        Json::String(one) => one == kind,
        Json::Array(several) => several.iter().any(|one| one == kind),
        _ => false,
    }
}
