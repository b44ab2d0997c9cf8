//! Reloading: a changed configuration replaces the previous one between two requests, as a whole or not at all.

use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use crate::admin::health::ReloadResult;
use crate::config::resolve::Config;
use crate::config::{self, LoadedConfig};
use crate::event;
use crate::files::{self, Changes};
use crate::proxy::generation::{ActiveGeneration, Generation};
use crate::secret::Environment;

use super::SharedParts;

/// The file that a configuration came from.
#[derive(Debug)]
pub struct ConfigSource {
    path: PathBuf,
    changes: Changes,
    /// The hash of the text that was last loaded, if it could be read.
    loaded: Option<u64>,
    hasher: RandomState,
}

impl ConfigSource {
    /// Creates the source of a configuration, and begins to watch its file. Must be called before the file is read, so that no
    /// change in between is missed.
    #[must_use]
    pub fn new(path: PathBuf) -> ConfigSource {
        ConfigSource {
            changes: Changes::of([path.clone()], files::CONFIGURATION_LIMIT),
            path,
            loaded: None,
            hasher: RandomState::new(),
        }
    }

    async fn load(&mut self) -> Result<LoadedConfig, config::Faults> {
        self.loaded = None;
        let text = config::read(&self.path).await?;
        self.loaded = Some(self.hasher.hash_one(&text));
        config::parse(&text, std::env::vars_os())
    }

    /// Returns whether the file still holds the text that was last loaded. The watch also reports a change that SIGHUP has already
    /// applied.
    async fn is_as_loaded(&self) -> bool {
        let text = config::read(&self.path).await;
        self.loaded.is_some() && text.ok().map(|text| self.hasher.hash_one(text)) == self.loaded
    }
}

/// The task that applies changed configurations.
#[derive(Debug)]
pub(super) struct Reloader {
    pub(super) source: ConfigSource,
    pub(super) environment: Environment,
    /// The configuration in use.
    pub(super) config: Config,
    pub(super) active: Vec<Arc<ActiveGeneration>>,
    pub(super) shared: SharedParts,
}

/// The reason why a changed configuration is not applied.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error("{}", join_faults(.0))]
    Faults(#[from] config::Faults),
    #[error("a restart is needed to change {}", .0.join(", "))]
    NeedsRestart(Vec<String>),
    #[error("{}", join_causes(.0))]
    Unusable(#[from] super::Error),
}

fn join_faults(faults: &config::Faults) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn join_causes(error: &super::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

impl Reloader {
    /// Reloads whenever the file has changed or `reload_signal` resolves. Never ends.
    pub(super) async fn run(mut self, mut reload_signal: impl AsyncFnMut()) -> Infallible {
        loop {
            tokio::select! {
                () = self.source.changes.next() => {
                    if self.source.is_as_loaded().await {
                        continue;
                    }
                }
                () = reload_signal() => {}
            }
            self.reload().await;
        }
    }

    /// Reads the file and the API keys, applies them if they can be used, and reports the result.
    async fn reload(&mut self) {
        let now = SystemTime::now();
        let reloads = &Arc::clone(&self.shared.sinks).metrics.reloads;
        let result = match self.apply().await {
            Ok(()) => {
                reloads.applied(now);
                tracing::info!(
                    event = event::CONFIG_RELOADED,
                    tenants = self.config.tenants.len(),
                    "the configuration was reloaded"
                );
                Ok(self.config.readiness)
            }
            Err(refused) => {
                match refused {
                    ReloadError::NeedsRestart(_) => reloads.restart_needed(),
                    ReloadError::Faults(_) | ReloadError::Unusable(_) => reloads.refused(),
                }
                tracing::error!(
                    event = event::CONFIG_REFUSED,
                    reason = %refused,
                    "the changed configuration is refused; the previous one stays in use"
                );
                Err(refused.to_string())
            }
        };
        self.shared.health.record_reload(ReloadResult { at: now, result });
    }

    async fn apply(&mut self) -> Result<(), ReloadError> {
        let LoadedConfig { config, warnings } = self.source.load().await?;
        let config_paths = config::reload::needs_restart(&self.config, &config);
        if !config_paths.is_empty() {
            return Err(ReloadError::NeedsRestart(config_paths));
        }
        let present = super::credentials::read(&config, &self.environment, &self.shared.credentials).await?;
        let generations = Generation::build(&config, &present, &self.shared.state).map_err(super::Error::from)?;
        for warning in warnings.iter() {
            tracing::warn!(
                event = event::CONFIG_RISK_FOUND,
                %warning,
                "the configuration contains something allowed but risky"
            );
        }
        for (active, generation) in self.active.iter().zip(generations) {
            active.replace(generation);
        }
        self.shared.credentials.replace(present);
        self.config = config;
        Ok(())
    }
}
