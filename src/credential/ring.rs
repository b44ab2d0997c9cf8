//! The keys that a credential holds at a time, and which of them goes first.
//!
//! A newer key goes first once the upstream has accepted it, or could not say. As long as the upstream is being asked about
//! it, or refuses it, the key before goes first and the newer one answers its refusal: so a start is never refused because
//! the upstream changed keys between two tries, and no start is a test of a key.

use std::sync::Arc;

use super::Held;

/// One key, or a newer one and the one before.
#[derive(Debug, Clone)]
pub(super) struct Ring {
    newest: Arc<Held>,
    before: Option<Arc<Held>>,
    trial: Trial,
}

/// What the upstream makes of the newest key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trial {
    /// It is to be asked.
    Due,
    /// It refused it.
    Refused,
    /// It could not say.
    Unclear,
    /// It has accepted it.
    Accepted,
}

impl Ring {
    /// The first key of a credential, and perhaps the one that its store has from before.
    pub(super) fn new(newest: Arc<Held>, before: Option<Arc<Held>>) -> Ring {
        let trial = if before.is_some() { Trial::Due } else { Trial::Unclear };
        Ring { newest, before, trial }
    }

    pub(super) fn newest(&self) -> &Arc<Held> {
        &self.newest
    }

    pub(super) fn before(&self) -> Option<&Arc<Held>> {
        self.before.as_ref()
    }

    pub(super) fn trial(&self) -> Trial {
        self.trial
    }

    /// What is sent.
    pub(super) fn first(&self) -> &Arc<Held> {
        match (&self.before, self.trial) {
            (Some(before), Trial::Due | Trial::Refused) => before,
            _ => &self.newest,
        }
    }

    /// What is sent after a refusal, the newest if it was not that.
    pub(super) fn other_than(&self, refused: &Arc<Held>) -> Option<&Arc<Held>> {
        self.held().find(|held| !Arc::ptr_eq(held, refused))
    }

    /// The newest, and the one before.
    pub(super) fn held(&self) -> impl Iterator<Item = &Arc<Held>> {
        [Some(&self.newest), self.before.as_ref()].into_iter().flatten()
    }

    /// Whether a key before may still be taken in: there is none, and the newest was never accepted.
    pub(super) fn lacks_before(&self) -> bool {
        self.before.is_none() && self.trial != Trial::Accepted
    }

    /// A newer key. What it replaces is the last one that was accepted, as far as that is known; only where nothing is, the
    /// one that the store has from before.
    pub(super) fn renewed(&self, newest: Arc<Held>, stored: Option<Arc<Held>>) -> Ring {
        if self.before().is_some_and(|before| before.is(&newest)) {
            return Ring { newest, before: None, trial: Trial::Unclear };
        }
        let accepted = (self.trial == Trial::Accepted).then(|| Arc::clone(&self.newest));
        let before = accepted.or_else(|| self.before.clone()).or(stored).or_else(|| Some(Arc::clone(&self.newest)));
        Ring::new(newest, before)
    }

    /// The upstream was asked about the newest key, or a request told.
    pub(super) fn tried(&self, trial: Trial) -> Ring {
        let before = self.before.clone().filter(|_| trial != Trial::Accepted);
        Ring { newest: Arc::clone(&self.newest), before, trial }
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::super::tests::held;
    use super::*;

    fn is(held: &Arc<Held>, key: &str) -> bool {
        held.secret.header_value() == key
    }

    #[test]
    fn a_newer_key_goes_first_unless_the_upstream_is_being_asked_or_refuses_it() {
        let ring = Ring::new(held("old"), None).tried(Trial::Accepted).renewed(held("new"), None);
        for (trial, first) in [(Trial::Due, "old"), (Trial::Refused, "old"), (Trial::Unclear, "new")] {
            let ring = ring.tried(trial);
            assert!(is(ring.first(), first), "{trial:?}");
            let other = ring.other_than(ring.first()).unwrap();
            assert!(is(other, if first == "old" { "new" } else { "old" }), "{trial:?}");
        }
        let accepted = ring.tried(Trial::Accepted);
        assert!(is(accepted.first(), "new") && accepted.before().is_none());
        assert!(accepted.other_than(accepted.first()).is_none(), "the key before is forgotten");
        assert!(is(accepted.other_than(&held("old")).unwrap(), "new"), "a request may still hold it");
    }

    #[test]
    fn what_is_gone_back_to_is_the_last_key_that_was_accepted() {
        let accepted = Ring::new(held("one"), None).tried(Trial::Accepted);
        let before = |ring: &Ring| ring.before().map(|before| before.secret.header_value());
        let two = accepted.renewed(held("two"), Some(held("stored")));
        assert_eq!(before(&two), Some(HeaderValue::from_static("one")));
        let three = two.tried(Trial::Refused).renewed(held("three"), Some(held("stored")));
        assert_eq!(before(&three), Some(HeaderValue::from_static("one")), "the second was never accepted");
        let back = three.renewed(Arc::clone(three.before().unwrap()), None);
        assert!(is(back.first(), "one") && before(&back).is_none());
        let unknown = Ring::new(held("one"), None);
        assert_eq!(
            before(&unknown.renewed(held("two"), Some(held("stored")))),
            Some(HeaderValue::from_static("stored"))
        );
        assert_eq!(before(&unknown.renewed(held("two"), None)), Some(HeaderValue::from_static("one")));
    }
}
