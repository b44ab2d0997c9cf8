//! What the upstream is shown instead of the caller's own credential.

use std::sync::Arc;

use hyper::Request;
use hyper::header::HeaderName;

use crate::secret::{Fingerprint, Mask};
use crate::state::{Held, Key};

use super::echo::Echo;
use super::limit::Permit;

/// A key, and how it is sent.
#[derive(Debug)]
pub struct Credential {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// The key that it is at a time.
    pub key: Arc<Key>,
    header: HeaderName,
}

/// There is no key yet.
#[derive(Debug, thiserror::Error)]
#[error("this gateway has no key for this tenant yet; its operator has to see to that. Try again later")]
pub struct Missing;

impl Credential {
    /// Of this key, sent in this header.
    #[must_use]
    pub fn new(name: &str, key: Arc<Key>, header: HeaderName) -> Credential {
        Credential { name: name.into(), key, header }
    }

    /// Whether there is a key: judged before anything is begun that needs one.
    ///
    /// # Errors
    ///
    /// [`Missing`].
    pub fn check(&self) -> Result<(), Missing> {
        self.key.held().map(drop).ok_or(Missing)
    }

    /// Sets the present key on a request that was admitted, in place of any other value, and says which it is.
    ///
    /// # Errors
    ///
    /// [`Missing`].
    pub fn inject<B>(&self, _admitted: &Permit, request: &mut Request<B>) -> Result<Arc<Held>, Missing> {
        Ok(self.set(self.key.held().ok_or(Missing)?, request))
    }

    /// Sets another key in place of one that the upstream refused, where there is another.
    pub async fn replace<B>(&self, refused: Fingerprint, request: &mut Request<B>) -> Option<Arc<Held>> {
        let other = self.key.other_than(refused).await?;
        Some(self.set(other, request))
    }

    fn set<B>(&self, held: Arc<Held>, request: &mut Request<B>) -> Arc<Held> {
        request.headers_mut().insert(self.header.clone(), held.secret.header_value());
        held
    }

    /// What looks for a key in the answer to a request that it was injected into.
    #[must_use]
    pub fn echo(&self, injected: &Held) -> Echo {
        Echo::new(Mask::new(&injected.secret), Arc::clone(&self.key.echoes), Arc::clone(&self.name))
    }
}
