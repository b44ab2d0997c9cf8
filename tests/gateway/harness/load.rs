//! Load: callers that start agents one after another while a test does something else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use super::Caller;
use super::caller::TIMEOUT;

/// The state of a load: the number of answers, and whether the callers must stop.
#[derive(Default)]
pub(crate) struct Load {
    pub(crate) answered: AtomicUsize,
    pub(crate) enough: AtomicBool,
}

impl Load {
    /// Waits until this many further calls are answered.
    pub(crate) fn wait_for(&self, more: usize) {
        let until = self.answered.load(Ordering::Relaxed) + more;
        let deadline = Instant::now() + TIMEOUT;
        while self.answered.load(Ordering::Relaxed) < until {
            // Callers that failed make no further calls.
            assert!(Instant::now() < deadline, "the callers are not answered any more");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Spawns a caller that calls again and again; a failure ends the test.
    pub(crate) fn spawn<'scope>(
        self: &Arc<Self>,
        scope: &'scope Scope<'scope, '_>,
        mut call: impl FnMut() + Send + 'scope,
    ) -> ScopedJoinHandle<'scope, ()> {
        let load = Arc::clone(self);
        scope.spawn(move || {
            // If one caller fails, the others stop, too.
            let _end = StopGuard(&load);
            while !load.enough.load(Ordering::Relaxed) {
                call();
                load.answered.fetch_add(1, Ordering::Relaxed);
            }
        })
    }
}

/// Stops the callers when it is dropped.
pub(crate) struct StopGuard<'a>(pub(crate) &'a Load);

impl Drop for StopGuard<'_> {
    fn drop(&mut self) {
        self.0.enough.store(true, Ordering::Relaxed);
    }
}

/// Returns a call over HTTP/1.1. It keeps its connection until an answer closes it.
pub(crate) fn http1(address: SocketAddr) -> impl FnMut() + Send {
    let mut kept: Option<Caller> = None;
    move || {
        let caller = kept.get_or_insert_with(|| Caller::connect(address));
        let answer = caller.execute("{}");
        assert_eq!(answer.status, 202, "{answer:?}");
        if answer.header("connection").is_some() {
            kept = None;
        }
    }
}
