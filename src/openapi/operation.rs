//! One operation of the document.

use serde_json::{Value as Json, json};

use crate::asteroid::operation::{BodyRule, Effect, Operation};
use crate::asteroid::schema;

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
        "x-asteroid-errors": error::codes(rules, examples),
    });
    if let (Some(body), Json::Object(members)) = (request_body(rules.body), &mut object) {
        members.insert("requestBody".to_owned(), body);
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

fn request_body(rule: BodyRule) -> Option<Json> {
    let body = schema::json_body(rule)?;
    let schema = json!({"$ref": format!("#/components/schemas/{}", body.name)});
    Some(json!({
        "required": true,
        "description": text::body(rule),
        "content": {"application/json": {"schema": schema, "example": body.example}},
    }))
}
