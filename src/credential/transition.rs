//! The changes of a credential that operators hear of.

/// A change in the life of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transition {
    /// Another version was read, or the first.
    Replaced,
    /// The store holds no version any more, or for another reason than before.
    Unreadable,
    /// The store holds the same version again.
    ReadableAgain,
    /// The store has held none for longer than `max_stale`.
    Expired,
    /// The previous version that the store has cannot be used.
    PreviousUnusable,
    /// The upstream accepts the current version, and the previous one is forgotten.
    CurrentAccepted,
    /// The upstream refuses the current version, and the previous one stays in use.
    CurrentRejected,
    /// The upstream refuses every version.
    Rejected,
    /// After that, it refuses the version that was read since, too.
    CurrentRejectedToo,
    /// A probe did not tell whether a version is valid.
    Inconclusive,
    /// The upstream accepts a version again after it refused every one.
    AcceptedAgain,
}
