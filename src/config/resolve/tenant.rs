//! `tenants` and `tagging`: the tenants, their credentials, and the tags for `metadata`.

use std::collections::BTreeMap;

use crate::asteroid::body::is_alike;
use crate::asteroid::group::OpenGroups;
use crate::config::finding::{Findings, Path};
use crate::config::{file, suggestion};

use super::{BODY_TAG, OnConflict, Tenant, idempotency, is_tenant_name, limits, operations};

const TENANT_TAG: &str = "tenant";

/// The longest name and the longest value of a tag, in bytes. The upstream's limits are unknown; these are far longer
/// than usual labels, and bound the growth of a request.
const MAX_NAME: usize = 128;
const MAX_VALUE: usize = 1024;

pub(super) fn resolve(
    written: BTreeMap<String, file::Tenant>,
    open: OpenGroups,
    tagging: file::Tagging,
    digest: Option<&str>,
    credentials: &BTreeMap<String, file::Credential>,
    findings: &mut Findings,
) -> Option<(BTreeMap<String, Tenant>, OnConflict)> {
    let (on_conflict, tagging) = self::tagging(tagging, digest, findings);
    let section = Path::default().join("tenants");
    if written.is_empty() && !findings.faults.any_within(&section) {
        return findings.report_missing(&section, "missing; write at least one tenant");
    }
    let mut tenants = BTreeMap::new();
    let mut complete = true;
    for (name, tenant) in written {
        let path = section.join(&name);
        let named = is_tenant_name(&name);
        if !named {
            findings.refuse::<()>(&path, "a tenant's name is 1 to 128 of A-Z, a-z, 0-9, ., _ and -");
        }
        let credential = credential(tenant.credential, credentials, &path.join("credential"), findings);
        let tags = tags(&name, tenant.metadata, &tagging, &path.join("metadata"), findings);
        let operations = operations::resolve(&tenant.operations, open, &path.join("operations"), findings);
        let limits = limits::resolve(tenant.limits, &path.join("limits"), findings);
        let idempotency = idempotency::mode(tenant.idempotency.as_ref(), &path.join("idempotency"), findings);
        match (credential, tags, operations, limits, idempotency, named) {
            (Some(credential), Some(tags), Some(operations), Some(limits), Some(idempotency), true) => {
                tenants.insert(name, Tenant { credential, tags, operations, limits, idempotency });
            }
            _ => complete = false,
        }
    }
    operations::warn_of_partial_tags(&tenants, &tagging.prefix, findings);
    complete.then_some((tenants, on_conflict?))
}

/// The tags of the gateway.
struct Tagging<'a> {
    /// The name of the tag with the tenant's name.
    tenant: String,
    /// The prefix of the tenant's name.
    prefix: String,
    /// The name of the tag for starts with an idempotency key.
    digest: Option<&'a str>,
}

fn tagging<'a>(
    written: file::Tagging,
    digest: Option<&'a str>,
    findings: &mut Findings,
) -> (Option<OnConflict>, Tagging<'a>) {
    let path = Path::default().join("tagging");
    let on_conflict = match written.on_conflict.as_deref() {
        None | Some("reject") => Some(OnConflict::Reject),
        Some("overwrite") => Some(OnConflict::Overwrite),
        Some(other) => {
            let question = suggestion::question(other, ["reject", "overwrite"]);
            findings.refuse(&path.join("on_conflict"), format!("must be reject or overwrite{question}"))
        }
    };
    let tenant = written.tenant_key.unwrap_or_else(|| TENANT_TAG.to_owned());
    if let Err(message) = is_tag(&tenant, MAX_NAME) {
        findings.refuse::<()>(&path.join("tenant_key"), message);
    }
    if digest.is_some_and(|digest| is_alike(digest, &tenant)) {
        findings.refuse::<()>(&path.join("idempotency_key"), "must differ from `tenant_key`");
    }
    if is_alike(&tenant, BODY_TAG) {
        findings.refuse::<()>(&path.join("tenant_key"), "this tag carries the digest of the body; choose another name");
    }
    let prefix = written.tenant_prefix.unwrap_or_default();
    if !prefix.is_empty()
        && let Err(message) = is_tag(&prefix, MAX_NAME)
    {
        findings.refuse::<()>(&path.join("tenant_prefix"), message);
    }
    (on_conflict, Tagging { tenant, prefix, digest })
}

fn credential(
    written: Option<String>,
    credentials: &BTreeMap<String, file::Credential>,
    path: &Path,
    findings: &mut Findings,
) -> Option<String> {
    let Some(name) = written else {
        return findings.report_missing(path, "missing; write the name of a credential");
    };
    if !credentials.contains_key(&name) && !findings.faults.covers(&Path::default().join("credentials").join(&name)) {
        // The name is not shown, since it may be a pasted API key.
        return findings.refuse(path, "there is no such credential under `credentials`");
    }
    Some(name)
}

fn tags(
    tenant: &str,
    metadata: BTreeMap<String, String>,
    tagging: &Tagging<'_>,
    path: &Path,
    findings: &mut Findings,
) -> Option<Vec<(String, String)>> {
    let mut tags = vec![(tagging.tenant.clone(), format!("{}{tenant}", tagging.prefix))];
    let mut complete = true;
    for (name, value) in metadata {
        let at = path.join(&name);
        let checked = if name == tagging.tenant {
            Err("this tag carries the tenant's name (`tagging.tenant_key`); choose another name".to_owned())
        } else if Some(name.as_str()) == tagging.digest {
            Err("this tag carries idempotency digests (`tagging.idempotency_key`); choose another name".to_owned())
        } else if name == BODY_TAG {
            Err("this tag carries the digest of a body with an idempotency key; choose another name".to_owned())
        } else if tags
            .iter()
            .map(|(other, _)| other.as_str())
            .chain(tagging.digest)
            .chain([BODY_TAG])
            .any(|other| is_alike(other, &name))
        {
            Err("this name looks like another one of this tenant or of the gateway: they differ only by case, blanks or Unicode \
                 form, and a parser may take one for the other; choose another"
                .to_owned())
        } else {
            is_tag(&name, MAX_NAME)
                .map_err(|message| format!("the name {message}"))
                .and_then(|()| is_tag(&value, MAX_VALUE))
        };
        match checked {
            Ok(()) => tags.push((name, value)),
            Err(message) => {
                findings.refuse::<()>(&at, message);
                complete = false;
            }
        }
    }
    complete.then_some(tags)
}

/// Checks the name or value of a tag. An empty one cannot be searched for, since the upstream lists executions by name
/// and value. Control characters are always a mistake.
fn is_tag(text: &str, max: usize) -> Result<(), String> {
    if text.is_empty() || text.trim() != text {
        return Err("must not be empty, nor begin or end with white space".to_owned());
    }
    if text.len() > max {
        return Err(format!("must not be longer than {max} bytes"));
    }
    if text.chars().any(char::is_control) {
        return Err("must not contain line breaks or other control characters".to_owned());
    }
    Ok(())
}
