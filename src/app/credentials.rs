//! The credentials of a configuration, as they are when it is taken over.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;

use crate::config::resolve::Config;
use crate::credential::{Credential, CredentialMap, Credentials};
use crate::secret::{Environment, SecretRef};

use super::Error;

/// Reads the stores of all credentials and returns them.
///
/// A credential whose store holds no secret, perhaps a store that is new to it, keeps the version that it has. If it has none,
/// starts of its tenants are refused until one is read; other tenants are served.
///
/// # Errors
///
/// If an environment variable that is new in the configuration holds no secret: that never changes while the process runs.
pub(super) async fn read(
    config: &Config,
    environment: &Environment,
    credentials: &Credentials,
) -> Result<CredentialMap, Error> {
    let known = credentials.by_name();
    // All at once, so that a store that hangs holds up no other.
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
    // Only if none is refused: a refused configuration changes nothing.
    let updated = readings.into_iter().map(|(name, credential, content)| {
        credential.update(content, Instant::now());
        (name.clone(), credential)
    });
    Ok(updated.collect())
}
