//! Reading the credentials of a configuration before it is applied.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;

use crate::config::resolve::Config;
use crate::credential::{Credential, CredentialMap, Credentials};
use crate::secret::{Environment, SecretRef};

use super::Error;

/// Reads the stores of all credentials and returns them.
///
/// If a credential's store holds no secret, the credential keeps its version, even if the store is new. If it has no version,
/// starts of its tenants are refused until one is read; other tenants are served.
///
/// # Errors
///
/// If an environment variable that is new in the configuration holds no secret: it cannot change while the process runs.
pub(super) async fn read(
    config: &Config,
    environment: &Environment,
    credentials: &Credentials,
) -> Result<CredentialMap, Error> {
    let known = credentials.by_name();
    // All at once, so that a store that hangs delays no other.
    let readings = config.credentials.iter().map(async |(name, definition)| {
        let before = known.get(name);
        let is_known = before.is_some_and(|before| before.definition().secret == definition.secret);
        let credential = match before.filter(|before| before.definition() == definition) {
            Some(same) => Arc::clone(same),
            None => {
                let before = before.map(|before| &**before);
                Arc::new(Credential::new(name, definition.clone(), environment, &credentials.salt, before))
            }
        };
        match credential.fetch().await {
            Err(source) if !is_known && matches!(definition.secret, SecretRef::Env(_)) => {
                Err(Error::Secret { name: name.clone(), source })
            }
            content => Ok((name, credential, content)),
        }
    });
    let readings = join_all(readings).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    // Only after every reading succeeded. If the configuration is refused later, credentials in use have only been refreshed.
    let updated = readings.into_iter().map(|(name, credential, content)| {
        credential.update(content, Instant::now());
        (name.clone(), credential)
    });
    Ok(updated.collect())
}
