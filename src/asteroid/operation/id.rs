//! The ids in the paths of operations.

/// The name of an id in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdName {
    /// Of an agent.
    Agent,
    /// Of a workflow; at an older path, of one of its versions.
    Workflow,
    /// Of a version of a workflow.
    Version,
    /// Of an execution.
    Execution,
    /// Of a file.
    File,
    /// Of an organisation.
    Organization,
}

/// An id in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id<'a> {
    /// Its name.
    pub name: IdName,
    /// The id, as sent.
    pub text: &'a str,
}

impl IdName {
    const ALL: [IdName; 6] =
        [IdName::Agent, IdName::Workflow, IdName::Version, IdName::Execution, IdName::File, IdName::Organization];

    /// Returns the parameter's name in the specification.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            IdName::Agent => "agentId",
            IdName::Workflow => "workflowId",
            IdName::Version => "versionId",
            IdName::Execution => "executionId",
            IdName::File => "fileId",
            IdName::Organization => "organizationId",
        }
    }

    /// Returns its name in the log, the audit and traces.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            IdName::Agent => "agent_id",
            IdName::Workflow => "workflow_id",
            IdName::Version => "version_id",
            IdName::Execution => "execution_id",
            IdName::File => "file_id",
            IdName::Organization => "organization_id",
        }
    }

    /// Returns the name that a segment of a template stands for, as `agentId` for `{agentId}`.
    #[must_use]
    pub fn of_parameter(segment: &str) -> Option<IdName> {
        let name = segment.strip_prefix('{')?.strip_suffix('}')?;
        IdName::ALL.into_iter().find(|known| known.name() == name)
    }
}
