//! The operations of the API: one table, a row for each.
//!
//! Paths are matched raw: nothing is decoded or normalised, so a path that is not exactly an operation's is refused. Sources
//! of the table: the vendor's specification, the released SDKs 1.7.257 and 1.9.167, and for `/api/v1` the wait helpers of the
//! vendor's older SDKs.

mod rules;
mod table;
#[cfg(test)]
mod tests;

use hyper::{Method, Uri};
use uuid::Uuid;

use super::is_uuid;

pub use rules::{AnswerRule, BodyRule, Effect, Part, Rules};

/// The longest part of a path that an error repeats, in bytes.
const MAX_SHOWN_PATH: usize = 256;

/// The reason why a request is not for an operation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No operation that is served has this path.
    #[error(
        "this gateway does not serve {method} {path:?}; that says nothing about any execution. Correct the path, or ask the operator \
         of this gateway to serve this operation"
    )]
    NotServed {
        /// The method that was sent.
        method: String,
        /// The path that was sent, cut if it is long.
        path: String,
    },
    /// The path is an operation's except for an id.
    #[error("{} in the path must be a hyphenated 36-character uuid", .0.name())]
    Id(IdName),
    /// The path is an operation's, and the method is not.
    #[error("the method is not that of this operation; send {}", allow.replace(", ", " or "))]
    Method {
        /// The value of `Allow`.
        allow: String,
    },
}

impl Error {
    /// Returns the error for a method and a path that no operation has.
    #[must_use]
    pub fn not_served(method: &Method, path: &str) -> Error {
        let cut = |text: &str| text.get(..text.floor_char_boundary(MAX_SHOWN_PATH)).unwrap_or_default().to_owned();
        Error::NotServed { method: cut(method.as_str()), path: cut(path) }
    }
}

/// An operation of the API that the gateway serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Starts an execution of an agent.
    AgentExecute,
    /// Starts an execution of a workflow, as the newer era calls an agent.
    WorkflowExecute,
    /// Lists executions.
    ExecutionList,
    /// Returns one execution.
    ExecutionGet,
    /// Waits until an execution has ended, for some seconds.
    ExecutionSync,
    /// Returns the activities of an execution.
    ExecutionActivities,
    /// Sets the status of an execution.
    ExecutionStatus,
    /// Cancels an execution.
    ExecutionCancel,
    /// Pauses an execution.
    ExecutionPause,
    /// Resumes an execution.
    ExecutionResume,
    /// Sends a message to the agent of an execution.
    ExecutionMessage,
    /// Deletes an execution.
    ExecutionDelete,
    /// Returns the status of an execution, in v1 of the API.
    V1Status,
    /// Returns the result of an execution, in v1 of the API.
    V1Result,
}

/// The name of an id in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdName {
    /// Of an agent.
    Agent,
    /// Of a workflow.
    Workflow,
    /// Of an execution.
    Execution,
}

impl IdName {
    /// Returns the parameter's name in the specification.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            IdName::Agent => "agentId",
            IdName::Workflow => "workflowId",
            IdName::Execution => "executionId",
        }
    }

    /// Returns its name in the log, the audit and traces.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            IdName::Agent => "agent_id",
            IdName::Workflow => "workflow_id",
            IdName::Execution => "execution_id",
        }
    }
}

/// The operations that have a path, and the id in it.
type Match<'a> = (&'static [Operation], Option<(IdName, &'a str)>);

/// Returns the operations that have a path in a part of the API, and its id.
fn operations_at<'a>(part: Part, segments: &[&'a str]) -> Option<Match<'a>> {
    use Operation as Is;
    if part == Part::V1 {
        return match *segments {
            ["execution", id, "status"] => Some((&[Is::V1Status], Some((IdName::Execution, id)))),
            ["execution", id, "result"] => Some((&[Is::V1Result], Some((IdName::Execution, id)))),
            _ => None,
        };
    }
    match *segments {
        ["agents", id, "execute"] => Some((&[Is::AgentExecute], Some((IdName::Agent, id)))),
        ["workflows", id, "execute"] => Some((&[Is::WorkflowExecute], Some((IdName::Workflow, id)))),
        ["executions"] => Some((&[Is::ExecutionList], None)),
        ["executions", id] => Some((&[Is::ExecutionGet, Is::ExecutionDelete], Some((IdName::Execution, id)))),
        ["executions", id, action] => {
            let operation: &[Operation] = match action {
                "sync" => &[Is::ExecutionSync],
                "activities" => &[Is::ExecutionActivities],
                "status" => &[Is::ExecutionStatus],
                "cancel" => &[Is::ExecutionCancel],
                "pause" => &[Is::ExecutionPause],
                "resume" => &[Is::ExecutionResume],
                "user-messages" => &[Is::ExecutionMessage],
                _ => return None,
            };
            Some((operation, Some((IdName::Execution, id))))
        }
        _ => None,
    }
}

/// More segments than the path of any operation has.
const MAX_SEGMENTS: usize = 8;

impl Operation {
    /// Every operation, in the order of their numbers.
    pub const ALL: [Operation; 14] = [
        Operation::AgentExecute,
        Operation::WorkflowExecute,
        Operation::ExecutionList,
        Operation::ExecutionGet,
        Operation::ExecutionSync,
        Operation::ExecutionActivities,
        Operation::ExecutionStatus,
        Operation::ExecutionCancel,
        Operation::ExecutionPause,
        Operation::ExecutionResume,
        Operation::ExecutionMessage,
        Operation::ExecutionDelete,
        Operation::V1Status,
        Operation::V1Result,
    ];

    /// The operations that start an execution.
    pub const STARTS: [Operation; 2] = [Operation::AgentExecute, Operation::WorkflowExecute];

    /// Returns the row of the table.
    #[must_use]
    pub fn rules(self) -> &'static Rules {
        match self {
            Operation::AgentExecute => &table::AGENT_EXECUTE,
            Operation::WorkflowExecute => &table::WORKFLOW_EXECUTE,
            Operation::ExecutionList => &table::EXECUTION_LIST,
            Operation::ExecutionGet => &table::EXECUTION_GET,
            Operation::ExecutionSync => &table::EXECUTION_SYNC,
            Operation::ExecutionActivities => &table::EXECUTION_ACTIVITIES,
            Operation::ExecutionStatus => &table::EXECUTION_STATUS,
            Operation::ExecutionCancel => &table::EXECUTION_CANCEL,
            Operation::ExecutionPause => &table::EXECUTION_PAUSE,
            Operation::ExecutionResume => &table::EXECUTION_RESUME,
            Operation::ExecutionMessage => &table::EXECUTION_MESSAGE,
            Operation::ExecutionDelete => &table::EXECUTION_DELETE,
            Operation::V1Status => &table::V1_STATUS,
            Operation::V1Result => &table::V1_RESULT,
        }
    }

    /// Returns the name that log, audit and spans use.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.rules().name
    }

    /// Returns the path below the base with the names of its ids, as the specification writes it.
    #[must_use]
    pub fn template(self) -> &'static str {
        self.rules().template
    }

    /// Returns the name of the operation that idempotency keys belong to. The two eras call the same thing an agent and a
    /// workflow, so a retry with the other path is a retry.
    #[must_use]
    pub fn idempotency_name(self) -> &'static str {
        if self == Operation::WorkflowExecute { Operation::AgentExecute.name() } else { self.name() }
    }

    /// Returns the target of a start, as a caller writes it below `/`.
    ///
    /// # Errors
    ///
    /// [`Error::Id`].
    pub fn target(self, id: &str) -> Result<Uri, Error> {
        let rules = self.rules();
        let not_served = || Error::not_served(rules.method, rules.template);
        let mut segments: Vec<&str> = rules.template.split('/').skip(1).collect();
        let (_, template_id) = operations_at(rules.part, &segments).ok_or_else(not_served)?;
        if let Some((id_name, name)) = template_id {
            if !is_uuid(id) {
                return Err(Error::Id(id_name));
            }
            segments.iter_mut().filter(|segment| **segment == name).for_each(|segment| *segment = id);
        }
        format!("/{}", segments.join("/")).parse().map_err(|_| not_served())
    }
}

/// A request for an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call<'a> {
    /// The operation.
    pub operation: Operation,
    /// The id in its path, as sent, and the name of that.
    pub id: Option<(IdName, &'a str)>,
    /// The query, as sent.
    pub query: Option<&'a str>,
    /// The path below the base, without the first slash: the operation's own words, and ids that are uuids.
    path: &'a str,
}

impl Call<'_> {
    /// Returns the operation's row of the table.
    #[must_use]
    pub fn rules(&self) -> &'static Rules {
        self.operation.rules()
    }

    /// Returns the execution that the call is about, if it is about one.
    #[must_use]
    pub fn execution(&self) -> Option<Uuid> {
        let (_, id) = self.id.filter(|(name, _)| *name == IdName::Execution)?;
        // Every id of a call is a uuid. If one were not, no execution would have it, and nothing would belong to the tenant.
        Some(id.parse().unwrap_or_default())
    }

    /// Returns whether the path of this call below `base`, without a query, is the target that was sent, byte by byte.
    #[must_use]
    pub fn matches_target(&self, base: &str, sent: &str) -> bool {
        sent.strip_prefix(base).and_then(|rest| rest.strip_prefix('/')) == Some(self.path)
    }

    /// Returns the path below the upstream's base, with its ids as they were sent.
    #[must_use]
    pub fn path(&self, base: &str) -> String {
        [base, "/", self.path].concat()
    }
}

/// Returns the call that a request makes.
///
/// # Errors
///
/// [`Error`].
pub fn select<'a>(method: &Method, target: &'a Uri) -> Result<Call<'a>, Error> {
    find(method, target.path()).map(|call| Call { query: target.query(), ..call })
}

fn find<'a>(method: &Method, sent: &'a str) -> Result<Call<'a>, Error> {
    let not_served = || Error::not_served(method, sent);
    let (part, path) = below_mount(sent).ok_or_else(not_served)?;
    let mut segments = [""; MAX_SEGMENTS];
    let mut count = 0;
    for segment in path.split('/') {
        *segments.get_mut(count).ok_or_else(not_served)? = segment;
        count += 1;
    }
    let segments = segments.get(..count).unwrap_or_default();
    let (operations, id) = operations_at(part, segments).ok_or_else(not_served)?;
    let Some(&operation) = operations.iter().find(|operation| *operation.rules().method == *method) else {
        let allow: Vec<&str> = operations.iter().map(|operation| operation.rules().method.as_str()).collect();
        return Err(Error::Method { allow: allow.join(", ") });
    };
    match id {
        Some((name, id)) if !is_uuid(id) => Err(Error::Id(name)),
        _ => Ok(Call { operation, id, query: None, path }),
    }
}

/// Returns the part of the API that a path belongs to, and the path below its mount: `/` or `/agents/v2/`, the bases of the two
/// eras of the SDK, or `/api/v1/`.
///
/// Either of the first two may be followed by a second slash: the SDK of the specification's era adds one if its base URL ends
/// in one.
fn below_mount(path: &str) -> Option<(Part, &str)> {
    if let Some(path) = path.strip_prefix("/api/v1/") {
        return Some((Part::V1, path));
    }
    let path = path.strip_prefix("/agents/v2").filter(|rest| rest.starts_with('/')).unwrap_or(path);
    let path = path.strip_prefix('/')?;
    Some((Part::Agents, path.strip_prefix('/').unwrap_or(path)))
}
