//! The one table of names: every series that the gateway shows.

/// How a series is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) help: &'static str,
}

const fn counter(name: &'static str, help: &'static str) -> Name {
    Name { name, kind: Kind::Counter, help }
}

const fn gauge(name: &'static str, help: &'static str) -> Name {
    Name { name, kind: Kind::Gauge, help }
}

const fn histogram(name: &'static str, help: &'static str) -> Name {
    Name { name, kind: Kind::Histogram, help }
}

/// Declares each name as a constant, and the table of all.
macro_rules! table {
    ($($constant:ident = $kind:ident($name:literal, $help:literal);)*) => {
        $(pub(crate) const $constant: Name = $kind($name, $help);)*
        /// Every series that the gateway shows.
        pub(crate) const TABLE: &[&Name] = &[$(&$constant),*];
    };
}

table! {
    SERVER = histogram("http_server_request_duration_seconds", "Requests, from their head to the end of their answer");
    CLIENT = histogram("http_client_request_duration_seconds", "Requests to the upstream, look-ups included, until their answer was read");
    IN_FLIGHT = gauge("asteroid_gateway_requests_in_flight", "Requests that are not settled, also those whose caller has left");
    REQUESTS = counter("asteroid_gateway_requests_total", "Requests by tenant and class of status");
    STARTED = counter("asteroid_gateway_executions_started_total", "Starts whose answer named the execution");
    UNKNOWN = counter("asteroid_gateway_executions_unknown_total", "Starts that were sent and got no complete answer, or one that proves neither that they run nor that they do not");
    DECISIONS = counter("asteroid_gateway_ratelimit_decisions_total", "Decisions of each limit");
    KEYED = counter("asteroid_gateway_idempotency_total", "Starts with an idempotency key, by what the key meant");
    KEY_RECORDS = gauge("asteroid_gateway_idempotency_records", "Idempotency keys that are remembered");
    KEY_MEMORY = gauge("asteroid_gateway_idempotency_memory_bytes", "Memory that idempotency keys take");
    KEY_BOUND = gauge("asteroid_gateway_idempotency_memory_limit_bytes", "Memory that idempotency keys may take");
    FORGOTTEN = counter("asteroid_gateway_idempotency_forgotten_early_total", "Answers that were forgotten before idempotency.retention was over");
    RECOVERY_PROVEN = gauge("asteroid_gateway_recovery_proven", "Whether a start was found at the upstream, so that recovery is known to work: 1 or 0");
    LISTING_LAG = gauge("asteroid_gateway_recovery_listing_lag_seconds", "How long after its answer that start was listed, at most");
    AGE = gauge("asteroid_gateway_credential_age_seconds", "Since the key of a credential was first read or last changed");
    CREDENTIAL_STATE = gauge("asteroid_gateway_credential_state", "1 for the state that the credential is in, 0 for the others");
    CREDENTIAL_INFO = gauge("asteroid_gateway_credential_info", "Always 1: the fingerprint of the newest key, and what is wrong with it or its store, if anything");
    AUTH_FAILURES = counter("asteroid_gateway_upstream_auth_failures_total", "Requests that failed because the upstream refused their key");
    ECHOES = counter("asteroid_gateway_key_echoes_total", "Answers in which the upstream sent the key back, which was overwritten");
    CODED = counter("asteroid_gateway_content_coded_answers_total", "Answers that were content-coded, so that they could not be searched for the key");
    FOREIGN = counter("asteroid_gateway_foreign_listings_total", "Listings that were not passed on, because they had executions of others");
    IDLE = gauge("asteroid_gateway_upstream_idle_connections", "Unused HTTP/1.1 connections to the upstream");
    SHARED = gauge("asteroid_gateway_upstream_http2_connections", "HTTP/2 connections to the upstream");
    STREAMS = gauge("asteroid_gateway_upstream_http2_streams", "Requests on them");
    CONNECTIONS = gauge("asteroid_gateway_connections", "Connections of callers");
    CAPACITY = gauge("asteroid_gateway_connections_limit", "How many there may be, on all listeners together");
    DELAYED = counter("asteroid_gateway_connections_delayed_total", "Connections that waited because there were as many as may be and none was silent");
    CLOSED = counter("asteroid_gateway_connections_closed_total", "Connections that the gateway closed to protect others, by reason");
    BODY_MEMORY = gauge("asteroid_gateway_body_memory_bytes", "Memory that requests and their bodies take");
    BODY_MEMORY_LIMIT = gauge("asteroid_gateway_body_memory_limit_bytes", "Memory that they may take");
    BODY_MEMORY_REFUSED = counter("asteroid_gateway_body_memory_refused_total", "Requests that were refused because they found no memory");
    RELOADS = counter("asteroid_gateway_config_reload_total", "Tries to take over a changed configuration");
    RELOADED = gauge("asteroid_gateway_config_last_reload_successful", "Whether the last of them succeeded, 1 at the start");
    RELOADED_AT = gauge("asteroid_gateway_config_last_reload_success_timestamp_seconds", "When the configuration that serves was loaded");
    LOST_LINES = counter("asteroid_gateway_log_lines_lost_total", "Lines of the log that could not be written");
    AUDIT_REFUSED = counter("asteroid_gateway_audit_refused_total", "Starts and changes that were refused or whose callers left, because the audit had no slot for their records");
    AUDIT_WAITING = gauge("asteroid_gateway_audit_records_waiting", "Slots for audit records that are taken: starts and changes in flight, and records that are not written yet");
    AUDIT_LIMIT = gauge("asteroid_gateway_audit_records_limit", "Slots for audit records");
    SPANS_DROPPED = counter("asteroid_gateway_trace_spans_dropped_total", "Spans that the collector did not accept, or that the queue was too full for");
    BUILD = gauge("asteroid_gateway_build_info", "Always 1");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_stands_once_and_as_prometheus_wants_it() {
        for (at, Name { name, kind, help }) in TABLE.iter().enumerate() {
            assert!(TABLE.iter().skip(at + 1).all(|other| other.name != *name), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert!(name.starts_with("asteroid_gateway_") || *kind == Kind::Histogram, "{name}");
            assert!(!help.is_empty() && !help.contains(['\n', '\\']), "{name}");
        }
    }
}
