//! The definition of a credential in the configuration.

use std::time::Duration;

use hyper::header::HeaderName;

use crate::secret::SecretRef;

/// The definition of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The secret, by reference.
    pub secret: SecretRef,
    /// How long a version stays in use after its store no longer holds it; if absent, for ever.
    pub max_stale: Option<Duration>,
    /// The header that carries the secret.
    pub header: HeaderName,
    /// Whether the upstream is probed until it has accepted a version once.
    pub verify: bool,
}
