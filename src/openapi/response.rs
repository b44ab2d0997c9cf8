//! The answers of an operation: those of the upstream when it did what was asked, and the gateway's errors.

use serde_json::{Map, Value as Json, json};

use crate::asteroid::operation::{Effect, Operation, Rules};
use crate::asteroid::schema::{self, Content, Success};

use super::error::{self, Family};
use super::example::Example;
use super::header::{self, Header};
use super::link;

/// Returns the answers of an operation, by their statuses.
pub(super) fn of_operation(operation: Operation, examples: &[Example]) -> Map<String, Json> {
    let rules = operation.rules();
    let of_success = |success: &Success| {
        let response = match rules.effect {
            Effect::Read | Effect::Change => of_success(success, rules, link::of_list(operation)),
            Effect::Start => json!({"$ref": format!("#/components/responses/{}", component(success))}),
        };
        (success.status.to_string(), response)
    };
    let mut responses: Map<String, Json> = schema::successes(operation).iter().map(of_success).collect();
    let codes = error::codes(&|code| error::is_error_of(code, rules), examples);
    responses.extend(error::references(&codes, Family::of(rules)));
    let headers = header::references(&[&shared(rules)[..], &[Header::RetryAfter]].concat());
    let description = "Any other answer is Asteroid's own, unchanged.";
    responses.insert("default".to_owned(), json!({"description": description, "headers": headers}));
    responses
}

/// Returns the answers that starts share, by their names.
pub(super) fn components() -> Map<String, Json> {
    let successes = |start: Operation| schema::successes(start).iter().map(move |success| (start.rules(), success));
    let starts = Operation::starts().flat_map(successes);
    starts.map(|(rules, success)| (component(success), of_success(success, rules, link::references()))).collect()
}

/// Returns the name of an answer that starts share.
fn component(success: &Success) -> String {
    let model = match success.content {
        Content::None | Content::Text => "Started",
        Content::Json(model) => model,
    };
    format!("{model}{}", success.status)
}

fn of_success(success: &Success, rules: &Rules, links: Map<String, Json>) -> Json {
    let mut headers = shared(rules);
    if (300..400).contains(&success.status) {
        headers.push(Header::Location);
    }
    let mut response = json!({"description": success.description, "headers": header::references(&headers)});
    if let Json::Object(members) = &mut response {
        let content = match success.content {
            Content::None => None,
            Content::Text => Some(json!({"text/plain": {"schema": {"type": "string"}}})),
            Content::Json(model) => {
                let schema = json!({"$ref": format!("#/components/schemas/{model}")});
                Some(json!({"application/json": {"schema": schema}}))
            }
        };
        members.extend(content.map(|content| ("content".to_owned(), content)));
        if !links.is_empty() {
            members.insert("links".to_owned(), links.into());
        }
    }
    response
}

/// Returns the headers that every answer of an operation may have.
fn shared(rules: &Rules) -> Vec<Header> {
    let mut headers = vec![Header::RequestId, Header::RateLimit, Header::RateLimitPolicy];
    match rules.effect {
        Effect::Read => {}
        Effect::Change => headers.push(Header::ExecutionOutcome),
        Effect::Start => headers.extend([Header::ExecutionOutcome, Header::IdempotentReplayed]),
    }
    headers
}
