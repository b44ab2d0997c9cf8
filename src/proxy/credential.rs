//! What the upstream is shown instead of the caller's own credential.

use std::sync::Arc;

use hyper::Request;
use hyper::header::{HeaderName, HeaderValue};

use crate::secret::{Fingerprint, Mask, Secret};
use crate::state::Key;

use super::echo::Echo;
use super::limit::Permit;

/// A key, ready to be sent.
#[derive(Debug)]
pub struct Credential {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// What tells the key from others.
    pub fingerprint: Fingerprint,
    /// What is known of the key over time.
    pub key: Arc<Key>,
    header: HeaderName,
    // Sensitive: hyper and Debug show it as such.
    value: HeaderValue,
    mask: Mask,
}

impl Credential {
    /// Makes the header once, for all requests.
    #[must_use]
    pub fn new(name: &str, key: Arc<Key>, header: HeaderName, secret: &Secret) -> Credential {
        let (fingerprint, value) = (secret.fingerprint(), secret.header_value());
        Credential { name: name.into(), fingerprint, key, header, value, mask: Mask::new(secret) }
    }

    /// Sets the key on a request that was admitted, in place of any other value.
    pub fn inject<B>(&self, _admitted: &Permit, request: &mut Request<B>) {
        request.headers_mut().insert(self.header.clone(), self.value.clone());
    }

    /// What looks for the key in the answer to a request that it was injected into.
    #[must_use]
    pub fn echo(&self) -> Echo {
        Echo::new(self.mask.clone(), Arc::clone(&self.key), Arc::clone(&self.name))
    }
}
