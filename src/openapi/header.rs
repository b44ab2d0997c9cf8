//! The headers of answers.

use serde_json::{Map, Value as Json, json};

/// A header of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    RequestId,
    RateLimit,
    RateLimitPolicy,
    RetryAfter,
    ExecutionOutcome,
    IdempotentReplayed,
    ProxyStatus,
    Allow,
    WwwAuthenticate,
    Accept,
    AcceptEncoding,
    Location,
}

impl Header {
    pub(super) const ALL: [Header; 12] = [
        Header::RequestId,
        Header::RateLimit,
        Header::RateLimitPolicy,
        Header::RetryAfter,
        Header::ExecutionOutcome,
        Header::IdempotentReplayed,
        Header::ProxyStatus,
        Header::Allow,
        Header::WwwAuthenticate,
        Header::Accept,
        Header::AcceptEncoding,
        Header::Location,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Header::RequestId => "X-Request-Id",
            Header::RateLimit => "RateLimit",
            Header::RateLimitPolicy => "RateLimit-Policy",
            Header::RetryAfter => "Retry-After",
            Header::ExecutionOutcome => "Execution-Outcome",
            Header::IdempotentReplayed => "Idempotent-Replayed",
            Header::ProxyStatus => "Proxy-Status",
            Header::Allow => "Allow",
            Header::WwwAuthenticate => "WWW-Authenticate",
            Header::Accept => "Accept",
            Header::AcceptEncoding => "Accept-Encoding",
            Header::Location => "Location",
        }
    }

    fn object(self) -> Json {
        let text = json!({"type": "string"});
        let (description, schema) = match self {
            Header::RequestId => (
                "The id of the request in the logs: the caller's own, if it has 1 to 64 letters, digits, `.`, `_` and `-`; else a new \
                 uuid.",
                json!({"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}),
            ),
            Header::RateLimit => (
                "What is left of the limits that counted this request: `r`, and `t` seconds until there is more. Absent if the tenant \
                 has no limits.",
                json!({"type": "string", "pattern": r#"^"[a-z_]+";r=[0-9]+"#}),
            ),
            Header::RateLimitPolicy => (
                "All limits of the tenant. Absent if it has none.",
                json!({"type": "string", "pattern": r#"^"[a-z_]+";q=[0-9]+"#}),
            ),
            Header::RetryAfter => {
                ("After how many seconds a retry is worthwhile.", json!({"type": "integer", "minimum": 1}))
            }
            Header::ExecutionOutcome => (
                "The request may have taken effect: an execution may have been started or changed.",
                json!({"type": "string", "const": "unknown"}),
            ),
            Header::IdempotentReplayed => (
                "This is the answer of the first start with this `Idempotency-Key`. Nothing was started now.",
                json!({"type": "string", "const": "true"}),
            ),
            Header::ProxyStatus => (
                "The gateway made this answer (RFC 9209). Without this header, the answer is Asteroid's.",
                json!({"type": "string", "pattern": "^asteroid-gateway; error=[a-z_]+$"}),
            ),
            Header::Allow => ("The methods of the path.", text),
            Header::WwwAuthenticate => ("The way in which a caller may be identified.", text),
            Header::Accept => ("The media type that the body must have.", text),
            Header::AcceptEncoding => ("The content coding that the body must have.", text),
            Header::Location => ("A signed URL. The gateway does not follow it, and logs it nowhere.", text),
        };
        json!({"description": description, "schema": schema})
    }
}

/// Returns the headers of all answers, by their names.
pub(super) fn components() -> Map<String, Json> {
    Header::ALL.iter().map(|header| (header.name().to_owned(), header.object())).collect()
}

/// Returns the references to these headers.
pub(super) fn references(headers: &[Header]) -> Map<String, Json> {
    let reference = |name: &str| json!({"$ref": format!("#/components/headers/{name}")});
    headers.iter().map(|header| (header.name().to_owned(), reference(header.name()))).collect()
}
