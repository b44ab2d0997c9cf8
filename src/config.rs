//! Configuration: a YAML file and the environment in; what runs, or every fault with its path, out.
//!
//! `file` is what the operator writes, `resolve` what runs, `reload` what of it can change meanwhile. On the way the layers are merged (`yaml`, `variables`) and
//! read (`extract`) so that one run reports everything that is wrong.

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

/// The configuration of `dev`. It reads its key from the variable [`DEVELOPMENT_KEY`].
const DEVELOPMENT: &str = include_str!("../config/dev.yaml");

/// The environment variable that the configuration of `dev` reads its key from.
pub const DEVELOPMENT_KEY: &str = "ASTEROID_GATEWAY_DEV_KEY";

/// A configuration that can run, and what is risky in it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What runs.
    pub config: Config,
    /// What is allowed but risky.
    pub warnings: Warnings,
}

/// Reads the file at exactly this path, overridden by the process's environment.
///
/// # Errors
///
/// Every fault at once, or why the file cannot be read.
pub async fn load(path: &std::path::Path) -> Result<Loaded, Faults> {
    parse(&read(path).await?, std::env::vars_os())
}

/// Reads the text at exactly this path.
///
/// # Errors
///
/// Why it cannot be read.
pub async fn read(path: &std::path::Path) -> Result<String, Faults> {
    let unreadable = |what: &str| Faults::whole(format!("{}: {what}", path.display()));
    let bytes = files::read(path, files::CONFIGURATION_LIMIT).await.map_err(|error| match error.kind() {
        ErrorKind::NotFound => unreadable("there is no such file"),
        ErrorKind::IsADirectory => unreadable("this is a directory; name the file inside it"),
        _ => unreadable(&format!("cannot be read: {error}")),
    })?;
    str::from_utf8(&bytes).map(str::to_owned).map_err(|_| unreadable("is not UTF-8 text"))
}

/// The configuration of `dev` in front of the upstream at `url`, otherwise overridden by the process's environment.
///
/// # Errors
///
/// Every fault at once; without overrides there is none.
pub fn development(url: &str) -> Result<Loaded, Faults> {
    let name = "ASTEROID_GATEWAY__UPSTREAM__URL";
    let environment = std::env::vars_os().filter(|(other, _)| !other.eq_ignore_ascii_case(name));
    parse(DEVELOPMENT, environment.chain([(OsString::from(name), OsString::from(url))]))
}

/// Reads a configuration from its text, overridden by `environment`, of which only `ASTEROID_GATEWAY__…` counts.
///
/// # Errors
///
/// Every fault at once.
pub fn parse(text: &str, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Loaded, Faults> {
    let mut findings = Findings::default();
    let variables = Variables::select(environment, &mut findings.faults);
    let written = match yaml::parse(text, &Path::default(), &mut findings.faults) {
        Some(Value::Dict(_, written)) => written,
        None => return Err(findings.faults),
        Some(Value::Empty(..)) => {
            return Err(Faults::whole("the file is empty; config/gateway.yaml shows the smallest that runs"));
        }
        Some(_) => return Err(Faults::whole("the file must be a section of `key: value`")),
    };
    let merged = Figment::from(Layer("the file", written.clone()))
        .merge(Layer("the environment", variables.tree.clone()))
        .extract::<Dict>()
        .map_err(|_| Faults::whole("the file and the environment cannot be merged"))?;
    let file = extract::extract::<file::Gateway>(&merged, &variables, &mut findings.faults);
    let config = resolve::resolve(file, &mut findings);
    match config {
        Some(config) if findings.faults.is_empty() => Ok(Loaded { config, warnings: findings.warnings }),
        _ => {
            let Findings { mut faults, .. } = findings;
            faults.annotate(|path| variables.behind(path, &written).map(|names| format!(" (set by {names})")));
            Err(faults)
        }
    }
}

/// One source of keys, as figment merges them.
struct Layer(&'static str, Dict);

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.0)
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Profile::Default.collect(self.1.clone()))
    }
}
