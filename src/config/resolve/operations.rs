//! `operations`: the groups of operations that are open.

use std::collections::BTreeMap;

use crate::asteroid::group::{Group, OpenGroups};
use crate::config::finding::{Findings, Path};
use crate::config::{file, pasted};

use super::{Tenant, flag};

/// The most tenants that a warning names beside the first.
const MAX_NAMED: usize = 3;

/// Returns the groups that are open: those that are written, and else those of `inherited`.
pub(super) fn resolve(
    written: &file::Operations,
    inherited: OpenGroups,
    path: &Path,
    findings: &mut Findings,
) -> Option<OpenGroups> {
    let of_group = |group| match group {
        Group::Start => &written.start,
        Group::Read => &written.read,
        Group::List => &written.list,
        Group::Control => &written.control,
        Group::Message => &written.message,
        Group::Files => &written.files,
        Group::Rerun => &written.rerun,
        Group::Delete => &written.delete,
    };
    let mut groups = Some(inherited);
    for group in Group::ALL {
        let is_open = flag(of_group(group).as_ref(), inherited.contains(group), &path.join(group.code()), findings);
        groups = groups.zip(is_open).map(|(groups, is_open)| groups.with(group, is_open));
    }
    groups
}

/// Warns once of all tenants that may list, and whose tag is a part of another tenant's. A filter that matches parts would find
/// executions of both.
pub(super) fn warn_of_partial_tags(tenants: &BTreeMap<String, Tenant>, prefix: &str, findings: &mut Findings) {
    let mut tag_ends: Vec<&str> = tenants.values().filter_map(tag).flat_map(|tag| ends(tag, prefix)).collect();
    tag_ends.sort_unstable();
    let is_partial = |tag: &str| {
        let first = tag_ends.partition_point(|end| *end < tag);
        // Its own tag is the end of itself.
        tag_ends.iter().skip(first).take_while(|end| end.starts_with(tag)).nth(1).is_some()
    };
    let may_list = |tenant: &Tenant| tenant.operations.contains(Group::List);
    let is_affected = |tenant: &Tenant| may_list(tenant) && tag(tenant).is_some_and(is_partial);
    let mut affected = tenants.iter().filter(|(_, tenant)| is_affected(tenant)).map(|(name, _)| name);
    let Some(first) = affected.next() else { return };
    let others: Vec<&str> = affected.by_ref().take(MAX_NAMED).map(|name| pasted::hide_api_key(name)).collect();
    let more = match (others.as_slice(), affected.count()) {
        ([], _) => String::new(),
        (others, 0) => format!(" (the same is true of {})", others.join(", ")),
        (others, more) => format!(" (the same is true of {} and {more} more)", others.join(", ")),
    };
    let message = format!(
        "its tag is a part of another tenant's; if the upstream's filter matches parts, every listing of this tenant is answered \
         with 502. Rename it, or close `operations.list` for it{more}"
    );
    findings.warnings.push(&Path::default().join("tenants").join(first), message);
}

/// Returns the tag with a tenant's name.
fn tag(tenant: &Tenant) -> Option<&str> {
    tenant.tags.first().map(|(_, value)| value.as_str())
}

/// Returns the ends of a tag with which another tenant's tag can begin: those that begin with the prefix of all tags.
fn ends<'a>(tag: &'a str, prefix: &str) -> impl Iterator<Item = &'a str> {
    let ends = tag.char_indices().filter_map(|(at, _)| tag.get(at..));
    ends.filter(move |end| end.starts_with(prefix))
}
