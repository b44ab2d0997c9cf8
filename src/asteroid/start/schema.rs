//! The rules for the members of a start's body, as data. Sources: `Agents.Agent.ExecuteAgentRequest` of the Agent
//! Service's specification (v1), including the sentences in its descriptions, and further members of the released SDK
//! `asteroid-odyssey` 1.9.167, in which `/workflows/{workflowId}/execute` accepts the same body.

use super::METADATA;

/// The rule for a value.
#[derive(Debug)]
pub(super) enum Rule {
    /// A string: a hyphenated uuid of 36 characters, in any case.
    Uuid,
    /// A string.
    Text,
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// `true` or `false`.
    Boolean,
    /// An integer without fraction or exponent, within 64 bits, at least this.
    Integer(i64),
    /// An object whose members only the upstream judges.
    Object,
    /// An object whose values are strings.
    Texts,
    /// An object with these members, among others.
    Members(&'static [Member]),
    /// An array of such objects.
    Each(&'static [Member]),
}

/// A known member.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: &'static str,
    pub(super) rule: Rule,
    /// For an optional member, `null` means absent.
    pub(super) required: bool,
    /// The member that must be absent if this one is present.
    pub(super) excludes: Option<&'static str>,
}

const fn optional(name: &'static str, rule: Rule) -> Member {
    Member { name, rule, required: false, excludes: None }
}

const fn required(name: &'static str, rule: Rule) -> Member {
    Member { name, rule, required: true, excludes: None }
}

/// Only one of two members that exclude each other has this rule, since the caller made one mistake.
const fn exclusive(name: &'static str, rule: Rule, excludes: &'static str) -> Member {
    Member { name, rule, required: false, excludes: Some(excludes) }
}

/// The whole body. There is no rule that files cannot be queued: no source says whether a start with both is refused or
/// only cannot wait.
pub(super) static BODY: [Member; 12] = [
    optional("inputs", Rule::Object),
    optional("dynamicData", Rule::Object),
    optional(METADATA, Rule::Texts),
    optional("version", Rule::Integer(i64::MIN)),
    exclusive("head", Rule::Boolean, "version"),
    optional("agentProfileId", Rule::Uuid),
    exclusive("agentProfilePoolId", Rule::Uuid, "agentProfileId"),
    optional("profileId", Rule::Uuid),
    exclusive("profileGroupId", Rule::Uuid, "profileId"),
    optional("executionOptions", Rule::Members(&EXECUTION_OPTIONS)),
    optional("tempFiles", Rule::Each(&TEMP_FILE)),
    optional("onCapacityLimit", Rule::OneOf(&["reject", "queue"])),
];

/// `sharedStorageKey` of the specification became `variantKey`. The agent's own time-out also bounds `softTimeoutMins`;
/// only the upstream knows it.
static EXECUTION_OPTIONS: [Member; 3] = [
    optional("sharedStorageKey", Rule::Text),
    optional("variantKey", Rule::Text),
    optional("softTimeoutMins", Rule::Integer(1)),
];

static TEMP_FILE: [Member; 2] = [required("id", Rule::Uuid), required("name", Rule::Text)];
