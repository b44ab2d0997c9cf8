//! The API as JSON Schemas, for documents about it: bodies and queries from the rules that judge them, and answers by the facts
//! that the released SDKs 1.7.257 and 1.9.167 and the vendor's specification agree on.
//!
//! The schemas of answers are permissive, since the upstream grows: further members pass everywhere, and texts that have grown
//! between releases are not enumerated.

mod answer;
mod model;

use serde_json::{Value as Json, json};

use super::body;
use super::operation::BodyRule;
use super::{change, start};

pub use answer::{Content, Success, successes};
pub use model::models;

/// The regular expression of the ids of the API.
pub const UUID_PATTERN: &str = super::UUID_PATTERN;

/// The schema of a body, and its name.
#[derive(Debug)]
pub struct BodySchema {
    /// The name.
    pub name: &'static str,
    /// The schema.
    pub schema: Json,
    /// An example.
    pub example: Json,
}

/// Returns the schema of the JSON body that an operation with this rule takes, if it takes one.
#[must_use]
pub fn json_body(rule: BodyRule) -> Option<BodySchema> {
    let (name, members, example) = match rule {
        BodyRule::None => return None,
        BodyRule::Start => {
            let example = json!({"inputs": {"invoice": 4711}, "metadata": {"ticket": "T-1"}});
            ("StartRequest", start::members(), example)
        }
        BodyRule::Status => ("StatusRequest", &change::STATUS[..], json!({"status": "paused"})),
        BodyRule::Message => ("MessageRequest", &change::MESSAGE[..], json!({"message": "Skip page 2"})),
    };
    Some(BodySchema { name, schema: body::json_schema(members, describe), example })
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
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each body is judged by the schema and by the rules.
    #[test]
    fn the_schema_of_a_start_admits_the_bodies_that_the_rules_admit() {
        let id = "8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11";
        let schema = jsonschema::validator_for(&json_body(BodyRule::Start).unwrap().schema).unwrap();
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
            let schema = jsonschema::validator_for(&json_body(rule).unwrap().schema).unwrap();
            assert_eq!(schema.is_valid(&body), is_admitted, "{body}");
        }
        assert!(json_body(BodyRule::None).is_none());
    }
}
