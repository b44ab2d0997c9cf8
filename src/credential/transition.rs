//! The changes of a credential that are logged.

/// A change in the life of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transition {
    /// The first version was read, or another one.
    Replaced,
    /// The store no longer holds a version, or holds none for another reason than before.
    Unreadable,
    /// The store holds the same version again.
    ReadableAgain,
    /// The store has held no version for longer than `max_stale`.
    Expired,
    /// The store's previous version cannot be used.
    PreviousUnusable,
    /// The upstream accepts the current version, and the previous one is forgotten.
    CurrentAccepted,
    /// The upstream refuses the current version, and the previous one stays in use.
    CurrentRejected,
    /// The upstream refuses every version.
    Rejected,
    /// The upstream refused every version, and also refuses the one that was read since.
    CurrentRejectedToo,
    /// A probe did not show whether a version is valid.
    Inconclusive,
    /// The upstream refused every version, and accepts one again.
    AcceptedAgain,
}
