//! The keys of a configuration, as they are when it is taken over.

use std::sync::Arc;

use crate::config::resolve::Config;
use crate::secret::{Environment, SecretRef};
use crate::state::{Key, Keys, State};

use super::Error;

/// Reads all keys. Files that hold none yet are waited for while the gateway runs.
pub(super) fn at_start(config: &Config, environment: &Environment, state: &State) -> Result<Keys, Error> {
    // A variable never comes while the process runs.
    read(config, environment, state, |place| matches!(place, SecretRef::File(_)))
}

/// Reads all keys again. A credential keeps what it has while its place is the same; what is named anew must be there.
pub(super) fn at_reload(config: &Config, environment: &Environment, state: &State) -> Result<Keys, Error> {
    read(config, environment, state, |_| false)
}

fn read(
    config: &Config,
    environment: &Environment,
    state: &State,
    waits: impl Fn(&SecretRef) -> bool,
) -> Result<Keys, Error> {
    let (known, mut keys) = (state.keys(), Keys::new());
    for (name, place) in &config.credentials {
        let before = known.get(name);
        let stays = before.filter(|key| key.place() == place);
        let new = || {
            let (place, environment, looks) = (place.clone(), environment.clone(), Arc::clone(&state.looks));
            Arc::new(Key::new(place, environment, looks, before.map(|key| &**key)))
        };
        let key = stays.map_or_else(new, Arc::clone);
        match key.read() {
            Err(source) if stays.is_none() && !waits(place) => {
                return Err(Error::Secret { name: name.clone(), source });
            }
            read => key.take(name, read),
        }
        keys.insert(name.clone(), key);
    }
    Ok(keys)
}
