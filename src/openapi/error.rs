//! The gateway's errors: which of them each operation has, and their answers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json, json};

use crate::asteroid::group::Group;
use crate::asteroid::operation::{AnswerRule, BodyRule, Effect, Operation, Part, Rules};
use crate::facts::{ErrorCode, Outcome};
use crate::proxy::error::Retry;
use crate::state::Limit;

use super::example::Example;
use super::header::{self, Header};
use super::text;

/// The errors of the gateway's description of itself.
pub(super) const OF_SELF_DESCRIPTION: [ErrorCode; 10] = [
    ErrorCode::Malformed,
    ErrorCode::Host,
    ErrorCode::Misdirected,
    ErrorCode::Browser,
    ErrorCode::Tenant,
    ErrorCode::Limit,
    ErrorCode::Query,
    ErrorCode::IdempotencyKey,
    ErrorCode::UnexpectedBody,
    ErrorCode::BodyMemory,
];

/// Returns whether an operation can have an error.
pub(super) fn is_error_of(code: ErrorCode, rules: &Rules) -> bool {
    let (takes_json, takes_files) = match rules.body {
        BodyRule::None => (false, false),
        BodyRule::Start
        | BodyRule::SyncStart
        | BodyRule::VersionStart
        | BodyRule::Rerun
        | BodyRule::Status
        | BodyRule::Message => (true, false),
        BodyRule::Files => (false, true),
    };
    let takes_body = takes_json || takes_files;
    // Whether an answer is read whole, and is withheld if it cannot be judged.
    let (reads_answer, judges_answer) = match rules.answer {
        AnswerRule::Head(_) | AnswerRule::Started => (false, false),
        AnswerRule::Item | AnswerRule::Page | AnswerRule::Files => (true, true),
        AnswerRule::Staged => (true, false),
    };
    let is_start = rules.effect == Effect::Start;
    // A start may name the execution that it continues.
    let is_owned = text::is_about_execution(rules) || is_start;
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
        ErrorCode::NotFound | ErrorCode::OwnershipUnknown => is_owned,
        ErrorCode::AnswerUnreadable => judges_answer || is_owned,
        ErrorCode::AnswerTooLarge => reads_answer,
        ErrorCode::ForeignExecution => rules.answer == AnswerRule::Page,
        ErrorCode::AuditFull | ErrorCode::AuditShare => rules.effect.is_audited(),
        ErrorCode::UnexpectedBody => !takes_body,
        ErrorCode::MediaType | ErrorCode::BodyTooLarge | ErrorCode::BodyTimeout | ErrorCode::BodyBroken => takes_body,
        ErrorCode::Body => takes_json,
        ErrorCode::Multipart => takes_files,
        // Every request is charged for its head and its task.
        ErrorCode::BodyMemory => true,
        ErrorCode::IdempotencyInFlight
        | ErrorCode::IdempotencyMismatch
        | ErrorCode::IdempotencyFull
        | ErrorCode::IdempotencyUnknown
        | ErrorCode::IdempotencyLookup
        | ErrorCode::Tagging => is_start,
    }
}

/// Codes of errors, by their statuses.
pub(super) type Codes = BTreeMap<String, BTreeSet<&'static str>>;

/// Returns the codes of the errors that `can_have` admits.
pub(super) fn codes(can_have: &dyn Fn(ErrorCode) -> bool, examples: &[Example]) -> Codes {
    let mut codes = Codes::new();
    for example in examples.iter().filter(|example| can_have(example.code)) {
        codes.entry(example.status.to_string()).or_default().insert(example.code.as_str());
    }
    codes
}

/// Returns the references to the answers of errors, by their statuses.
pub(super) fn references(codes: &Codes, family: Family) -> Map<String, Json> {
    let reference = |status: &String| (status.clone(), reference("responses", &family.component(status)));
    codes.keys().map(reference).collect()
}

/// Operations whose errors of the upstream look alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// What the gateway answers alone.
    Gateway,
    Agents,
    Files,
    V1,
}

impl Family {
    const ALL: [Family; 4] = [Family::Gateway, Family::Agents, Family::Files, Family::V1];

    /// Returns that of an operation.
    pub(super) fn of(rules: &Rules) -> Family {
        match (rules.part, rules.group) {
            (Part::V1, _) => Family::V1,
            (Part::Agents, Group::Files) => Family::Files,
            (Part::Agents, _) => Family::Agents,
        }
    }

    /// Returns the name of its answer with this status.
    fn component(self, status: &str) -> String {
        let prefix = match self {
            Family::Gateway => "Gateway",
            Family::Agents => "",
            Family::Files => "Files",
            Family::V1 => "V1",
        };
        format!("{prefix}Error{status}")
    }

    /// Returns the schema of the upstream's errors in JSON.
    fn upstream_error(self) -> Option<&'static str> {
        match self {
            Family::Gateway => None,
            Family::Agents | Family::Files => Some("UpstreamError"),
            Family::V1 => Some("V1Error"),
        }
    }

    /// Returns whether one of its members can have an error.
    fn can_have(self, code: ErrorCode) -> bool {
        let operations = Operation::ALL.iter().map(|operation| operation.rules());
        let of_operation =
            || operations.filter(|rules| Family::of(rules) == self).any(|rules| is_error_of(code, rules));
        match self {
            Family::Gateway => OF_SELF_DESCRIPTION.contains(&code),
            Family::Agents | Family::Files | Family::V1 => of_operation(),
        }
    }
}

/// Returns the answers of errors, by their names.
pub(super) fn responses(examples: &[Example]) -> Map<String, Json> {
    let mut responses = Map::new();
    for family in Family::ALL {
        let mut by_status: BTreeMap<String, Vec<&Example>> = BTreeMap::new();
        for example in examples.iter().filter(|example| family.can_have(example.code)) {
            by_status.entry(example.status.to_string()).or_default().push(example);
        }
        responses.extend(by_status.into_iter().map(|(status, of)| (family.component(&status), response(&of, family))));
    }
    responses
}

/// Returns the answer of errors that have one status. The upstream may answer with this status, too.
fn response(examples: &[&Example], family: Family) -> Json {
    let titles: BTreeMap<&str, &str> =
        examples.iter().map(|example| (example.code.as_str(), example.title.as_str())).collect();
    let listed: Vec<String> = titles.iter().map(|(code, title)| format!("- `{code}`: {title}")).collect();
    let without = match family {
        Family::Gateway => "",
        Family::Agents | Family::Files | Family::V1 => "\n\nWithout it, Asteroid's own answer, unchanged.",
    };
    let description = format!("With `Proxy-Status`, an error of the gateway:\n\n{}{without}", listed.join("\n"));
    let has = |header: &&Header| examples.iter().any(|example| example.has(header.name()));
    let mut headers = vec![Header::RequestId, Header::RateLimit, Header::RateLimitPolicy, Header::ExecutionOutcome];
    headers.extend(Header::ALL.iter().filter(has));
    let own = reference("schemas", "Error");
    let schema = match family.upstream_error() {
        None => own,
        Some(upstream) => json!({"anyOf": [own, reference("schemas", upstream)]}),
    };
    let shown = examples.iter().map(|example| (example.name.clone(), reference("examples", &example.name)));
    let json = json!({"schema": schema, "examples": shown.collect::<Map<String, Json>>()});
    let mut content = json!({"application/json": json, "application/problem+json": {"schema": schema}});
    if let (Family::Files, Json::Object(types)) = (family, &mut content) {
        // Asteroid answers so.
        types.insert("text/plain".to_owned(), json!({"schema": {"type": "string"}}));
    }
    json!({"description": description, "headers": header::references(&headers), "content": content})
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
        "required": ["code", "message", "type", "title", "status", "detail", "instance", "outcome", "retry"],
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
                "enum": [Retry::SameKey, Retry::NewKey, Retry::Later, Retry::Never],
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
