//! The parameters of requests: ids in paths, queries, and headers.

use serde_json::{Map, Value as Json, json};

use crate::asteroid::operation::{Effect, Operation};
use crate::asteroid::query::{self, ParameterSchema};
use crate::asteroid::schema::UUID_PATTERN;

/// The idempotency keys that the gateway takes: bare, or as a string of RFC 8941.
pub(super) const IDEMPOTENCY_KEY: &str = r#"^(?:[!#-+\x2d-\x5b\x5d-~]{1,255}|"(?:[ !#-\x5b\x5d-~]|\\["\\]){1,255}")$"#;

/// Returns the parameters in the path of an operation.
pub(super) fn of_path(operation: Operation) -> Json {
    let names = operation.template().split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name: &str| {
        let thing = name.strip_suffix("Id").unwrap_or(name);
        let description = format!("The id of the {thing}: a hyphenated uuid of 36 characters, in any case.");
        json!({
            "name": name,
            "in": "path",
            "required": true,
            "description": description,
            "schema": {"type": "string", "format": "uuid", "pattern": UUID_PATTERN},
        })
    };
    names.map(parameter).collect()
}

/// Returns the further parameters of an operation.
pub(super) fn of_operation(operation: Operation) -> Json {
    let rules = operation.rules();
    let mut parameters: Vec<Json> = query::parameters(rules.query).into_iter().map(of_query).collect();
    if rules.effect == Effect::Start {
        parameters.push(reference("Idempotency-Key"));
    }
    parameters.push(request_id());
    parameters.into()
}

fn of_query(parameter: ParameterSchema) -> Json {
    let ParameterSchema { name, is_newer, schema, description } = parameter;
    let era = if is_newer { " Of the newer era." } else { "" };
    json!({"name": name, "in": "query", "description": format!("{description}{era}"), "schema": schema})
}

fn reference(name: &str) -> Json {
    json!({"$ref": format!("#/components/parameters/{name}")})
}

/// Returns the reference to the id of a request.
pub(super) fn request_id() -> Json {
    reference("X-Request-Id")
}

/// Returns the parameters that operations share, by their names.
pub(super) fn components() -> Map<String, Json> {
    let idempotency_key = json!({
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A value of your own for each start, and the same for its retries: 1 to 255 visible ASCII characters without \
                        comma, quote and backslash, or a quoted string. A key belongs to its operation and id. With another body it \
                        gets 422. The operator can require it (`idempotency: required`), or forbid it (`idempotency: off`); then a \
                        start gets 400 `idempotency-key`.",
        "schema": {"type": "string", "pattern": IDEMPOTENCY_KEY},
        "example": "invoice-4711",
    });
    let request_id = json!({
        "name": "X-Request-Id",
        "in": "header",
        "description": "An id for the logs, of 1 to 64 letters, digits, `.`, `_` and `-`. Any other value is replaced, not refused.",
        "schema": {"type": "string"},
    });
    [("Idempotency-Key", idempotency_key), ("X-Request-Id", request_id)]
        .map(|(name, parameter)| (name.to_owned(), parameter))
        .into_iter()
        .collect()
}
