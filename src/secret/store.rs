//! A place of keys that is asked again and again. How often, what is made of the answers and how keys replace each other is
//! the same for all (`credential`): another kind of store is a file here and a variant.

use std::time::Duration;

use tokio::time::timeout;

use crate::files::Changes;

use super::{Environment, Error, Fetched, SecretRef, env, file};

/// How long a store may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// One place of keys.
#[derive(Debug)]
pub enum Store {
    /// See [`SecretRef::File`].
    File(file::Store),
    /// See [`SecretRef::Env`].
    Env(env::Store),
}

/// How often a store is asked.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// After an answer.
    pub every: Duration,
    /// After many failures in a row, at most. Each doubles the wait.
    pub longest: Duration,
}

impl Pace {
    /// How long to wait after so many failures in a row.
    #[must_use]
    pub fn after(self, failures: u32) -> Duration {
        self.every.saturating_mul(1 << failures.min(16)).min(self.longest)
    }
}

impl Store {
    /// The store at a place.
    #[must_use]
    pub fn at(place: &SecretRef, environment: &Environment) -> Store {
        match place {
            SecretRef::File { path, previous } => Self::File(file::Store::new(path, previous.as_deref())),
            SecretRef::Env(name) => Self::Env(env::Store::new(name, environment)),
        }
    }

    /// Asks for what it holds, for 5 seconds at most.
    ///
    /// # Errors
    ///
    /// Where no key is there at present.
    pub async fn fetch(&mut self) -> Result<Fetched, Error> {
        match self {
            Self::File(file) => {
                let fetched = timeout(PATIENCE, file.fetch()).await;
                fetched.unwrap_or_else(|_| Err(Error::Slow { place: file.name(), after: PATIENCE }))
            }
            Self::Env(env) => env.fetch(),
        }
    }

    /// Begins to watch the store for changes; nothing for a store that never changes.
    #[must_use]
    pub fn changes(&self) -> Option<Changes> {
        match self {
            Self::File(file) => Some(file.changes()),
            Self::Env(_) => None,
        }
    }

    /// How often it is to be asked; nothing where what it holds never changes.
    #[must_use]
    pub fn pace(&self) -> Option<Pace> {
        match self {
            Self::File(_) => Some(file::PACE),
            Self::Env(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_wait_until_it_is_the_longest() {
        let pace = Pace { every: Duration::from_secs(5), longest: Duration::from_secs(60) };
        let waits: Vec<u64> = [0, 1, 2, 3, 4, u32::MAX].map(|failures| pace.after(failures).as_secs()).into();
        assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
    }
}
