//! The parameters of queries as JSON Schemas, made from the table that judges them.

use serde_json::{Value as Json, json};

use super::parameter::{ACTIVITIES, Kind, LISTING, PAGE_SIZE, Parameter, RECORDING, SYNC, UPLOAD};
use super::{DEFAULT_MAX_PAGE_SIZE, QueryRule};
use crate::asteroid::UUID_PATTERN;
use crate::asteroid::era::Era;

/// No control character, which every query refuses.
const PRINTABLE: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";

/// A parameter of a query, for whoever writes one.
#[derive(Debug)]
pub struct ParameterSchema {
    /// Its name.
    pub name: &'static str,
    /// Whether only servers of the newer era know it.
    pub is_newer: bool,
    /// The schema of its value; if it may be repeated, that of the array of its values.
    pub schema: Json,
    /// What it does.
    pub description: &'static str,
}

/// Returns the parameters of an operation with this rule.
#[must_use]
pub fn parameters(rule: QueryRule) -> Vec<ParameterSchema> {
    let table: &'static [Parameter] = match rule {
        QueryRule::None => &[],
        QueryRule::Sync => &SYNC,
        QueryRule::Activities => &ACTIVITIES,
        QueryRule::Recording => &RECORDING,
        QueryRule::Organization => &UPLOAD,
        QueryRule::Listing => &LISTING,
    };
    table.iter().map(of_parameter).collect()
}

fn of_parameter(parameter: &'static Parameter) -> ParameterSchema {
    let kind = match parameter.name {
        PAGE_SIZE => Kind::Integer(1, DEFAULT_MAX_PAGE_SIZE.into()),
        _ => parameter.kind,
    };
    let value = of_kind(kind);
    let schema = if parameter.is_repeatable { json!({"type": "array", "items": value}) } else { value };
    let is_newer = parameter.since == Era::New;
    ParameterSchema { name: parameter.name, is_newer, schema, description: describe(parameter.name) }
}

fn of_kind(kind: Kind) -> Json {
    match kind {
        Kind::Uuid => json!({"type": "string", "format": "uuid", "pattern": UUID_PATTERN}),
        Kind::Integer(min, max) => json!({"type": "integer", "minimum": min, "maximum": max}),
        Kind::OneOf(texts) => json!({"type": "string", "enum": texts}),
        Kind::Text => json!({"type": "string", "pattern": PRINTABLE}),
        Kind::Word => json!({"type": "string", "pattern": PRINTABLE, "minLength": 1}),
        Kind::Pair => {
            json!({"type": "string", "pattern": r"^[^=\u0000-\u001f\u007f-\u009f]+=[^\u0000-\u001f\u007f-\u009f]*$"})
        }
    }
}

fn describe(name: &str) -> &'static str {
    match name {
        "timeoutSeconds" => "How long Asteroid may hold its answer, in seconds. The default is the longest time.",
        "order" => "The order of the activities by their times.",
        "limit" => "The most activities. Asteroid chooses the default.",
        "token" => "A credential for players that set no headers. It is dropped: the gateway sends its own.",
        "organizationId" => {
            "Not needed if the operator has set `upstream.organization_id`. If it is sent then, it must be the same."
        }
        "page" => "The page, from 1, which is the default.",
        PAGE_SIZE => {
            "The most executions of the page; 10 by default. The operator can set another maximum: `max_page_size`."
        }
        "executionId" => "A part of the execution's id, in any case.",
        "agentId" => "The agent, which the newer era calls a workflow.",
        "workflowId" => "The workflow, which the older era calls an agent.",
        "agentProfileIds" | "profileIds" => "Any of these profiles.",
        "status" => "Any of these statuses.",
        "phase" => "Any of these phases: `pending`, `active`, `terminal`. Beside `status`, both must fit.",
        "humanLabels" => "Any of these labels.",
        "triggerSource" => "Any of these sources.",
        "outcomeLabel" => "A part of the label of the outcome, in any case.",
        "inputsKey" => "The name of an input. Use it with `inputsValue`.",
        "inputsValue" => "A part of the value of that input, in any case.",
        "metadataKey" => {
            "The key of a metadata pair; only with `metadataValue`. If Asteroid is of the older era, the gateway needs the only \
             filter by metadata for your tenant, so a pair gets 400."
        }
        "metadataValue" => "The value of that pair; only with `metadataKey`.",
        "metadata" => "A metadata pair, as `key=value`. All of the pairs must fit.",
        "workflowVersion" => "The number of the version.",
        "hasScriptFailures" => "Whether a script failed.",
        "createdAfter" | "createdBefore" => "A time by RFC 3339. The offset may be written without a colon.",
        "createdWithin" => "A span of time that ends now, such as `1d12h`. Not with `createdAfter`.",
        "sort" => "A field and a direction, such as `created_at:desc`. Not with `sortField` and `sortDirection`.",
        "batchId" => "The batch that the executions belong to.",
        "sortField" => "The field to sort by: `created_at`, `status`; in the newer era also `started_at`.",
        "sortDirection" => "The direction of the order.",
        _ => "A parameter of Asteroid.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_has_a_description_of_its_own() {
        let rules =
            [QueryRule::Sync, QueryRule::Activities, QueryRule::Recording, QueryRule::Organization, QueryRule::Listing];
        for rule in rules {
            for parameter in parameters(rule) {
                assert_ne!(parameter.description, describe(""), "{}", parameter.name);
            }
        }
        assert!(parameters(QueryRule::None).is_empty());
    }

    /// Each value is judged by the schema and by the table.
    #[test]
    fn a_schema_admits_the_values_that_its_kind_admits() {
        let kinds = [
            Kind::Uuid,
            Kind::Integer(1, 25),
            Kind::Integer(i64::MIN, i64::MAX),
            Kind::OneOf(&["asc", "desc"]),
            Kind::Text,
            Kind::Word,
            Kind::Pair,
        ];
        let values = [
            "",
            "=",
            "=b",
            "a=",
            "a=b=c",
            "asc",
            "ASC",
            "0",
            "1",
            "25",
            "26",
            "-1",
            "1.5",
            "x",
            "8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11",
            "8D0F7A52-1C5E-4B8E-9F59-2F6F1F0A7C11",
            "8d0f7a521c5e4b8e9f592f6f1f0a7c11",
            "9223372036854775807",
            "9223372036854775808",
            "é ü",
        ];
        for kind in kinds {
            let schema = jsonschema::validator_for(&of_kind(kind)).unwrap();
            for value in values {
                let json = if matches!(kind, Kind::Integer(..)) {
                    serde_json::from_str(value).unwrap_or_else(|_| json!(value))
                } else {
                    json!(value)
                };
                assert_eq!(schema.is_valid(&json), kind.admits(value), "{kind:?} {value:?}");
            }
        }
    }
}
