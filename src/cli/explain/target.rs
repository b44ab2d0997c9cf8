//! The call that `explain` explains.

use anyhow::{Context, bail};
use clap::Args;
use hyper::{Method, Uri};

use crate::asteroid::is_uuid;
use crate::asteroid::operation::{IdName, Operation};
use crate::config::{pasted, suggestion};

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(super) struct Target {
    /// The agent to start
    #[arg(long, value_name = "ID", conflicts_with_all = ["workflow", "operation", "call"])]
    agent: Option<String>,
    /// The workflow to start
    #[arg(long, value_name = "ID", conflicts_with_all = ["operation", "call"])]
    workflow: Option<String>,
    /// An operation by its name in the log, such as ExecutionRerun, with the ids of its path in `--id`; its execution is taken for
    /// the tenant's own
    #[arg(long, value_name = "NAME", conflicts_with = "call")]
    operation: Option<String>,
    /// An id in the path of `--operation`; can be repeated, in the order of the path
    #[arg(long, value_name = "ID", requires = "operation", conflicts_with_all = ["agent", "workflow", "call"])]
    id: Vec<String>,
    /// A call as it is written, such as GET /executions/ID; its execution is taken for the tenant's own
    #[arg(long, num_args = 2, value_names = ["METHOD", "PATH"])]
    call: Option<Vec<String>>,
}

impl Target {
    /// Returns the method and the target of the request.
    pub(super) fn parse(&self) -> anyhow::Result<(Method, Uri)> {
        match (&self.agent, &self.workflow, &self.operation, self.call.as_deref()) {
            (Some(id), ..) => of_operation(Operation::AgentExecute, "--agent", &[id]),
            (None, Some(id), ..) => of_operation(Operation::WorkflowExecute, "--workflow", &[id]),
            (None, None, Some(name), _) => {
                let ids: Vec<&str> = self.id.iter().map(String::as_str).collect();
                of_operation(named(name)?, "--id", &ids)
            }
            (None, None, None, Some([method, path])) => of_call(method, path),
            (None, None, None, _) => bail!("--agent, --workflow, --operation or --call is missing"),
        }
    }
}

fn named(name: &str) -> anyhow::Result<Operation> {
    let found = Operation::ALL.into_iter().find(|operation| operation.name().eq_ignore_ascii_case(name));
    found.with_context(|| {
        let question = suggestion::question(name, Operation::ALL.into_iter().map(Operation::name));
        format!("--operation {}: there is no such operation{question}", pasted::hide_api_key(name))
    })
}

fn of_operation(operation: Operation, option: &str, ids: &[&str]) -> anyhow::Result<(Method, Uri)> {
    let rules = operation.rules();
    let expected = rules.template.split('/').filter(|segment| IdName::of_parameter(segment).is_some()).count();
    if ids.len() != expected {
        let (name, template, given) = (rules.name, rules.template, ids.len());
        bail!("--operation {name}: its path {template} has {expected} of the ids that --id gives, and {given} came");
    }
    let target = operation.target(ids).with_context(|| {
        let wrong: Vec<&str> = ids.iter().filter(|id| !is_uuid(id)).map(|id| pasted::hide_api_key(id)).collect();
        format!("{option} {}", wrong.join(" "))
    })?;
    Ok((rules.method.clone(), target))
}

/// Parses a call as it is written. What may be an API key in it is not repeated, also not by the stages of a request.
fn of_call(method: &str, path: &str) -> anyhow::Result<(Method, Uri)> {
    let is_pasted = |text: &&str| !is_uuid(text) && pasted::may_be_api_key(text);
    let segments = path.split('?').next().into_iter().flat_map(|path| path.split('/'));
    if segments.chain([method]).any(|text| is_pasted(&text)) {
        bail!("--call: a part of it may be an API key, so it is not repeated; write a method and a path of CALLING.md");
    }
    let named = || format!("--call {method} {}", pasted::hide_api_key(path));
    Ok((method.parse().with_context(named)?, path.parse().with_context(named)?))
}
