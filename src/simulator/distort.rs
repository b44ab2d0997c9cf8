//! Ordinary answers that say something else, or far more.

use serde_json::{Value, json};

/// The id that an answer names if it is to name another one.
pub const OTHER_EXECUTION: &str = "0ddba11a-5c3e-4f7d-9b21-8e6f4a2c1d07";

/// The largest padded body, in bytes.
const MAX_PADDED: usize = 256 * 1024 * 1024;

/// Replaces the id of the execution that an answer is about. A listing stays as it is.
pub(super) fn replace_id(answer: &mut Value) {
    match answer {
        Value::Array(items) => items.iter_mut().for_each(replace_id),
        Value::Object(members) => {
            // An activity has an id of its own.
            let is_activity = members.contains_key("payload");
            for (name, value) in members {
                if matches!(name.as_str(), "executionId" | "execution_id") || (name == "id" && !is_activity) {
                    *value = OTHER_EXECUTION.into();
                }
            }
        }
        _ => {}
    }
}

/// Makes an answer as long as `length`, in bytes of JSON: by the inputs of an item, or of the last one of a listing, by a
/// last activity, and otherwise by a further member. What is longer already stays as it is.
pub(super) fn pad(answer: &mut Value, length: usize) {
    let text = |bytes: usize| Value::from("x".repeat(bytes));
    let mut padded = answer.clone();
    set_padding(&mut padded, text(0));
    if let Some(missing) = length.min(MAX_PADDED).checked_sub(written_length(&padded)) {
        set_padding(&mut padded, text(missing));
        *answer = padded;
    }
}

fn set_padding(answer: &mut Value, padding: Value) {
    match answer {
        Value::Array(activities) => {
            let payload =
                |activity: &Value| activity.get("payload").is_some_and(|payload| payload.get("padded").is_some());
            activities.retain(|activity| !payload(activity));
            let Some(mut last) = activities.last().cloned() else { return };
            if let Some(slot) = last.get_mut("payload") {
                *slot = json!({ "activityType": "generic", "message": padding, "padded": true });
            }
            activities.push(last);
        }
        Value::Object(members) => {
            if let Some(item) =
                members.get_mut("items").and_then(Value::as_array_mut).and_then(|items| items.last_mut())
            {
                return set_padding(item, padding);
            }
            if !members.contains_key("agentId") {
                members.insert("padding".to_owned(), padding);
                return;
            }
            let inputs = members.entry("inputs").or_insert_with(|| json!({}));
            if let Value::Object(inputs) = inputs {
                inputs.insert("padding".to_owned(), padding);
            }
        }
        _ => {}
    }
}

fn written_length(value: &Value) -> usize {
    serde_json::to_vec(value).map_or(0, |text| text.len())
}
