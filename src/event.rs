//! The codes of log events. Programs and alerts match on codes; messages are for people and may change.
//!
//! `docs/LOGS.md` lists each code with its level and what to do. A code never gets another meaning.

macro_rules! events {
    ($($(#[$doc:meta])+ $name:ident = $code:literal;)+) => {
        $($(#[$doc])+ pub const $name: &str = $code;)+

        /// Every code, with the name of its constant.
        #[cfg(test)]
        const ALL: &[(&str, &str)] = &[$((stringify!($name), $code)),+];
    };
}

events! {
    /// A record was written to the audit.
    AUDIT_RECORDED = "audit.recorded";
    /// Writing audit records failed for the first time since it last succeeded.
    AUDIT_WRITING_FAILED = "audit.writing_failed";
    /// Audit records are written again.
    AUDIT_WRITING_RESUMED = "audit.writing_resumed";
    /// The audit file was moved away or replaced, and the one at its path was opened.
    AUDIT_FILE_REOPENED = "audit.file_reopened";
    /// Audit records were written, but a loss of power could still lose them.
    AUDIT_SYNCING_FAILED = "audit.syncing_failed";
    /// The process exits, and audit records that it should have written are lost.
    AUDIT_RECORDS_LOST = "audit.records_lost";

    /// The configuration was reloaded.
    CONFIG_RELOADED = "config.reloaded";
    /// A reload was refused, and the configuration stays as it was.
    CONFIG_REFUSED = "config.refused";
    /// A reloaded configuration contains something allowed but risky.
    CONFIG_RISK_FOUND = "config.risk_found";

    /// So few connections fit into the process's limits that callers may have to wait.
    CONNECTION_LIMIT_LOW = "connection.limit_low";
    /// The limit of connections is reached, and none can be closed for another.
    CONNECTION_LIMIT_REACHED = "connection.limit_reached";
    /// The gateway closed a connection: its first request was late, or its permit was needed.
    CONNECTION_CLOSED = "connection.closed";
    /// A connection ended with an error.
    CONNECTION_FAILED = "connection.failed";
    /// A TLS handshake did not complete.
    CONNECTION_HANDSHAKE_FAILED = "connection.handshake_failed";

    /// A secret was read that the process had not read before.
    CREDENTIAL_LOADED = "credential.loaded";
    /// The upstream accepts the new version, and the previous one is forgotten.
    CREDENTIAL_ROTATED = "credential.rotated";
    /// The secret cannot be read any more; the version read last stays in use.
    CREDENTIAL_READING_FAILED = "credential.reading_failed";
    /// The secret can be read again.
    CREDENTIAL_READING_RESUMED = "credential.reading_resumed";
    /// The secret cannot be read, and no version of it was ever read.
    CREDENTIAL_MISSING = "credential.missing";
    /// The secret could not be read for longer than `max_stale`.
    CREDENTIAL_EXPIRED = "credential.expired";
    /// The secret in `previous_file` cannot be used.
    CREDENTIAL_PREVIOUS_UNUSABLE = "credential.previous_unusable";
    /// The upstream rejects the new version, and the previous one stays in use.
    CREDENTIAL_NEW_VERSION_REJECTED = "credential.new_version_rejected";
    /// The upstream rejects every version.
    CREDENTIAL_REJECTED = "credential.rejected";
    /// The upstream rejected every version, and rejects the one that replaced them.
    CREDENTIAL_REPLACEMENT_REJECTED = "credential.replacement_rejected";
    /// The upstream does not say whether a version is valid.
    CREDENTIAL_VERIFICATION_INCONCLUSIVE = "credential.verification_inconclusive";
    /// The upstream accepts a version after it had rejected all.
    CREDENTIAL_ACCEPTED = "credential.accepted";
    /// The upstream sent the API key back in an answer, and the gateway redacted it.
    CREDENTIAL_ECHOED = "credential.echoed";

    /// The drain has begun.
    DRAIN_BEGUN = "drain.begun";
    /// The drain has completed, and no request was aborted.
    DRAIN_COMPLETED = "drain.completed";
    /// A second signal ended the drain.
    DRAIN_ABORTED = "drain.aborted";
    /// `drain.timeout` passed before all requests had completed.
    DRAIN_TIMED_OUT = "drain.timed_out";
    /// Requests were aborted when the drain ended.
    DRAIN_REQUESTS_ABORTED = "drain.requests_aborted";

    /// Reading a file hangs.
    FILE_READING_HUNG = "file.reading_hung";
    /// Reading a file that hung has returned.
    FILE_READING_RESUMED = "file.reading_resumed";

    /// The gateway serves and is ready.
    GATEWAY_READY = "gateway.ready";
    /// The gateway serves and is not ready yet.
    GATEWAY_UNREADY = "gateway.unready";
    /// The gateway's code panicked.
    GATEWAY_PANICKED = "gateway.panicked";

    /// Answers are forgotten before `idempotency.retention` has passed.
    IDEMPOTENCY_RETENTION_SHORTENED = "idempotency.retention_shortened";
    /// There was no memory to keep an answer, and the outcome of its idempotency key counts as unknown.
    IDEMPOTENCY_ANSWER_DROPPED = "idempotency.answer_dropped";
    /// A tenant's share of the idempotency memory is full of idempotency keys that must not be forgotten yet.
    IDEMPOTENCY_SHARE_FULL = "idempotency.share_full";

    /// A listener accepts connections.
    LISTENER_STARTED = "listener.started";
    /// The process has too few file descriptors or too little memory to accept a connection.
    LISTENER_ACCEPTING_FAILED = "listener.accepting_failed";
    /// A connection was closed because its peer is not in `trusted_peers`.
    LISTENER_PEER_REFUSED = "listener.peer_refused";
    /// A listener's certificate was replaced.
    LISTENER_CERTIFICATE_REPLACED = "listener.certificate_replaced";
    /// A listener's new certificate cannot be used, and the previous one stays in use.
    LISTENER_CERTIFICATE_REFUSED = "listener.certificate_refused";
    /// A stale Unix socket was replaced: no process listened on it.
    LISTENER_SOCKET_REPLACED = "listener.socket_replaced";
    /// A Unix socket could not be removed.
    LISTENER_SOCKET_REMOVAL_FAILED = "listener.socket_removal_failed";

    /// Lines of the log could not be written.
    LOG_LINES_LOST = "log.lines_lost";

    /// The system does not protect the memory of the process.
    PROCESS_UNPROTECTED = "process.unprotected";

    /// No start was found at the upstream yet, so it is unproven that starts can be recovered.
    RECOVERY_UNPROVEN = "recovery.unproven";
    /// A start was found at the upstream.
    RECOVERY_PROVEN = "recovery.proven";
    /// An answered start was not found at the upstream.
    RECOVERY_PROOF_FAILED = "recovery.proof_failed";

    /// A listing had executions of others, and was not passed on.
    LISTING_FOREIGN = "listing.foreign";

    /// A request has ended. Each request leaves exactly one such line.
    REQUEST_COMPLETED = "request.completed";
    /// Bytes that are not valid HTTP were refused.
    REQUEST_MALFORMED = "request.malformed";

    /// A start completed after its caller had been answered with a time-out.
    START_COMPLETED_LATE = "start.completed_late";
    /// The drain aborted a start whose caller had been answered with a time-out.
    START_ABANDONED = "start.abandoned";

    /// The collector did not accept all spans.
    TRACE_EXPORT_FAILED = "trace.export_failed";
    /// The collector accepts spans again.
    TRACE_EXPORT_RESUMED = "trace.export_resumed";
    /// The process exits, and spans were lost during its life.
    TRACE_SPANS_LOST = "trace.spans_lost";

    /// The certificates of `upstream.ca_file` were replaced.
    UPSTREAM_CA_REPLACED = "upstream.ca_replaced";
    /// The new certificates of `upstream.ca_file` cannot be used, and the previous ones stay in use.
    UPSTREAM_CA_REFUSED = "upstream.ca_refused";

    /// A worker has ended before the drain.
    WORKER_FAILED = "worker.failed";
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::ALL;

    const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

    fn sources(directory: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        let nested = entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] });
        nested.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
    }

    /// Returns the rows of the table in `docs/LOGS.md`: codes and levels.
    fn documented() -> BTreeMap<&'static str, &'static str> {
        let rows =
            include_str!("../docs/LOGS.md").lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
        rows.filter_map(|(code, rest)| Some((code, rest.split_once(" |")?.0))).collect()
    }

    /// Returns the calls of `tracing`'s macros in the sources: file, level, and the source from the arguments on.
    fn calls() -> Vec<(PathBuf, &'static str, String)> {
        let mut calls = Vec::new();
        for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
            let source = fs::read_to_string(&path).unwrap();
            for level in LEVELS {
                for (at, call) in source.match_indices(&format!("{level}!(")) {
                    let (before, call_on) = source.split_at(at);
                    if before.ends_with(|last: char| !last.is_alphanumeric() && last != '_') {
                        calls.push((path.clone(), level, call_on.split_at(call.len()).1.trim_start().to_owned()));
                    }
                }
            }
        }
        calls
    }

    #[test]
    fn the_documentation_names_every_code_and_no_other() {
        let codes: BTreeSet<&str> = ALL.iter().map(|(_, code)| *code).collect();
        assert_eq!(codes.len(), ALL.len(), "a code has two names");
        assert_eq!(documented().into_keys().collect::<BTreeSet<_>>(), codes);
    }

    #[test]
    fn every_log_event_begins_with_a_code_and_has_the_level_that_is_documented_for_it() {
        let (documented, calls) = (documented(), calls());
        assert!(calls.len() > 40, "{}", calls.len());
        for (path, level, arguments) in calls {
            let name = arguments.strip_prefix("event = event::").and_then(|rest| rest.split_once(','));
            let Some((name, _)) = name else {
                panic!("{}: {level}!({:.60}…: no event code", path.display(), arguments);
            };
            let code = ALL.iter().find_map(|(known, code)| (*known == name).then_some(*code)).unwrap();
            assert_eq!(documented[code], level.to_uppercase(), "{code}");
        }
    }
}
