//! Callers that start agents one after the other while a test does something else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use super::Caller;
use super::caller::TIMEOUT;

/// Counts what callers got, and tells them to go on.
#[derive(Default)]
pub(crate) struct Load {
    pub(crate) answered: AtomicUsize,
    pub(crate) enough: AtomicBool,
}

impl Load {
    pub(crate) fn wait_for(&self, more: usize) {
        let until = self.answered.load(Ordering::Relaxed) + more;
        let deadline = Instant::now() + TIMEOUT;
        while self.answered.load(Ordering::Relaxed) < until {
            // Callers that failed answer nothing more.
            assert!(Instant::now() < deadline, "the callers are not answered any more");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Calls again and again; what fails ends the test.
    pub(crate) fn of<'scope>(
        self: &Arc<Self>,
        scope: &'scope Scope<'scope, '_>,
        mut call: impl FnMut() + Send + 'scope,
    ) -> ScopedJoinHandle<'scope, ()> {
        let load = Arc::clone(self);
        scope.spawn(move || {
            // Where one fails, the others end too.
            let _end = StopGuard(&load);
            while !load.enough.load(Ordering::Relaxed) {
                call();
                load.answered.fetch_add(1, Ordering::Relaxed);
            }
        })
    }
}

/// Tells everybody that it is enough.
pub(crate) struct StopGuard<'a>(pub(crate) &'a Load);

impl Drop for StopGuard<'_> {
    fn drop(&mut self) {
        self.0.enough.store(true, Ordering::Relaxed);
    }
}

/// Over HTTP/1.1: a connection is kept until an answer says that it closes.
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
