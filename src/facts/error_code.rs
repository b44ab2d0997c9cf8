//! The codes of the gateway's own errors.

/// Declares the codes, their texts, and the list of all.
macro_rules! error_codes {
    ($($(#[$comment:meta])* $variant:ident = $code:literal;)*) => {
        /// The code of an error that the gateway itself answers with: the last part of the problem's `type`, and the value in log,
        /// audit, metrics and traces.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ErrorCode {
            $($(#[$comment])* $variant,)*
        }

        impl ErrorCode {
            /// Every code, in the order of their numbers.
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$variant),*];

            /// Returns the code as text.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(ErrorCode::$variant => $code,)*
                }
            }
        }
    };
}

error_codes! {
    /// The request target is not a path.
    Target = "target";
    /// The request is not valid HTTP, or too ambiguous to pass on.
    Malformed = "malformed";
    /// `Host` is absent, repeated or not valid.
    Host = "host";
    /// The listener does not answer for this `Host`.
    Misdirected = "misdirected";
    /// A browser sent the request for a web page.
    Browser = "browser";
    /// The request names no tenant.
    Tenant = "tenant";
    /// A limit of the tenant is reached.
    Limit = "limit";
    /// No operation that is served has this method and path.
    OperationNotServed = "operation-not-served";
    /// The operator has closed the operation for the tenant.
    OperationClosed = "operation-closed";
    /// The tenant has no such execution.
    NotFound = "not-found";
    /// It is not known whether the execution belongs to the tenant.
    OwnershipUnknown = "ownership-unknown";
    /// An answer with executions cannot be read.
    AnswerUnreadable = "answer-unreadable";
    /// An answer with executions is longer than `answer_limit`.
    AnswerTooLarge = "answer-too-large";
    /// A listing had executions of others.
    ForeignExecution = "foreign-execution";
    /// The id in the path is not a uuid.
    Id = "id";
    /// The operation has another method.
    Method = "method";
    /// The query is not what the operation takes.
    Query = "query";
    /// All slots of the audit are taken.
    AuditFull = "audit-full";
    /// The starts of the tenant use its share of the audit's slots.
    AuditShare = "audit-share";
    /// The body has a media type or a content coding that is not taken.
    MediaType = "media-type";
    /// The body is longer than `body_limit`, or an upload than `upload_limit`.
    BodyTooLarge = "body-too-large";
    /// The body of an upload is not a form of files.
    Multipart = "multipart";
    /// The operation takes no body.
    UnexpectedBody = "unexpected-body";
    /// The body did not arrive in time, or an upload stalled.
    BodyTimeout = "body-timeout";
    /// There is no memory for the body.
    BodyMemory = "body-memory";
    /// The framing of the body is broken.
    BodyBroken = "body-broken";
    /// The caller left before its body was complete.
    CallerLeft = "caller-left";
    /// The body is not what the operation takes.
    Body = "body";
    /// The idempotency key is absent, forbidden or not valid.
    IdempotencyKey = "idempotency-key";
    /// A start with the same idempotency key is in flight.
    IdempotencyInFlight = "idempotency-in-flight";
    /// The idempotency key was used with another body.
    IdempotencyMismatch = "idempotency-mismatch";
    /// There is no memory for another idempotency key.
    IdempotencyFull = "idempotency-full";
    /// The outcome of an earlier start with the same idempotency key is unknown.
    IdempotencyUnknown = "idempotency-unknown";
    /// The look-up of an earlier start with the same idempotency key failed.
    IdempotencyLookup = "idempotency-lookup";
    /// The gateway could not write its tags into the body.
    Tagging = "tagging";
    /// The upstream could not be reached.
    Unreachable = "unreachable";
    /// There is no API key to send.
    NoKey = "no-key";
    /// The upstream refused the API key.
    KeyRefused = "key-refused";
    /// The upstream did not answer in time.
    UpstreamTimeout = "upstream-timeout";
    /// The connection to the upstream broke before the answer was complete.
    UpstreamBroke = "upstream-broke";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::ErrorCode;

    #[test]
    fn each_code_has_its_number_and_a_text_of_its_own_that_needs_no_escape() {
        let mut codes = BTreeSet::new();
        for (number, error) in ErrorCode::ALL.iter().enumerate() {
            let code = error.as_str();
            assert_eq!(*error as usize, number, "{code}");
            assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{code}");
            assert!(codes.insert(code), "{code} is there twice");
        }
    }
}
