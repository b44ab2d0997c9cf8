//! `tenants.*.limits`: the limits of a tenant.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use crate::config::finding::{Findings, Path};
use crate::config::{file, units};
use crate::state::{Limits, Rate};

use super::Tenant;

/// The largest burst, and the largest number of requests in flight.
const MAX_COUNT: u32 = 1_000_000;

/// The largest daily budget.
const MAX_PER_DAY: u32 = 1_000_000_000;

/// The longest time in which a burst may refill. A longer one is a mistake.
const MAX_REFILL_SECONDS: u64 = 366 * 24 * 60 * 60;

pub(super) fn resolve(written: file::Limits, path: &Path, findings: &mut Findings) -> Option<Limits> {
    let executions = rate(written.executions, &path.join("executions"), findings);
    let requests = rate(written.requests, &path.join("requests"), findings);
    let reads = rate(written.reads, &path.join("reads"), findings);
    let in_flight = count(written.in_flight, &path.join("in_flight"), MAX_COUNT, findings);
    let budget = match written.budget {
        Some(written) => budget(written, &path.join("budget"), findings).map(Some),
        None => Some(None),
    };
    Some(Limits { requests: requests?, reads: reads?, executions: executions?, in_flight: in_flight?, budget: budget? })
}

/// Returns `None` if a fault is recorded, `Some(None)` if nothing is written. The functions below do the same.
fn rate(written: Option<file::Rate>, path: &Path, findings: &mut Findings) -> Option<Option<Rate>> {
    let Some(file::Rate { rate, burst }) = written else { return Some(None) };
    let burst = count(burst, &path.join("burst"), MAX_COUNT, findings);
    let at = path.join("rate");
    let Some(file::Quantity(text)) = rate else {
        return findings.report_missing(&at, "missing; write a rate such as 30/m");
    };
    let (amount, per) = match units::rate(&text) {
        Ok(rate) => rate,
        Err(message) => return findings.refuse(&at, message),
    };
    let burst = burst?.unwrap_or(amount);
    if u64::from(burst.get()) * u64::from(per.seconds()) > u64::from(amount.get()) * MAX_REFILL_SECONDS {
        return findings.refuse(&path.join("burst"), "would take more than 366 days to refill; write a smaller one");
    }
    Some(Some(Rate { amount, per, burst }))
}

fn budget(written: file::Budget, path: &Path, findings: &mut Findings) -> Option<NonZeroU32> {
    let executions = count(written.executions, &path.join("executions"), MAX_PER_DAY, findings);
    if let Some(None) = executions {
        findings.report_missing::<()>(&path.join("executions"), "missing; write the number of executions per day");
    }
    let daily = match written.per.as_deref() {
        Some("day") => Some(()),
        Some(_) => findings.refuse(&path.join("per"), "must be day: the UTC calendar day"),
        None => findings.report_missing(&path.join("per"), "missing; write `per: day`, the UTC calendar day"),
    };
    match written.local.as_ref().map(|file::Flag(text)| text.as_str()) {
        None => {}
        Some("true" | "false") => {
            findings.warnings.push(&path.join("local"), "has no effect and is no longer needed; leave it out");
        }
        Some(_) => findings.faults.push(&path.join("local"), "must be true or false"),
    }
    daily.and(executions).flatten()
}

/// Warns once of all budgets.
pub(super) fn warn_of_local_budgets(tenants: &BTreeMap<String, Tenant>, findings: &mut Findings) {
    let mut limited = tenants.iter().filter(|(_, tenant)| tenant.limits.budget.is_some());
    let Some((first, _)) = limited.next() else { return };
    let more = match limited.count() {
        0 => String::new(),
        more => format!(" (as are {more} more)"),
    };
    let path = Path::default().join("tenants").join(first).join("limits").join("budget");
    findings.warnings.push(&path, format!("is counted by this process only and forgotten when it ends{more}"));
}

fn count(
    written: Option<file::Quantity>,
    path: &Path,
    max: u32,
    findings: &mut Findings,
) -> Option<Option<NonZeroU32>> {
    let Some(file::Quantity(text)) = written else { return Some(None) };
    match text.trim().parse::<NonZeroU32>().ok().filter(|count| count.get() <= max) {
        Some(count) => Some(Some(count)),
        None => findings.refuse(path, format!("must be a whole number from 1 to {max}")),
    }
}
