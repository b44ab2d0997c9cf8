//! Background tasks: the only place that spawns, so that a drain knows what it waits for.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio_util::task::TaskTracker;

/// What a task is for; a drain that runs out of time names what it cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Accepting callers on one listener.
    Accept,
    /// One caller's connection.
    Connection,
    /// An exchange whose caller left after the request was sent.
    Exchange,
    /// Reading and throwing away the rest of a refused body.
    Discard,
    /// One request of an HTTP/2 connection.
    Stream,
}

impl Kind {
    const ALL: [(Kind, &'static str); 5] = [
        (Kind::Accept, "accepting"),
        (Kind::Connection, "connections"),
        (Kind::Exchange, "exchanges without a caller"),
        (Kind::Discard, "refused bodies"),
        (Kind::Stream, "streams"),
    ];
}

/// Spawns on one worker's runtime and counts what runs there.
#[derive(Debug, Clone)]
pub struct Tasks {
    runtime: Handle,
    tracker: TaskTracker,
    running: Arc<[AtomicUsize; Kind::ALL.len()]>,
}

impl Tasks {
    /// Tasks of the given runtime.
    #[must_use]
    pub fn new(runtime: Handle) -> Tasks {
        Tasks { runtime, tracker: TaskTracker::new(), running: Arc::default() }
    }

    /// Starts a task that a drain waits for.
    pub fn spawn(&self, kind: Kind, task: impl Future<Output = ()> + Send + 'static) {
        let counted = Counted::new(Arc::clone(&self.running), kind);
        self.tracker.spawn_on(
            async move {
                let _counted = counted;
                task.await;
            },
            &self.runtime,
        );
    }

    /// Starts a task that no drain waits for: an idle upstream connection, a sweep. It ends with the runtime, or when it is
    /// aborted.
    pub fn spawn_unwaited(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.runtime.spawn(task).abort_handle()
    }

    /// Wraps a future that must run to its end: polled in place while its holder lives, moved to a task of its own when
    /// the holder is dropped after the first poll.
    ///
    /// The server drops a request's future when its caller hangs up, and `Drop` cannot wait.
    pub fn finish<F: Future + Send + 'static>(&self, kind: Kind, future: F) -> Finish<F::Output> {
        Finish { future: Some(Box::pin(future)), begun: false, kind, tasks: self.clone() }
    }

    /// Resolves when every task that was started with [`Tasks::spawn`] has ended.
    pub async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// How many tasks of each kind still run, for the log.
    #[must_use]
    pub fn remaining(&self) -> String {
        let count = |kind: Kind| self.running.get(kind as usize).map_or(0, |running| running.load(Ordering::Relaxed));
        let named = Kind::ALL.iter().map(|&(kind, name)| (count(kind), name));
        let named: Vec<String> = named.filter(|(n, _)| *n > 0).map(|(n, name)| format!("{n} {name}")).collect();
        named.join(", ")
    }
}

/// Where hyper has the streams of an HTTP/2 connection run.
impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, stream: F) {
        self.spawn(Kind::Stream, stream);
    }
}

/// Where hyper has that run which lives as long as a connection to the upstream does.
#[derive(Debug, Clone)]
pub struct Unwaited(pub Tasks);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Unwaited {
    fn execute(&self, future: F) {
        self.0.spawn_unwaited(future);
    }
}

/// Counts a task for as long as it lives, also when it panics.
struct Counted {
    running: Arc<[AtomicUsize; Kind::ALL.len()]>,
    kind: Kind,
}

impl Counted {
    fn new(running: Arc<[AtomicUsize; Kind::ALL.len()]>, kind: Kind) -> Counted {
        if let Some(count) = running.get(kind as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        Counted { running, kind }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(count) = self.running.get(self.kind as usize) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// See [`Tasks::finish`].
pub struct Finish<T: 'static> {
    future: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    begun: bool,
    kind: Kind,
    tasks: Tasks,
}

impl<T> Future for Finish<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        self.begun = true;
        // A future that is polled after its end stays pending, as the contract of `Future` permits.
        let Some(future) = self.future.as_mut() else { return Poll::Pending };
        let polled = future.as_mut().poll(context);
        if polled.is_ready() {
            self.future = None;
        }
        polled
    }
}

impl<T> Drop for Finish<T> {
    fn drop(&mut self) {
        if let Some(future) = self.future.take().filter(|_| self.begun) {
            self.tasks.spawn(self.kind, async move { drop(future.await) });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::sync::oneshot;

    use super::*;

    async fn poll_once<F: Future + Unpin>(future: &mut F) -> bool {
        poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context).is_ready())).await
    }

    #[tokio::test]
    async fn a_future_whose_holder_is_dropped_midway_is_finished_by_a_task_that_the_drain_waits_for() {
        let tasks = Tasks::new(Handle::current());
        let (go, gone) = oneshot::channel::<()>();
        let (done, seen) = oneshot::channel();
        let mut holder = tasks.finish(Kind::Exchange, async move {
            gone.await.unwrap();
            done.send("finished").unwrap();
        });
        assert!(!poll_once(&mut holder).await);
        drop(holder);
        assert_eq!(tasks.remaining(), "1 exchanges without a caller");
        go.send(()).unwrap();
        tasks.ended().await;
        assert_eq!(seen.await, Ok("finished"));
        assert_eq!(tasks.remaining(), "");
    }

    #[tokio::test]
    async fn a_future_that_was_never_polled_is_not_begun_by_dropping_it() {
        let tasks = Tasks::new(Handle::current());
        let (done, seen) = oneshot::channel();
        drop(tasks.finish(Kind::Exchange, async move { done.send(()).unwrap() }));
        tasks.ended().await;
        assert!(seen.await.is_err());
    }
}
