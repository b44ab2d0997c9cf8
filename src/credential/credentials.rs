//! The credentials of the configuration that serves.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::secret::Salt;

use super::Credential;

/// Credentials by their names.
pub type CredentialMap = BTreeMap<String, Arc<Credential>>;

/// All credentials. They outlive a configuration as long as the next one has them.
#[derive(Debug, Default)]
pub struct Credentials {
    /// What the fingerprints of this process are made with.
    pub salt: Arc<Salt>,
    by_name: watch::Sender<CredentialMap>,
}

impl Credentials {
    /// No credentials yet.
    #[must_use]
    pub fn new(salt: Salt) -> Credentials {
        Credentials { salt: Arc::new(salt), by_name: watch::Sender::default() }
    }

    /// The credentials that are in use from now on; others are forgotten.
    pub fn replace(&self, credentials: CredentialMap) {
        self.by_name.send_replace(credentials);
    }

    /// The credentials that are in use.
    #[must_use]
    pub fn by_name(&self) -> CredentialMap {
        self.by_name.borrow().clone()
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<CredentialMap> {
        self.by_name.subscribe()
    }
}
