//! One operation of the document.

use serde_json::{Value as Json, json};

use crate::asteroid::operation::{BodyRule, Effect, Operation};
use crate::asteroid::schema::{self, RequestBody};

use super::example::Example;
use super::{error, parameter, response, text};

/// Returns the object of an operation.
pub(super) fn object(operation: Operation, examples: &[Example]) -> Json {
    let rules = operation.rules();
    let limits: Vec<&str> = text::limits(rules).iter().map(|limit| limit.code()).collect();
    let mut object = json!({
        "operationId": rules.name,
        "summary": text::summary(operation),
        "description": text::description(operation),
        "tags": [rules.group.code()],
        "parameters": parameter::of_operation(operation),
        "responses": response::of_operation(operation, examples),
        "x-asteroid-group": rules.group.code(),
        "x-asteroid-effect": effect(rules.effect),
        "x-asteroid-limits": limits,
        "x-asteroid-errors": error::codes(&|code| error::is_error_of(code, rules), examples),
    });
    if let Json::Object(members) = &mut object {
        members.extend(request_body(rules.body).map(|body| ("requestBody".to_owned(), body)));
        members.extend(text::is_deprecated(operation).then(|| ("deprecated".to_owned(), true.into())));
    }
    object
}

fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Read => "read",
        Effect::Change => "change",
        Effect::Start => "start",
    }
}

/// Returns the schema of a form of files.
fn files(max: usize) -> Json {
    let file = json!({"type": "string", "contentMediaType": "application/octet-stream"});
    json!({
        "type": "object",
        "required": ["files"],
        "properties": {"files": {"type": "array", "items": file, "minItems": 1, "maxItems": max}},
        "additionalProperties": false,
    })
}

fn request_body(rule: BodyRule) -> Option<Json> {
    let (is_required, content) = match schema::request_body(rule)? {
        RequestBody::Json(body) => {
            let schema = json!({"$ref": format!("#/components/schemas/{}", body.name)});
            (body.is_required, json!({"application/json": {"schema": schema, "example": body.example}}))
        }
        RequestBody::Files(max) => (true, json!({"multipart/form-data": {"schema": files(max)}})),
    };
    Some(json!({"required": is_required, "description": text::body(rule), "content": content}))
}
