//! The JSON Schema for editors. Its shape and its descriptions come from the types, its bounds and defaults from `resolve`.
//!
//! It is of draft 7, which every editor supports. It requires nothing, since the environment may set what a file leaves out.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use serde_json::{Value as Json, json};

use crate::config::file::Gateway;

use super::ask::{Absence, Full, ValueType};

/// The schema, and the type and the absence of every setting.
pub(super) struct Reference {
    pub(super) schema: Json,
    /// The type in words and the meaning of the absence, by config path.
    pub(super) settings: BTreeMap<String, (String, Absence)>,
}

impl Reference {
    pub(super) fn new() -> Reference {
        let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
        let mut schema = settings.into_generator().into_root_schema_for::<Gateway>().to_value();
        schema["title"] = json!("asteroid-gateway");
        schema["description"] = json!("The configuration of asteroid-gateway. Generated: see docs/CONFIGURATION.md.");
        let mut reference = Reference { schema: Json::Null, settings: BTreeMap::new() };
        reference.complete(&Full::read(), "", &mut schema);
        reference.schema = schema;
        reference
    }

    /// Completes the schema of one setting and of those inside it.
    fn complete(&mut self, full: &Full, path: &str, schema: &mut Json) {
        // The lines of a comment are joined.
        let description = schema["description"].as_str().unwrap_or_default().replace('\n', " ");
        let is_named = !path.ends_with(['*', ']']);
        // serde's own default says only that the setting may be left out.
        schema.as_object_mut().unwrap().remove("default");
        assert!(!description.is_empty() || !is_named, "{path} has no comment in config/file.rs");
        if is_named {
            schema["description"] = json!(description);
        }
        if is(schema, "object") {
            schema["type"] = json!(["object", "null"]);
            if let Some(values) = schema.get_mut("additionalProperties").filter(|values| values.is_object()) {
                self.complete(full, &format!("{path}.*"), values);
            }
            for (name, value) in schema.get_mut("properties").and_then(Json::as_object_mut).into_iter().flatten() {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                self.complete(full, &path, value);
            }
        } else if is(schema, "array") {
            schema["type"] = json!(["array", "null"]);
            self.complete(full, &format!("{path}[]"), &mut schema["items"]);
        } else {
            let value_type = leaf(full, path, schema);
            let absence = if is_named { full.absence(path) } else { Absence::Other };
            if let Absence::Default(value) = &absence {
                schema["default"] = value.clone();
            }
            if is_named && value_type != "text" {
                schema["description"] = json!(format!("{description} Takes: {value_type}."));
            }
            self.settings.insert(path.to_owned(), (value_type, absence));
        }
    }
}

/// Adds the type of a single value to its schema. Returns it in words.
fn leaf(full: &Full, path: &str, schema: &mut Json) -> String {
    if is(schema, "boolean") {
        schema["type"] = json!("boolean");
        return "`true` or `false`".to_owned();
    }
    let is_auto = || full.refusal(&full.pointers(path)[0], json!("auto")).is_none();
    let (rules, said) = match full.value_type(path) {
        ValueType::Words(mut words) => {
            let said = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ");
            let mut taken: Vec<Json> = words.drain(..).map(Json::from).collect();
            // YAML parses `off` as false.
            let flag = Json::Bool(false);
            let pointer = &full.pointers(path)[0];
            taken.extend((full.refusal(pointer, flag.clone()).is_none()).then_some(flag));
            schema.as_object_mut().unwrap().remove("type");
            (json!({ "enum": taken }), said)
        }
        ValueType::Time(bounds) => (
            json!({ "type": "string", "pattern": "^ *([0-9]+ *[A-Za-z]+ *)+$" }),
            format!("a duration with its unit, {bounds}"),
        ),
        ValueType::Size(bounds) => {
            let size = " *[0-9]+([.][0-9]+)? *[A-Za-z]+ *";
            let is_auto = is_auto();
            let pattern = if is_auto { format!("^( *auto *|{size})$") } else { format!("^{size}$") };
            let said = if is_auto { "`auto`, or a size with its unit" } else { "a size with its unit" };
            (json!({ "type": "string", "pattern": pattern }), format!("{said}, {bounds}"))
        }
        ValueType::Rate(bounds) => (
            json!({ "type": "string", "pattern": "^ *[0-9]+ */ *[smhd] *$" }),
            format!("a rate such as 30/m, {bounds} per second, minute, hour or day"),
        ),
        ValueType::Count(min, max) if is_auto() => (
            json!({ "type": ["integer", "string"], "minimum": min, "maximum": max, "pattern": "^ *auto *$" }),
            format!("`auto`, or a whole number, {min} to {max}"),
        ),
        ValueType::Count(min, max) => {
            (json!({ "type": "integer", "minimum": min, "maximum": max }), format!("a whole number, {min} to {max}"))
        }
        ValueType::Permissions(said) => (
            json!({ "type": ["string", "integer"], "pattern": "^0?[67][0-7]{2}$", "minimum": 600, "maximum": 777 }),
            said,
        ),
        ValueType::Text(asked) => {
            let said = match &asked {
                Some(asked) => asked.strip_prefix("must be ").filter(|said| !said.starts_with("text")),
                None => None,
            };
            let kind = if full.has_number(path) { "number" } else { "string" };
            (json!({ "type": kind }), said.unwrap_or("text").to_owned())
        }
    };
    schema.as_object_mut().unwrap().extend(rules.as_object().unwrap().clone());
    said
}

/// Returns whether a schema is for this type; `Option` adds `null` to it.
fn is(schema: &Json, kind: &str) -> bool {
    match &schema["type"] {
        Json::String(one) => one == kind,
        Json::Array(several) => several.iter().any(|one| one == kind),
        _ => false,
    }
}
