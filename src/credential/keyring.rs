//! The credentials of the configuration that serves.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::secret::Salt;

use super::Key;

/// Credentials by their names.
pub type Keys = BTreeMap<String, Arc<Key>>;

/// All credentials. They outlive a configuration as long as the next one has them.
#[derive(Debug, Default)]
pub struct Keyring {
    /// What the fingerprints of this process are made with.
    pub salt: Arc<Salt>,
    keys: watch::Sender<Keys>,
}

impl Keyring {
    /// No credentials yet.
    #[must_use]
    pub fn new(salt: Salt) -> Keyring {
        Keyring { salt: Arc::new(salt), keys: watch::Sender::default() }
    }

    /// The credentials that are in use from now on; others are forgotten.
    pub fn hold(&self, keys: Keys) {
        self.keys.send_replace(keys);
    }

    /// The credentials that are in use.
    #[must_use]
    pub fn keys(&self) -> Keys {
        self.keys.borrow().clone()
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Keys> {
        self.keys.subscribe()
    }
}
