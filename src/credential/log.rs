//! The lines of the log about the life of a credential.

use super::status::StatusReport;
use super::transition::Transition;

/// Logs a change that has led to this status.
pub(super) fn log_transition(credential: &str, transition: Transition, report: &StatusReport) {
    let state = report.status.code();
    let fingerprint = report.current.map(|current| tracing::field::display(current.fingerprint));
    let before = report.previous.map(tracing::field::display);
    let reason = report.error.as_ref().map(tracing::field::display);
    macro_rules! log {
        ($level:ident, $message:literal) => {
            tracing::$level!(credential, state, fingerprint, before, reason, $message)
        };
    }
    match transition {
        Transition::Replaced => log!(info, "a new key was read"),
        Transition::ReadableAgain => log!(info, "the key can be read again"),
        Transition::Unreadable if fingerprint.is_some() => log!(warn, "no key can be read; the last one stays in use"),
        Transition::Unreadable => log!(error, "no key can be read; starts with it are refused until there is one"),
        Transition::Expired => {
            log!(error, "no key could be read for longer than max_stale; starts are refused until there is one")
        }
        Transition::PreviousUnusable => log!(warn, "the key in previous_file cannot be used"),
        Transition::CurrentAccepted => log!(info, "the upstream accepts the new key; the one before is forgotten"),
        Transition::CurrentRejected => log!(
            warn,
            "the upstream refuses the new key, and the one before goes on; activate the new one, or correct its file"
        ),
        Transition::Rejected => log!(error, "the upstream refuses the key; replace it"),
        Transition::CurrentRejectedToo => log!(error, "the upstream refuses the new key, too; replace it"),
        Transition::Inconclusive => {
            log!(warn, "a key is in question, and the upstream does not say whether it is valid")
        }
        Transition::AcceptedAgain => log!(info, "the upstream accepts the key again"),
    }
}
