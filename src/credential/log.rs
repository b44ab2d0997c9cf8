//! What the log says of a credential when something changes.

use std::time::Instant;

use super::{Credential, Known};

/// What has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// There is another key, or the first.
    Replaced,
    /// No key could be read; before, one could.
    Lost,
    /// The same key is there again.
    Back,
    /// It was away for too long.
    Expired,
    /// The key before, which its store has, cannot be used.
    BeforeUnusable,
    /// The upstream takes the current key.
    NewestAccepted,
    /// The upstream does not know the current key, but the one before.
    NewestRefused,
    /// The upstream refuses whatever is held.
    Rejected,
    /// It did, and refuses the current key, too.
    NewestRejected,
    /// It could not be asked.
    Unclear,
    /// It does so no longer.
    AcceptedAgain,
}

pub(super) fn log_transition(key: &Credential, event: Event, known: &Known) {
    let shown = key.status_of(known, Instant::now());
    let (credential, state) = (&*key.name, shown.status.name());
    let fingerprint = shown.current.map(|current| tracing::field::display(current.fingerprint));
    let before = shown.previous.map(tracing::field::display);
    let reason = shown.trouble.as_ref().map(tracing::field::display);
    macro_rules! say {
        ($level:ident, $message:literal) => {
            tracing::$level!(credential, state, fingerprint, before, reason, $message)
        };
    }
    match event {
        Event::Replaced => say!(info, "a new key was read"),
        Event::Back => say!(info, "the key can be read again"),
        Event::Lost if fingerprint.is_some() => say!(warn, "no key can be read; the last one stays in use"),
        Event::Lost => say!(error, "no key can be read; starts with it are refused until there is one"),
        Event::Expired => {
            say!(error, "no key could be read for longer than max_stale; starts are refused until there is one")
        }
        Event::BeforeUnusable => say!(warn, "the key in previous_file cannot be used"),
        Event::NewestAccepted => say!(info, "the upstream accepts the new key; the one before is forgotten"),
        Event::NewestRefused => say!(
            warn,
            "the upstream refuses the new key, and the one before goes on; activate the new one, or correct its file"
        ),
        Event::Rejected => say!(error, "the upstream refuses the key; replace it"),
        Event::NewestRejected => say!(error, "the upstream refuses the new key, too; replace it"),
        Event::Unclear => say!(warn, "a key is in question, and the upstream does not say whether it is valid"),
        Event::AcceptedAgain => say!(info, "the upstream accepts the key again"),
    }
}
