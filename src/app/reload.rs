//! A changed configuration takes the place of the old one between two requests, or changes nothing at all.

use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use crate::admin::health::{Health, Tried};
use crate::config::resolve::Config;
use crate::config::{self, Loaded};
use crate::credential::Credentials;
use crate::event;
use crate::files::{self, Changes};
use crate::proxy::generation::{Current, Snapshot};
use crate::record::Sinks;
use crate::secret::Environment;
use crate::state::State;

/// The file that a configuration came from.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    changes: Changes,
    /// The hash of the text that was last loaded, if it could be read.
    loaded: Option<u64>,
    hasher: RandomState,
}

impl Source {
    /// To be made before the file is read, so that no change in between is missed.
    #[must_use]
    pub fn new(path: PathBuf) -> Source {
        Source {
            changes: Changes::of([path.clone()], files::CONFIGURATION_LIMIT),
            path,
            loaded: None,
            hasher: RandomState::new(),
        }
    }

    async fn load(&mut self) -> Result<Loaded, config::Faults> {
        self.loaded = None;
        let text = config::read(&self.path).await?;
        self.loaded = Some(self.hasher.hash_one(&text));
        config::parse(&text, std::env::vars_os())
    }

    /// Whether the file holds what was last loaded: the watch also tells of a change that SIGHUP has brought in before.
    async fn is_as_loaded(&self) -> bool {
        let text = config::read(&self.path).await;
        self.loaded.is_some() && text.ok().map(|text| self.hasher.hash_one(text)) == self.loaded
    }
}

/// Takes over changed configurations.
#[derive(Debug)]
pub(super) struct Reloader {
    pub(super) source: Source,
    pub(super) environment: Environment,
    /// What serves.
    pub(super) config: Config,
    pub(super) current: Vec<Arc<Current>>,
    pub(super) state: Arc<State>,
    pub(super) credentials: Arc<Credentials>,
    pub(super) health: Arc<Health>,
    pub(super) sinks: Arc<Sinks>,
}

/// Why everything stays as it is.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("{}", joined(.0))]
    Faults(#[from] config::Faults),
    #[error("a restart is needed to change {}", .0.join(", "))]
    NeedsRestart(Vec<String>),
    #[error("{}", chain(.0))]
    Unusable(#[from] super::Error),
}

fn joined(faults: &config::Faults) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn chain(error: &super::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

impl Reloader {
    /// Reloads when the file has changed, and when `told` resolves.
    pub(super) async fn run(mut self, mut told: impl AsyncFnMut()) -> Infallible {
        loop {
            tokio::select! {
                () = self.source.changes.next() => {
                    if self.source.is_as_loaded().await {
                        continue;
                    }
                }
                () = told() => {}
            }
            self.reload().await;
        }
    }

    /// Reads the file and the keys, and takes them over if nothing speaks against it.
    async fn reload(&mut self) {
        let now = SystemTime::now();
        let reloads = &Arc::clone(&self.sinks).metrics.reloads;
        let taken = self.take_over().await;
        let result = match taken {
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
                    Refused::NeedsRestart(_) => reloads.restart_needed(),
                    Refused::Faults(_) | Refused::Unusable(_) => reloads.refused(),
                }
                tracing::error!(
                    event = event::CONFIG_REFUSED,
                    reason = %refused,
                    "the changed configuration is refused; the previous one stays in use"
                );
                Err(refused.to_string())
            }
        };
        self.health.tried(Tried { at: now, result });
    }

    async fn take_over(&mut self) -> Result<(), Refused> {
        let Loaded { config, warnings } = self.source.load().await?;
        let keys = config::reload::needs_restart(&self.config, &config);
        if !keys.is_empty() {
            return Err(Refused::NeedsRestart(keys));
        }
        let present = super::credentials::read(&config, &self.environment, &self.credentials).await?;
        let served = Snapshot::serve(&config, &present, &self.state).map_err(super::Error::from)?;
        for warning in warnings.iter() {
            tracing::warn!(
                event = event::CONFIG_RISK_FOUND,
                %warning,
                "the configuration contains something allowed but risky"
            );
        }
        for (current, served) in self.current.iter().zip(served) {
            current.replace(served);
        }
        self.credentials.replace(present);
        self.config = config;
        Ok(())
    }
}
