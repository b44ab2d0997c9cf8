//! How long the upstream may take to answer.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

/// How often the runtime reads its sockets before an answer is given up. A connection needs a turn for the head and one for
/// each part of a body.
const LAST_TURNS: usize = 16;

/// The time-out of one request. It runs from when the request is first handed to a connection.
#[derive(Debug)]
pub struct ResponseTimer {
    response: Duration,
    overtime: Option<Arc<Overtime>>,
    begun: OnceLock<Instant>,
}

/// A time after the time-out in which an answer is still read.
#[derive(Debug)]
pub struct Overtime {
    length: Duration,
    has_begun: AtomicBool,
    begin: Notify,
}

impl Overtime {
    /// Creates one that has not begun.
    #[must_use]
    pub fn new(length: Duration) -> Overtime {
        Overtime { length, has_begun: AtomicBool::new(false), begin: Notify::new() }
    }

    /// Resolves when a time-out has passed without an answer. One task may wait.
    pub async fn begun(&self) {
        self.begin.notified().await;
    }

    /// Returns whether a time-out has passed without an answer.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Relaxed)
    }

    fn start(&self) {
        if !self.has_begun.swap(true, Ordering::Relaxed) {
            self.begin.notify_one();
        }
    }
}

impl ResponseTimer {
    /// Creates a timer that ends after `response`, and after the overtime if there is one.
    #[must_use]
    pub fn new(response: Duration, overtime: Option<Arc<Overtime>>) -> ResponseTimer {
        ResponseTimer { response, overtime, begun: OnceLock::new() }
    }

    /// Returns the time-out without the overtime.
    #[must_use]
    pub fn response(&self) -> Duration {
        self.response
    }

    /// Starts the timer if it does not run yet; returns whether the time-out has not passed.
    pub fn begin(&self) -> bool {
        Instant::now() < *self.begun.get_or_init(Instant::now) + self.response
    }

    /// Runs a part of the exchange until the time is over. If the time-out passes before the part ends, `overdue` is called,
    /// also if there is overtime.
    ///
    /// Bytes that have arrived by then are still read: a process that stood still finds its answer in the socket.
    ///
    /// # Errors
    ///
    /// [`Elapsed`].
    pub async fn run<F: Future>(&self, part: F, overdue: impl FnOnce()) -> Result<F::Output, Elapsed> {
        let deadline = *self.begun.get_or_init(Instant::now) + self.response;
        let mut part = pin!(part);
        let in_overtime = |overtime: &Arc<Overtime>| overtime.has_begun();
        if !self.overtime.as_ref().is_some_and(in_overtime) {
            if let Ok(output) = timeout_at(deadline, &mut part).await {
                return Ok(output);
            }
            for _ in 0..LAST_TURNS {
                yield_now().await;
                let polled = poll_fn(|context| Poll::Ready(part.as_mut().poll(context))).await;
                if let Poll::Ready(output) = polled {
                    return Ok(output);
                }
            }
            overdue();
        }
        let Some(overtime) = &self.overtime else { return timeout_at(deadline, part).await };
        overtime.start();
        timeout_at(deadline + overtime.length, part).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn what_takes_longer_than_the_time_out_is_given_up_unless_there_is_overtime() {
        let timer = ResponseTimer::new(SECOND, None);
        assert!(timer.begin());
        assert!(timer.run(std::future::pending::<()>(), || ()).await.is_err());
        assert!(!timer.begin());

        let overtime = Arc::new(Overtime::new(SECOND));
        let timer = ResponseTimer::new(SECOND, Some(Arc::clone(&overtime)));
        timer.run(tokio::time::sleep(SECOND / 2), || ()).await.unwrap();
        assert!(!overtime.has_begun());
        let mut is_overdue = false;
        timer.run(tokio::time::sleep(SECOND), || is_overdue = true).await.unwrap();
        assert!(is_overdue && overtime.has_begun() && !timer.begin());
        overtime.begun().await;
        assert!(timer.run(std::future::pending::<()>(), || ()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_there_when_the_time_is_over_is_taken() {
        let timer = ResponseTimer::new(SECOND, None);
        let answer = async {
            tokio::time::sleep(SECOND).await;
            // Each part of an answer takes a turn of its connection.
            for _ in 0..LAST_TURNS - 1 {
                yield_now().await;
            }
        };
        assert!(timer.run(answer, || ()).await.is_ok());
    }
}
