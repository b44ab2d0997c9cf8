//! The rules for the bodies of starts, including those that are only in the prose of the specification.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::super::sync::MAX_TIMEOUT;

/// The form of a start's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// That of an agent or a workflow: `ExecuteAgentRequest` of both eras.
    Plain,
    /// The same with `timeoutSeconds`.
    Sync,
    /// That of a version.
    Version {
        /// Whether `inputs` is known beside `inputVariables`.
        has_inputs: bool,
    },
    /// That of a rerun.
    Rerun,
}

impl Form {
    /// Returns the names of the member with the inputs.
    pub(super) fn inputs(self) -> &'static [&'static str] {
        match self {
            Form::Plain | Form::Sync | Form::Rerun => &["inputs"],
            Form::Version { has_inputs: true } => &["inputs", "inputVariables"],
            Form::Version { has_inputs: false } => &["inputVariables"],
        }
    }

    /// Checks a body. Unknown members are ignored.
    pub(super) fn check(self, body: &Map<String, Value>) -> Result<(), String> {
        for name in self.inputs() {
            object(body, name)?;
        }
        check_ids(body, &["agentProfileId", "profileId"])?;
        match self {
            Form::Rerun => Ok(()),
            Form::Plain => check_common(body).and_then(|()| check_plain(body)),
            Form::Sync => {
                check_common(body).and_then(|()| check_plain(body))?;
                let seconds = |value: &Value| value.as_u64().is_some_and(|number| (1..=MAX_TIMEOUT).contains(&number));
                rule(all(body, "timeoutSeconds", seconds), "timeoutSeconds must be an integer from 1 to 25")
            }
            Form::Version { has_inputs } => {
                if has_inputs {
                    exclusive(body, ("inputs", "inputVariables"))?;
                }
                check_ids(body, &["parentExecutionId"])?;
                check_common(body)
            }
        }
    }
}

/// Checks what the starts of agents, workflows and versions have in common.
fn check_common(body: &Map<String, Value>) -> Result<(), String> {
    check_ids(body, &["agentProfilePoolId", "profileGroupId"])?;
    exclusive(body, ("agentProfileId", "agentProfilePoolId"))?;
    exclusive(body, ("profileId", "profileGroupId"))?;
    let strings = |value: &Value| value.as_object().is_some_and(|map| map.values().all(Value::is_string));
    rule(all(body, "metadata", strings), "metadata must be an object with string values")?;
    let file =
        |file: &Value| file.get("id").is_some_and(is_uuid_value) && file.get("name").is_some_and(Value::is_string);
    let files = |value: &Value| value.as_array().is_some_and(|files| files.iter().all(file));
    rule(
        all(body, "tempFiles", files),
        "tempFiles must be an array of objects with a uuid as id and a string as name",
    )?;
    let Some(options) = object(body, "executionOptions")? else { return Ok(()) };
    for name in ["sharedStorageKey", "variantKey"] {
        rule(all(options, name, Value::is_string), &format!("executionOptions.{name} must be a string"))?;
    }
    let minutes = |value: &Value| value.as_i64().is_some_and(|minutes| minutes >= 1);
    rule(all(options, "softTimeoutMins", minutes), "executionOptions.softTimeoutMins must be an integer of at least 1")
}

/// Checks what only the starts of agents and workflows have.
fn check_plain(body: &Map<String, Value>) -> Result<(), String> {
    object(body, "dynamicData")?;
    exclusive(body, ("version", "head"))?;
    rule(all(body, "version", Value::is_i64), "version must be an integer")?;
    rule(all(body, "head", Value::is_boolean), "head must be a boolean")?;
    let capacity = member(body, "onCapacityLimit").map(Value::as_str);
    rule(matches!(capacity, None | Some(Some("reject" | "queue"))), "onCapacityLimit must be reject or queue")?;
    let has_files = member(body, "tempFiles").and_then(Value::as_array).is_some_and(|files| !files.is_empty());
    rule(capacity != Some(Some("queue")) || !has_files, "onCapacityLimit cannot be queue with tempFiles")
}

fn check_ids(body: &Map<String, Value>, names: &[&str]) -> Result<(), String> {
    let wrong = names.iter().find(|name| !all(body, name, is_uuid_value));
    wrong.map_or(Ok(()), |name| Err(format!("{name} must be a uuid")))
}

fn exclusive(body: &Map<String, Value>, pair: (&str, &str)) -> Result<(), String> {
    let both = member(body, pair.0).is_some() && member(body, pair.1).is_some();
    rule(!both, &format!("{pair:?} are mutually exclusive"))
}

/// Returns a member that is an object if it is there.
fn object<'a>(body: &'a Map<String, Value>, name: &str) -> Result<Option<&'a Map<String, Value>>, String> {
    let object = |value: &'a Value| value.as_object().ok_or_else(|| format!("{name} must be an object"));
    member(body, name).map(object).transpose()
}

/// Returns whether a member is absent or fits.
fn all(body: &Map<String, Value>, name: &str, fits: impl FnOnce(&Value) -> bool) -> bool {
    member(body, name).is_none_or(fits)
}

fn rule(holds: bool, says: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(says.to_owned()) }
}

/// Returns a member that is present; `null` counts as absent.
pub(super) fn member<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).filter(|value| !value.is_null())
}

pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36 && Uuid::parse_str(text).is_ok()
}

fn is_uuid_value(value: &Value) -> bool {
    value.as_str().is_some_and(is_uuid)
}
