//! `credentials`: the references to the API keys, never an API key.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use hyper::header::HeaderName;

use crate::config::finding::{Findings, Path, is_credential_name};
use crate::config::{file, pasted, suggestion, units};
use crate::credential::Definition;
use crate::secret::SecretRef;

use super::Tenant;

/// The bounds of `max_stale`. The gateway checks a store every second, and the store may take some time to answer.
const MIN_STALE: Duration = Duration::from_secs(10);
const MAX_STALE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The API keys that readiness waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// One API key that can be sent.
    Any,
    /// One API key of each credential that can be sent.
    All,
    /// One API key that the upstream has accepted once.
    Verified,
}

pub(super) fn readiness(written: file::Readiness, findings: &mut Findings) -> Option<Readiness> {
    match written.credentials.as_deref() {
        None | Some("any") => Some(Readiness::Any),
        Some("all") => Some(Readiness::All),
        Some("verified") => Some(Readiness::Verified),
        Some(other) => {
            let question = suggestion::question(other, ["any", "all", "verified"]);
            let path = Path::default().join("readiness").join("credentials");
            findings.refuse(&path, format!("must be any, all or verified{question}"))
        }
    }
}

/// Reads the credentials, whose API keys are sent in `header`.
pub(super) fn resolve(
    written: BTreeMap<String, file::Credential>,
    header: Option<&HeaderName>,
    readiness: Option<Readiness>,
    tenants: Option<&BTreeMap<String, Tenant>>,
    findings: &mut Findings,
) -> Option<BTreeMap<String, Definition>> {
    let mut credentials = Some(BTreeMap::new());
    let section = Path::default().join("credentials");
    let used: Option<BTreeSet<&str>> =
        tenants.map(|tenants| tenants.values().map(|tenant| tenant.credential.as_str()).collect());
    for (name, credential) in written {
        let path = section.join(&name);
        let max_stale = max_stale(&credential, &path, findings);
        let secret = secret_ref(credential, &path, findings);
        if !is_credential_name(&name) {
            findings.refuse::<()>(
                &path,
                "a credential's name is 1 to 63 of a-z, 0-9, _ and -; never write an API key here",
            );
            credentials = None;
        } else if let (Some(secret), Some(max_stale)) = (secret, max_stale) {
            if used.as_ref().is_some_and(|used| !used.contains(name.as_str())) {
                findings.warnings.push(&path, "no tenant uses it");
            }
            credentials = credentials.zip(header).map(|(mut credentials, header)| {
                let verify = readiness == Some(Readiness::Verified);
                credentials.insert(name, Definition { secret, max_stale, header: header.clone(), verify });
                credentials
            });
        } else {
            credentials = None;
        }
    }
    credentials
}

/// Reads the salt for fingerprints.
pub(super) fn salt(written: Option<String>, findings: &mut Findings) -> Option<Option<String>> {
    if written.as_ref().is_some_and(|salt| !(1..=128).contains(&salt.chars().count())) {
        return findings.refuse(&Path::default().join("fingerprint_salt"), "must be 1 to 128 characters");
    }
    Some(written)
}

fn max_stale(credential: &file::Credential, path: &Path, findings: &mut Findings) -> Option<Option<Duration>> {
    let Some(file::Quantity(text)) = &credential.max_stale else { return Some(None) };
    let path = path.join("max_stale");
    if credential.env.is_some() {
        return findings
            .refuse(&path, "has no use with `env`, which never changes while the gateway runs; leave it out");
    }
    match units::duration(text, MIN_STALE, MAX_STALE) {
        Ok(max_stale) => Some(Some(max_stale)),
        Err(message) => findings.refuse(&path, message),
    }
}

/// Reads a path. A bare word is more likely a pasted API key than a file, and an error about the unreadable file would
/// show it.
fn file(written: String, path: &Path, findings: &mut Findings) -> Option<PathBuf> {
    if !written.contains('/') || pasted::is_not_a_path(&written) {
        return findings.refuse(path, "must be a path with a directory, such as /run/secrets/key or ./key");
    }
    Some(PathBuf::from(written))
}

/// Reads the reference to an API key. Messages quote nothing, since the API key may have been pasted instead.
fn secret_ref(credential: file::Credential, path: &Path, findings: &mut Findings) -> Option<SecretRef> {
    match (credential.file, credential.env) {
        (Some(_), Some(_)) => findings.refuse(path, "names both `file` and `env`; keep one"),
        (Some(written), None) => {
            let current = file(written, &path.join("file"), findings);
            let path = path.join("previous_file");
            let previous = credential.previous_file.map(|written| file(written, &path, findings));
            let (current, previous) = (current?, previous.map_or(Some(None), |previous| previous.map(Some))?);
            if previous.as_ref() == Some(&current) {
                return findings.refuse(&path, "is the same as `file`; it is for the previous API key");
            }
            Some(SecretRef::File { path: current, previous })
        }
        (None, Some(name)) => {
            if credential.previous_file.is_some() {
                return findings.refuse(&path.join("previous_file"), "can only be used with `file`; leave it out");
            }
            let valid = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !valid
                || pasted::may_be_api_key(&name)
                || name.is_empty()
                || name.starts_with(|first: char| first.is_ascii_digit())
            {
                return findings.refuse(
                    &path.join("env"),
                    "must be the name of an environment variable, made of words, such as ASTEROID_API_KEY",
                );
            }
            findings
                .warnings
                .push(&path.join("env"), "an API key in the environment is for development; in production use `file`");
            Some(SecretRef::Env(name))
        }
        (None, None) => {
            if findings.faults.covers(&path.join("file")) || findings.faults.covers(&path.join("env")) {
                return None;
            }
            findings.report_missing(path, "does not say where the API key is; write `file: PATH` or `env: VARIABLE`")
        }
    }
}
