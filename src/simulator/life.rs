//! The life of one execution.
//!
//! ```text
//! starting ──> running ──> completed, failed       by time, as planned
//!    any live status ──> paused, running, cancelled    by a caller
//! ```
//!
//! No task moves it on. Whoever looks at it first enters the states for which it has been time since the last look, each at
//! its own time, so nobody sees the difference.

use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use super::activity::{Activity, ActivityKind, History};
use super::plan::{LifePlan, PlannedEnd};
use super::status::Status;

/// The state of an execution, and what has happened to it.
#[derive(Debug, Clone, Serialize)]
pub struct Life {
    /// The status at the last look.
    pub status: Status,
    /// The time at which it began.
    #[serde(skip)]
    entered: Instant,
    /// For how long the execution was starting and running before that. It does not age while it is paused.
    #[serde(skip)]
    worked: Duration,
    #[serde(skip)]
    plan: LifePlan,
    /// The time of the start, by both clocks.
    #[serde(skip)]
    pub(super) started: Instant,
    #[serde(skip)]
    started_at: SystemTime,
    #[serde(skip)]
    first_run: Option<Instant>,
    #[serde(skip)]
    history: History,
}

impl Life {
    /// Begins a life now.
    pub(super) fn new(plan: LifePlan) -> Life {
        let now = Instant::now();
        let mut life = Life {
            status: Status::Starting,
            entered: now,
            worked: Duration::ZERO,
            plan,
            started: now,
            started_at: SystemTime::now(),
            first_run: None,
            history: History::default(),
        };
        life.record(now, ActivityKind::Entered(Status::Starting));
        life.advance(now);
        life
    }

    /// Enters the states for which it is time.
    pub(super) fn advance(&mut self, now: Instant) {
        while let Some((at, status)) = self.next().filter(|(at, _)| *at <= now) {
            self.enter(status, at);
        }
    }

    /// Returns when it will be moved on by time alone.
    pub(super) fn next_change(&self) -> Option<Instant> {
        self.next().map(|(at, _)| at)
    }

    fn next(&self) -> Option<(Instant, Status)> {
        let (total, status) = match self.status {
            Status::Starting => (self.plan.starting()?, Status::Running),
            Status::Running => (self.plan.duration.0?, self.planned_end()),
            Status::Queued
            | Status::Paused
            | Status::AwaitingConfirmation
            | Status::PausedByAgent
            | Status::Completed
            | Status::Cancelled
            | Status::Failed => return None,
        };
        Some((self.entered.checked_add(total.saturating_sub(self.worked))?, status))
    }

    fn planned_end(&self) -> Status {
        match self.plan.end {
            PlannedEnd::Completed => Status::Completed,
            PlannedEnd::Failed => Status::Failed,
        }
    }

    /// Enters a state at this time.
    pub(super) fn enter(&mut self, status: Status, at: Instant) {
        if matches!(self.status, Status::Starting | Status::Running) {
            self.worked += at.saturating_duration_since(self.entered);
        }
        (self.status, self.entered) = (status, at);
        if status == Status::Completed {
            self.record(at, ActivityKind::StepCompleted);
        }
        self.record(at, ActivityKind::Entered(status));
        if status.is_terminal() {
            self.record(at, ActivityKind::Ended(status));
        }
        if status == Status::Running && self.first_run.is_none() {
            self.first_run = Some(at);
            for kind in [ActivityKind::StepStarted, ActivityKind::Reasoned, ActivityKind::FileAdded] {
                self.record(at, kind);
            }
        }
    }

    pub(super) fn record(&mut self, at: Instant, kind: ActivityKind) {
        self.history.push(at, kind);
    }

    pub(super) fn activities(&self) -> impl DoubleEndedIterator<Item = &Activity> {
        self.history.iter()
    }

    pub(super) fn has_staff_notes(&self) -> bool {
        self.plan.staff_notes
    }

    /// Returns the time of the start, in RFC 3339.
    pub(super) fn created_at(&self) -> String {
        self.written(self.started)
    }

    /// Returns the time at which the present status began.
    pub(super) fn entered_at(&self) -> String {
        self.written(self.entered)
    }

    /// Returns the time at which it began to run, if it has.
    pub(super) fn first_run_at(&self) -> Option<String> {
        self.first_run.map(|at| self.written(at))
    }

    /// Returns the seconds from the start to the end of an execution that has ended.
    pub(super) fn seconds(&self) -> f64 {
        self.entered.saturating_duration_since(self.started).as_secs_f64()
    }

    /// Writes a time in RFC 3339.
    pub(super) fn written(&self, at: Instant) -> String {
        let at = self.started_at + at.saturating_duration_since(self.started);
        humantime::format_rfc3339_micros(at).to_string()
    }
}
