//! The table of operations, a row for each.

use hyper::Method;

use super::rules::{AnswerRule, BodyRule, Effect, Part, Rules};
use crate::asteroid::group::Group;
use crate::asteroid::query::QueryRule;

static GET: Method = Method::GET;
static POST: Method = Method::POST;
static DELETE: Method = Method::DELETE;

/// Short answers are read as a whole, so that one that breaks off is an error. The id of a started execution is in this part.
const SHORT: AnswerRule = AnswerRule::Head(64 * 1024);
/// Long answers are passed on as they come.
const STREAM: AnswerRule = AnswerRule::Head(0);

pub(super) static AGENT_EXECUTE: Rules = start("/agents/{agentId}/execute", "AgentExecutePost");
pub(super) static WORKFLOW_EXECUTE: Rules = start("/workflows/{workflowId}/execute", "WorkflowExecutePost");
pub(super) static EXECUTION_LIST: Rules = Rules {
    group: Group::List,
    query: QueryRule::Listing,
    answer: AnswerRule::Page,
    ..read("/executions", "ExecutionsList")
};
pub(super) static EXECUTION_GET: Rules =
    Rules { answer: AnswerRule::Item, ..read("/executions/{executionId}", "ExecutionGet") };
pub(super) static EXECUTION_SYNC: Rules =
    Rules { query: QueryRule::Sync, ..read("/executions/{executionId}/sync", "ExecutionSyncGet") };
pub(super) static EXECUTION_ACTIVITIES: Rules = Rules {
    query: QueryRule::Activities,
    answer: STREAM,
    ..read("/executions/{executionId}/activities", "ExecutionActivitiesGet")
};
pub(super) static EXECUTION_STATUS: Rules =
    Rules { body: BodyRule::Status, ..change("/executions/{executionId}/status", "ExecutionStatusUpdate") };
pub(super) static EXECUTION_CANCEL: Rules = change("/executions/{executionId}/cancel", "ExecutionCancel");
pub(super) static EXECUTION_PAUSE: Rules = change("/executions/{executionId}/pause", "ExecutionPause");
pub(super) static EXECUTION_RESUME: Rules = change("/executions/{executionId}/resume", "ExecutionResume");
pub(super) static EXECUTION_MESSAGE: Rules = Rules {
    group: Group::Message,
    body: BodyRule::Message,
    ..change("/executions/{executionId}/user-messages", "ExecutionUserMessagesAdd")
};
pub(super) static EXECUTION_DELETE: Rules =
    Rules { method: &DELETE, group: Group::Delete, ..change("/executions/{executionId}", "ExecutionDelete") };
pub(super) static V1_STATUS: Rules = v1("/execution/{executionId}/status", "V1ExecutionStatusGet");
pub(super) static V1_RESULT: Rules = v1("/execution/{executionId}/result", "V1ExecutionResultGet");

const fn start(template: &'static str, name: &'static str) -> Rules {
    Rules {
        method: &POST,
        template,
        name,
        group: Group::Start,
        part: Part::Agents,
        effect: Effect::Start,
        query: QueryRule::None,
        body: BodyRule::Start,
        answer: SHORT,
    }
}

const fn read(template: &'static str, name: &'static str) -> Rules {
    Rules {
        method: &GET,
        template,
        name,
        group: Group::Read,
        part: Part::Agents,
        effect: Effect::Read,
        query: QueryRule::None,
        body: BodyRule::None,
        answer: SHORT,
    }
}

const fn v1(template: &'static str, name: &'static str) -> Rules {
    Rules { part: Part::V1, ..read(template, name) }
}

const fn change(template: &'static str, name: &'static str) -> Rules {
    Rules { method: &POST, group: Group::Control, effect: Effect::Change, ..read(template, name) }
}
