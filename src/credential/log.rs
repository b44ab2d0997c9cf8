//! The log lines about the life of a credential.

use crate::event;

use super::status::StatusReport;
use super::transition::Transition;

/// Logs a transition, with the status after it.
pub(super) fn log_transition(credential: &str, transition: Transition, report: &StatusReport) {
    let state = report.status.code();
    let fingerprint = report.current.map(|current| tracing::field::display(current.fingerprint));
    let before = report.previous.map(tracing::field::display);
    let reason = report.error.as_ref().map(tracing::field::display);
    match transition {
        Transition::Replaced => tracing::info!(
            event = event::CREDENTIAL_LOADED,
            credential,
            state,
            fingerprint,
            before,
            reason,
            "a new API key was read"
        ),
        Transition::ReadableAgain => tracing::info!(
            event = event::CREDENTIAL_READING_RESUMED,
            credential,
            state,
            fingerprint,
            before,
            reason,
            "the API key can be read again"
        ),
        Transition::Unreadable if fingerprint.is_some() => tracing::warn!(
            event = event::CREDENTIAL_READING_FAILED,
            credential,
            state,
            fingerprint,
            before,
            reason,
            "the API key cannot be read; the one that was read last stays in use"
        ),
        Transition::Unreadable => tracing::error!(
            event = event::CREDENTIAL_MISSING,
            credential,
            state,
            fingerprint,
            before,
            reason,
            "the API key cannot be read; starts with it are refused until it can be read"
        ),
        Transition::Expired => tracing::error!(
            event = event::CREDENTIAL_EXPIRED,
            credential,
            state,
            fingerprint,
            before,
            reason,
            "the API key could not be read for longer than max_stale; starts with it are refused until it can be read"
        ),
        Transition::PreviousUnusable => tracing::warn!(
            event = event::CREDENTIAL_PREVIOUS_UNUSABLE,
            credential,
            state,
            fingerprint,
            before,
            reason,
            "the API key in previous_file cannot be used"
        ),
        Transition::CurrentAccepted => tracing::info!(
            event = event::CREDENTIAL_ROTATED,
            credential,
            state,
            fingerprint,
            before,
            reason,
            "the upstream accepts the new API key; the previous one is forgotten and can be revoked"
        ),
        Transition::CurrentRejected => tracing::warn!(
            event = event::CREDENTIAL_NEW_VERSION_REJECTED,
            credential,
            state,
            fingerprint,
            before,
            reason,
            "the upstream rejects the new API key, and the previous one stays in use; activate the new one, or correct its file"
        ),
        Transition::Rejected => tracing::error!(
            event = event::CREDENTIAL_REJECTED,
            credential,
            state,
            fingerprint,
            before,
            reason,
            "the upstream rejects the API key; replace it"
        ),
        Transition::CurrentRejectedToo => tracing::error!(
            event = event::CREDENTIAL_REPLACEMENT_REJECTED,
            credential,
            state,
            fingerprint,
            before,
            reason,
            "the upstream rejects the new API key, too; replace it"
        ),
        Transition::Inconclusive => tracing::warn!(
            event = event::CREDENTIAL_VERIFICATION_INCONCLUSIVE,
            credential,
            state,
            fingerprint,
            before,
            reason,
            "an API key is in question, and the upstream's answer does not show whether it is valid"
        ),
        Transition::AcceptedAgain => tracing::info!(
            event = event::CREDENTIAL_ACCEPTED,
            credential,
            state,
            fingerprint,
            before,
            reason,
            "the upstream accepts the API key again"
        ),
    }
}
