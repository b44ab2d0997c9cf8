//! The columns of the table of operations.

use hyper::Method;

use crate::asteroid::group::Group;
use crate::asteroid::query::QueryRule;

/// The effect of an operation at the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It changes nothing. So it ends with its caller, and may be sent again.
    Read,
    /// It changes an execution. So it is recorded in the audit, and runs to its end if its caller leaves.
    Change,
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
            Effect::Change | Effect::Start => true,
        }
    }
}

/// The part of the API that an operation belongs to. Each has a base of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `/agents/v2`.
    Agents,
    /// `/api/v1`.
    V1,
}

impl Part {
    /// Returns the prefix of its paths, as a caller writes them.
    #[must_use]
    pub const fn mount(self) -> &'static str {
        match self {
            Part::Agents => "",
            Part::V1 => "/api/v1",
        }
    }
}

/// The rule for the body of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyRule {
    /// It has no body.
    None,
    /// That of a start of an agent.
    Start,
    /// That of a start of an agent that waits for its end.
    SyncStart,
    /// That of a start of one version of an agent.
    VersionStart,
    /// That of a rerun, which may be left out.
    Rerun,
    /// A status to set.
    Status,
    /// A message.
    Message,
    /// Files, which are streamed.
    Files,
}

/// The rule for an answer: how much of it is read before it is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerRule {
    /// As many bytes, or a little more; the rest is streamed.
    Head(usize),
    /// All of it, if it is not too long and there is memory: it names the execution that was started, and may have its result.
    Started,
    /// All of it: an execution, which must belong to the tenant.
    Item,
    /// All of it: a page of executions, each of which must belong to the tenant.
    Page,
    /// All of it: files by directory, of which those of other executions must belong to executions of the tenant.
    Files,
    /// All of it, if it is not too long and there is memory: the ids of files that were uploaded for a start.
    Staged,
}

/// One row of the table: everything that distinguishes an operation from the others.
#[derive(Debug)]
pub struct Rules {
    /// The method.
    pub method: &'static Method,
    /// The path below the base, with the names of its ids.
    pub template: &'static str,
    /// The `operationId` of the specification; if that has no such operation, a name in its style.
    pub name: &'static str,
    /// The group that an operator opens or closes.
    pub group: Group,
    /// The part of the API.
    pub part: Part,
    /// Its effect at the upstream.
    pub effect: Effect,
    /// The rule for its query.
    pub query: QueryRule,
    /// The rule for its body.
    pub body: BodyRule,
    /// The rule for its answer.
    pub answer: AnswerRule,
}
