//! The activity of a connection: whether it waits for the gateway or for its caller, and since when.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The activity of one connection.
#[derive(Debug)]
pub struct Activity {
    connected: Instant,
    /// Whether the head of a first request has arrived.
    first_request: Flag,
    /// Whether the connection is to be closed for a new one.
    evicted: Flag,
    /// The number of requests that wait for the head of their answers, and of answers of which the next part is awaited.
    working: AtomicUsize,
    /// The number of those that wait for more of the caller's body.
    uploading: AtomicUsize,
    /// When a request last began or ended, or a part of an answer was last sent, in milliseconds from `connected`. Bytes of a head
    /// or a body that arrives slowly do not count.
    progress: AtomicU64,
}

/// A flag that tasks can wait for.
#[derive(Debug, Default)]
struct Flag {
    is_set: AtomicBool,
    set: Notify,
}

impl Flag {
    fn set(&self) {
        self.is_set.store(true, Ordering::Release);
        self.set.notify_waiters();
    }

    fn clear(&self) {
        self.is_set.store(false, Ordering::Release);
    }

    fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Acquire)
    }

    async fn wait(&self) {
        // Created before the flag is read, so that no change in between is missed.
        let set = self.set.notified();
        if !self.is_set() {
            set.await;
        }
    }
}

impl Default for Activity {
    fn default() -> Activity {
        Activity {
            connected: Instant::now(),
            first_request: Flag::default(),
            evicted: Flag::default(),
            working: AtomicUsize::new(0),
            uploading: AtomicUsize::new(0),
            progress: AtomicU64::new(0),
        }
    }
}

impl Activity {
    /// Records that the head of a request has arrived. Returns a guard that ends when the head of the answer is ready.
    #[must_use]
    pub fn begin_request(self: &Arc<Self>) -> RequestGuard {
        if !self.first_request.is_set() {
            self.first_request.set();
        }
        self.begin_work();
        RequestGuard(Arc::new(RequestState {
            activity: Arc::clone(self),
            is_uploading: AtomicBool::new(false),
            is_answered: AtomicBool::new(false),
        }))
    }

    /// Returns whether the head of a request has arrived.
    #[must_use]
    pub fn has_request(&self) -> bool {
        self.first_request.is_set()
    }

    /// Resolves when the head of a first request has arrived.
    pub async fn first_request(&self) {
        self.first_request.wait().await;
    }

    /// Resolves if no first request has arrived within `timeout` after the connection was accepted.
    pub async fn first_request_timeout(&self, timeout: Duration) {
        sleep_until(self.connected + timeout).await;
        if self.has_request() {
            std::future::pending().await
        }
    }

    /// Resolves when, for as long as `timeout`, the gateway had nothing to do for the connection and nothing progressed.
    pub async fn idle_timeout(&self, timeout: Duration) {
        let mut check = self.connected + timeout;
        loop {
            sleep_until(check).await;
            let (now, due) = (Instant::now(), self.last_progress() + timeout);
            check = match self.working.load(Ordering::Relaxed) {
                0 if due <= now => return,
                0 => due,
                _ => now + timeout,
            };
        }
    }

    /// Returns since when the connection has only been waiting for its caller. Returns nothing if the gateway or the upstream is
    /// working on a request, or if the connection is being evicted.
    #[must_use]
    pub fn silent_since(&self) -> Option<Instant> {
        (!self.is_working() && !self.evicted.is_set()).then(|| self.last_progress())
    }

    /// Asks the connection to close for a new one.
    pub fn evict(&self) {
        self.evicted.set();
    }

    /// Resolves when the connection is evicted. A request that has arrived in the meantime cancels the eviction.
    pub async fn evicted(&self) {
        loop {
            self.evicted.wait().await;
            if !self.is_working() {
                return;
            }
            self.evicted.clear();
        }
    }

    /// Returns whether the gateway or the upstream is working on a request of the connection, rather than waiting for the caller.
    #[must_use]
    pub fn is_working(&self) -> bool {
        self.working.load(Ordering::Relaxed) > self.uploading.load(Ordering::Relaxed)
    }

    fn last_progress(&self) -> Instant {
        self.connected + Duration::from_millis(self.progress.load(Ordering::Relaxed))
    }

    fn begin_work(&self) {
        self.working.fetch_add(1, Ordering::Relaxed);
        self.record_progress();
    }

    fn end_work(&self) {
        self.record_progress();
        self.working.fetch_sub(1, Ordering::Relaxed);
    }

    fn record_progress(&self) {
        let now = u64::try_from(self.connected.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.progress.store(now, Ordering::Relaxed);
    }
}

/// A request that is being served, shared by its guard and its body.
#[derive(Debug)]
struct RequestState {
    activity: Arc<Activity>,
    is_uploading: AtomicBool,
    /// Whether the head of its answer is ready. After that, the rest of its body is discarded.
    is_answered: AtomicBool,
}

impl RequestState {
    fn set_uploading(&self, is_uploading: bool) {
        if self.is_answered.load(Ordering::Relaxed)
            || self.is_uploading.swap(is_uploading, Ordering::Relaxed) == is_uploading
        {
            return;
        }
        if is_uploading {
            self.activity.uploading.fetch_add(1, Ordering::Relaxed);
        } else {
            self.activity.uploading.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A guard held while a request is served, until the head of its answer is ready.
#[derive(Debug)]
pub struct RequestGuard(Arc<RequestState>);

impl RequestGuard {
    /// Wraps the request's body, and returns the wrapper, which records when more of the body is awaited.
    pub fn upload<B>(&self, body: B) -> Upload<B> {
        Upload { body, request: Arc::clone(&self.0) }
    }

    /// Wraps the answer's body, and returns the wrapper, which records the body's progress.
    pub fn download<B>(&self, body: B) -> Download<B> {
        Download { body, activity: Arc::clone(&self.0.activity), work: None }
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.set_uploading(false);
        self.0.is_answered.store(true, Ordering::Relaxed);
        self.0.activity.end_work();
    }
}

/// A caller's body. The connection counts as silent while more of the body is awaited.
#[derive(Debug)]
pub struct Upload<B> {
    body: B,
    request: Arc<RequestState>,
}

impl<B: Body + Unpin> Body for Upload<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        self.request.set_uploading(frame.is_pending());
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Upload<B> {
    fn drop(&mut self) {
        self.request.set_uploading(false);
    }
}

/// A guard held while a part of an answer is awaited.
#[derive(Debug)]
struct WorkGuard(Arc<Activity>);

impl Drop for WorkGuard {
    fn drop(&mut self) {
        self.0.end_work();
    }
}

/// An answer's body. hyper polls it only while the caller receives what it yields.
#[derive(Debug)]
pub struct Download<B> {
    body: B,
    activity: Arc<Activity>,
    work: Option<WorkGuard>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Download<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let work = self.work.take().unwrap_or_else(|| {
            self.activity.begin_work();
            WorkGuard(Arc::clone(&self.activity))
        });
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if frame.is_pending() {
            self.work = Some(work);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::task::Waker;

    use super::*;

    /// A body that yields a part at every second poll.
    #[derive(Default)]
    struct SlowBody(bool);

    impl Body for SlowBody {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.0 = !self.0;
            if self.0 { Poll::Pending } else { Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x"))))) }
        }
    }

    fn yields<B: Body + Unpin>(body: &mut B) -> bool {
        Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test]
    async fn a_connection_is_silent_between_requests_and_while_more_of_a_body_is_waited_for() {
        let activity = Arc::<Activity>::default();
        assert!(activity.silent_since().is_some() && !activity.has_request());
        let request = activity.begin_request();
        assert!(activity.silent_since().is_none() && activity.has_request());
        let mut upload = request.upload(SlowBody::default());
        assert!(!yields(&mut upload) && activity.silent_since().is_some());
        assert!(yields(&mut upload) && activity.silent_since().is_none());
        let mut download = request.download(SlowBody::default());
        drop(request);
        assert!(activity.silent_since().is_some());
        assert!(!yields(&mut download) && activity.silent_since().is_none(), "more of the answer is waited for");
        assert!(yields(&mut download) && activity.silent_since().is_some(), "the caller has to take it");
    }

    #[tokio::test]
    async fn a_body_that_is_discarded_does_not_hide_another_request_that_is_worked_on() {
        let activity = Arc::<Activity>::default();
        let (refused, other) = (activity.begin_request(), activity.begin_request());
        let mut upload = refused.upload(SlowBody::default());
        drop(refused);
        assert!(!yields(&mut upload) && activity.silent_since().is_none());
        drop(other);
        assert!(activity.silent_since().is_some());
    }

    #[tokio::test]
    async fn an_eviction_is_not_repeated_and_is_cancelled_if_the_connection_has_work_by_then() {
        let activity = Arc::<Activity>::default();
        activity.evict();
        assert!(activity.silent_since().is_none());
        activity.evicted().await;
        let request = activity.begin_request();
        let stays = tokio::time::timeout(Duration::from_millis(1), activity.evicted()).await;
        assert!(stays.is_err());
        drop(request);
        assert!(activity.silent_since().is_some(), "it can be evicted again");
    }
}
