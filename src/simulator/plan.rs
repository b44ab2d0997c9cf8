//! How executions that are not interfered with live.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The longest time for which an execution is `starting`, if nothing else is planned.
const MAX_STARTING: Duration = Duration::from_secs(1);

/// How the executions that are started from now on live, if nobody interferes.
///
/// As JSON: `{"duration": "10s", "starting": null, "end": "completed", "staff_notes": false}`; all members are optional.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LifePlan {
    /// The time from the start to the end, without that in which it is paused or waits for a person.
    pub duration: LifeDuration,
    /// The part of it for which the execution is `starting`; by default a second, or a tenth of `duration` if that is less.
    pub starting: Option<LifeDuration>,
    /// How it ends.
    pub end: PlannedEnd,
    /// Whether it has a comment and a label of the vendor's customer, as staff add them.
    pub staff_notes: bool,
}

impl Default for LifePlan {
    fn default() -> LifePlan {
        LifePlan {
            duration: LifeDuration(Some(Duration::from_secs(10))),
            starting: None,
            end: PlannedEnd::Completed,
            staff_notes: false,
        }
    }
}

impl LifePlan {
    /// Returns a plan by which executions run at once and never end.
    #[must_use]
    pub fn endless() -> LifePlan {
        LifePlan {
            duration: LifeDuration(None),
            starting: Some(LifeDuration(Some(Duration::ZERO))),
            ..LifePlan::default()
        }
    }

    /// Returns for how long an execution is `starting`; `None` means for ever.
    pub(super) fn starting(&self) -> Option<Duration> {
        let default = || Some(self.duration.0.map_or(MAX_STARTING, |duration| (duration / 10).min(MAX_STARTING)));
        self.starting.map_or_else(default, |starting| starting.0)
    }
}

/// A time such as `10s` or `50ms`, or `never`, which is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LifeDuration(pub Option<Duration>);

impl FromStr for LifeDuration {
    type Err = String;

    fn from_str(text: &str) -> Result<LifeDuration, String> {
        if text == "never" {
            return Ok(LifeDuration(None));
        }
        let duration = humantime::parse_duration(text);
        duration.map(|duration| LifeDuration(Some(duration))).map_err(|error| format!("{error}: write 10s or never"))
    }
}

impl fmt::Display for LifeDuration {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(duration) => humantime::format_duration(duration).fmt(out),
            None => out.write_str("never"),
        }
    }
}

impl TryFrom<String> for LifeDuration {
    type Error = String;

    fn try_from(text: String) -> Result<LifeDuration, String> {
        text.parse()
    }
}

impl From<LifeDuration> for String {
    fn from(duration: LifeDuration) -> String {
        duration.to_string()
    }
}

/// How an execution ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlannedEnd {
    /// With a result.
    Completed,
    /// With an error.
    Failed,
}
