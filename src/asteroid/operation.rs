//! The operations of the API: one table, a row for each.
//!
//! Paths are matched raw: nothing is decoded or normalised, so a path that is not exactly an operation's is refused. Sources
//! of the table: the vendor's specification, the released SDKs 1.7.257 and 1.9.167, and for `/api/v1` the wait helpers of the
//! vendor's older SDKs.

mod id;
mod path;
mod rules;
mod table;
#[cfg(test)]
mod tests;

use hyper::{Method, Uri};
use uuid::Uuid;

use super::is_uuid;
use path::Match;

pub use id::{Id, IdName};
pub use table::SHORT_ANSWER;

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

/// Declares the operations: for each its name, and its row of the table.
macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident: $row:ident,)*) => {
        /// An operation of the API that the gateway serves.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Operation {
            $($(#[$doc])* $name,)*
        }

        impl Operation {
            /// Every operation, in the order of their numbers.
            pub const ALL: [Operation; [$(stringify!($name)),*].len()] = [$(Operation::$name),*];

            /// Returns the row of the table.
            #[must_use]
            pub fn rules(self) -> &'static Rules {
                match self {
                    $(Operation::$name => &table::$row,)*
                }
            }
        }
    };
}

operations! {
    /// Starts an execution of an agent.
    AgentExecute: AGENT_EXECUTE,
    /// Starts an execution of a workflow, as the newer era calls an agent.
    WorkflowExecute: WORKFLOW_EXECUTE,
    /// Starts an execution of an agent, and waits for its end for some seconds.
    AgentExecuteSync: AGENT_EXECUTE_SYNC,
    /// Starts an execution of a workflow, and waits for its end for some seconds.
    WorkflowExecuteSync: WORKFLOW_EXECUTE_SYNC,
    /// Starts an execution of one version of an agent, which the older era calls a workflow.
    AgentVersionExecute: AGENT_VERSION_EXECUTE,
    /// Starts an execution of one version of a workflow.
    WorkflowVersionExecute: WORKFLOW_VERSION_EXECUTE,
    /// Starts an execution that repeats another.
    ExecutionRerun: EXECUTION_RERUN,
    /// Lists executions.
    ExecutionList: EXECUTION_LIST,
    /// Returns one execution.
    ExecutionGet: EXECUTION_GET,
    /// Waits until an execution has ended, for some seconds.
    ExecutionSync: EXECUTION_SYNC,
    /// Returns the activities of an execution.
    ExecutionActivities: EXECUTION_ACTIVITIES,
    /// Sets the status of an execution.
    ExecutionStatus: EXECUTION_STATUS,
    /// Cancels an execution.
    ExecutionCancel: EXECUTION_CANCEL,
    /// Pauses an execution.
    ExecutionPause: EXECUTION_PAUSE,
    /// Resumes an execution.
    ExecutionResume: EXECUTION_RESUME,
    /// Sends a message to the agent of an execution.
    ExecutionMessage: EXECUTION_MESSAGE,
    /// Deletes an execution.
    ExecutionDelete: EXECUTION_DELETE,
    /// Returns the files that an execution was given.
    ContextFiles: CONTEXT_FILES,
    /// Gives files to a running execution.
    ContextFilesUpload: CONTEXT_FILES_UPLOAD,
    /// Redirects to a file that an execution was given.
    ContextFileDownload: CONTEXT_FILE_DOWNLOAD,
    /// Returns the files of an execution, by directory.
    ExecutionFiles: EXECUTION_FILES,
    /// Redirects to a file of an execution.
    ExecutionFileDownload: EXECUTION_FILE_DOWNLOAD,
    /// Redirects to a file that helps to find faults of an execution.
    DebugFileDownload: DEBUG_FILE_DOWNLOAD,
    /// Returns the files of an execution, at an older path.
    AgentFiles: AGENT_FILES,
    /// Redirects to a file of an execution, at an older path.
    AgentFileDownload: AGENT_FILE_DOWNLOAD,
    /// Redirects to the recording of an execution.
    ExecutionRecording: EXECUTION_RECORDING,
    /// Uploads files for a start.
    TempFilesUpload: TEMP_FILES_UPLOAD,
    /// Uploads files for a start, at an older path that names the organisation.
    TempFilesStage: TEMP_FILES_STAGE,
    /// Returns the status of an execution, in v1 of the API.
    V1Status: V1_STATUS,
    /// Returns the result of an execution, in v1 of the API.
    V1Result: V1_RESULT,
    /// Returns where the recording of an execution is, in v1 of the API.
    V1Recording: V1_RECORDING,
}

impl Operation {
    /// Returns every operation that starts an execution.
    pub fn starts() -> impl Iterator<Item = Operation> {
        Operation::ALL.into_iter().filter(|operation| operation.rules().effect == Effect::Start)
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

    /// Returns the name of the operation that idempotency keys belong to. Each era has its own word for an agent and for a
    /// version, so a retry with the other path is a retry. A start that waits for its end is a start of the same agent.
    #[must_use]
    pub fn idempotency_name(self) -> &'static str {
        use Operation as Is;
        match self {
            Is::WorkflowExecute | Is::AgentExecuteSync | Is::WorkflowExecuteSync => Is::AgentExecute.name(),
            Is::WorkflowVersionExecute => Is::AgentVersionExecute.name(),
            other => other.name(),
        }
    }

    /// Returns the target of a call with these ids, in the order of the template, as a caller writes it.
    ///
    /// # Errors
    ///
    /// [`Error::Id`]; [`Error::NotServed`], if these are too few or too many ids.
    pub fn target(self, ids: &[&str]) -> Result<Uri, Error> {
        let rules = self.rules();
        let not_served = || Error::not_served(rules.method, rules.template);
        let (mut path, mut ids) = (rules.part.mount().to_owned(), ids.iter());
        for segment in rules.template.split('/').skip(1) {
            path.push('/');
            match IdName::of_parameter(segment) {
                None => path.push_str(segment),
                Some(name) => {
                    let id = ids.next().ok_or_else(not_served)?;
                    path.push_str(if is_uuid(id) { id } else { return Err(Error::Id(name)) });
                }
            }
        }
        if ids.next().is_some() {
            return Err(not_served());
        }
        path.parse().map_err(|_| not_served())
    }
}

/// A request for an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call<'a> {
    /// The operation.
    pub operation: Operation,
    /// The ids in its path, in their order.
    pub ids: [Option<Id<'a>>; 2],
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

    /// Returns an id in its path, as sent.
    #[must_use]
    pub fn id(&self, name: IdName) -> Option<&str> {
        self.ids.iter().flatten().find(|id| id.name == name).map(|id| id.text)
    }

    /// Returns the execution that the call is about, if it is about one.
    #[must_use]
    pub fn execution(&self) -> Option<Uuid> {
        // Every id of a call is a uuid. If one were not, no execution would have it, and nothing would belong to the tenant.
        self.id(IdName::Execution).map(|id| id.parse().unwrap_or_default())
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
    let Match { operations, ids, path } = path::find(sent).ok_or_else(|| Error::not_served(method, sent))?;
    let Some(&operation) = operations.iter().find(|operation| *operation.rules().method == *method) else {
        let allow: Vec<&str> = operations.iter().map(|operation| operation.rules().method.as_str()).collect();
        return Err(Error::Method { allow: allow.join(", ") });
    };
    match ids.iter().flatten().find(|id| !is_uuid(id.text)) {
        Some(wrong) => Err(Error::Id(wrong.name)),
        None => Ok(Call { operation, ids, query: None, path }),
    }
}
