//! How long a service may take to answer.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

/// How often the runtime reads its sockets before an answer is given up. A connection takes a turn for the head and one for
/// each part of a body.
const LAST_TURNS: usize = 16;

/// The time-out of one request. It runs from the moment at which the request is first handed to a connection; for a request with
/// a stream, from the last time that the service took a part of that.
#[derive(Debug)]
pub struct ResponseTimer {
    timeout: Duration,
    grace_period: Option<Arc<GracePeriod>>,
    begun: OnceLock<Instant>,
    progress: Option<Arc<SendProgress>>,
}

/// The progress of sending a stream.
#[derive(Debug, Default)]
pub struct SendProgress {
    pace: Mutex<Pace>,
    has_broken_off: AtomicBool,
}

#[derive(Debug, Default)]
enum Pace {
    /// Nothing was taken yet.
    #[default]
    NotBegun,
    /// The service took a part at this time.
    Advanced(Instant),
    /// The service could take a part, and there is none.
    Paused,
}

impl SendProgress {
    /// Records that the service took a part.
    pub fn advance(&self) {
        *self.lock() = Pace::Advanced(Instant::now());
    }

    /// Records that the service could take a part, and there is none yet. Its time-out does not run then.
    pub fn pause(&self) {
        *self.lock() = Pace::Paused;
    }

    /// Records that the stream broke off, which is no fault of the service.
    pub fn break_off(&self) {
        self.has_broken_off.store(true, Ordering::Relaxed);
    }

    /// Returns the time since which the service owes something, if that is later than `begun`.
    fn since(&self, begun: Instant) -> Instant {
        match *self.lock() {
            Pace::NotBegun => begun,
            Pace::Advanced(at) => at.max(begun),
            Pace::Paused => Instant::now(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time after the time-out in which an answer is still read.
#[derive(Debug)]
pub struct GracePeriod {
    length: Duration,
    has_begun: AtomicBool,
    beginning: Notify,
}

impl GracePeriod {
    /// Creates a grace period that has not begun.
    #[must_use]
    pub fn new(length: Duration) -> GracePeriod {
        GracePeriod { length, has_begun: AtomicBool::new(false), beginning: Notify::new() }
    }

    /// Resolves when a time-out has passed without an answer. One task may wait.
    pub async fn begun(&self) {
        self.beginning.notified().await;
    }

    /// Returns whether a time-out has passed without an answer.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Relaxed)
    }

    fn begin(&self) {
        if !self.has_begun.swap(true, Ordering::Relaxed) {
            self.beginning.notify_one();
        }
    }
}

impl ResponseTimer {
    /// Creates a timer that ends after `timeout`, or after the grace period that follows.
    #[must_use]
    pub fn new(timeout: Duration, grace_period: Option<Arc<GracePeriod>>) -> ResponseTimer {
        ResponseTimer { timeout, grace_period, begun: OnceLock::new(), progress: None }
    }

    /// Lets the time-out run from the last progress of sending a stream.
    #[must_use]
    pub fn with_progress(mut self, progress: Option<Arc<SendProgress>>) -> ResponseTimer {
        self.progress = progress;
        self
    }

    /// Returns the timer for the rest of an answer whose head has come. It runs from now on if there was a stream to send, which
    /// delays nothing any more.
    #[must_use]
    pub fn for_rest(self) -> ResponseTimer {
        match self.progress {
            None => self,
            Some(_) => ResponseTimer { begun: OnceLock::from(Instant::now()), progress: None, ..self },
        }
    }

    /// Returns whether the stream of the request broke off, so that the service could not answer.
    #[must_use]
    pub fn has_broken_off(&self) -> bool {
        self.progress.as_ref().is_some_and(|progress| progress.has_broken_off.load(Ordering::Relaxed))
    }

    /// Returns the time-out, without the grace period.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Starts the timer if it does not run yet. Returns whether time is left before the time-out.
    pub fn begin(&self) -> bool {
        Instant::now() < *self.begun.get_or_init(Instant::now) + self.timeout
    }

    fn deadline(&self) -> Instant {
        let begun = *self.begun.get_or_init(Instant::now);
        self.progress.as_ref().map_or(begun, |progress| progress.since(begun)) + self.timeout
    }

    /// Runs a part of the exchange until the timer ends. If the time-out passes before the part ends, `on_timeout` is called,
    /// also if there is a grace period.
    ///
    /// Bytes that have arrived by then are still read: a process that was paused finds its answer in the socket.
    ///
    /// # Errors
    ///
    /// [`Elapsed`].
    pub async fn run<F: Future>(&self, part: F, on_timeout: impl FnOnce()) -> Result<F::Output, Elapsed> {
        let mut part = pin!(part);
        let has_begun = |grace_period: &Arc<GracePeriod>| grace_period.has_begun();
        if !self.grace_period.as_ref().is_some_and(has_begun) {
            while Instant::now() < self.deadline() {
                if let Ok(output) = timeout_at(self.deadline(), &mut part).await {
                    return Ok(output);
                }
            }
            for _ in 0..LAST_TURNS {
                yield_now().await;
                let polled = poll_fn(|context| Poll::Ready(part.as_mut().poll(context))).await;
                if let Poll::Ready(output) = polled {
                    return Ok(output);
                }
            }
            on_timeout();
        }
        let deadline = self.deadline();
        let Some(grace_period) = &self.grace_period else { return timeout_at(deadline, part).await };
        grace_period.begin();
        timeout_at(deadline + grace_period.length, part).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn what_takes_longer_than_the_time_out_is_given_up_unless_there_is_a_grace_period() {
        let timer = ResponseTimer::new(SECOND, None);
        assert!(timer.begin());
        assert!(timer.run(std::future::pending::<()>(), || ()).await.is_err());
        assert!(!timer.begin());

        let grace_period = Arc::new(GracePeriod::new(SECOND));
        let timer = ResponseTimer::new(SECOND, Some(Arc::clone(&grace_period)));
        timer.run(tokio::time::sleep(SECOND / 2), || ()).await.unwrap();
        assert!(!grace_period.has_begun());
        let mut is_late = false;
        timer.run(tokio::time::sleep(SECOND), || is_late = true).await.unwrap();
        assert!(is_late && grace_period.has_begun() && !timer.begin());
        grace_period.begun().await;
        assert!(timer.run(std::future::pending::<()>(), || ()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_out_of_a_stream_runs_from_its_last_progress_and_not_while_there_is_nothing_to_send() {
        let progress = Arc::new(SendProgress::default());
        let timer = || ResponseTimer::new(SECOND, None).with_progress(Some(Arc::clone(&progress)));
        let begun = Instant::now();
        let streaming = async {
            for _ in 0..3 {
                tokio::time::sleep(SECOND / 2).await;
                progress.advance();
            }
            progress.pause();
            tokio::time::sleep(10 * SECOND).await;
            progress.advance();
            std::future::pending::<()>().await;
        };
        assert!(timer().run(streaming, || ()).await.is_err());
        assert_eq!(begun.elapsed(), 12 * SECOND + SECOND / 2);
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
