//! The gateway's description of itself, which is no operation of the API.

use serde_json::{Map, Value as Json, json};

use crate::asteroid::group::Group;
use crate::facts::Route;
use crate::state::Limit;

use super::error::{self, Family, OF_SELF_DESCRIPTION};
use super::example::Example;
use super::header::{self, Header};
use super::{parameter, text};

/// The name of the schema of its answer.
pub(super) const MODEL: &str = "GatewaySelf";

/// Returns its path, below the address of the gateway alone.
pub(super) fn path() -> &'static str {
    Route::SelfDescription.template()
}

/// Returns the object of its only method.
pub(super) fn object(examples: &[Example]) -> Json {
    let errors = error::codes(&|code| OF_SELF_DESCRIPTION.contains(&code), examples);
    let headers = header::references(&[Header::RequestId, Header::RateLimit, Header::RateLimitPolicy]);
    let schema = json!({"$ref": format!("#/components/schemas/{MODEL}")});
    let found = json!({
        "description": "The description.",
        "headers": headers,
        "content": {"application/json": {"schema": schema}},
    });
    let mut responses = Map::from_iter([("200".to_owned(), found)]);
    responses.extend(error::references(&errors, Family::Gateway));
    json!({
        "operationId": Route::SelfDescription.name(),
        "summary": "Ask which tenant you are, and what is left of your limits",
        "description": text::self_description(),
        "tags": ["gateway"],
        "parameters": [parameter::request_id()],
        "responses": responses,
        "x-asteroid-effect": "read",
        "x-asteroid-limits": [Limit::Reads.code(), Limit::InFlight.code()],
        "x-asteroid-errors": errors,
    })
}

/// Returns the schema of its answer.
pub(super) fn schema() -> Json {
    let count = |description: &str| json!({"type": "integer", "minimum": 0, "description": description});
    let limit = json!({
        "type": "object",
        "required": ["limit", "remaining"],
        "properties": {
            "limit": count("How many may come in `window_seconds`; of `in_flight`, how many at once."),
            "window_seconds": count("The span of time."),
            "burst": count("How many may come at once after a pause."),
            "remaining": count("How many are left now."),
            "resets_in_seconds": count("After how many seconds as many are left as ever, if nothing more comes."),
        },
    });
    let operations: Map<String, Json> =
        Group::ALL.into_iter().map(|group| (group.code().to_owned(), json!({"type": "boolean"}))).collect();
    let limits: Map<String, Json> =
        Limit::ALL.into_iter().map(|name| (name.code().to_owned(), limit.clone())).collect();
    json!({
        "type": "object",
        "required": ["tenant", "operations", "limits"],
        "properties": {
            "tenant": {"type": "string", "description": "The name of the tenant."},
            "operations": {
                "type": "object",
                "required": Group::ALL.map(Group::code),
                "properties": operations,
                "description": "Whether each group of operations is open.",
            },
            "limits": {"type": "object", "properties": limits, "description": "The limits that are set."},
        },
    })
}
