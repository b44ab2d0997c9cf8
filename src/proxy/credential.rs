//! What the upstream is shown instead of the caller's own credential.

use std::sync::Arc;

use hyper::Request;

use crate::credential::{Credential, CredentialError, SecretVersion};
use crate::secret::Mask;
use crate::state::Permit;

use super::echo::Echo;

/// Sets the key that goes first on a request that was admitted, and says which it is.
///
/// # Errors
///
/// [`CredentialError`].
pub fn inject<B>(
    key: &Credential,
    _admitted: &Permit,
    request: &mut Request<B>,
) -> Result<Arc<SecretVersion>, CredentialError> {
    let held = key.version_to_send()?;
    held.inject(&key.definition().header, request);
    Ok(held)
}

/// Sets another key in place of one that the upstream refused, where there is another, perhaps after some seconds.
pub async fn replace<B>(
    key: &Credential,
    refused: &Arc<SecretVersion>,
    request: &mut Request<B>,
) -> Option<Arc<SecretVersion>> {
    let other = key.replacement_for(refused).await?;
    other.inject(&key.definition().header, request);
    Some(other)
}

/// What looks for a key in the answer to a request that it was injected into.
#[must_use]
pub fn echo(key: &Credential, injected: &SecretVersion) -> Echo {
    Echo::new(Mask::new(&injected.secret), Arc::clone(&key.echoes), Arc::clone(&key.name))
}
