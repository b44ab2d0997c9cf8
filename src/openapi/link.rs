//! Links from the answer to a start to the operations about its execution.

use serde_json::{Map, Value as Json, json};

use crate::asteroid::operation::Operation;

use super::text;

/// Returns the links, by their names.
pub(super) fn components() -> Map<String, Json> {
    let link = |operation: Operation| {
        let name = operation.name();
        let parameters = json!({"executionId": "$response.body#/executionId"});
        (name.to_owned(), json!({"operationId": name, "parameters": parameters}))
    };
    about_executions().map(link).collect()
}

/// Returns the references to the links.
pub(super) fn references() -> Map<String, Json> {
    let reference = |name: &str| json!({"$ref": format!("#/components/links/{name}")});
    about_executions().map(|operation| (operation.name().to_owned(), reference(operation.name()))).collect()
}

fn about_executions() -> impl Iterator<Item = Operation> {
    Operation::ALL.into_iter().filter(|operation| text::is_about_execution(operation.rules()))
}
