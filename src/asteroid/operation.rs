//! The operations of the API: one table, a row for each.
//!
//! Paths are matched raw: nothing is decoded or normalised, so a path that is not exactly an operation's is refused. Sources
//! of the table: the vendor's specification, and the released SDK of the newer era for `/workflows`.

use hyper::{Method, Uri};

use super::is_uuid;

/// The reason why a request is not for an operation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No operation has this path.
    #[error("no operation has this path; this gateway serves {}, below / and below /agents/v2", served())]
    Path,
    /// The path is an operation's except for an id.
    #[error("{} in the path must be a hyphenated 36-character uuid", .0.name())]
    Id(IdName),
    /// The path is an operation's, and the method is not.
    #[error("the method is not that of this operation; send {allow}")]
    Method {
        /// The value of `Allow`.
        allow: String,
    },
    /// The operation takes no query, and the request has one.
    #[error("this operation takes no query string; leave it out")]
    Query,
}

/// An operation of the API that the gateway serves or uses itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Starts an execution of an agent.
    AgentExecute,
    /// Starts an execution of a workflow, as the newer era calls an agent.
    WorkflowExecute,
    /// Lists executions. Only the gateway itself uses it.
    ExecutionList,
    /// Returns one execution. Only the gateway itself uses it.
    ExecutionGet,
}

/// The effect of an operation at the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It changes nothing.
    Read,
    /// It starts an execution, which costs money. So it counts against the budget, is recorded in the audit, runs to its end
    /// if its caller leaves, and has an outcome that may be unknown.
    Start,
}

impl Effect {
    /// Returns whether the audit records requests with this effect, refused ones included.
    #[must_use]
    pub const fn is_audited(self) -> bool {
        match self {
            Effect::Read => false,
            Effect::Start => true,
        }
    }
}

/// One row of the table: everything that distinguishes an operation from the others.
#[derive(Debug)]
pub struct Rules {
    /// The method.
    pub method: Method,
    /// The path below the base, with the names of its ids.
    pub template: &'static str,
    /// The `operationId` of the specification; if that has no such operation, a name in its style.
    pub name: &'static str,
    /// Its effect at the upstream.
    pub effect: Effect,
    /// How many bytes of its answer are read before it is passed on or judged.
    pub answer_head: usize,
}

static AGENT_EXECUTE: Rules = start("/agents/{agentId}/execute", "AgentExecutePost");
static WORKFLOW_EXECUTE: Rules = start("/workflows/{workflowId}/execute", "WorkflowExecutePost");
static EXECUTION_LIST: Rules = read("/executions", "ExecutionsList");
static EXECUTION_GET: Rules = read("/executions/{executionId}", "ExecutionGet");

const fn start(template: &'static str, name: &'static str) -> Rules {
    // The id of the execution is in the first part of the answer.
    Rules { method: Method::POST, template, name, effect: Effect::Start, answer_head: 64 * 1024 }
}

const fn read(template: &'static str, name: &'static str) -> Rules {
    // A page of executions, with everything that the API shows of each.
    Rules { method: Method::GET, template, name, effect: Effect::Read, answer_head: 8 * 1024 * 1024 }
}

/// The name of an id in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdName {
    /// Of an agent.
    Agent,
    /// Of a workflow.
    Workflow,
}

impl IdName {
    /// Returns the parameter's name in the specification.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            IdName::Agent => "agentId",
            IdName::Workflow => "workflowId",
        }
    }

    /// Returns its name in the log, the audit and traces.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            IdName::Agent => "agent_id",
            IdName::Workflow => "workflow_id",
        }
    }
}

/// Returns the operations that have a path, and its id.
fn operations_at<'a>(segments: &[&'a str]) -> Option<(&'static [Operation], IdName, &'a str)> {
    match *segments {
        ["agents", agent, "execute"] => Some((&[Operation::AgentExecute], IdName::Agent, agent)),
        ["workflows", workflow, "execute"] => Some((&[Operation::WorkflowExecute], IdName::Workflow, workflow)),
        _ => None,
    }
}

/// More segments than the path of any operation has.
const MAX_SEGMENTS: usize = 8;

impl Operation {
    /// Every operation, in the order of their numbers.
    pub const ALL: [Operation; 4] =
        [Operation::AgentExecute, Operation::WorkflowExecute, Operation::ExecutionList, Operation::ExecutionGet];

    /// The operations that callers may use.
    pub const SERVED: [Operation; 2] = [Operation::AgentExecute, Operation::WorkflowExecute];

    /// Returns the row of the table.
    #[must_use]
    pub fn rules(self) -> &'static Rules {
        match self {
            Operation::AgentExecute => &AGENT_EXECUTE,
            Operation::WorkflowExecute => &WORKFLOW_EXECUTE,
            Operation::ExecutionList => &EXECUTION_LIST,
            Operation::ExecutionGet => &EXECUTION_GET,
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

    /// Returns the target of a call, as a caller writes it below `/`.
    ///
    /// # Errors
    ///
    /// [`Error::Id`].
    pub fn target(self, id: &str) -> Result<Uri, Error> {
        let mut segments: Vec<&str> = self.template().split('/').skip(1).collect();
        let (_, id_name, name) = operations_at(&segments).ok_or(Error::Path)?;
        if !is_uuid(id) {
            return Err(Error::Id(id_name));
        }
        segments.iter_mut().filter(|segment| **segment == name).for_each(|segment| *segment = id);
        format!("/{}", segments.join("/")).parse().map_err(|_| Error::Path)
    }
}

/// A request for an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call<'a> {
    /// The operation.
    pub operation: Operation,
    /// The name of the id in its path.
    pub id_name: IdName,
    /// The id in its path, as sent.
    pub id: &'a str,
    /// The path below the base, without the first slash: the operation's own words, and ids that are uuids.
    path: &'a str,
}

impl Call<'_> {
    /// Returns the operation's row of the table.
    #[must_use]
    pub fn rules(&self) -> &'static Rules {
        self.operation.rules()
    }

    /// Returns whether the path of this call below `base` is the target that was sent, byte by byte.
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
/// [`Error::Path`], [`Error::Method`], [`Error::Id`], [`Error::Query`].
pub fn select<'a>(method: &Method, target: &'a Uri) -> Result<Call<'a>, Error> {
    let call = find(method, target.path())?;
    if target.query().is_some() { Err(Error::Query) } else { Ok(call) }
}

fn find<'a>(method: &Method, path: &'a str) -> Result<Call<'a>, Error> {
    let path = below_mount(path).ok_or(Error::Path)?;
    let mut segments = [""; MAX_SEGMENTS];
    let mut count = 0;
    for segment in path.split('/') {
        *segments.get_mut(count).ok_or(Error::Path)? = segment;
        count += 1;
    }
    let (operations, id_name, id) = operations_at(segments.get(..count).unwrap_or_default()).ok_or(Error::Path)?;
    let Some(&operation) = operations.iter().find(|operation| operation.rules().method == *method) else {
        let allow: Vec<&str> = operations.iter().map(|operation| operation.rules().method.as_str()).collect();
        return Err(Error::Method { allow: allow.join(", ") });
    };
    if is_uuid(id) { Ok(Call { operation, id_name, id, path }) } else { Err(Error::Id(id_name)) }
}

/// Returns a text of the operations that are served, for callers that used another path.
fn served() -> String {
    let one = |operation: Operation| format!("{} {}", operation.rules().method, operation.template());
    Operation::SERVED.map(one).join(" and ")
}

/// Returns the path below `/` or `/agents/v2/`, the bases of the two eras of the SDK.
///
/// Either may be followed by a second slash: the SDK of the specification's era adds one if its base URL ends in one.
fn below_mount(path: &str) -> Option<&str> {
    let path = path.strip_prefix("/agents/v2").filter(|rest| rest.starts_with('/')).unwrap_or(path);
    let path = path.strip_prefix('/')?;
    Some(path.strip_prefix('/').unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11";

    fn selected(path: &str) -> Result<Call<'_>, Error> {
        find(&Method::POST, path)
    }

    #[test]
    fn each_operation_is_found_below_both_bases_also_with_the_second_slash_that_a_base_url_with_one_makes() {
        for (kind, operation) in [("agents", Operation::AgentExecute), ("workflows", Operation::WorkflowExecute)] {
            for base in ["", "/", "/agents/v2", "/agents/v2/"] {
                let path = format!("{base}/{kind}/{ID}/execute");
                let call = selected(&path).unwrap();
                assert_eq!((call.operation, call.id), (operation, ID), "{path}");
                assert_eq!(operation.target(ID).unwrap().to_string(), format!("/{kind}/{ID}/execute"));
                assert_eq!(call.path("/base"), format!("/base/{kind}/{ID}/execute"), "{path}");
            }
        }
    }

    #[test]
    fn each_operation_has_its_number_and_a_served_one_is_found_at_its_template() {
        for (at, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(operation as usize, at);
            let Rules { method, template, name, effect, .. } = operation.rules();
            let names = Operation::ALL.into_iter().filter(|other| other.name() == *name);
            assert_eq!(names.count(), 1, "{name}");
            assert_eq!(*effect == Effect::Start, template.ends_with("/execute"), "{name}");
            let is_served = Operation::SERVED.contains(&operation);
            let path = template.split('/').map(|segment| if segment.starts_with('{') { ID } else { segment });
            let found = find(method, &path.collect::<Vec<_>>().join("/")).map(|call| call.operation).ok();
            assert_eq!(found, is_served.then_some(operation), "{name}");
        }
    }

    #[test]
    fn an_id_is_taken_in_any_case_and_goes_out_as_it_was_sent() {
        let id = "8D0F7A52-1c5e-4b8e-9f59-2F6F1F0A7C11";
        let path = format!("/agents/{id}/execute");
        assert_eq!(selected(&path).unwrap().path("/base"), format!("/base/agents/{id}/execute"));
    }

    #[test]
    fn a_path_that_is_not_exactly_an_operations_is_none() {
        let refused = [
            "*".to_owned(),
            "/".to_owned(),
            String::new(),
            format!("agents/{ID}/execute"),
            format!("///agents/{ID}/execute"),
            format!("/agents/{ID}/execute/"),
            format!("/agents/{ID}//execute"),
            format!("/agents/{ID}/execute/sync"),
            format!("/agents/{ID}/Execute"),
            format!("/agents/{ID}/%65xecute"),
            format!("/agents/{ID}/x/../execute"),
            format!("/agents/{ID}/execute;v=1"),
            format!("/agents/v2x/agents/{ID}/execute"),
            format!("/agents/v2/../agents/{ID}/execute"),
            format!("/agents/v2/agents/v2/agents/{ID}/execute"),
            format!("/agents\\{ID}\\execute"),
            format!("/team-a/agents/v2/agents/{ID}/execute"),
            format!("/agents/{ID}/..%2fexecute"),
            format!("/agents/{ID}/%2e%2e/{ID}/execute"),
            format!("/agents/{ID}/%252e%252e/execute"),
            format!("/agents/{ID}%2Fexecute"),
            format!("/agents/{ID}/execute%00"),
            format!("/agents/{ID}/execute%20"),
            format!("/agents%2f{ID}/execute"),
            format!("/agents/./{ID}/execute"),
            format!("/%61gents/{ID}/execute"),
            format!("/agents/v2/%2e%2e/v2/agents/{ID}/execute"),
            format!("/agents;v=2/{ID}/execute"),
            format!("/Agents/{ID}/execute"),
            format!("/workflows/{ID}/execute/"),
            format!("/workflows/{ID}/execute/sync"),
            format!("/workflows/{ID}/versions/{ID}/execute"),
            format!("/agents/{ID}/workflows/{ID}/execute"),
            format!("/executions/{ID}/execute"),
        ];
        for path in refused {
            assert!(matches!(selected(&path), Err(Error::Path)), "{path}");
        }
        let message = Error::Path.to_string();
        let served = "POST /agents/{agentId}/execute and POST /workflows/{workflowId}/execute, below";
        assert!(message.contains(served), "{message}");
    }

    #[test]
    fn an_id_that_is_no_hyphenated_uuid_is_named() {
        let decorated = ["%00", "%20", ";v=1", "\\", "%2e", "%2Fx", "0"].map(|behind| format!("{ID}{behind}"));
        let refused = ["", ".", "..", "%2e%2e", "%252e%252e", "x", &ID.replace('-', ""), &ID.replace('d', "g")];
        let encoded = [ID.replace('8', "%38"), format!("{{{ID}}}"), format!("..\\{ID}")];
        for id in refused.into_iter().chain(decorated.iter().chain(&encoded).map(String::as_str)) {
            for (kind, parameter, initial) in [("agents", "agentId", 'A'), ("workflows", "workflowId", 'W')] {
                let path = format!("/{kind}/{id}/execute");
                assert!(matches!(selected(&path), Err(Error::Id(name)) if name.name() == parameter), "{path}");
                let operation = Operation::SERVED.into_iter().find(|known| known.name().starts_with(initial)).unwrap();
                assert!(matches!(operation.target(id), Err(Error::Id(name)) if name.name() == parameter), "{id}");
            }
        }
    }

    #[test]
    fn another_method_is_told_which_one_is_taken() {
        let path = format!("/agents/{ID}/execute");
        for method in [Method::GET, Method::PUT, Method::HEAD, Method::OPTIONS, Method::CONNECT] {
            let refused = find(&method, &path);
            assert!(matches!(refused, Err(Error::Method { allow }) if allow == "POST"), "{method}");
        }
    }
}
