//! `credentials`: where the keys are, never a key.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::Tenant;
use crate::config::file;
use crate::config::finding::{Findings, Path, is_credential_name};
use crate::secret::SecretRef;

pub(super) fn resolve(
    written: BTreeMap<String, file::Credential>,
    tenants: Option<&BTreeMap<String, Tenant>>,
    findings: &mut Findings,
) -> Option<BTreeMap<String, SecretRef>> {
    let mut credentials = Some(BTreeMap::new());
    let section = Path::default().key("credentials");
    let used: Option<BTreeSet<&str>> =
        tenants.map(|tenants| tenants.values().map(|tenant| tenant.credential.as_str()).collect());
    for (name, credential) in written {
        let path = section.key(&name);
        let place = place(credential, &path, findings);
        if !is_credential_name(&name) {
            findings.fault::<()>(&path, "a credential's name is 1 to 63 of a-z, 0-9, _ and -; a key never stands here");
            credentials = None;
        } else if let Some(place) = place {
            if used.as_ref().is_some_and(|used| !used.contains(name.as_str())) {
                findings.warnings.push(&path, "no tenant uses it");
            }
            credentials = credentials.map(|mut credentials| {
                credentials.insert(name, place);
                credentials
            });
        } else {
            credentials = None;
        }
    }
    credentials
}

/// Messages here quote nothing: the key may have been pasted in place of where it is.
fn place(credential: file::Credential, path: &Path, findings: &mut Findings) -> Option<SecretRef> {
    match (credential.file, credential.env) {
        (Some(_), Some(_)) => findings.fault(path, "names both `file` and `env`; keep one"),
        (Some(file), None) => {
            // A bare word is more likely a pasted key than a file, and would be shown when it cannot be read.
            if !file.contains('/') || file.contains('\0') {
                return findings
                    .fault(&path.key("file"), "must be a path with a directory, such as /run/secrets/key or ./key");
            }
            Some(SecretRef::File(PathBuf::from(file)))
        }
        (None, Some(name)) => {
            let valid = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !valid || name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
                return findings
                    .fault(&path.key("env"), "must be the name of an environment variable, such as ASTEROID_API_KEY");
            }
            findings
                .warnings
                .push(&path.key("env"), "a key in the environment is for development; in production use `file`");
            Some(SecretRef::Env(name))
        }
        (None, None) => {
            if findings.faults.cover(&path.key("file")) || findings.faults.cover(&path.key("env")) {
                return None;
            }
            findings.missing(path, "does not say where the key is; write `file: PATH` or `env: VARIABLE`")
        }
    }
}
