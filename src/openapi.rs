//! The gateway's own OpenAPI document: the operations as they are served, with the gateway's errors, headers and limits.
//!
//! It is made from the data that requests are judged by: the table of operations, the rules of bodies and queries, and the
//! answers of the table of errors. `docs/openapi.json` is this document; `REGENERATE=1 cargo test --lib openapi` writes it anew.

mod error;
mod example;
mod header;
mod link;
mod operation;
mod parameter;
mod response;
mod self_description;
mod text;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::{Map, Value as Json, json};

use crate::asteroid::group::Group;
use crate::asteroid::operation::{Operation, Part};
use crate::asteroid::schema::{self, RequestBody};

use example::Example;

/// Returns the text of the document. It is made once, as it takes some milliseconds.
#[must_use]
pub fn text() -> Bytes {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(format!("{}\n", document())));
    TEXT.clone()
}

/// Returns the document.
#[must_use]
pub fn document() -> Json {
    let examples = example::all();
    let mut paths: BTreeMap<String, Map<String, Json>> = BTreeMap::new();
    for operation in Operation::ALL {
        let rules = operation.rules();
        let item = paths.entry(path(operation)).or_insert_with(|| path_item(operation));
        item.insert(rules.method.as_str().to_ascii_lowercase(), operation::object(operation, &examples));
    }
    let own = json!({"servers": servers(&[""]), "get": self_description::object(&examples)});
    let own = (self_description::path().to_owned(), own);
    let paths: Map<String, Json> = paths.into_iter().map(|(path, item)| (path, item.into())).chain([own]).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "asteroid-gateway",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": text::introduction(),
        },
        "servers": servers(&["", "/agents/v2"]),
        "tags": tags(),
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "responses": responses(&examples),
            "headers": header::components(),
            "parameters": parameter::components(),
            "examples": example::components(&examples),
            "links": link::components(),
        },
    })
}

/// Returns the path of an operation below every server that is listed for it.
fn path(operation: Operation) -> String {
    format!("{}{}", operation.rules().part.mount(), operation.template())
}

/// Returns the members of a path that all its methods share.
fn path_item(operation: Operation) -> Map<String, Json> {
    let mut item = Map::new();
    item.insert("parameters".to_owned(), parameter::of_path(operation));
    if operation.rules().part == Part::V1 {
        item.insert("servers".to_owned(), servers(&[""]));
    }
    item
}

fn servers(bases: &[&str]) -> Json {
    let server = |base: &&str| {
        json!({
            "url": format!("{{gateway}}{base}"),
            "description": if base.is_empty() { "SDKs since 1.8.173, and others" } else { "SDKs before 1.8.173" },
            "variables": {"gateway": {"default": "http://localhost:8080", "description": "The address of the gateway."}},
        })
    };
    bases.iter().map(server).collect()
}

fn tags() -> Vec<Json> {
    let served = |group: &Group| Operation::ALL.iter().any(|operation| operation.rules().group == *group);
    let groups = Group::ALL.into_iter().filter(served);
    let own = json!({"name": "gateway", "description": "The gateway itself."});
    groups.map(|group| json!({"name": group.code(), "description": text::of_group(group)})).chain([own]).collect()
}

fn responses(examples: &[Example]) -> Map<String, Json> {
    response::components().into_iter().chain(error::responses(examples)).collect()
}

fn schemas() -> Map<String, Json> {
    let bodies =
        Operation::ALL.into_iter().filter_map(|operation| match schema::request_body(operation.rules().body)? {
            RequestBody::Json(body) => Some((body.name.to_owned(), body.schema)),
            RequestBody::Files(_) => None,
        });
    let models = schema::models().into_iter().map(|(name, model)| (name.to_owned(), model));
    let own = [("Error", error::schema()), (self_description::MODEL, self_description::schema())];
    bodies.chain(models).chain(own.map(|(name, schema)| (name.to_owned(), schema))).collect()
}
