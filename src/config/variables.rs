//! The environment's layer: `ASTEROID_GATEWAY__UPSTREAM__URL` overrides `upstream.url`.
//!
//! Two underscores follow the prefix, because Kubernetes injects `ASTEROID_GATEWAY_SERVICE_HOST` and the like. Names
//! are lower-cased, so only tenants, credentials and tags in lower case can be set. If text is expected, a value is
//! text (`4711` needs no quotes here). If a list or a section is expected, it is parsed as YAML on one line and
//! replaces that of the file.

use std::collections::BTreeMap;
use std::ffi::OsString;

use figment::value::{Dict, Value};

use super::finding::{Faults, Path};

const PREFIX: &str = "ASTEROID_GATEWAY__";

/// The variables that override settings: their names, by the paths that they set.
#[derive(Debug, Default)]
pub(super) struct Variables {
    names: BTreeMap<Path, String>,
    pub(super) tree: Dict,
}

impl Variables {
    /// Selects the variables with the prefix and records those without a valid path.
    pub(super) fn select(environment: impl IntoIterator<Item = (OsString, OsString)>, faults: &mut Faults) -> Self {
        let mut selected = BTreeMap::<Path, (String, String)>::new();
        for (name, value) in environment {
            let name = name.to_string_lossy();
            let Some(names) = parse_name(&name) else { continue };
            let path = names.iter().fold(Path::default(), |path, name| path.join(name));
            let name = hide_api_keys(&name, &path);
            if names.iter().any(String::is_empty) {
                faults.push(&path, format!("{name} names no setting: write one between every two `__`"));
                continue;
            }
            let Ok(value) = value.into_string() else {
                faults.push(&path, format!("{name} is not UTF-8"));
                continue;
            };
            if let Some((other, _)) = selected.iter().find_map(|(set, by)| overlaps(set, &path).then_some(by)) {
                faults.push(&path, format!("is set by both {other} and {name}; keep one"));
                continue;
            }
            selected.insert(path, (name, value));
        }
        let mut variables = Self::default();
        for (path, (name, value)) in selected {
            insert(&mut variables.tree, path.names().unwrap_or_default().as_slice(), Value::from(value));
            variables.names.insert(path, name);
        }
        variables
    }

    /// Returns whether a variable sets exactly this path. Its text may be of any type then.
    pub(super) fn is_set(&self, path: &Path) -> bool {
        self.names.contains_key(path)
    }

    /// Returns the variables that caused a fault at `path`: the one that set it or a section around it. If there is none, and
    /// the file has no section there, those that set something inside it.
    pub(super) fn find_source(&self, path: &Path, file: &Dict) -> Option<String> {
        let around = self.names.iter().find(|(set, _)| path.is_within(set)).map(|(_, name)| name.clone());
        around.or_else(|| {
            let names = path.names().filter(|names| !names.is_empty() && !is_section(file, names))?;
            let path = names.iter().fold(Path::default(), |path, name| path.join(*name));
            let inside: Vec<_> =
                self.names.iter().filter(|(set, _)| set.is_within(&path)).map(|(_, name)| name.as_str()).collect();
            (!inside.is_empty()).then(|| inside.join(", "))
        })
    }
}

/// Returns the steps of the path in a variable's name, or `None` if it does not have the prefix.
fn parse_name(name: &str) -> Option<Vec<String>> {
    let (prefix, rest) = name.split_at_checked(PREFIX.len())?;
    prefix.eq_ignore_ascii_case(PREFIX).then(|| rest.to_ascii_lowercase().split("__").map(str::to_owned).collect())
}

/// Returns the variable's name, with parts hidden that may be an API key.
fn hide_api_keys(name: &str, path: &Path) -> String {
    let (prefix, names) = name.split_at_checked(PREFIX.len()).unwrap_or_default();
    let shown = |(depth, name): (usize, &str)| {
        if path.hides(depth, &name.to_ascii_lowercase()) { "<hidden>".to_owned() } else { name.to_owned() }
    };
    let names: Vec<String> = names.split("__").enumerate().map(shown).collect();
    format!("{prefix}{}", names.join("__"))
}

fn overlaps(one: &Path, other: &Path) -> bool {
    one.is_within(other) || other.is_within(one)
}

fn insert(section: &mut Dict, names: &[&str], value: Value) {
    match names {
        [] => {}
        [name] => {
            section.insert((*name).to_owned(), value);
        }
        [name, rest @ ..] => {
            // Overlapping paths were refused, so an existing value is a section that this function created.
            if let Value::Dict(_, inner) = section.entry((*name).to_owned()).or_insert_with(|| Value::from(Dict::new()))
            {
                insert(inner, rest, value);
            }
        }
    }
}

fn is_section(section: &Dict, names: &[&str]) -> bool {
    match names {
        [] => true,
        [name, rest @ ..] => match section.get(*name) {
            Some(Value::Dict(_, inner)) => is_section(inner, rest),
            _ => false,
        },
    }
}
