//! Whether the gateway works for a caller's connection or waits for the caller, and since when.

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
    since: Instant,
    /// Whether the head of a first request has come.
    begun: Signal,
    /// Whether the connection is to leave its place to another.
    evicted: Signal,
    /// Requests for which the gateway, the upstream or a caller's body has to come to an end.
    working: AtomicUsize,
    /// Those among them that wait for more of their callers' bodies.
    uploading: AtomicUsize,
    /// When a request last began or ended, or a part of an answer was handed over, in milliseconds from `since`. Bytes that
    /// drip into a head or a body do not count.
    moved: AtomicU64,
}

/// Something that happens once.
#[derive(Debug, Default)]
struct Signal {
    given: AtomicBool,
    waiting: Notify,
}

impl Signal {
    fn give(&self) {
        self.given.store(true, Ordering::Release);
        self.waiting.notify_waiters();
    }

    fn withdraw(&self) {
        self.given.store(false, Ordering::Release);
    }

    fn is_given(&self) -> bool {
        self.given.load(Ordering::Acquire)
    }

    async fn given(&self) {
        // Made before the signal is read, so that none in between is missed.
        let waiting = self.waiting.notified();
        if !self.is_given() {
            waiting.await;
        }
    }
}

impl Default for Activity {
    fn default() -> Activity {
        Activity {
            since: Instant::now(),
            begun: Signal::default(),
            evicted: Signal::default(),
            working: AtomicUsize::new(0),
            uploading: AtomicUsize::new(0),
            moved: AtomicU64::new(0),
        }
    }
}

impl Activity {
    /// Notes that the head of a request has come, which is served until the answer is dropped.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> RequestGuard {
        if !self.begun.is_given() {
            self.begun.give();
        }
        self.work();
        RequestGuard(Arc::new(Request {
            activity: Arc::clone(self),
            uploads: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        }))
    }

    /// Whether the head of a request has come.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.begun.is_given()
    }

    /// Resolves when the head of a first request has come.
    pub async fn begun(&self) {
        self.begun.given().await;
    }

    /// Resolves if no first request has come this long after the connection did.
    pub async fn is_late(&self, limit: Duration) {
        sleep_until(self.since + limit).await;
        if self.has_begun() {
            std::future::pending().await
        }
    }

    /// Resolves when nothing was to be done and nothing has moved for this long.
    pub async fn idle(&self, patience: Duration) {
        let mut check = self.since + patience;
        loop {
            sleep_until(check).await;
            let (now, due) = (Instant::now(), self.moved() + patience);
            check = match self.working.load(Ordering::Relaxed) {
                0 if due <= now => return,
                0 => due,
                _ => now + patience,
            };
        }
    }

    /// Returns since when the connection waits for its caller alone; nothing if the gateway or the upstream works for it, or
    /// if it has been told to leave.
    #[must_use]
    pub fn silent_since(&self) -> Option<Instant> {
        (!self.is_working() && !self.evicted.is_given()).then(|| self.moved())
    }

    /// Tells the connection to leave its place to another.
    pub fn evict(&self) {
        self.evicted.give();
    }

    /// Resolves when the connection was told to leave, unless a request has come meanwhile: then it stays.
    pub async fn evicted(&self) {
        loop {
            self.evicted.given().await;
            if !self.is_working() {
                return;
            }
            self.evicted.withdraw();
        }
    }

    /// Whether the gateway or the upstream works for the connection, rather than waiting for its caller.
    #[must_use]
    pub fn is_working(&self) -> bool {
        self.working.load(Ordering::Relaxed) > self.uploading.load(Ordering::Relaxed)
    }

    fn moved(&self) -> Instant {
        self.since + Duration::from_millis(self.moved.load(Ordering::Relaxed))
    }

    fn work(&self) {
        self.working.fetch_add(1, Ordering::Relaxed);
        self.note();
    }

    fn rest(&self) {
        self.note();
        self.working.fetch_sub(1, Ordering::Relaxed);
    }

    fn note(&self) {
        let moved = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(moved, Ordering::Relaxed);
    }
}

/// A request that is being served, as its body sees it.
#[derive(Debug)]
struct Request {
    activity: Arc<Activity>,
    uploads: AtomicBool,
    /// Whether its answer's head is there; the rest of its body is thrown away.
    is_over: AtomicBool,
}

impl Request {
    fn set_uploading(&self, uploads: bool) {
        if self.is_over.load(Ordering::Relaxed) || self.uploads.swap(uploads, Ordering::Relaxed) == uploads {
            return;
        }
        if uploads {
            self.activity.uploading.fetch_add(1, Ordering::Relaxed);
        } else {
            self.activity.uploading.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Held while a request is served, until its answer's head is there.
#[derive(Debug)]
pub struct RequestGuard(Arc<Request>);

impl RequestGuard {
    /// Returns the request's body as one whose waiting is noted.
    pub fn upload<B>(&self, body: B) -> Upload<B> {
        Upload { body, request: Arc::clone(&self.0) }
    }

    /// Returns the answer's body as one whose progress is noted.
    pub fn download<B>(&self, body: B) -> Download<B> {
        Download { body, activity: Arc::clone(&self.0.activity), waiting: None }
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.set_uploading(false);
        self.0.is_over.store(true, Ordering::Relaxed);
        self.0.activity.rest();
    }
}

/// A caller's body. While more of it is waited for, the connection counts as silent.
#[derive(Debug)]
pub struct Upload<B> {
    body: B,
    request: Arc<Request>,
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

/// Held while a part of an answer is waited for.
#[derive(Debug)]
struct WorkGuard(Arc<Activity>);

impl Drop for WorkGuard {
    fn drop(&mut self) {
        self.0.rest();
    }
}

/// An answer's body; asked for more only while the caller takes it.
#[derive(Debug)]
pub struct Download<B> {
    body: B,
    activity: Arc<Activity>,
    waiting: Option<WorkGuard>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Download<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let working = self.waiting.take().unwrap_or_else(|| {
            self.activity.work();
            WorkGuard(Arc::clone(&self.activity))
        });
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if frame.is_pending() {
            self.waiting = Some(working);
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

    /// A body of which a part comes at every other look.
    #[derive(Default)]
    struct Halting(bool);

    impl Body for Halting {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.0 = !self.0;
            if self.0 { Poll::Pending } else { Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x"))))) }
        }
    }

    fn look<B: Body + Unpin>(body: &mut B) -> bool {
        Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test]
    async fn a_connection_is_silent_between_requests_and_while_more_of_a_body_is_waited_for() {
        let activity = Arc::<Activity>::default();
        assert!(activity.silent_since().is_some() && !activity.has_begun());
        let serving = activity.begin();
        assert!(activity.silent_since().is_none() && activity.has_begun());
        let mut upload = serving.upload(Halting::default());
        assert!(!look(&mut upload) && activity.silent_since().is_some());
        assert!(look(&mut upload) && activity.silent_since().is_none());
        let mut download = serving.download(Halting::default());
        drop(serving);
        assert!(activity.silent_since().is_some());
        assert!(!look(&mut download) && activity.silent_since().is_none(), "more of the answer is waited for");
        assert!(look(&mut download) && activity.silent_since().is_some(), "the caller has to take it");
    }

    #[tokio::test]
    async fn a_body_that_is_thrown_away_does_not_hide_another_request_that_is_worked_on() {
        let activity = Arc::<Activity>::default();
        let (refused, other) = (activity.begin(), activity.begin());
        let mut upload = refused.upload(Halting::default());
        drop(refused);
        assert!(!look(&mut upload) && activity.silent_since().is_none());
        drop(other);
        assert!(activity.silent_since().is_some());
    }

    #[tokio::test]
    async fn one_that_is_told_to_leave_is_not_told_again_and_stays_if_it_has_work_by_then() {
        let activity = Arc::<Activity>::default();
        activity.evict();
        assert!(activity.silent_since().is_none());
        activity.evicted().await;
        let serving = activity.begin();
        let stays = tokio::time::timeout(Duration::from_millis(1), activity.evicted()).await;
        assert!(stays.is_err());
        drop(serving);
        assert!(activity.silent_since().is_some(), "it can be told again");
    }
}
