//! The API as JSON Schemas, for documents about it: bodies and queries from the rules that judge them, and answers by the facts
//! that the released SDKs 1.7.257 and 1.9.167 and the vendor's specification agree on.
//!
//! The schemas of answers are permissive, since the upstream grows: further members pass everywhere, and texts that have grown
//! between releases are not enumerated.

mod answer;
mod model;

use serde_json::{Value as Json, json};

use super::body;
use super::era::Era;
use super::multipart::MAX_PARTS;
use super::operation::BodyRule;
use super::start::StartKind;
use super::{change, start};

pub use answer::{Content, Success, successes};
pub use model::models;

/// The regular expression of the ids of the API.
pub const UUID_PATTERN: &str = super::UUID_PATTERN;

/// The body of a request.
#[derive(Debug)]
pub enum RequestBody {
    /// JSON.
    Json(JsonBody),
    /// Files, of which a form may have this many.
    Files(usize),
}

/// A body of JSON.
#[derive(Debug)]
pub struct JsonBody {
    /// The name of the schema.
    pub name: &'static str,
    /// The schema.
    pub schema: Json,
    /// An example.
    pub example: Json,
    /// Whether it must be there.
    pub is_required: bool,
}

/// Returns the body that an operation with this rule takes, if it takes one. That of a version's start is the newer era's.
#[must_use]
pub fn request_body(rule: BodyRule) -> Option<RequestBody> {
    let ticket = json!({"ticket": "T-1"});
    let started = json!({"inputs": {"invoice": 4711}, "metadata": ticket});
    let (name, members, example) = match rule {
        BodyRule::None => return None,
        BodyRule::Files => return Some(RequestBody::Files(MAX_PARTS)),
        BodyRule::Start => ("StartRequest", StartKind::Agent.members(), started),
        BodyRule::SyncStart => ("SyncStartRequest", StartKind::Sync.members(), started),
        BodyRule::VersionStart => {
            let example = json!({"inputVariables": {"invoice": 4711}, "metadata": ticket});
            ("VersionStartRequest", StartKind::Version(Era::New).members(), example)
        }
        BodyRule::Rerun => ("RerunRequest", start::rerun_members(), json!({"inputs": {"invoice": 4712}})),
        BodyRule::Status => ("StatusRequest", &change::STATUS[..], json!({"status": "paused"})),
        BodyRule::Message => ("MessageRequest", &change::MESSAGE[..], json!({"message": "Skip page 2"})),
    };
    let schema = body::json_schema(members, describe);
    Some(RequestBody::Json(JsonBody { name, schema, example, is_required: rule != BodyRule::Rerun }))
}

/// Returns what a member of a body is.
fn describe(name: &str) -> Option<&'static str> {
    Some(match name {
        "inputs" => "The inputs. Only Asteroid judges them; every byte passes.",
        "dynamicData" => "Deprecated by Asteroid: send `inputs`.",
        "metadata" => {
            "Texts by which you find the execution again. The gateway adds its tags here, such as `tenant`. One of them with \
             another value than the gateway's gets 400."
        }
        "version" => "The number of the version to run. The operator may pin it.",
        "head" => "Whether to run the newest draft. Not with `version`. Of the newer era.",
        "agentProfileId" => "A profile.",
        "agentProfilePoolId" => "A pool of profiles. Not with `agentProfileId`.",
        "profileId" => "A profile. Of the newer era.",
        "profileGroupId" => "A group of profiles. Not with `profileId`. Of the newer era.",
        "executionOptions" => "Options of this execution.",
        "sharedStorageKey" => "The part of the shared files. Of the older era.",
        "variantKey" => "The same. Of the newer era.",
        "softTimeoutMins" => "After how many minutes the agent is told to come to an end.",
        "tempFiles" => "Files that were staged before, by their ids and names.",
        "onCapacityLimit" => "What to do if there is no capacity: `reject`, the default, or `queue`. Of the newer era.",
        "status" => "The status to set.",
        "message" => "The text of the message.",
        "timeoutSeconds" => "How long Asteroid may hold its answer, in seconds. The default is the longest time.",
        "inputVariables" => "The inputs, as both eras take them here. Only Asteroid judges them; every byte passes.",
        "parentExecutionId" => "The execution that this one continues. It must be the tenant's own.",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(rule: BodyRule) -> jsonschema::Validator {
        let Some(RequestBody::Json(body)) = request_body(rule) else { panic!("{rule:?} has no JSON") };
        let schema = jsonschema::validator_for(&body.schema).unwrap();
        assert!(schema.is_valid(&body.example), "{}", body.example);
        schema
    }

    /// Each body is judged by the schema and by the rules.
    #[test]
    fn the_schema_of_a_start_admits_the_bodies_that_the_rules_admit() {
        let id = "8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11";
        let schema = schema(BodyRule::Start);
        for (body, is_admitted) in [
            (json!({}), true),
            (json!([]), false),
            (json!({"inputs": {"a": [null]}, "further": 1}), true),
            (json!({"inputs": []}), false),
            (
                json!({"inputs": null, "metadata": null, "tempFiles": null, "version": null, "onCapacityLimit": null}),
                true,
            ),
            (json!({"metadata": {"a": "b"}}), true),
            (json!({"metadata": {"a": 1}}), false),
            (json!({"version": 3, "head": null}), true),
            (json!({"version": null, "head": true}), true),
            (json!({"version": 3, "head": true}), false),
            (json!({"version": 1.5}), false),
            (json!({"agentProfileId": id}), true),
            (json!({"agentProfileId": id.replace('-', "")}), false),
            (json!({"agentProfileId": id, "agentProfilePoolId": id}), false),
            (json!({"profileId": id, "profileGroupId": id}), false),
            (json!({"profileId": id, "agentProfilePoolId": id}), true),
            (json!({"executionOptions": {"softTimeoutMins": 1, "variantKey": null}}), true),
            (json!({"executionOptions": {"softTimeoutMins": 0}}), false),
            (json!({"tempFiles": [{"id": id, "name": ""}]}), true),
            (json!({"tempFiles": [{"id": id}]}), false),
            (json!({"tempFiles": [{"id": id, "name": null}]}), false),
            (json!({"onCapacityLimit": "queue"}), true),
            (json!({"onCapacityLimit": "wait"}), false),
        ] {
            assert_eq!(schema.is_valid(&body), is_admitted, "{body}");
            assert_eq!(start::Start::parse(body.to_string().as_bytes()).is_ok(), is_admitted, "{body}");
        }
    }

    #[test]
    fn the_schemas_of_a_status_and_of_a_message_require_their_member() {
        for (rule, body, is_admitted) in [
            (BodyRule::Status, json!({"status": "paused"}), true),
            (BodyRule::Status, json!({"status": "completed"}), false),
            (BodyRule::Status, json!({}), false),
            (BodyRule::Message, json!({"message": "", "x": 1}), true),
            (BodyRule::Message, json!({"message": null}), false),
        ] {
            let schema = schema(rule);
            assert_eq!(schema.is_valid(&body), is_admitted, "{body}");
        }
        assert!(request_body(BodyRule::None).is_none());
    }
    #[test]
    fn the_schemas_of_other_starts_differ_as_their_rules_do() {
        let id = "8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11";
        for (rule, body, is_admitted) in [
            (BodyRule::Start, json!({"timeoutSeconds": 99}), true),
            (BodyRule::SyncStart, json!({"timeoutSeconds": 25, "inputs": {}}), true),
            (BodyRule::SyncStart, json!({"timeoutSeconds": 26}), false),
            (BodyRule::SyncStart, json!({"timeoutSeconds": 0}), false),
            (BodyRule::VersionStart, json!({"inputVariables": {}, "inputs": null, "parentExecutionId": id}), true),
            (BodyRule::VersionStart, json!({"inputVariables": {}, "inputs": {}}), false),
            (BodyRule::VersionStart, json!({"parentExecutionId": "x"}), false),
            (BodyRule::Rerun, json!({"inputs": {}, "profileId": id}), true),
            (BodyRule::Rerun, json!({"agentProfileId": 1}), false),
        ] {
            assert_eq!(schema(rule).is_valid(&body), is_admitted, "{body}");
        }
    }
}
