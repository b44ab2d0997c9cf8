//! What the configuration says of a credential.

use std::time::Duration;

use hyper::header::HeaderName;

use crate::secret::SecretRef;

/// The definition of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The place of its secret.
    pub place: SecretRef,
    /// How long a version stays in use that its store does not hold any more; without it, for ever.
    pub max_stale: Option<Duration>,
    /// The header that carries it.
    pub header: HeaderName,
    /// Whether the upstream is asked about a version as long as it has never accepted one.
    pub verify: bool,
}
