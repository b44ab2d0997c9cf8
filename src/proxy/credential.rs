//! The credential that is sent to the upstream instead of the caller's own.

use std::sync::Arc;

use hyper::Request;

use crate::credential::{Credential, CredentialError, SecretVersion};
use crate::secret::{Fingerprint, Needle};
use crate::state::Permit;

use super::redact::KeyRedactor;

/// The version of a credential's secret that a request is sent with: the current one, or another one if the upstream refused
/// that.
#[derive(Debug)]
pub(super) struct ChosenVersion {
    credential: Arc<Credential>,
    version: Arc<SecretVersion>,
    /// The version that the upstream refused before, if this is the second.
    refused: Option<Arc<SecretVersion>>,
}

impl ChosenVersion {
    /// Chooses the version that is sent first.
    ///
    /// # Errors
    ///
    /// [`CredentialError`].
    pub(super) fn first(credential: &Arc<Credential>) -> Result<ChosenVersion, CredentialError> {
        let version = credential.version_to_send()?;
        Ok(ChosenVersion { credential: Arc::clone(credential), version, refused: None })
    }

    /// Injects the credential into a request that was admitted.
    pub(super) fn inject<B>(&self, _admitted: &Permit, request: &mut Request<B>) {
        self.version.inject(&self.credential.definition().header, request);
    }

    /// Returns the fingerprint of the version.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.version.fingerprint
    }

    /// Chooses another version in place of the one that the upstream refused, and waits some seconds for one if need be.
    /// Returns whether there is one.
    pub(super) async fn replace_refused(&mut self) -> bool {
        let Some(other) = self.credential.replacement_for(&self.version).await else { return false };
        self.refused = Some(std::mem::replace(&mut self.version, other));
        true
    }

    /// Notes that the upstream refused the version, and that the request is not sent again.
    pub(super) fn note_refused(&self) {
        self.credential.note_refused(self.refused.is_some());
    }

    /// Notes that the upstream refused the version with a request that cannot be sent again.
    pub(super) fn note_refused_finally(&self) {
        self.credential.note_refused_finally(&self.version);
    }

    /// Notes that the upstream accepted the version.
    pub(super) fn note_accepted(&self) {
        self.credential.note_accepted(&self.version, self.refused.as_ref());
    }

    /// Creates the redactor that redacts the version in the answer.
    pub(super) fn redactor(&self) -> KeyRedactor {
        let Credential { redactions, name, .. } = &*self.credential;
        KeyRedactor::new(Needle::new(&self.version.secret), Arc::clone(redactions), Arc::clone(name))
    }
}
