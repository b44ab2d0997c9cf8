//! `config/gateway.schema.json` and `docs/CONFIGURATION.md`, made of the file's types and of what `resolve` says of each
//! key. A new key is in both once it has a comment in `file.rs` and stands in `config/gateway.full.yaml`.
//!
//! Both are written anew by `REGENERATE=1 cargo test --lib reference`.

mod ask;
mod document;
mod schema;

use std::path::Path;

use serde_json::{Value as Json, json};

use super::{FULL, model, smallest_with, with};
use crate::config::file;
use ask::Full;
use schema::Reference;

fn repository(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

#[track_caller]
fn assert_generated(file: &str, text: &str) {
    let path = repository(file);
    if std::env::var_os("REGENERATE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "{file} is out of date; write it anew: REGENERATE=1 cargo test --lib reference");
}

fn yaml(text: &str) -> Json {
    serde_saphyr::from_str(text).unwrap()
}

#[test]
fn the_schema_in_the_repository_is_that_of_the_types() {
    let schema = serde_json::to_string_pretty(&Reference::new().schema).unwrap();
    assert_generated("config/gateway.schema.json", &(schema + "\n"));
}

#[test]
fn the_reference_in_the_repository_is_that_of_the_types() {
    let mut order = Vec::new();
    model::keys::<file::Gateway>(&mut order);
    assert_generated("docs/CONFIGURATION.md", &document::text(&Reference::new(), &order));
}

#[test]
fn the_schema_takes_every_configuration_in_the_repository_and_each_names_it_for_editors() {
    let schema = jsonschema::validator_for(&Reference::new().schema).unwrap();
    for file in std::fs::read_dir(repository("config")).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "yaml") {
            let text = std::fs::read_to_string(&file).unwrap();
            let faults: Vec<String> = schema.iter_errors(&yaml(&text)).map(|fault| fault.to_string()).collect();
            assert_eq!(faults, [""; 0], "{}", file.display());
            assert!(text.starts_with("# yaml-language-server: $schema=gateway.schema.json\n"), "{}", file.display());
        }
    }
    let with_nothing = smallest_with("tenants:", "timeouts:\nhosts_of_nobody:\ntenants:");
    assert!(schema.is_valid(&yaml(&with_nothing.replace("hosts_of_nobody:\n", ""))), "an empty section is taken");
    assert!(!schema.is_valid(&yaml(&with_nothing)));
}

#[test]
fn the_schema_refuses_an_unknown_key_in_every_section() {
    let schema = jsonschema::validator_for(&Reference::new().schema).unwrap();
    let full = Full::read();
    let mut sections = Vec::new();
    model::keys::<file::Gateway>(&mut sections);
    let holders = sections.iter().map(|key| key.rsplit_once('.').map_or("", |(holder, _)| holder));
    let mut tried = 0;
    for place in holders.flat_map(|holder| full.places(holder)) {
        let mut file = yaml(FULL);
        file.pointer_mut(&place).unwrap()["no_such_key"] = json!("x");
        assert!(!schema.is_valid(&file), "{place}");
        assert!(with(&file.to_string(), &[]).is_err(), "{place}");
        tried += 1;
    }
    assert!(tried > 15, "{tried}");
}

#[test]
fn the_schema_refuses_wrong_words_wrong_kinds_and_what_has_no_unit() {
    let schema = jsonschema::validator_for(&Reference::new().schema).unwrap();
    for (place, wrong) in [
        ("/tagging/on_conflict", json!("overwite")),
        ("/tenants/billing/idempotency", json!("always")),
        ("/tenants/billing/idempotency", json!(true)),
        ("/tenants/billing/limits/budget/per", json!("month")),
        ("/tenants/billing/limits/budget/local", json!("yes")),
        ("/tenants/billing/limits/executions/rate", json!("30/min")),
        ("/tenants/billing/limits/in_flight", json!(0)),
        ("/tenants/billing/limits/in_flight", json!(1_000_001)),
        ("/tenants/billing/metadata/cost_center", json!(4711)),
        ("/body_limit", json!(1_048_576)),
        ("/body_limit", json!("1048576")),
        ("/timeouts/connect", json!(5)),
        ("/timeouts/connect", json!("5")),
        ("/timeouts/connect", Json::Null),
        ("/listeners", json!("127.0.0.1:8080")),
        ("/listeners/0/hosts/0", json!(7)),
        ("/listeners/2/mode", json!("660rw")),
        ("/listeners/2/mode", json!(432)),
    ] {
        let mut file = yaml(FULL);
        *file.pointer_mut(place).unwrap() = wrong.clone();
        assert!(!schema.is_valid(&file), "{place}: {wrong}");
        assert!(with(&file.to_string(), &[]).is_err(), "{place}: {wrong}");
    }
    for (place, right) in [
        ("/tenants/billing/idempotency", json!(false)),
        ("/tenants/billing/idempotency", json!("required")),
        ("/timeouts/connect", json!("1m 30s")),
        ("/listeners/2/mode", json!("640")),
        ("/listeners/2/mode", json!(660)),
        ("/body_limit", json!("1.5 MiB")),
        ("/tenants/billing/limits/executions/rate", json!("1 / d")),
    ] {
        let mut file = yaml(FULL);
        *file.pointer_mut(place).unwrap() = right.clone();
        assert!(schema.is_valid(&file), "{place}: {right}");
        assert!(with(&file.to_string(), &[]).is_ok(), "{place}: {right}");
    }
}
