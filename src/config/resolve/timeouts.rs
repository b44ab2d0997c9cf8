//! `timeouts` and `drain`: the time limits for the parts of an exchange, and the graceful shutdown.

use std::time::Duration;

use crate::config::file;
use crate::config::finding::{Findings, Path};

use super::{Drain, Section, Timeouts};

const MIN_TIMEOUT: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn resolve(written: &file::Timeouts, findings: &mut Findings) -> Option<Timeouts> {
    let mut section = Section { findings, path: Path::default().join("timeouts") };
    let connect = section.duration("connect", written.connect.as_ref(), 5, MIN_TIMEOUT..=HOUR);
    let response = section.duration("response", written.response.as_ref(), 60, MIN_TIMEOUT..=HOUR);
    let body = section.duration("body", written.body.as_ref(), 30, MIN_TIMEOUT..=HOUR);
    let idle = section.duration("idle", written.idle.as_ref(), 50, MIN_TIMEOUT..=HOUR);
    let caller_idle = section.duration("caller_idle", written.caller_idle.as_ref(), 75, MIN_TIMEOUT..=HOUR);
    Some(Timeouts { connect: connect?, response: response?, body: body?, idle: idle?, caller_idle: caller_idle? })
}

pub(super) fn drain(written: &file::Drain, findings: &mut Findings) -> Option<Drain> {
    let mut section = Section { findings, path: Path::default().join("drain") };
    let delay = section.duration("delay", written.delay.as_ref(), 0, Duration::ZERO..=HOUR);
    let timeout = section.duration("timeout", written.timeout.as_ref(), 65, Duration::ZERO..=HOUR);
    Some(Drain { delay: delay?, timeout: timeout? })
}

/// Warns if a request that is in flight when the drain begins may take longer than the drain: `timeouts.response` and some
/// seconds.
pub(super) fn warn_of_short_drain(timeouts: &Timeouts, drain: &Drain, findings: &mut Findings) {
    let needed = timeouts.response + Duration::from_secs(5);
    if drain.timeout < needed {
        let needed = humantime::format_duration(needed);
        let path = Path::default().join("drain").join("timeout");
        let message = format!(
            "is less than `timeouts.response` plus 5s: paid starts could be cut off at a shutdown; write {needed}"
        );
        findings.warnings.push(&path, message);
    }
}
