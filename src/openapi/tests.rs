//! The document in the repository, and what it must agree with.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value as Json, json};

use crate::asteroid::operation::Operation;
use crate::facts::ErrorCode;
use crate::proxy::idempotency::parse_value;

use super::{document, example, parameter};

const FILE: &str = "docs/openapi.json";

#[test]
fn the_document_in_the_repository_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let text = serde_json::to_string_pretty(&document()).unwrap() + "\n";
    if std::env::var_os("REGENERATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "{FILE} is out of date; generate it: REGENERATE=1 cargo test --lib openapi");
}

/// Returns the objects of all operations, with their methods and paths.
fn operations(document: &Json) -> Vec<(String, &Json)> {
    let paths = document["paths"].as_object().unwrap();
    let methods = paths.iter().flat_map(|(path, item)| item.as_object().unwrap().iter().map(move |of| (path, of)));
    let methods = methods.filter(|(_, (name, _))| !matches!(name.as_str(), "parameters" | "servers"));
    methods.map(|(path, (method, object))| (format!("{} {path}", method.to_ascii_uppercase()), object)).collect()
}

/// That table is compared with the answers of a gateway.
#[test]
fn each_operation_is_as_the_table_of_docs_calling_says() {
    let document = document();
    let of_asteroid = operations(&document).into_iter().filter(|(_, object)| object["x-asteroid-group"].is_string());
    let shown: BTreeSet<String> = of_asteroid
        .map(|(path, object)| {
            let limits: Vec<String> = object["x-asteroid-limits"]
                .as_array()
                .unwrap()
                .iter()
                .map(|limit| format!("`{}`", limit.as_str().unwrap()))
                .collect();
            let statuses =
                object["responses"].as_object().unwrap().keys().filter(|status| status.starts_with(['2', '3']));
            let statuses: Vec<&str> = statuses.map(String::as_str).collect();
            format!(
                "| {} | `{path}` | `{}` | {} | {} |",
                object["operationId"].as_str().unwrap(),
                object["x-asteroid-group"].as_str().unwrap(),
                limits.join(", "),
                statuses.join(" or ")
            )
        })
        .collect();
    let text = include_str!("../../docs/CALLING.md");
    let table = text.split_once("## What is served").unwrap().1.split_once("|---|---|---|---|---|\n").unwrap().1;
    let rows: BTreeSet<String> = table.lines().take_while(|line| !line.is_empty()).map(str::to_owned).collect();
    assert_eq!(shown, rows);
    assert_eq!(shown.len(), Operation::ALL.len());
}

#[test]
fn each_reference_of_the_document_is_there_and_each_component_is_referred_to() {
    fn collect<'a>(json: &'a Json, found: &mut BTreeSet<&'a str>) {
        match json {
            Json::Object(members) => {
                found.extend(members.get("$ref").and_then(Json::as_str));
                members.values().for_each(|member| collect(member, found));
            }
            Json::Array(elements) => elements.iter().for_each(|element| collect(element, found)),
            _ => {}
        }
    }
    let document = document();
    let mut references = BTreeSet::new();
    collect(&document, &mut references);
    let components = document["components"].as_object().unwrap().iter();
    let components: BTreeSet<String> = components
        .flat_map(|(kind, named)| {
            named.as_object().unwrap().keys().map(move |name| format!("#/components/{kind}/{name}"))
        })
        .collect();
    // Only the path of an operation has these errors, so nothing refers to them.
    let unused = |reference: &str| components.contains(reference) && !references.contains(reference);
    let unused: BTreeSet<&str> = components.iter().map(String::as_str).filter(|name| unused(name)).collect();
    assert_eq!(
        unused,
        ["#/components/examples/method", "#/components/examples/target", "#/components/headers/Allow"].into()
    );
    assert!(references.iter().all(|reference| components.contains(*reference)), "{references:?}");
}

#[test]
fn each_error_has_an_example_that_its_schema_admits() {
    let mut schema = document();
    schema["$ref"] = json!("#/components/schemas/Error");
    let schema = jsonschema::validator_for(&schema).unwrap();
    let examples = example::all();
    for example in &examples {
        let faults: Vec<String> = schema.iter_errors(example.body()).map(|fault| fault.to_string()).collect();
        assert_eq!(faults, [""; 0], "{}", example.name);
    }
    for code in ErrorCode::ALL.iter().filter(|code| **code != ErrorCode::CallerLeft) {
        assert!(examples.iter().any(|example| example.code == *code), "{}", code.as_str());
    }
    let names: BTreeSet<&str> = examples.iter().map(|example| example.name.as_str()).collect();
    assert_eq!(names.len(), examples.len());
}

#[test]
fn the_pattern_of_an_idempotency_key_admits_what_the_gateway_admits() {
    let schema = json!({"type": "string", "pattern": parameter::IDEMPOTENCY_KEY});
    let schema = jsonschema::validator_for(&schema).unwrap();
    let (long, longer) = ("k".repeat(255), "k".repeat(256));
    let (quoted, more) = (format!("\"{long}\""), format!("\"{longer}\""));
    let mut keys =
        vec!["", "\"\"", "\"", "a b", "\"a b\"", r#""a\"b\\""#, r#""a\b""#, r#""a"b""#, "é", "\"é\"", "\"\\\""];
    keys.extend([&*long, &*longer, &*quoted, &*more]);
    let each: Vec<String> = (' '..='\u{7f}').flat_map(|c| [c.to_string(), format!("\"{c}\"")]).collect();
    for key in keys.into_iter().chain(each.iter().map(String::as_str)) {
        assert_eq!(schema.is_valid(&json!(key)), parse_value(key.as_bytes()).is_some(), "{key:?}");
    }
}
