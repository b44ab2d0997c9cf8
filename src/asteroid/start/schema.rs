//! The rules for the members of a start's body, as data. Sources: `Agents.Agent.ExecuteAgentRequest` of the Agent
//! Service's specification (v1), including the sentences in its descriptions, and further members of the released SDK
//! `asteroid-odyssey` 1.9.167; for a version's start and a rerun, the SDKs 1.7.257 and 1.9.167.

use super::{METADATA, PARENT, TEMP_FILES};
use crate::asteroid::body::schema::{Member, Rule, exclusive, optional, required};

/// The longest time, in seconds, that the upstream waits for the end of an execution that it started.
const MAX_WAIT: i64 = 25;

const INPUTS: Member = optional("inputs", Rule::Object);
const DYNAMIC_DATA: Member = optional("dynamicData", Rule::Object);
const TAGS: Member = optional(METADATA, Rule::Texts);
const VERSION: Member = optional("version", Rule::Integer(i64::MIN, i64::MAX));
const HEAD: Member = exclusive("head", Rule::Boolean, "version");
const AGENT_PROFILE: Member = optional("agentProfileId", Rule::Uuid);
const AGENT_PROFILE_POOL: Member = exclusive("agentProfilePoolId", Rule::Uuid, "agentProfileId");
const PROFILE: Member = optional("profileId", Rule::Uuid);
const PROFILE_GROUP: Member = exclusive("profileGroupId", Rule::Uuid, "profileId");
const OPTIONS: Member = optional("executionOptions", Rule::Members(&EXECUTION_OPTIONS));
const FILES: Member = optional(TEMP_FILES, Rule::Each(&TEMP_FILE));
/// There is no rule that files cannot be queued: no source says whether a start with both is refused or only cannot wait.
const ON_CAPACITY: Member = optional("onCapacityLimit", Rule::OneOf(&["reject", "queue"]));
const INPUT_VARIABLES: Member = optional("inputVariables", Rule::Object);
/// Only a start of one version is known to take it. It names another execution, so it is judged in every body.
const PARENT_EXECUTION: Member = optional(PARENT, Rule::Uuid);

/// The body of a start of an agent.
pub(super) static BODY: [Member; 13] = [
    INPUTS,
    DYNAMIC_DATA,
    TAGS,
    VERSION,
    HEAD,
    AGENT_PROFILE,
    AGENT_PROFILE_POOL,
    PROFILE,
    PROFILE_GROUP,
    OPTIONS,
    FILES,
    ON_CAPACITY,
    PARENT_EXECUTION,
];

/// The body of a start of an agent that waits for its end.
pub(super) static SYNC_BODY: [Member; 14] = [
    INPUTS,
    DYNAMIC_DATA,
    TAGS,
    VERSION,
    HEAD,
    AGENT_PROFILE,
    AGENT_PROFILE_POOL,
    PROFILE,
    PROFILE_GROUP,
    OPTIONS,
    FILES,
    ON_CAPACITY,
    PARENT_EXECUTION,
    optional("timeoutSeconds", Rule::Integer(1, MAX_WAIT)),
];

/// The body of a start of one version, in the older era. A server of that era would start without the inputs of the newer one.
pub(super) static OLD_VERSION_BODY: [Member; 8] = [
    INPUT_VARIABLES,
    optional(
        "inputs",
        Rule::Absent(
            "belongs to the newer era of the API, and the upstream of this gateway is of the older one; send inputVariables instead",
        ),
    ),
    TAGS,
    FILES,
    OPTIONS,
    AGENT_PROFILE,
    AGENT_PROFILE_POOL,
    PARENT_EXECUTION,
];

/// The body of a start of one version, in the newer era.
pub(super) static VERSION_BODY: [Member; 10] = [
    INPUT_VARIABLES,
    exclusive("inputs", Rule::Object, "inputVariables"),
    TAGS,
    FILES,
    OPTIONS,
    AGENT_PROFILE,
    AGENT_PROFILE_POOL,
    PROFILE,
    PROFILE_GROUP,
    PARENT_EXECUTION,
];

/// The body of a rerun. It is not known to take files or another execution, which are judged in every body.
pub(super) static RERUN: [Member; 6] = [
    INPUTS,
    PROFILE,
    AGENT_PROFILE,
    FILES,
    PARENT_EXECUTION,
    // No server is known to take it. One that did would let a tenant write the tags of another.
    optional(
        METADATA,
        Rule::Absent(
            "cannot be given to a rerun, which gets the metadata of the execution that it repeats; leave it out",
        ),
    ),
];

/// `sharedStorageKey` of the specification became `variantKey`. The agent's own time-out also bounds `softTimeoutMins`;
/// only the upstream knows it.
static EXECUTION_OPTIONS: [Member; 3] = [
    optional("sharedStorageKey", Rule::Text),
    optional("variantKey", Rule::Text),
    optional("softTimeoutMins", Rule::Integer(1, i64::MAX)),
];

static TEMP_FILE: [Member; 2] = [required("id", Rule::Uuid), required("name", Rule::Text)];
