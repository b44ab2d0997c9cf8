//! A gateway from its start to its end: serving, reloading, draining, and what is written last.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::admin::exposition::Page;
use crate::admin::{self, health::Health};
use crate::audit::Audit;
use crate::config::resolve::Address;
use crate::credential::{Credentials, Refresher};
use crate::drain::{Drain, Schedule};
use crate::event;
use crate::files::Watch;
use crate::server::unix::SocketPath;
use crate::state::State;
use crate::tasks::Tasks;
use crate::trace::export::Exporter;

use super::credential_probe::CredentialProbe;
use super::reload::Reloader;

/// How long records of starts may take to be written at the end.
const AUDIT_PATIENCE: Duration = Duration::from_secs(5);

/// A gateway that listens and has not been told to stop.
#[derive(Debug)]
pub struct Running {
    /// What is listened on, in the order of the configuration; a port that was left open is filled in.
    pub addresses: Vec<Address>,
    /// Where the admin listener is.
    pub admin: SocketAddr,
    pub(super) admin_socket: TcpListener,
    pub(super) admin_hosts: Vec<String>,
    pub(super) socket_paths: Vec<SocketPath>,
    pub(super) drain: Drain,
    pub(super) health: Arc<Health>,
    pub(super) reloader: Option<Reloader>,
    pub(super) schedule: Schedule,
    pub(super) workers: Vec<JoinHandle<io::Result<()>>>,
    pub(super) workers_end: mpsc::Receiver<Infallible>,
    /// Cancelled when the first of them has ended, or accepts no more callers.
    pub(super) worker_ended: CancellationToken,
    pub(super) watches: Vec<Watch>,
    pub(super) state: Arc<State>,
    pub(super) credentials: Arc<Credentials>,
    pub(super) credential_probe: CredentialProbe,
    pub(super) page: Page,
    pub(super) exporter: Option<Exporter>,
    pub(super) audit: Option<Arc<Audit>>,
}

impl Running {
    /// Serves until `told_to_stop` resolves, then drains; where it resolves a second time, the drain ends at once. Each time
    /// that `told_to_reload` resolves before that, the configuration is read again.
    ///
    /// # Errors
    ///
    /// Where the admin listener cannot be served, a worker failed, requests were cut off, or records of starts could not
    /// be written.
    pub async fn until(
        self,
        mut told_to_stop: impl AsyncFnMut(),
        mut told_to_reload: impl AsyncFnMut(),
    ) -> io::Result<()> {
        let admin = tokio::net::TcpListener::from_std(self.admin_socket)?;
        let tasks = Tasks::new(Handle::current());
        for watch in self.watches {
            tasks.spawn_untracked(async { match watch.run().await {} });
        }
        let refresher =
            pin!(Refresher(self.credentials).run(async |key, held| self.credential_probe.ask(key, held).await));
        let exporting = self.exporter.map(|exporter| exporter.begin(&tasks));
        let admin = pin!(admin::serve(admin, self.admin_hosts, self.health, self.page, tasks));
        let audit = self.audit.clone();
        let told_to_reload = async || {
            told_to_reload().await;
            audit.iter().for_each(|audit| audit.reopen());
        };
        let reloads = async {
            match self.reloader {
                Some(reloader) => reloader.run(told_to_reload).await,
                None => pending().await,
            }
        };
        let ending = async {
            let lost = tokio::select! {
                never = reloads => match never {},
                () = told_to_stop() => Ok(()),
                () = self.worker_ended.cancelled() => Err(lost_a_worker()),
            };
            let drained =
                drain(&self.drain, self.schedule, self.socket_paths, self.workers_end, &mut told_to_stop).await;
            let left = say_what_is_left(&self.state);
            let ended = if drained { join(self.workers) } else { Ok(()) };
            // Also where a worker failed.
            let written = self.audit.map_or(Ok(()), |audit| audit.close(AUDIT_PATIENCE));
            // Last, since it is what can best be done without.
            if drained && let Some(exporting) = exporting {
                tokio::select! {
                    () = exporting.flush() => {}
                    () = told_to_stop() => {}
                }
            }
            ended.and(lost).and(left).and(written.map_err(|unwritten| {
                tracing::error!(
                    event = event::AUDIT_RECORDS_LOST,
                    records = unwritten.records,
                    "audit records of starts are lost; find these starts by their request.completed lines"
                );
                io::Error::other(unwritten)
            }))
        };
        // Probes are answered to the end.
        tokio::select! {
            never = admin => match never {},
            never = refresher => match never {},
            ended = ending => ended,
        }
    }
}

/// Reports a worker that accepts no more callers before the drain, or whose thread has ended with its connections. What is in
/// flight is finished, and the process ends, so that another one is started in its place.
fn lost_a_worker() -> io::Error {
    tracing::error!(
        event = event::WORKER_FAILED,
        "a worker ended before the drain; the process drains and exits. Report this, with the log lines before it"
    );
    io::Error::other("a worker has ended by itself")
}

/// Whether the drain came to its end, rather than being told to stop a second time.
async fn drain(
    drain: &Drain,
    schedule: Schedule,
    socket_paths: Vec<SocketPath>,
    mut workers_end: mpsc::Receiver<Infallible>,
    told_to_stop: &mut impl AsyncFnMut(),
) -> bool {
    tracing::info!(event = event::DRAIN_BEGUN, delay = ?schedule.delay, timeout = ?schedule.timeout, "draining");
    let drained = async {
        // Without its path a socket refuses new callers at once; those in its queue are still accepted.
        drain.run(schedule, || drop(socket_paths)).await;
        // Nothing is ever sent: the channel closes when the last worker has dropped its end.
        workers_end.recv().await;
    };
    tokio::select! {
        () = drained => true,
        () = told_to_stop() => {
            tracing::error!(event = event::DRAIN_ABORTED, "second signal received; aborting the remaining requests");
            false
        }
    }
}

/// Logs what was cut off.
///
/// # Errors
///
/// If anything was: executions may run whose callers were not answered.
fn say_what_is_left(state: &State) -> io::Result<()> {
    let unsettled = state.left();
    if unsettled.is_empty() {
        tracing::info!(event = event::DRAIN_COMPLETED, "drain completed");
        return Ok(());
    }
    tracing::error!(
        event = event::DRAIN_REQUESTS_ABORTED,
        unsettled,
        "requests were aborted; the executions of those already sent may be running"
    );
    Err(io::Error::other("requests were cut off before they were answered"))
}

fn join(workers: Vec<JoinHandle<io::Result<()>>>) -> io::Result<()> {
    let ended =
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| Err(io::Error::other("a worker panicked"))));
    // All are waited for, also where one failed.
    let ended: Vec<io::Result<()>> = ended.collect();
    ended.into_iter().collect()
}
