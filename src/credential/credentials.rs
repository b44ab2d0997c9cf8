//! The credentials of the configuration that is active.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::secret::Salt;

use super::Credential;

/// Credentials by their names.
pub type CredentialMap = BTreeMap<String, Arc<Credential>>;

/// All credentials. One that the next configuration defines as well keeps its state.
#[derive(Debug, Default)]
pub struct Credentials {
    /// The salt of this process's fingerprints.
    pub salt: Arc<Salt>,
    by_name: watch::Sender<CredentialMap>,
}

impl Credentials {
    /// Creates the set without any credential.
    #[must_use]
    pub fn new(salt: Salt) -> Credentials {
        Credentials { salt: Arc::new(salt), by_name: watch::Sender::default() }
    }

    /// Replaces all credentials. Those that `credentials` does not contain are forgotten.
    pub fn replace(&self, credentials: CredentialMap) {
        self.by_name.send_replace(credentials);
    }

    /// Returns the credentials in use.
    #[must_use]
    pub fn by_name(&self) -> CredentialMap {
        self.by_name.borrow().clone()
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<CredentialMap> {
        self.by_name.subscribe()
    }
}
