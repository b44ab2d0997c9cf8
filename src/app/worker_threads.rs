//! The threads of all workers: starting them, noticing their ends, and joining them.

use std::convert::Infallible;
use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::worker::Worker;

/// The threads of a gateway's workers.
#[derive(Debug)]
pub(super) struct WorkerThreads {
    threads: Vec<JoinHandle<io::Result<()>>>,
    /// Closed when the last worker has ended. Nothing is ever sent.
    running: mpsc::Receiver<Infallible>,
    /// Cancelled when a first worker has ended, or accepts no more callers.
    first_ended: CancellationToken,
    /// Aborts the requests in flight of all workers.
    abort: CancellationToken,
}

impl WorkerThreads {
    /// Starts `count` clones of this worker, and returns their threads.
    pub(super) fn start(worker: &Worker, count: usize) -> io::Result<WorkerThreads> {
        let (guard, running) = mpsc::channel(1);
        let first_ended = CancellationToken::new();
        let mut threads = Vec::new();
        for number in 0..count {
            threads.push(worker.try_clone()?.start(number, guard.clone(), first_ended.clone().drop_guard())?);
        }
        Ok(WorkerThreads { threads, running, first_ended, abort: worker.abort.clone() })
    }

    /// Resolves when a first worker has ended, or accepts no more callers.
    pub(super) async fn first_ended(&self) {
        self.first_ended.cancelled().await;
    }

    /// Resolves when all workers have ended.
    pub(super) async fn all_ended(&mut self) {
        self.running.recv().await;
    }

    /// Aborts the requests in flight, and waits until their records are written, for `timeout` at most.
    pub(super) async fn abort(&mut self, timeout: Duration) {
        self.abort.cancel();
        // A worker that does not end has logged nothing of its requests, and the process exits all the same.
        tokio::time::timeout(timeout, self.all_ended()).await.ok();
    }

    /// Waits for all threads, and returns the first worker's error.
    pub(super) fn join(self) -> io::Result<()> {
        let panicked = || io::Error::other("a worker panicked");
        let results = self.threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(panicked())));
        // Collected first, so that all are joined even if one has failed.
        let results: Vec<io::Result<()>> = results.collect();
        results.into_iter().collect()
    }
}
