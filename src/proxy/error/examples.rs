//! An example of every error, for the tests of what holds for all of them.

use std::time::Duration;

use hyper::StatusCode;

use super::idempotency::Error as Idempotency;
use super::inquiry::Error as Inquiry;
use super::{Error, Expected, Retry, judgement, limit, recovery};
use crate::asteroid::body::Refusal;
use crate::asteroid::group::Group;
use crate::asteroid::multipart;
use crate::asteroid::operation::{Effect, Error as Operation, IdName};
use crate::asteroid::query;
use crate::credential::CredentialError;
use crate::json::SpliceError;
use crate::state::{IdempotencyDigest, Limit};
use crate::transport::error::ConnectError;
use crate::{audit, identity};

/// An error, and what its callers are told.
pub(super) struct Example {
    pub(super) error: Error,
    /// What is expected of [`Error::retry`], for a request without and with an idempotency key; none if there is no such request.
    pub(super) retries: [Option<Retry>; 2],
    /// The row of the list that it stands in.
    row: &'static str,
}

/// Declares the list: `pattern => what to expect of its retry, an example;`.
macro_rules! examples {
    ($($pattern:pat => $retries:expr, $example:expr;)*) => {
        /// Returns an example of every error.
        pub(super) fn all() -> Vec<Example> {
            vec![$(Example { error: $example, retries: $retries, row: stringify!($pattern) }),*]
        }

        /// Returns the row that an error belongs to. If this does not compile, a new error has no row yet.
        fn row_of(error: &Error) -> &'static str {
            match error {
                $($pattern => stringify!($pattern),)*
            }
        }
    };
}

/// Whether it had a key or not.
const fn either(retry: Retry) -> [Option<Retry>; 2] {
    [Some(retry), Some(retry)]
}

/// Only a request with a key gets the error.
const fn keyed(retry: Retry) -> [Option<Retry>; 2] {
    [None, Some(retry)]
}

/// No request with a key gets the error.
const fn unkeyed(retry: Retry) -> [Option<Retry>; 2] {
    [Some(retry), None]
}

/// One thing without a key, and with a key another.
const fn by_key(without: Retry, with: Retry) -> [Option<Retry>; 2] {
    [Some(without), Some(with)]
}

use Retry::{Later, Never, NewKey, SameKey};

examples! {
    Error::Target => unkeyed(Never), Error::Target;
    Error::Malformed(_) => unkeyed(Never), Error::Malformed("Expect must be 100-continue");
    Error::Host => unkeyed(Never), Error::Host;
    Error::Misdirected(_) => unkeyed(Never), Error::Misdirected("example.org".to_owned());
    Error::Browser(_) => unkeyed(Never), Error::Browser("Origin");
    Error::Tenant(_) => unkeyed(Never), Error::Tenant(identity::Error::Peer("10.0.0.1".to_owned()));
    Error::Operation(Operation::NotServed { .. }) => unkeyed(Never), Operation::not_served(&hyper::Method::GET, "/").into();
    Error::Operation(Operation::Id(_)) => unkeyed(Never), Operation::Id(IdName::Agent).into();
    Error::Operation(Operation::Method { .. }) => unkeyed(Never), Operation::Method { allow: "GET".to_owned() }.into();
    Error::OperationClosed { .. } => unkeyed(Never),
        Error::OperationClosed { operation: "ExecutionDelete", group: Group::Delete, tenant: "billing".into() };
    Error::Query(_) => either(Never), query::Error::NoneTaken.into();
    Error::NotFound => either(Never), Error::NotFound;
    Error::Ownership(Inquiry::NoCredential(_)) => either(Later), Inquiry::from(CredentialError::Missing).into();
    Error::Ownership(Inquiry::Memory) => either(Later), Inquiry::Memory.into();
    Error::Ownership(Inquiry::Unreachable(_)) => either(Later), Inquiry::Unreachable(ConnectError::Declined).into();
    Error::Ownership(Inquiry::Status { retry_after: Some(_), .. }) => either(Later),
        Inquiry::Status { status: StatusCode::TOO_MANY_REQUESTS, retry_after: Some(1) }.into();
    Error::Ownership(Inquiry::Status { retry_after: None, .. }) => either(Later),
        Inquiry::Status { status: StatusCode::INTERNAL_SERVER_ERROR, retry_after: None }.into();
    Error::Ownership(Inquiry::TooLarge(_)) => either(Never), Inquiry::TooLarge(1024).into();
    Error::Ownership(Inquiry::Timeout) => by_key(Later, SameKey), Inquiry::Timeout.into();
    Error::Ownership(Inquiry::Broke(_)) => by_key(Later, SameKey), Inquiry::Broke("reset".to_owned()).into();
    Error::Answer(_) => unkeyed(Later), judgement::Error::OtherExecution.into();
    Error::AnswerTooLarge(_) => unkeyed(Never), Error::AnswerTooLarge(1024);
    Error::ForeignExecution => unkeyed(Never), Error::ForeignExecution;
    Error::Limit(_) => either(Later),
        limit::Error { tenant: "billing".into(), limit: Limit::Budget, bound: "1".to_owned(), retry_after: 7 }.into();
    Error::Audit(audit::Error::Full) => unkeyed(Later), audit::Error::Full.into();
    Error::Audit(audit::Error::Share) => unkeyed(Later), audit::Error::Share.into();
    Error::MediaType { .. } => either(Never),
        Error::MediaType { expected: Expected::Json, found: "none".to_owned() };
    Error::ContentCoding(_) => either(Never), Error::ContentCoding("gzip".to_owned());
    Error::BodyTooLarge { .. } => either(Never), Error::BodyTooLarge { limit: 1024 };
    Error::UploadTooLarge { .. } => unkeyed(Never), Error::UploadTooLarge { limit: 1024 };
    Error::UploadStalled(_) => unkeyed(Later), Error::UploadStalled(Duration::from_secs(30));
    Error::Multipart(_) => unkeyed(Never), multipart::Fault::Empty.into();
    Error::UnexpectedBody => unkeyed(Never), Error::UnexpectedBody;
    Error::BodyTimeout(_) => by_key(Later, SameKey), Error::BodyTimeout(Duration::from_secs(30));
    Error::BodyMemory => either(Later), Error::BodyMemory;
    Error::BodyBroken(_) => either(Never), Error::BodyBroken("no length".to_owned());
    Error::CallerLeft(_) => either(Never), Error::CallerLeft("reset".to_owned());
    Error::Body(_) => either(Never), Refusal { faults: Vec::new() }.into();
    Error::Idempotency(Idempotency::NotTaken) => unkeyed(Never), Idempotency::NotTaken.into();
    Error::Idempotency(Idempotency::Off) => unkeyed(Never), Idempotency::Off.into();
    Error::Idempotency(Idempotency::Missing) => unkeyed(Never), Idempotency::Missing.into();
    Error::Idempotency(Idempotency::Repeated) => unkeyed(Never), Idempotency::Repeated.into();
    Error::Idempotency(Idempotency::Malformed) => unkeyed(Never), Idempotency::Malformed.into();
    Error::Idempotency(Idempotency::InFlight) => keyed(SameKey), Idempotency::InFlight.into();
    Error::Idempotency(Idempotency::Mismatch) => keyed(NewKey), Idempotency::Mismatch.into();
    Error::Idempotency(Idempotency::Full) => keyed(Later), Idempotency::Full.into();
    Error::Idempotency(Idempotency::Unknown { .. }) => keyed(SameKey),
        Idempotency::Unknown { tag: "idempotency_digest".to_owned(), digest: IdempotencyDigest::of(&[]) }.into();
    Error::Idempotency(Idempotency::UnknownRerun) => keyed(SameKey), Idempotency::UnknownRerun.into();
    Error::Idempotency(Idempotency::Several { .. }) => keyed(SameKey),
        Idempotency::Several { tag: "idempotency_digest".to_owned(), digest: IdempotencyDigest::of(&[]) }.into();
    Error::Idempotency(Idempotency::Lookup(_)) => keyed(SameKey), Idempotency::Lookup(recovery::Error::Timeout).into();
    Error::Tagging(_) => either(Never), SpliceError.into();
    Error::Unreachable(_) => either(Later), Error::Unreachable(ConnectError::Declined);
    Error::NoKey(_) => either(Later), CredentialError::Missing.into();
    Error::KeyRefused => either(Later), Error::KeyRefused;
    Error::UpstreamTimeout(_, Effect::Start) => by_key(Never, SameKey),
        Error::UpstreamTimeout(Duration::from_secs(60), Effect::Start);
    Error::UpstreamTimeout(_, Effect::Change) => unkeyed(Never),
        Error::UpstreamTimeout(Duration::from_secs(60), Effect::Change);
    Error::UpstreamTimeout(_, Effect::Read) => unkeyed(Later),
        Error::UpstreamTimeout(Duration::from_secs(60), Effect::Read);
    Error::UpstreamBroke(_, Effect::Start) => by_key(Never, SameKey),
        Error::UpstreamBroke("reset".to_owned(), Effect::Start);
    Error::UpstreamBroke(_, Effect::Change) => unkeyed(Never),
        Error::UpstreamBroke("reset".to_owned(), Effect::Change);
    Error::UpstreamBroke(_, Effect::Read) => unkeyed(Later), Error::UpstreamBroke("reset".to_owned(), Effect::Read);
}

#[test]
fn each_row_of_the_examples_has_an_error_of_its_own() {
    for example in all() {
        assert_eq!(row_of(&example.error), example.row);
    }
}
