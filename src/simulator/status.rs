//! The statuses of an execution.

use serde::{Deserialize, Serialize};

/// The status of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It waits for capacity. Only the newer era knows this.
    Queued,
    /// Its environment is made.
    Starting,
    /// It works.
    Running,
    /// A caller paused it.
    Paused,
    /// It waits for a person's consent.
    AwaitingConfirmation,
    /// It asked a question.
    PausedByAgent,
    /// It ended as intended.
    Completed,
    /// A caller ended it.
    Cancelled,
    /// It ended with an error.
    Failed,
}

/// Where a status belongs in the life of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Pending,
    Active,
    Terminal,
}

impl Status {
    const ALL: [Status; 9] = [
        Status::Queued,
        Status::Starting,
        Status::Running,
        Status::Paused,
        Status::AwaitingConfirmation,
        Status::PausedByAgent,
        Status::Completed,
        Status::Cancelled,
        Status::Failed,
    ];

    /// Returns its name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Status::Queued => "queued",
            Status::Starting => "starting",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::AwaitingConfirmation => "awaiting_confirmation",
            Status::PausedByAgent => "paused_by_agent",
            Status::Completed => "completed",
            Status::Cancelled => "cancelled",
            Status::Failed => "failed",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Returns whether an execution with this status has ended.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        self.phase() == Phase::Terminal
    }

    /// Returns whether an execution with this status waits for a person.
    pub(super) fn is_waiting(self) -> bool {
        matches!(self, Status::Paused | Status::AwaitingConfirmation | Status::PausedByAgent)
    }

    pub(super) fn phase(self) -> Phase {
        match self {
            Status::Queued => Phase::Pending,
            Status::Completed | Status::Cancelled | Status::Failed => Phase::Terminal,
            Status::Starting
            | Status::Running
            | Status::Paused
            | Status::AwaitingConfirmation
            | Status::PausedByAgent => Phase::Active,
        }
    }
}

impl Phase {
    pub(super) fn parse(name: &str) -> Option<Phase> {
        match name {
            "pending" => Some(Phase::Pending),
            "active" => Some(Phase::Active),
            "terminal" => Some(Phase::Terminal),
            _ => None,
        }
    }
}
