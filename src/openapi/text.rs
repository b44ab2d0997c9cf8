//! The texts of the document.

use crate::asteroid::group::Group;
use crate::asteroid::operation::{BodyRule, Effect, Operation, Rules};
use crate::state::Limit;

/// Returns the description of the whole document.
pub(super) fn introduction() -> &'static str {
    "Asteroid's Agents API as this gateway serves it. The gateway adds the API key, so callers send none. It finds out which tenant \
     calls, keeps tenants apart, and keeps each within its limits.\n\n\
     **Answers.** An answer with the header `Proxy-Status` is the gateway's own. Every other one is Asteroid's, with its status and \
     body unchanged. `Proxy-Status` of Asteroid is dropped.\n\n\
     **Errors.** Match on `type`, never on texts. `outcome` says whether the request may have taken effect, and `retry` whether and \
     with which idempotency key to send it again. `x-asteroid-errors` lists the gateway's errors of each operation. Besides, every \
     path gets 404 `operation-not-served` if no operation has it, 405 `method` with `Allow` if an operation has another method, and \
     400 `target` if the request target is no path. A head of more than 16 KiB or 100 headers gets 431 without a body.\n\n\
     **Retries.** Send each start with an `Idempotency-Key` of its own, and its retries with the same: then no retry starts a second \
     execution. Without a key, retry a start only if `outcome` is `not_started`.\n\n\
     **Ownership.** An execution belongs to the tenant that started it through a gateway. Another tenant's execution and one that \
     does not exist get the same 404.\n\n\
     **Limits.** Each tenant can have limits. `RateLimit-Policy` states them, `RateLimit` says what is left, and a 429 names the limit \
     that is reached. `x-asteroid-limits` lists the limits that count each operation.\n\n\
     **Browsers** are not callers: a request with `Origin`, or with `Sec-Fetch-Site` other than `none`, gets 403.\n\n\
     **Queries.** A blank is `%20` and a plus `%2B`; a bare plus gets 400. A query has at most 8 KiB and 100 parameters."
}

/// Returns the description of a group.
pub(super) fn of_group(group: Group) -> &'static str {
    match group {
        Group::Start => "Starts of executions. Each costs money.",
        Group::Read => "Reads of one execution.",
        Group::List => "Listings of the tenant's own executions.",
        Group::Control => "Changes of an execution's status.",
        Group::Message => "Messages to the agent of an execution.",
        Group::Files => "Files and recordings of an execution, and uploads for a start.",
        Group::Rerun => "Repetitions of executions. Each costs money.",
        Group::Delete => "Deletion of executions that have ended.",
    }
}

/// Returns the summary of an operation.
pub(super) fn summary(operation: Operation) -> &'static str {
    match operation {
        Operation::AgentExecute => "Start an execution of an agent",
        Operation::WorkflowExecute => "Start an execution of a workflow",
        Operation::AgentExecuteSync => "Start an execution of an agent, and wait for its end",
        Operation::WorkflowExecuteSync => "Start an execution of a workflow, and wait for its end",
        Operation::AgentVersionExecute => "Start an execution of a version of an agent",
        Operation::WorkflowVersionExecute => "Start an execution of a version of a workflow",
        Operation::ExecutionRerun => "Repeat an execution",
        Operation::ExecutionList => "List executions",
        Operation::ExecutionGet => "Read an execution",
        Operation::ExecutionSync => "Wait for the end of an execution",
        Operation::ExecutionActivities => "Read the activities of an execution",
        Operation::ExecutionStatus => "Set the status of an execution",
        Operation::ExecutionCancel => "Cancel an execution",
        Operation::ExecutionPause => "Pause an execution",
        Operation::ExecutionResume => "Resume an execution",
        Operation::ExecutionMessage => "Send a message to the agent of an execution",
        Operation::ExecutionDelete => "Delete an execution",
        Operation::ContextFiles => "List the files that an execution was given",
        Operation::ContextFilesUpload => "Give files to a running execution",
        Operation::ContextFileDownload => "Download a file that an execution was given",
        Operation::ExecutionFiles => "List the files of an execution",
        Operation::ExecutionFileDownload => "Download a file of an execution",
        Operation::DebugFileDownload => "Download a debug file of an execution",
        Operation::AgentFiles => "List the files of an execution, at an older path",
        Operation::AgentFileDownload => "Download a file of an execution, at an older path",
        Operation::ExecutionRecording => "Watch the recording of an execution",
        Operation::TempFilesUpload => "Upload files for a start",
        Operation::TempFilesStage => "Upload files for a start, at an older path",
        Operation::V1Recording => "Find the recording of an execution, by v1",
        Operation::V1Status => "Read the status of an execution, by v1",
        Operation::V1Result => "Read the result of an execution, by v1",
    }
}

/// Returns what is particular about an operation, if anything is.
fn particular(operation: Operation) -> &'static str {
    match operation {
        Operation::AgentExecute => "Both eras of Asteroid have it. The newer one calls an agent a workflow.",
        Operation::WorkflowExecute => {
            "Only the newer era of Asteroid has it. It is the same as `/agents/{agentId}/execute` with the same id, also for \
             idempotency keys."
        }
        Operation::AgentExecuteSync | Operation::WorkflowExecuteSync => {
            "Only the newer era of Asteroid has it. Asteroid holds its answer for up to 25 seconds, so give your client a longer \
             time-out. An idempotency key is that of a start of the same agent without the wait. If the answer is too long to be \
             kept, a replay has only `executionId` and `status`."
        }
        Operation::AgentVersionExecute => {
            "Here `workflowId` is the version. With Asteroid of the older era, `inputs` gets 400: send `inputVariables`."
        }
        Operation::WorkflowVersionExecute => {
            "Only the newer era of Asteroid has it. It is the same as `/agents/{agentId}/workflows/{workflowId}/execute` with the \
             same ids, also for idempotency keys."
        }
        Operation::ExecutionRerun => {
            "Only the newer era of Asteroid has it. It copies metadata and options of the execution, and no other metadata can be \
             sent. So a lost answer cannot be looked up: only the gateway's own state knows an idempotency key."
        }
        Operation::ExecutionList => {
            "Lists only executions of the calling tenant: the gateway adds the filter by the tenant's tag, and checks each \
             execution before it passes the page on. Parameters of the newer era get 400 if the operator has not configured that \
             era. Any further parameter gets 400, unless the operator has named it in `upstream.list_parameters`."
        }
        Operation::ExecutionGet => "The answer is read whole, at most `answer_limit` bytes (16 MiB unless it is set).",
        Operation::ExecutionSync => {
            "Only the newer era of Asteroid has it. Asteroid holds its answer for up to 25 seconds, so give your client a longer \
             time-out."
        }
        Operation::ExecutionActivities => "The answer can be long. It is passed on as it comes.",
        Operation::ExecutionStatus => "Cancels, pauses and resumes in both eras of Asteroid.",
        Operation::ExecutionCancel | Operation::ExecutionPause | Operation::ExecutionResume => {
            "Only the newer era of Asteroid has it. Asteroid answers with an error if the execution has ended."
        }
        Operation::ExecutionMessage => "A message that is sent twice reaches the agent twice.",
        Operation::ExecutionDelete => {
            "Only the newer era of Asteroid has it, and only for executions that have ended; others get Asteroid's 400."
        }
        Operation::ContextFiles => "The answer is passed on as it comes.",
        Operation::ContextFilesUpload => {
            "The upload is passed on as it comes, and checked meanwhile. Once its first byte is sent, it is never sent again."
        }
        Operation::ContextFileDownload
        | Operation::ExecutionFileDownload
        | Operation::DebugFileDownload
        | Operation::AgentFileDownload => "Asteroid redirects to where the file is. Follow that without the gateway.",
        Operation::ExecutionFiles | Operation::AgentFiles => {
            "The directory `shared` can have files of other executions of the agent. Those of other tenants are cut out."
        }
        Operation::ExecutionRecording => {
            "Asteroid redirects to where the recording is. Follow that without the gateway, and ask again when the URL has expired."
        }
        Operation::TempFilesUpload => {
            "Only the newer era of Asteroid has it. Name the files in `tempFiles` of a start within 60 minutes. A file of another \
             tenant gets 400 there. A file that this gateway does not know passes: Asteroid judges it."
        }
        Operation::TempFilesStage => {
            "As `POST /temp-files`, with the organisation in the path. It must be that of the gateway, if the operator has set \
             `upstream.organization_id`."
        }
        Operation::V1Status | Operation::V1Result | Operation::V1Recording => {
            "For the wait helpers of older SDKs, which start by `/agents/v2` and poll here with the same id."
        }
    }
}

/// Returns the description of the gateway's description of itself.
pub(super) fn self_description() -> &'static str {
    "Only at the address of the gateway itself, below no other base. Nothing is sent to Asteroid, and no API key is needed.\n\n\
     **Limits.** Counted by `reads` and `in_flight`, as far as the tenant has these limits. If it has no limit `reads`, `requests` \
     counts it. The answer is for a moment: do not cache it.\n\n\
     **Group.** None, so it is always open."
}

/// Returns whether Asteroid has deprecated an operation.
pub(super) fn is_deprecated(operation: Operation) -> bool {
    matches!(operation, Operation::AgentFiles | Operation::AgentFileDownload | Operation::TempFilesStage)
}

/// Returns the description of an operation.
pub(super) fn description(operation: Operation) -> String {
    let rules = operation.rules();
    let mut parts = vec![particular(operation).to_owned()];
    parts.push(of_effect(rules.effect).to_owned());
    if is_about_execution(rules) {
        parts.push(
            "**Ownership.** The execution must be the tenant's own; otherwise the answer is 404 `not-found`, as if it did not exist."
                .to_owned(),
        );
    }
    let names: Vec<String> = limits(rules).iter().map(|limit| format!("`{}`", limit.code())).collect();
    let without =
        if rules.effect == Effect::Read { " If the tenant has no limit `reads`, `requests` counts it." } else { "" };
    parts.push(format!("**Limits.** Counted by {}, as far as the tenant has these limits.{without}", names.join(", ")));
    let default = if rules.group.is_open_by_default() { "open" } else { "closed" };
    let group = rules.group.code();
    parts.push(format!(
        "**Group.** `{group}`, which is {default} unless the operator sets `operations.{group}`. A closed operation gets 403 \
         `operation-closed`."
    ));
    parts.join("\n\n")
}

fn of_effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Read => {
            "**Effect.** None, so it can always be retried. The gateway itself sends it once more if its connection to Asteroid \
             breaks."
        }
        Effect::Change => {
            "**Effect.** It changes an execution. Once it is sent, it is finished even if the caller leaves. The gateway never sends \
             it again if Asteroid may have seen it. If `outcome` is `unknown`, or the answer has `Execution-Outcome: unknown`, read \
             the execution before you retry. The audit records it."
        }
        Effect::Start => {
            "**Effect.** It starts an execution, which costs money. Once it is sent, it is finished even if the caller leaves. If \
             `outcome` is `unknown`, or the answer has `Execution-Outcome: unknown`, an execution may run: retry with the same \
             `Idempotency-Key`. A retry gets the first answer again, with `Idempotent-Replayed: true`, for 24 hours unless the \
             operator sets `idempotency.retention`, and costs nothing. The gateway writes the tenant's tags into `metadata`. The \
             audit records it."
        }
    }
}

/// Returns the description of the body that an operation with this rule takes.
pub(super) fn body(rule: BodyRule) -> &'static str {
    match rule {
        BodyRule::None => "",
        BodyRule::Files => {
            "A form whose fields are all named `files`: at most `upload_limit` bytes (100 MiB unless the operator sets it) and 1000 \
             files. It must not pause for longer than `timeouts.body`. The boundary must not occur in a file."
        }
        BodyRule::Start
        | BodyRule::SyncStart
        | BodyRule::VersionStart
        | BodyRule::Rerun
        | BodyRule::Status
        | BodyRule::Message => {
            "One JSON object in UTF-8, without a byte order mark and uncompressed: at most `body_limit` bytes (1 MiB unless the \
             operator sets it) and 128 arrays and objects inside each other. No member that is listed here may occur twice, or be \
             spelled in another way, such as with other letter case. Further members pass unchanged. An integer is written without \
             fraction or exponent."
        }
    }
}

/// Returns the limits that count an operation.
pub(super) fn limits(rules: &Rules) -> Vec<Limit> {
    use crate::asteroid::query::QueryRule;
    let holds_no_place = rules.query == QueryRule::Sync;
    match rules.effect {
        Effect::Read if holds_no_place => vec![Limit::Reads],
        Effect::Read => vec![Limit::Reads, Limit::InFlight],
        Effect::Change => vec![Limit::Requests, Limit::InFlight],
        Effect::Start => vec![Limit::Requests, Limit::InFlight, Limit::Executions, Limit::Budget],
    }
}

/// Returns whether the path of an operation names an execution.
pub(super) fn is_about_execution(rules: &Rules) -> bool {
    rules.template.contains("{executionId}")
}
