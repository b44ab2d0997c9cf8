//! What the members of a start's body must be, as data. Sources: `Agents.Agent.ExecuteAgentRequest` of the Agent
//! Service's specification (v1), the sentences in its descriptions included, and the members that the released SDK
//! `asteroid-odyssey` 1.9.167 has beside it, where `/workflows/{workflowId}/execute` takes the same body.

use super::METADATA;

/// What a value must be.
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
    /// A number without fraction or exponent that 64 bits can hold, at least this.
    Integer(i64),
    /// An object whose members are the upstream's to judge.
    Object,
    /// An object whose values are strings.
    Texts,
    /// An object with these members, among others.
    Members(&'static [Member]),
    /// An array of such objects.
    Each(&'static [Member]),
}

/// A member that is known.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: &'static str,
    pub(super) rule: Rule,
    /// Of a member that may be absent, `null` means that it is.
    pub(super) required: bool,
    /// The member that must be absent where this one is there.
    pub(super) excludes: Option<&'static str>,
}

const fn optional(name: &'static str, rule: Rule) -> Member {
    Member { name, rule, required: false, excludes: None }
}

const fn required(name: &'static str, rule: Rule) -> Member {
    Member { name, rule, required: true, excludes: None }
}

/// Of two members that exclude each other one says so: the caller made one mistake.
const fn exclusive(name: &'static str, rule: Rule, excludes: &'static str) -> Member {
    Member { name, rule, required: false, excludes: Some(excludes) }
}

/// The whole body. That files cannot be queued is not among the rules: whether a start with both is refused or only
/// cannot wait, no source says.
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

/// `sharedStorageKey` of the specification became `variantKey`. The agent's own time-out bounds `softTimeoutMins` too,
/// and only the upstream knows it.
static EXECUTION_OPTIONS: [Member; 3] = [
    optional("sharedStorageKey", Rule::Text),
    optional("variantKey", Rule::Text),
    optional("softTimeoutMins", Rule::Integer(1)),
];

static TEMP_FILE: [Member; 2] = [required("id", Rule::Uuid), required("name", Rule::Text)];
