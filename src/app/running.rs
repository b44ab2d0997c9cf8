//! A gateway from its start to its end: serving, reloading, draining, and what is written last.

use std::future::pending;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::admin::exposition::Exposition;
use crate::audit::Audit;
use crate::config::resolve::Address;
use crate::credential::Refresher;
use crate::drain::{Drain, Schedule};
use crate::files::Watch;
use crate::server::unix::SocketPath;
use crate::state::State;
use crate::tasks::Tasks;
use crate::trace::export::Exporter;
use crate::{admin, event};

use super::Shared;
use super::credential_probe::CredentialProbe;
use super::reload::Reloader;
use super::worker_threads::WorkerThreads;

/// How long audit records may take to be written at the end.
const AUDIT_TIMEOUT: Duration = Duration::from_secs(5);

/// A gateway that serves and has not been told to stop.
#[derive(Debug)]
pub struct Running {
    /// The addresses of the listeners, in the order of the configuration; ports of the system's choice are filled in.
    pub addresses: Vec<Address>,
    /// The address of the admin listener.
    pub admin: SocketAddr,
    pub(super) admin_listener: Admin,
    pub(super) socket_paths: Vec<SocketPath>,
    pub(super) drain: Drain,
    pub(super) schedule: Schedule,
    pub(super) workers: WorkerThreads,
    pub(super) watches: Vec<Watch>,
    pub(super) credential_probe: CredentialProbe,
    pub(super) exporter: Option<Exporter>,
    pub(super) reloader: Option<Reloader>,
    pub(super) shared: Shared,
}

/// The admin listener, which is not served yet.
#[derive(Debug)]
pub(super) struct Admin {
    pub(super) socket: TcpListener,
    pub(super) hosts: Vec<String>,
    pub(super) exposition: Exposition,
}

impl Running {
    /// Serves until `stop_signal` resolves, then drains. If it resolves again, the drain is aborted. Each time that
    /// `reload_signal` resolves before that, the configuration is read again.
    ///
    /// # Errors
    ///
    /// If the admin listener cannot be served, a worker failed, requests were cut off, or audit records could not be written.
    pub async fn until(
        self,
        mut stop_signal: impl AsyncFnMut(),
        mut reload_signal: impl AsyncFnMut(),
    ) -> io::Result<()> {
        let Admin { socket, hosts, exposition } = self.admin_listener;
        let socket = tokio::net::TcpListener::from_std(socket)?;
        let Shared { state, credentials, sinks, health } = self.shared;
        let tasks = Tasks::new(Handle::current());
        for watch in self.watches {
            tasks.spawn_untracked(async { match watch.run().await {} });
        }
        let refresher = pin!(
            Refresher(credentials)
                .run(async |credential, version| { self.credential_probe.ask(credential, version).await })
        );
        let exporter = self.exporter.map(|exporter| exporter.begin(&tasks));
        let admin = pin!(admin::serve(socket, hosts, health, exposition, tasks));
        let audit = &sinks.audit;
        let reload_signal = async || {
            reload_signal().await;
            audit.iter().for_each(|audit| audit.reopen());
        };
        let reloads = async {
            match self.reloader {
                Some(reloader) => reloader.run(reload_signal).await,
                None => pending().await,
            }
        };
        let mut workers = self.workers;
        let ending = async {
            let failed_early = tokio::select! {
                never = reloads => match never {},
                () = stop_signal() => Ok(()),
                () = workers.first_ended() => Err(report_failed_worker()),
            };
            let is_drained = drain(&self.drain, self.schedule, self.socket_paths, &mut workers, &mut stop_signal).await;
            let aborted = report_aborted(&state);
            let failed = if is_drained { workers.join() } else { Ok(()) };
            let lost = audit.as_deref().map_or(Ok(()), close_audit);
            // Last, because spans can be missed most easily.
            if is_drained && let Some(exporter) = exporter {
                tokio::select! {
                    () = exporter.flush() => {}
                    () = stop_signal() => {}
                }
            }
            failed.and(failed_early).and(aborted).and(lost)
        };
        // Probes are answered to the end.
        tokio::select! {
            never = admin => match never {},
            never = refresher => match never {},
            ended = ending => ended,
        }
    }
}

/// Reports a worker that accepts no more callers before the drain, or whose thread has ended with its connections. Requests in
/// flight are finished, and the process ends, so that its supervisor starts another one.
fn report_failed_worker() -> io::Error {
    tracing::error!(
        event = event::WORKER_FAILED,
        "a worker ended before the drain; the process drains and exits. Report this, with the log lines before it"
    );
    io::Error::other("a worker has ended by itself")
}

/// Drains. Returns false if a second stop signal aborted the drain.
async fn drain(
    drain: &Drain,
    schedule: Schedule,
    socket_paths: Vec<SocketPath>,
    workers: &mut WorkerThreads,
    stop_signal: &mut impl AsyncFnMut(),
) -> bool {
    tracing::info!(event = event::DRAIN_BEGUN, delay = ?schedule.delay, timeout = ?schedule.timeout, "draining");
    let drained = async {
        // Without its path, a socket refuses new callers at once; those in its queue are still accepted.
        drain.run(schedule, || drop(socket_paths)).await;
        workers.all_ended().await;
    };
    tokio::select! {
        () = drained => true,
        () = stop_signal() => {
            tracing::error!(event = event::DRAIN_ABORTED, "second signal received; aborting the remaining requests");
            false
        }
    }
}

/// Logs which requests were aborted.
///
/// # Errors
///
/// If any was: executions may run whose callers were not answered.
fn report_aborted(state: &State) -> io::Result<()> {
    let unsettled = state.unfinished();
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

/// Writes the remaining audit records, also if a worker failed.
fn close_audit(audit: &Audit) -> io::Result<()> {
    audit.close(AUDIT_TIMEOUT).map_err(|unwritten| {
        tracing::error!(
            event = event::AUDIT_RECORDS_LOST,
            records = unwritten.records,
            "audit records of starts are lost; find these starts by their request.completed lines"
        );
        io::Error::other(unwritten)
    })
}
