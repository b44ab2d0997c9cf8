//! The keys that a credential holds at a time, and which of them goes first.
//!
//! A newer key goes first once the upstream has accepted it, or could not say. As long as the upstream is being asked about
//! it, or refuses it, the key before goes first and the newer one answers its refusal: so a start is never refused because
//! the upstream changed keys between two tries, and no start is a test of a key.

use std::sync::Arc;

use super::SecretVersion;

/// One key, or a newer one and the one before.
#[derive(Debug, Clone)]
pub(super) struct Versions {
    current: Arc<SecretVersion>,
    previous: Option<Arc<SecretVersion>>,
    verification: Verification,
}

/// What the upstream makes of the current key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verification {
    /// It is to be asked.
    Pending,
    /// It refused it.
    Rejected,
    /// It could not say.
    Inconclusive,
    /// It has accepted it.
    Accepted,
}

impl Versions {
    /// The first key of a credential, and perhaps the one that its store has from before.
    pub(super) fn new(current: Arc<SecretVersion>, previous: Option<Arc<SecretVersion>>) -> Versions {
        let verification = if previous.is_some() { Verification::Pending } else { Verification::Inconclusive };
        Versions { current, previous, verification }
    }

    pub(super) fn current(&self) -> &Arc<SecretVersion> {
        &self.current
    }

    pub(super) fn previous(&self) -> Option<&Arc<SecretVersion>> {
        self.previous.as_ref()
    }

    pub(super) fn verification(&self) -> Verification {
        self.verification
    }

    /// What is sent.
    pub(super) fn first(&self) -> &Arc<SecretVersion> {
        match (&self.previous, self.verification) {
            (Some(previous), Verification::Pending | Verification::Rejected) => previous,
            _ => &self.current,
        }
    }

    /// What is sent after a refusal, the current if it was not that.
    pub(super) fn other_than(&self, refused: &Arc<SecretVersion>) -> Option<&Arc<SecretVersion>> {
        self.held().find(|held| !Arc::ptr_eq(held, refused))
    }

    /// The current, and the one before.
    pub(super) fn held(&self) -> impl Iterator<Item = &Arc<SecretVersion>> {
        [Some(&self.current), self.previous.as_ref()].into_iter().flatten()
    }

    /// Whether a key before may still be taken in: there is none, and the current was never accepted.
    pub(super) fn lacks_previous(&self) -> bool {
        self.previous.is_none() && self.verification != Verification::Accepted
    }

    /// A newer key. What it replaces is the last one that was accepted, as far as that is known; only where nothing is, the
    /// one that the store has from before.
    pub(super) fn renewed(&self, current: Arc<SecretVersion>, stored: Option<Arc<SecretVersion>>) -> Versions {
        if self.previous().is_some_and(|before| before.is(&current)) {
            return Versions { current, previous: None, verification: Verification::Inconclusive };
        }
        let accepted = (self.verification == Verification::Accepted).then(|| Arc::clone(&self.current));
        let previous =
            accepted.or_else(|| self.previous.clone()).or(stored).or_else(|| Some(Arc::clone(&self.current)));
        Versions::new(current, previous)
    }

    /// The upstream was asked about the current key, or a request told.
    pub(super) fn with_verification(&self, verification: Verification) -> Versions {
        let previous = self.previous.clone().filter(|_| verification != Verification::Accepted);
        Versions { current: Arc::clone(&self.current), previous, verification }
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::super::tests::held;
    use super::*;

    fn is(held: &Arc<SecretVersion>, key: &str) -> bool {
        held.secret.header_value() == key
    }

    #[test]
    fn a_newer_key_goes_first_unless_the_upstream_is_being_asked_or_refuses_it() {
        let versions =
            Versions::new(held("old"), None).with_verification(Verification::Accepted).renewed(held("new"), None);
        for (verification, first) in
            [(Verification::Pending, "old"), (Verification::Rejected, "old"), (Verification::Inconclusive, "new")]
        {
            let versions = versions.with_verification(verification);
            assert!(is(versions.first(), first), "{verification:?}");
            let other = versions.other_than(versions.first()).unwrap();
            assert!(is(other, if first == "old" { "new" } else { "old" }), "{verification:?}");
        }
        let accepted = versions.with_verification(Verification::Accepted);
        assert!(is(accepted.first(), "new") && accepted.previous().is_none());
        assert!(accepted.other_than(accepted.first()).is_none(), "the key before is forgotten");
        assert!(is(accepted.other_than(&held("old")).unwrap(), "new"), "a request may still hold it");
    }

    #[test]
    fn what_is_gone_back_to_is_the_last_key_that_was_accepted() {
        let accepted = Versions::new(held("one"), None).with_verification(Verification::Accepted);
        let previous = |versions: &Versions| versions.previous().map(|before| before.secret.header_value());
        let two = accepted.renewed(held("two"), Some(held("stored")));
        assert_eq!(previous(&two), Some(HeaderValue::from_static("one")));
        let three = two.with_verification(Verification::Rejected).renewed(held("three"), Some(held("stored")));
        assert_eq!(previous(&three), Some(HeaderValue::from_static("one")), "the second was never accepted");
        let back = three.renewed(Arc::clone(three.previous().unwrap()), None);
        assert!(is(back.first(), "one") && previous(&back).is_none());
        let unknown = Versions::new(held("one"), None);
        assert_eq!(
            previous(&unknown.renewed(held("two"), Some(held("stored")))),
            Some(HeaderValue::from_static("stored"))
        );
        assert_eq!(previous(&unknown.renewed(held("two"), None)), Some(HeaderValue::from_static("one")));
    }
}
