//! The credential that the upstream is shown instead of the caller's own.

use std::sync::Arc;

use hyper::Request;

use crate::credential::{Credential, CredentialError, SecretVersion};
use crate::secret::Needle;
use crate::state::Permit;

use super::redact::KeyRedactor;

/// Sets the version that is sent first on a request that was admitted, and returns it.
///
/// # Errors
///
/// [`CredentialError`].
pub fn inject<B>(
    credential: &Credential,
    _admitted: &Permit,
    request: &mut Request<B>,
) -> Result<Arc<SecretVersion>, CredentialError> {
    let version = credential.version_to_send()?;
    version.inject(&credential.definition().header, request);
    Ok(version)
}

/// Sets another version in place of one that the upstream refused, and returns it, if there is one within some seconds.
pub async fn replace<B>(
    credential: &Credential,
    refused: &Arc<SecretVersion>,
    request: &mut Request<B>,
) -> Option<Arc<SecretVersion>> {
    let other = credential.replacement_for(refused).await?;
    other.inject(&credential.definition().header, request);
    Some(other)
}

/// Returns what redacts this version in the answer to the request that carried it.
#[must_use]
pub fn redactor(credential: &Credential, injected: &SecretVersion) -> KeyRedactor {
    let needle = Needle::new(&injected.secret);
    KeyRedactor::new(needle, Arc::clone(&credential.redactions), Arc::clone(&credential.name))
}
