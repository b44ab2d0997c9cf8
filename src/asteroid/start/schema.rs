//! The rules for the members of a start's body, as data. Sources: `Agents.Agent.ExecuteAgentRequest` of the Agent
//! Service's specification (v1), including the sentences in its descriptions, and further members of the released SDK
//! `asteroid-odyssey` 1.9.167, in which `/workflows/{workflowId}/execute` accepts the same body.

use super::METADATA;
use crate::asteroid::body::schema::{Member, Rule, exclusive, optional, required};

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
