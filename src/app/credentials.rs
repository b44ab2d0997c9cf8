//! Reading the API keys of a configuration before it is applied.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;

use crate::config::resolve::Config;
use crate::credential::{Credential, CredentialMap, Credentials};
use crate::secret::{Environment, SecretRef};

use super::Error;

/// Reads all API keys. A credential whose store, or new store, holds none keeps the key that it has. If it has none, starts of its
/// tenants are refused until one comes, and other tenants are served.
///
/// # Errors
///
/// If a variable that the configuration names anew holds none. That never changes while the process runs.
pub(super) async fn read(
    config: &Config,
    environment: &Environment,
    credentials: &Credentials,
) -> Result<CredentialMap, Error> {
    let known = credentials.by_name();
    // Read concurrently, so that one that hangs delays no other.
    let read = config.credentials.iter().map(async |(name, definition)| {
        let before = known.get(name);
        let is_known = before.is_some_and(|key| key.definition().place == definition.place);
        let key = match before.filter(|key| key.definition() == definition) {
            Some(same) => Arc::clone(same),
            None => {
                let before = before.map(|key| &**key);
                Arc::new(Credential::new(name, definition.clone(), environment, &credentials.salt, before))
            }
        };
        match key.fetch().await {
            Err(source) if !is_known && matches!(definition.place, SecretRef::Env(_)) => {
                Err(Error::Secret { name: name.clone(), source })
            }
            fetched => Ok((name, key, fetched)),
        }
    });
    let read = join_all(read).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    // Applied only if none is refused, because a refused configuration changes nothing.
    let taken = read.into_iter().map(|(name, key, fetched)| {
        key.update(fetched, Instant::now());
        (name.clone(), key)
    });
    Ok(taken.collect())
}
