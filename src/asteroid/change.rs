//! The bodies of operations that change an execution: the status that it is set to, and a message to its agent. Source of both:
//! the released SDKs 1.7.257 and 1.9.167.

use super::body::schema::{Member, Rule, required};
use super::body::{self, Refusal};
use crate::json::Shape;

static SHAPE: Shape = Shape::Object(&[]);

pub(super) static STATUS: [Member; 1] = [required("status", Rule::OneOf(&["running", "paused", "cancelled"]))];
pub(super) static MESSAGE: [Member; 1] = [required("message", Rule::Text)];

/// Checks the body that sets a status.
///
/// # Errors
///
/// Every fault of the body.
pub fn check_status(body: &[u8]) -> Result<(), Refusal> {
    check(body, &STATUS)
}

/// Checks the body that is a message.
///
/// # Errors
///
/// Every fault of the body.
pub fn check_message(body: &[u8]) -> Result<(), Refusal> {
    check(body, &MESSAGE)
}

fn check(body: &[u8], known: &'static [Member]) -> Result<(), Refusal> {
    let faults = body::faults(&body::scan(body, &SHAPE)?, known);
    if faults.is_empty() { Ok(()) } else { Err(Refusal { faults }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(checked: Result<(), Refusal>) -> Vec<String> {
        checked.map_or_else(|refusal| refusal.faults.iter().map(ToString::to_string).collect(), |()| Vec::new())
    }

    #[test]
    fn a_status_is_one_of_three_and_a_message_is_text_and_further_members_pass() {
        for status in ["running", "paused", "cancelled"] {
            let body = format!(r#"{{"reason":null,"status":"{status}"}}"#);
            assert!(check_status(body.as_bytes()).is_ok(), "{body}");
        }
        assert!(check_message(r#"{"message":"","x":[1]}"#.as_bytes()).is_ok());
        let status = |body: &str| faults(check_status(body.as_bytes()));
        assert_eq!(status("{}"), ["the body must have the member status"]);
        assert_eq!(status(r#"{"status":"completed"}"#), ["/status must be running or paused or cancelled"]);
        assert_eq!(status(r#"{"status":null}"#), ["/status must be a string, not null"]);
        assert_eq!(status(r#"{"status":"paused","status":"running"}"#), ["/status occurs more than once; keep one"]);
        assert_eq!(status(r#"{"Status":"paused"}"#).first().unwrap(), "/Status must be spelled exactly: status");
        let message = |body: &str| faults(check_message(body.as_bytes()));
        assert_eq!(message(r#"{"message":1}"#), ["/message must be a string, not a number"]);
        assert_eq!(message("[]"), ["the body must be an object, not an array"]);
        assert!(message("").first().unwrap().starts_with("the body is not JSON"));
    }
}
