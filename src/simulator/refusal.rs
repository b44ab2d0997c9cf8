//! The refusal of a request.

use hyper::StatusCode;

/// The reason why a request is not carried out, as `{code, message}` of the specification.
#[derive(Debug, Clone)]
pub(super) struct Refusal(pub(super) StatusCode, pub(super) String);

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Refusal {
        Refusal(status, message.into())
    }

    pub(super) fn bad(message: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, message)
    }
}

/// A fault of a body.
impl From<String> for Refusal {
    fn from(message: String) -> Refusal {
        Refusal::bad(message)
    }
}
