//! The configuration: turns a YAML file and the environment into a runnable configuration, or into all faults with their
//! config paths.
//!
//! `file` is the file as written, `resolve` the configuration that runs, and `reload` the part of it that needs a restart.
//! In between, the layers are merged (`yaml`, `variables`) and read (`extract`) so that one run reports all faults.

mod extract;
mod file;
mod finding;
pub(crate) mod pasted;
pub mod reload;
pub mod resolve;
pub(crate) mod suggestion;
mod units;
mod variables;
mod yaml;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::ErrorKind;

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use crate::files;

pub use finding::{Faults, Finding, Path, Warnings};
pub use resolve::Config;

use finding::Findings;
use variables::Variables;

/// The configuration of `dev`. It reads its API key from the variable [`DEVELOPMENT_API_KEY`].
const DEVELOPMENT: &str = include_str!("../config/dev.yaml");

/// The environment variable with the API key for the configuration of `dev`.
pub const DEVELOPMENT_API_KEY: &str = "ASTEROID_GATEWAY_DEV_KEY";

/// A runnable configuration and its risks.
#[derive(Debug, Clone)]
pub struct LoadedConfig {
    /// The configuration that runs.
    pub config: Config,
    /// The settings that are allowed but risky.
    pub warnings: Warnings,
}

/// Loads the configuration from exactly this path, overridden by the process's environment.
///
/// # Errors
///
/// All faults, or the reason why the file cannot be read.
pub async fn load(path: &std::path::Path) -> Result<LoadedConfig, Faults> {
    parse(&read(path).await?, std::env::vars_os())
}

/// Reads the text of the file at exactly this path.
///
/// # Errors
///
/// The reason why it cannot be read.
pub async fn read(path: &std::path::Path) -> Result<String, Faults> {
    let unreadable = |what: &str| Faults::of_file(format!("{}: {what}", path.display()));
    let bytes = files::read(path, files::CONFIGURATION_LIMIT).await.map_err(|error| match error.kind() {
        ErrorKind::NotFound => unreadable("there is no such file"),
        ErrorKind::IsADirectory => unreadable("this is a directory; name the file inside it"),
        _ => unreadable(&format!("cannot be read: {error}")),
    })?;
    str::from_utf8(&bytes).map(str::to_owned).map_err(|_| unreadable("is not UTF-8 text"))
}

/// Returns the configuration of `dev` for the upstream at `url`. The process's environment overrides all else.
///
/// # Errors
///
/// All faults; without overrides there is none.
pub fn development(url: &str) -> Result<LoadedConfig, Faults> {
    let name = "ASTEROID_GATEWAY__UPSTREAM__URL";
    let environment = std::env::vars_os().filter(|(other, _)| !other.eq_ignore_ascii_case(name));
    parse(DEVELOPMENT, environment.chain([(OsString::from(name), OsString::from(url))]))
}

/// Reads a configuration from its text, overridden by the variables `ASTEROID_GATEWAY__…` of `environment`.
///
/// # Errors
///
/// All faults.
pub fn parse(text: &str, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Result<LoadedConfig, Faults> {
    let mut findings = Findings::default();
    let variables = Variables::select(environment, &mut findings.faults);
    let written = match yaml::parse(text, &Path::default(), &mut findings.faults) {
        Some(Value::Dict(_, written)) => written,
        None => return Err(findings.faults),
        Some(Value::Empty(..)) => {
            return Err(Faults::of_file("the file is empty; config/gateway.yaml shows the smallest that runs"));
        }
        Some(_) => return Err(Faults::of_file("the file must be a section of `key: value`")),
    };
    let merged = Figment::from(Layer("the file", written.clone()))
        .merge(Layer("the environment", variables.tree.clone()))
        .extract::<Dict>()
        .map_err(|_| Faults::of_file("the file and the environment cannot be merged"))?;
    let file = extract::extract::<file::Gateway>(&merged, &variables, &mut findings.faults);
    let config = resolve::resolve(file, &mut findings);
    match config {
        Some(config) if findings.faults.is_empty() => Ok(LoadedConfig { config, warnings: findings.warnings }),
        _ => {
            let Findings { mut faults, .. } = findings;
            faults.annotate(|path| variables.find_source(path, &written).map(|names| format!(" (set by {names})")));
            Err(faults)
        }
    }
}

/// One layer of settings, for figment to merge.
struct Layer(&'static str, Dict);

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.0)
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Profile::Default.collect(self.1.clone()))
    }
}
