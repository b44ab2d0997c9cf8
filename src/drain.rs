//! Leaving in order: two signals, one deadline.
//!
//! `Leaving` comes first and tells load balancers and callers to go elsewhere while everything is still served;
//! `Closing` ends accepting. What is in flight then has until the deadline.

use std::time::Duration;

use tokio::sync::watch;

/// How long each part of a drain takes.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// From `Leaving` to `Closing`.
    pub delay: Duration,
    /// From `Closing` to the moment when what is left is cut off.
    pub timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    Leaving,
    Closing,
}

/// Starts the drain; the other end of every [`Draining`].
#[derive(Debug)]
pub struct Drain(watch::Sender<Phase>);

/// What everybody who serves holds to learn of the drain.
#[derive(Debug, Clone)]
pub struct Draining(watch::Receiver<Phase>);

/// A drain that has not begun, and what listens to it.
#[must_use]
pub fn channel() -> (Drain, Draining) {
    let (sender, receiver) = watch::channel(Phase::Serving);
    (Drain(sender), Draining(receiver))
}

impl Drain {
    /// Signals `Leaving`, and `Closing` after the schedule's delay; just before that, `names` are dropped.
    pub async fn begin<N>(&self, schedule: Schedule, names: N) {
        self.0.send_replace(Phase::Leaving);
        tokio::time::sleep(schedule.delay).await;
        // Who finds no name is refused at once; who found it is in a queue that will be emptied.
        drop(names);
        self.0.send_replace(Phase::Closing);
    }
}

impl Draining {
    /// Whether callers are being told to go elsewhere.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        *self.0.borrow() >= Phase::Leaving
    }

    /// Whether accepting has to end.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        *self.0.borrow() == Phase::Closing || self.0.has_changed().is_err()
    }

    /// Resolves when callers are being told to go elsewhere.
    pub async fn leaving(&mut self) {
        drop(self.0.wait_for(|phase| *phase >= Phase::Leaving).await);
    }

    /// Resolves when accepting has to end. A lost [`Drain`] counts as that: nobody is left to say it.
    pub async fn closing(&mut self) {
        drop(self.0.wait_for(|phase| *phase == Phase::Closing).await);
    }
}
