//! Graceful shutdown: two signals and a deadline.
//!
//! ```text
//! Serving ── Drain::run ──→ Draining ── schedule.delay ──→ Closing ── schedule.timeout ──→ the rest is aborted
//! ```
//!
//! While it is draining, the gateway serves as before and tells load balancers and callers to go elsewhere. Once it is closing,
//! nothing more is accepted, and requests in flight have until the deadline.

use std::time::Duration;

use tokio::sync::watch;

/// How long each part of a drain takes.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// From `Draining` to `Closing`.
    pub delay: Duration,
    /// From `Closing` to the deadline, when the remaining requests are aborted.
    pub timeout: Duration,
}

/// The phases, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    Draining,
    Closing,
}

/// The sender of the drain's signals.
#[derive(Debug)]
pub struct Drain(watch::Sender<Phase>);

/// A receiver of the drain's signals, for everything that serves.
#[derive(Debug, Clone)]
pub struct DrainSignal(watch::Receiver<Phase>);

/// Creates a drain that has not begun, and returns it with a receiver.
#[must_use]
pub fn channel() -> (Drain, DrainSignal) {
    let (sender, receiver) = watch::channel(Phase::Serving);
    (Drain(sender), DrainSignal(receiver))
}

impl Drain {
    /// Signals `Draining` and, after the schedule's delay, `Closing`. Calls `before_closing` just before `Closing`, when callers may
    /// still connect.
    pub async fn run(&self, schedule: Schedule, before_closing: impl FnOnce()) {
        self.0.send_replace(Phase::Draining);
        tokio::time::sleep(schedule.delay).await;
        before_closing();
        self.0.send_replace(Phase::Closing);
    }
}

impl DrainSignal {
    /// Returns whether callers are told to go elsewhere.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        *self.0.borrow() >= Phase::Draining
    }

    /// Returns whether accepting has to end.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        *self.0.borrow() == Phase::Closing || self.0.has_changed().is_err()
    }

    /// Resolves when callers are told to go elsewhere.
    pub async fn draining(&mut self) {
        drop(self.0.wait_for(|phase| *phase >= Phase::Draining).await);
    }

    /// Resolves when accepting has to end, also if the [`Drain`] was dropped, since it can then send no further signal.
    pub async fn closing(&mut self) {
        drop(self.0.wait_for(|phase| *phase == Phase::Closing).await);
    }
}
