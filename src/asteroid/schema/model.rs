//! The bodies of the upstream's answers.

use serde_json::{Value as Json, json};

/// Returns the schemas of the bodies of answers, with their names.
#[must_use]
pub fn models() -> Vec<(&'static str, Json)> {
    vec![
        ("Started", started()),
        ("Execution", execution()),
        ("ExecutionPage", page()),
        ("Activity", activity()),
        ("Activities", json!({"type": "array", "items": reference("Activity")})),
        ("ExecutionResult", result()),
        ("ExecutionStatus", object(&["executionId", "status"], json!({"executionId": id(), "status": status()}))),
        ("ContextFiles", json!({"type": "array", "items": context_file()})),
        ("ExecutionFiles", files()),
        ("StagedFiles", staged()),
        ("V1Status", v1_status()),
        ("V1Result", v1_result()),
        ("V1Recording", object(&["recording_url"], json!({"recording_url": {"type": ["string", "null"]}}))),
        ("UpstreamError", upstream_error()),
        ("V1Error", object(&["error"], json!({"error": {"type": "string"}}))),
    ]
}

/// Returns the schema of an object that has these members, among others.
fn object(required: &[&str], properties: Json) -> Json {
    json!({"type": "object", "required": required, "properties": properties, "additionalProperties": true})
}

fn reference(name: &str) -> Json {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn id() -> Json {
    json!({"type": "string", "format": "uuid"})
}

fn time() -> Json {
    json!({"type": "string", "format": "date-time"})
}

fn text() -> Json {
    json!({"type": "string"})
}

/// Statuses have grown between releases, so that they are not enumerated.
fn status() -> Json {
    json!({
        "type": "string",
        "description": "`starting`, `queued` (newer era), `running`, `paused`, `awaiting_confirmation`, `paused_by_agent`; once it has \
                        ended, `completed`, `cancelled` or `failed`. Take another text for one that has not ended.",
    })
}

fn started() -> Json {
    object(&["executionId"], json!({"executionId": id(), "status": status()}))
}

fn result() -> Json {
    let result = json!({"description": "The result, once the execution has ended."});
    object(&["executionId", "status"], json!({"executionId": id(), "status": status(), "executionResult": result}))
}

fn execution() -> Json {
    let required = [
        "id",
        "organizationId",
        "agentId",
        "agentName",
        "workflowId",
        "status",
        "createdAt",
        "comments",
        "humanLabels",
        "hasBeenRerun",
    ];
    let secret = "It may work for whoever holds it: treat it as a secret.";
    let mut execution = object(
        &required,
        json!({
            "id": id(),
            "organizationId": id(),
            "agentId": id(),
            "agentName": text(),
            "workflowId": {"type": "string", "description": "In the older era the version, in the newer one the workflow."},
            "workflowVersionId": {"type": "string", "description": "The version. Of the newer era."},
            "status": status(),
            "createdAt": time(),
            "startedAt": {"type": ["string", "null"], "description": "Of the newer era."},
            "terminalAt": {"type": ["string", "null"]},
            "comments": {"type": "array"},
            "humanLabels": {"type": "array"},
            "hasBeenRerun": {"type": "boolean"},
            "metadata": {
                "type": ["object", "null"],
                "additionalProperties": {"type": "string"},
                "description": "Your metadata and the tags of the gateway.",
            },
            "inputs": {"description": "The inputs, as they were sent."},
            "executionResult": {"description": "The result, once the execution has ended."},
            "liveViewUrl": {"type": ["string", "null"], "description": secret},
            "recordingUrl": {"type": ["string", "null"], "description": secret},
        }),
    );
    if let Json::Object(schema) = &mut execution {
        let description = "An execution of the tenant, without `triggerContext`, which the gateway takes out unless its operator has set \
                           `redact.trigger_context: false`.";
        schema.insert("description".to_owned(), description.into());
    }
    execution
}

fn page() -> Json {
    let count = json!({"type": "integer", "minimum": 0});
    object(
        &["items", "page", "pageSize", "total"],
        json!({
            "items": {"type": "array", "items": reference("Execution")},
            "page": count,
            "pageSize": count,
            "total": {"type": "integer", "minimum": 0, "description": "Asteroid's count of the tenant's executions that fit."},
        }),
    )
}

fn activity() -> Json {
    let payload = object(&["activityType"], json!({"activityType": text()}));
    object(
        &["id", "executionId", "timestamp", "payload"],
        json!({"id": text(), "executionId": id(), "timestamp": time(), "payload": payload}),
    )
}

fn context_file() -> Json {
    let secret = json!({"type": "string", "description": "It works for whoever holds it: treat it as a secret."});
    object(
        &["id", "executionId", "fileName", "fileSize", "mimeType", "createdAt", "signedUrl"],
        json!({
            "id": id(),
            "executionId": id(),
            "fileName": text(),
            "fileSize": {"type": "integer"},
            "mimeType": text(),
            "createdAt": time(),
            "signedUrl": secret,
        }),
    )
}

fn files() -> Json {
    let file = object(
        &["id", "executionId", "directory", "fileName", "fileSize", "createdAt"],
        json!({
            "id": id(),
            "executionId": id(),
            "directory": text(),
            "fileName": text(),
            "fileSize": {"type": "integer"},
            "mimeType": {"type": ["string", "null"]},
            "createdAt": time(),
        }),
    );
    let directories = json!({
        "type": "object",
        "additionalProperties": {"type": ["array", "null"], "items": file},
        "description": "`uploads`, `downloads`, `workspace`, `shared`, `debug`, `tracing`. Files of executions of other tenants, which \
                        `shared` can have, are cut out.",
    });
    object(&["directories"], json!({"directories": directories}))
}

fn staged() -> Json {
    let file = object(&["id", "name"], json!({"id": id(), "name": text()}));
    object(&["tempFiles"], json!({"tempFiles": {"type": "array", "items": file}}))
}

fn v1_status() -> Json {
    object(&["execution_id", "status"], json!({"execution_id": id(), "status": status()}))
}

fn v1_result() -> Json {
    let result = json!({"description": "The result, once the execution has ended."});
    object(&["execution_id", "status"], json!({"execution_id": id(), "status": status(), "execution_result": result}))
}

fn upstream_error() -> Json {
    let mut error = object(
        &["code", "message"],
        json!({
            "code": {"type": "integer"},
            "message": text(),
            "type": {"type": "string", "not": {"pattern": "^urn:asteroid-gateway:"}},
        }),
    );
    if let Json::Object(schema) = &mut error {
        let description = "An error of Asteroid, passed on unchanged. Its answer has no `Proxy-Status`.";
        schema.insert("description".to_owned(), description.into());
    }
    error
}
