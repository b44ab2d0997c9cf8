//! Tasks beside requests. No other module spawns, so that a drain knows what to wait for.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio_util::task::TaskTracker;

/// The purpose of a task. A drain that runs out of time logs which kinds it aborts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskKind {
    /// Accepting callers on one listener.
    Accept,
    /// One caller's connection.
    Connection,
    /// A future of [`Tasks::run_to_completion`] whose holder was dropped: an exchange without a caller.
    Detached,
    /// Reading and discarding the rest of a refused body.
    Discard,
    /// One request of an HTTP/2 connection.
    Stream,
}

impl TaskKind {
    const ALL: [(TaskKind, &'static str); 5] = [
        (TaskKind::Accept, "accepting"),
        (TaskKind::Connection, "connections"),
        (TaskKind::Detached, "exchanges without a caller"),
        (TaskKind::Discard, "refused bodies"),
        (TaskKind::Stream, "streams"),
    ];
}

/// A handle that spawns on one runtime and counts what runs there.
#[derive(Debug, Clone)]
pub struct Tasks {
    runtime: Handle,
    tracker: TaskTracker,
    running: Arc<[AtomicUsize; TaskKind::ALL.len()]>,
}

impl Tasks {
    /// Creates a handle that spawns on the given runtime.
    #[must_use]
    pub fn new(runtime: Handle) -> Tasks {
        Tasks { runtime, tracker: TaskTracker::new(), running: Arc::default() }
    }

    /// Spawns a task that a drain waits for.
    pub fn spawn(&self, kind: TaskKind, task: impl Future<Output = ()> + Send + 'static) {
        let guard = CountGuard::new(Arc::clone(&self.running), kind);
        self.tracker.spawn_on(
            async move {
                let _guard = guard;
                task.await;
            },
            &self.runtime,
        );
    }

    /// Spawns a task that no drain waits for, such as an idle connection to the upstream. It ends with the runtime, or when it is
    /// aborted.
    pub fn spawn_untracked(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.runtime.spawn(task).abort_handle()
    }

    /// Wraps a future that must run to completion once it is polled, and returns the wrapper. The future is polled in place. If
    /// the wrapper is dropped before the future's end, the future continues in a task of its own.
    ///
    /// hyper drops a request's future when the caller hangs up, and `Drop` cannot wait.
    pub fn run_to_completion<F: Future + Send + 'static>(&self, kind: TaskKind, future: F) -> Detachable<F::Output> {
        Detachable { future: Some(Box::pin(future)), is_begun: false, kind, tasks: self.clone() }
    }

    /// Resolves when every task of [`Tasks::spawn`] has ended.
    pub async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Returns how many tasks of each kind still run, for the log.
    #[must_use]
    pub fn remaining(&self) -> String {
        let count =
            |kind: TaskKind| self.running.get(kind as usize).map_or(0, |running| running.load(Ordering::Relaxed));
        let named = TaskKind::ALL.iter().map(|&(kind, name)| (count(kind), name));
        let named: Vec<String> = named.filter(|(n, _)| *n > 0).map(|(n, name)| format!("{n} {name}")).collect();
        named.join(", ")
    }
}

/// Spawns the streams of an HTTP/2 connection for hyper.
impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, stream: F) {
        self.spawn(TaskKind::Stream, stream);
    }
}

/// An executor for hyper's tasks of a connection to the upstream, for which a drain does not wait.
#[derive(Debug, Clone)]
pub struct UntrackedExecutor(pub Tasks);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for UntrackedExecutor {
    fn execute(&self, future: F) {
        self.0.spawn_untracked(future);
    }
}

/// A guard that counts a task for as long as it lives, even if the task panics.
struct CountGuard {
    running: Arc<[AtomicUsize; TaskKind::ALL.len()]>,
    kind: TaskKind,
}

impl CountGuard {
    fn new(running: Arc<[AtomicUsize; TaskKind::ALL.len()]>, kind: TaskKind) -> CountGuard {
        if let Some(count) = running.get(kind as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        CountGuard { running, kind }
    }
}

impl Drop for CountGuard {
    fn drop(&mut self) {
        if let Some(count) = self.running.get(self.kind as usize) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A future that is detached if it is dropped before its end; see [`Tasks::run_to_completion`].
pub struct Detachable<T: 'static> {
    future: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    is_begun: bool,
    kind: TaskKind,
    tasks: Tasks,
}

impl<T> Future for Detachable<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        self.is_begun = true;
        // A future that is polled after its end stays pending, as the contract of `Future` permits.
        let Some(future) = self.future.as_mut() else { return Poll::Pending };
        let polled = future.as_mut().poll(context);
        if polled.is_ready() {
            self.future = None;
        }
        polled
    }
}

impl<T> Drop for Detachable<T> {
    fn drop(&mut self) {
        if let Some(future) = self.future.take().filter(|_| self.is_begun) {
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
    async fn a_future_that_is_dropped_midway_is_finished_by_a_task_that_the_drain_waits_for() {
        let tasks = Tasks::new(Handle::current());
        let (go, gone) = oneshot::channel::<()>();
        let (done, seen) = oneshot::channel();
        let mut holder = tasks.run_to_completion(TaskKind::Detached, async move {
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
        drop(tasks.run_to_completion(TaskKind::Detached, async move { done.send(()).unwrap() }));
        tasks.ended().await;
        assert!(seen.await.is_err());
    }
}
