//! The parameters of queries, as data. Sources: the listing of SDK 1.7.257 and of 1.9.167, and the vendor's specification of
//! the older era. What is certain of a value is checked; the rest is for the upstream to judge.

use uuid::Uuid;

use super::argument::Argument;
use super::error::{Error, Excerpt};
use crate::asteroid::era::Era;
use crate::asteroid::is_uuid;

pub(super) const ORGANIZATION: &str = "organizationId";
pub(super) const PAGE: &str = "page";
pub(super) const PAGE_SIZE: &str = "pageSize";
pub(super) const METADATA_KEY: &str = "metadataKey";
pub(super) const METADATA_VALUE: &str = "metadataValue";
pub(super) const METADATA: &str = "metadata";
pub(super) const TIMEOUT_SECONDS: &str = "timeoutSeconds";

/// The longest time, in seconds, that the upstream holds an answer, and its default.
pub(super) const LIMIT_OF_WAIT: u64 = 25;

/// The values of a parameter.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// A hyphenated uuid of 36 characters, in any case.
    Uuid,
    /// An integer from the first to the second bound, in decimal digits and without a leading zero.
    Integer(i64, i64),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// Any text.
    Text,
    /// A text that is not empty.
    Word,
    /// A text, an equals sign and another text, of which the first is not empty.
    Pair,
}

/// A known parameter.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// The era since which servers know it.
    pub(super) since: Era,
    pub(super) is_repeatable: bool,
    pub(super) kind: Kind,
}

const fn single(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, since: Era::Old, is_repeatable: false, kind }
}

const fn array(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, since: Era::Old, is_repeatable: true, kind }
}

const fn newer(parameter: Parameter) -> Parameter {
    Parameter { since: Era::New, ..parameter }
}

const INT32: i64 = i32::MAX as i64;

/// Those of a wait for the end of an execution.
pub(super) static SYNC: [Parameter; 1] = [single(TIMEOUT_SECONDS, Kind::Integer(1, LIMIT_OF_WAIT.cast_signed()))];

/// Those of an execution's activities.
pub(super) static ACTIVITIES: [Parameter; 2] =
    [single("order", Kind::OneOf(&["asc", "desc"])), single("limit", Kind::Integer(1, INT32))];

/// Those of a recording.
pub(super) static RECORDING: [Parameter; 1] = [single("token", Kind::Text)];

/// Those of an upload for a start.
pub(super) static UPLOAD: [Parameter; 1] = [single(ORGANIZATION, Kind::Uuid)];

/// Those of a listing. Statuses, phases, sources and fields to sort by have grown between releases, so any text is one. Both SDKs
/// write times in a form of their own.
pub(super) static LISTING: [Parameter; 27] = [
    single(ORGANIZATION, Kind::Uuid),
    single(PAGE, Kind::Integer(1, INT32)),
    single(PAGE_SIZE, Kind::Integer(1, INT32)),
    single("executionId", Kind::Text),
    single("agentId", Kind::Uuid),
    newer(single("workflowId", Kind::Uuid)),
    array("agentProfileIds", Kind::Uuid),
    newer(array("profileIds", Kind::Uuid)),
    array("status", Kind::Text),
    newer(array("phase", Kind::Text)),
    array("humanLabels", Kind::Text),
    array("triggerSource", Kind::Text),
    single("outcomeLabel", Kind::Text),
    single("inputsKey", Kind::Text),
    single("inputsValue", Kind::Text),
    single(METADATA_KEY, Kind::Word),
    single(METADATA_VALUE, Kind::Text),
    newer(array(METADATA, Kind::Pair)),
    single("workflowVersion", Kind::Integer(i64::MIN, i64::MAX)),
    single("hasScriptFailures", Kind::OneOf(&["true", "false"])),
    single("createdAfter", Kind::Text),
    single("createdBefore", Kind::Text),
    newer(single("createdWithin", Kind::Text)),
    newer(single("sort", Kind::Text)),
    newer(single("batchId", Kind::Text)),
    single("sortField", Kind::Text),
    single("sortDirection", Kind::OneOf(&["asc", "desc"])),
];

/// Returns the parameter with this name.
pub(super) fn find(table: &'static [Parameter], name: &str) -> Option<&'static Parameter> {
    table.iter().find(|parameter| parameter.name == name)
}

/// Refuses a second value of a parameter that takes one.
pub(super) fn refuse_repeats(arguments: &[Argument<'_>], table: &'static [Parameter]) -> Result<(), Error> {
    for parameter in table.iter().filter(|parameter| !parameter.is_repeatable) {
        if arguments.iter().filter(|argument| argument.name == parameter.name).count() > 1 {
            return Err(Error::Repeated(parameter.name));
        }
    }
    Ok(())
}

impl Parameter {
    /// Checks a value.
    pub(super) fn check(&self, value: &str) -> Result<(), Error> {
        self.check_kind(self.kind, value)
    }

    /// Checks a value by another rule than that of the table.
    pub(super) fn check_kind(&self, kind: Kind, value: &str) -> Result<(), Error> {
        let fault = |rule| Err(Error::Value { name: self.name, rule, found: Excerpt::new(value) });
        if kind.admits(value) { Ok(()) } else { fault(kind.rule()) }
    }
}

impl Kind {
    pub(super) fn admits(self, value: &str) -> bool {
        match self {
            Kind::Uuid => is_uuid(value) && Uuid::try_parse(value).is_ok(),
            Kind::Integer(min, max) => integer(value).is_some_and(|number| (min..=max).contains(&number)),
            Kind::OneOf(values) => values.contains(&value),
            Kind::Text => true,
            Kind::Word => !value.is_empty(),
            Kind::Pair => value.split_once('=').is_some_and(|(key, _)| !key.is_empty()),
        }
    }

    /// Returns the rule as the end of a sentence that begins with "must be".
    fn rule(self) -> String {
        match self {
            Kind::Uuid => "a hyphenated 36-character uuid".to_owned(),
            Kind::Integer(min, max) => format!("an integer from {min} to {max}, in digits without a leading zero"),
            Kind::OneOf(values) => values.join(" or "),
            Kind::Text => "a text".to_owned(),
            Kind::Word => "a text that is not empty".to_owned(),
            Kind::Pair => "key=value, percent-encoded, with a key that is not empty".to_owned(),
        }
    }
}

/// Returns the integer that every reader takes a text for.
fn integer(text: &str) -> Option<i64> {
    text.parse().ok().filter(|number: &i64| number.to_string() == text)
}
