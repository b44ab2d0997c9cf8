//! Links from an answer to further operations: from a start to those about its execution, and from a list of files to downloads.

use serde_json::{Map, Value as Json, json};

use crate::asteroid::operation::Operation;

use super::text;

/// Returns the links from starts, by their names.
pub(super) fn components() -> Map<String, Json> {
    let link = |operation: Operation| {
        let name = operation.name();
        let parameters = json!({"executionId": "$response.body#/executionId"});
        (name.to_owned(), json!({"operationId": name, "parameters": parameters}))
    };
    about_executions().map(link).collect()
}

/// Returns the references to the links from starts.
pub(super) fn references() -> Map<String, Json> {
    let reference = |name: &str| json!({"$ref": format!("#/components/links/{name}")});
    about_executions().map(|operation| (operation.name().to_owned(), reference(operation.name()))).collect()
}

/// Returns the operations about an execution and nothing else.
fn about_executions() -> impl Iterator<Item = Operation> {
    Operation::ALL.into_iter().filter(|operation| {
        let rules = operation.rules();
        text::is_about_execution(rules) && !rules.template.contains("{fileId}")
    })
}

/// Returns the links from a list of files to the download of its first file. An operation that lists none has none.
pub(super) fn of_list(operation: Operation) -> Map<String, Json> {
    let downloads: &[(Operation, &str)] = match operation {
        Operation::ContextFiles => &[(Operation::ContextFileDownload, "/0/id")],
        Operation::ExecutionFiles => &[
            (Operation::ExecutionFileDownload, "/directories/downloads/0/id"),
            (Operation::DebugFileDownload, "/directories/debug/0/id"),
        ],
        Operation::AgentFiles => &[(Operation::AgentFileDownload, "/directories/downloads/0/id")],
        _ => &[],
    };
    let link = |(download, pointer): &(Operation, &str)| {
        let parameters = json!({
            "executionId": "$request.path.executionId",
            "fileId": format!("$response.body#{pointer}"),
        });
        (download.name().to_owned(), json!({"operationId": download.name(), "parameters": parameters}))
    };
    downloads.iter().map(link).collect()
}
