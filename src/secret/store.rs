//! The stores of secrets. A kind of store is a file here and a variant of [`Store`]. When a store is read, and how one version
//! replaces another, is the same for all (`credential`).

use tokio::time::timeout;

use crate::files::Changes;

use super::pace::{Pace, TIMEOUT};
use super::{Environment, Error, SecretRef, StoreContent, StoreProblem, env, file};

/// The store of one secret.
#[derive(Debug)]
pub enum Store {
    /// See [`SecretRef::File`].
    File(file::FileStore),
    /// See [`SecretRef::Env`].
    Env(env::VariableStore),
}

impl Store {
    /// Creates the store of a secret.
    #[must_use]
    pub fn new(secret: &SecretRef, environment: &Environment) -> Store {
        match secret {
            SecretRef::File { path, previous } => Self::File(file::FileStore::new(path, previous.as_deref())),
            SecretRef::Env(name) => Self::Env(env::VariableStore::new(name, environment)),
        }
    }

    /// Reads the content of the store, for 5 seconds at most.
    ///
    /// # Errors
    ///
    /// If the store holds no secret at present.
    pub async fn fetch(&mut self) -> Result<StoreContent, Error> {
        match self {
            Self::File(file) => {
                let content = timeout(TIMEOUT, file.fetch()).await;
                content.unwrap_or_else(|_| {
                    Err(Error { location: file.location(), problem: StoreProblem::TimedOut(TIMEOUT) })
                })
            }
            Self::Env(env) => env.fetch(),
        }
    }

    /// Begins to watch the store, if it can report its changes.
    #[must_use]
    pub fn changes(&self) -> Option<Changes> {
        match self {
            Self::File(file) => Some(file.changes()),
            Self::Env(_) => None,
        }
    }

    /// Returns how often the store is to be read, if its content can change.
    #[must_use]
    pub fn pace(&self) -> Option<Pace> {
        match self {
            Self::File(_) => Some(file::PACE),
            Self::Env(_) => None,
        }
    }
}
