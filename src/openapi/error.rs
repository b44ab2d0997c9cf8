//! The gateway's errors: which of them each operation has, and their answers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json, json};

use crate::asteroid::operation::{AnswerRule, BodyRule, Effect, Operation, Part, Rules};
use crate::facts::{ErrorCode, Outcome};
use crate::state::Limit;

use super::example::Example;
use super::header::{self, Header};
use super::text;

/// The value of `retry` in an error.
const RETRIES: [&str; 4] = ["same-key", "new-key", "later", "never"];

/// Returns whether an operation can have an error.
fn is_error_of(code: ErrorCode, rules: &Rules) -> bool {
    let takes_body = match rules.body {
        BodyRule::None => false,
        BodyRule::Start | BodyRule::Status | BodyRule::Message => true,
    };
    let judges_answer = match rules.answer {
        AnswerRule::Head(_) => false,
        AnswerRule::Item | AnswerRule::Page => true,
    };
    let is_start = rules.effect == Effect::Start;
    match code {
        ErrorCode::Malformed
        | ErrorCode::Host
        | ErrorCode::Misdirected
        | ErrorCode::Browser
        | ErrorCode::Tenant
        | ErrorCode::Limit
        | ErrorCode::OperationClosed
        | ErrorCode::Query
        | ErrorCode::IdempotencyKey
        | ErrorCode::Unreachable
        | ErrorCode::NoKey
        | ErrorCode::KeyRefused
        | ErrorCode::UpstreamTimeout
        | ErrorCode::UpstreamBroke => true,
        // They are about a path or a method that no operation has. Nobody reads the answer of the third.
        ErrorCode::Target | ErrorCode::Method | ErrorCode::CallerLeft => false,
        // If the upstream has no v1.
        ErrorCode::OperationNotServed => rules.part == Part::V1,
        ErrorCode::Id => rules.template.contains('{'),
        ErrorCode::NotFound | ErrorCode::OwnershipUnknown => text::is_about_execution(rules),
        ErrorCode::AnswerUnreadable => judges_answer || text::is_about_execution(rules),
        ErrorCode::AnswerTooLarge => judges_answer,
        ErrorCode::ForeignExecution => rules.answer == AnswerRule::Page,
        ErrorCode::AuditFull | ErrorCode::AuditShare => rules.effect.is_audited(),
        ErrorCode::UnexpectedBody => !takes_body,
        ErrorCode::MediaType
        | ErrorCode::BodyTooLarge
        | ErrorCode::BodyTimeout
        | ErrorCode::BodyBroken
        | ErrorCode::Body => takes_body,
        ErrorCode::BodyMemory => takes_body || judges_answer,
        ErrorCode::IdempotencyInFlight
        | ErrorCode::IdempotencyMismatch
        | ErrorCode::IdempotencyFull
        | ErrorCode::IdempotencyUnknown
        | ErrorCode::IdempotencyLookup
        | ErrorCode::Tagging => is_start,
    }
}

/// Returns the codes of an operation's errors, by their statuses.
pub(super) fn codes(rules: &Rules, examples: &[Example]) -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut codes: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    for example in examples.iter().filter(|example| is_error_of(example.code, rules)) {
        codes.entry(example.status.to_string()).or_default().insert(example.code.as_str());
    }
    codes
}

/// Returns the references of an operation to the answers of its errors, by their statuses.
pub(super) fn references(rules: &Rules, examples: &[Example]) -> Map<String, Json> {
    let reference = |status: String| {
        let reference = json!({"$ref": format!("#/components/responses/{}", component(&status, rules.part))});
        (status, reference)
    };
    codes(rules, examples).into_keys().map(reference).collect()
}

/// Returns the name of the answer with this status in a part of the API.
fn component(status: &str, part: Part) -> String {
    match part {
        Part::Agents => format!("Error{status}"),
        Part::V1 => format!("V1Error{status}"),
    }
}

/// Returns the answers of errors, by their names.
pub(super) fn responses(examples: &[Example]) -> Map<String, Json> {
    let mut responses = Map::new();
    for operation in Operation::ALL {
        let rules = operation.rules();
        for status in codes(rules, examples).into_keys() {
            let of_part = |other: &Rules| other.part == rules.part;
            let is_here = |example: &&Example| {
                let mut others = Operation::ALL.iter().map(|other| other.rules()).filter(|other| of_part(other));
                example.status.to_string() == status && others.any(|other| is_error_of(example.code, other))
            };
            let name = component(&status, rules.part);
            if !responses.contains_key(&name) {
                let here: Vec<&Example> = examples.iter().filter(is_here).collect();
                responses.insert(name, response(&here, rules.part));
            }
        }
    }
    responses
}

/// Returns the answer of errors that have one status. The upstream may answer with this status, too.
fn response(examples: &[&Example], part: Part) -> Json {
    let titles: BTreeMap<&str, &str> =
        examples.iter().map(|example| (example.code.as_str(), example.title.as_str())).collect();
    let listed: Vec<String> = titles.iter().map(|(code, title)| format!("- `{code}`: {title}")).collect();
    let description = format!(
        "With `Proxy-Status`, an error of the gateway:\n\n{}\n\nWithout it, Asteroid's own answer, unchanged.",
        listed.join("\n")
    );
    let has = |header: &&Header| examples.iter().any(|example| example.has(header.name()));
    let mut headers = vec![Header::RequestId, Header::RateLimit, Header::RateLimitPolicy, Header::ExecutionOutcome];
    headers.extend(Header::ALL.iter().filter(has));
    let upstream = match part {
        Part::Agents => "UpstreamError",
        Part::V1 => "V1Error",
    };
    let schema = json!({"anyOf": [reference("schemas", "Error"), reference("schemas", upstream)]});
    let shown = examples.iter().map(|example| (example.name.clone(), reference("examples", &example.name)));
    let content = json!({"schema": schema, "examples": shown.collect::<Map<String, Json>>()});
    json!({
        "description": description,
        "headers": header::references(&headers),
        "content": {"application/json": content, "application/problem+json": {"schema": schema}},
    })
}

fn reference(kind: &str, name: &str) -> Json {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

/// Returns the schema of an error of the gateway.
pub(super) fn schema() -> Json {
    let codes = ErrorCode::ALL.iter().filter(|code| **code != ErrorCode::CallerLeft);
    let types: Vec<String> = codes.map(|code| format!("urn:asteroid-gateway:error:{}", code.as_str())).collect();
    let text = |description: &str| json!({"type": "string", "description": description});
    let fault = json!({
        "type": "object",
        "required": ["pointer", "detail"],
        "properties": {
            "pointer": text("The JSON pointer of the faulty value; empty for the whole body."),
            "detail": text("What is wrong with it."),
        },
    });
    json!({
        "type": "object",
        "description": "An error of the gateway: the members of Asteroid's errors, and those of RFC 9457.",
        "required": ["code", "message", "type", "title", "status", "detail", "instance", "outcome"],
        "properties": {
            "code": {"type": "integer", "format": "int32", "description": "The status."},
            "message": text("The same as `detail`."),
            "type": {"type": "string", "enum": types, "description": "The error. Match on this."},
            "title": text("The error in a few words."),
            "status": {"type": "integer", "description": "The status."},
            "detail": text("What is wrong, and what to do."),
            "instance": text("`urn:request:`, and the `X-Request-Id` of the answer."),
            "outcome": {
                "type": "string",
                "enum": [Outcome::NotStarted, Outcome::Unknown],
                "description": "`not_started`: nothing was started or changed. `unknown`: something may have been.",
            },
            "retry": {
                "type": "string",
                "enum": RETRIES,
                "description": "`same-key`: retry with the same `Idempotency-Key`. `new-key`: start with another one. `later`: retry \
                                later, after `Retry-After` if it is there. `never`: a retry is of no use, or not safe.",
            },
            "limit": {
                "type": "string",
                "enum": Limit::ALL.map(Limit::code),
                "description": "Of a 429: the limit that is reached.",
            },
            "errors": {"type": "array", "items": fault, "description": "Of a 400 `body`: each fault, at most 100."},
        },
        "additionalProperties": true,
    })
}
