//! What the upstream is shown instead of the caller's own credential.

use std::sync::Arc;

use hyper::Request;
use hyper::header::{HeaderName, HeaderValue};

use crate::secret::{Fingerprint, Secret};

use super::limit::Permit;

/// A key, ready to be sent.
#[derive(Debug)]
pub struct Credential {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// What tells the key from others.
    pub fingerprint: Fingerprint,
    header: HeaderName,
    // Sensitive: hyper and Debug show it as such.
    value: HeaderValue,
}

impl Credential {
    /// Makes the header once, for all requests.
    #[must_use]
    pub fn new(name: &str, header: HeaderName, secret: &Secret) -> Credential {
        Credential { name: name.into(), fingerprint: secret.fingerprint(), header, value: secret.header_value() }
    }

    /// Sets the key on a request that was admitted, in place of any other value.
    pub fn inject<B>(&self, _admitted: &Permit, request: &mut Request<B>) {
        request.headers_mut().insert(self.header.clone(), self.value.clone());
    }
}
