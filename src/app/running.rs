//! A gateway from its start to its end: serving, reloading, draining, and writing the last records and spans.

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

use super::SharedParts;
use super::credential_probe::CredentialProbe;
use super::reload::Reloader;
use super::worker_threads::WorkerThreads;

/// How long aborted requests may take to write their records.
const ABORT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long audit records may take to be written at the end.
const AUDIT_TIMEOUT: Duration = Duration::from_secs(5);

/// A gateway that serves callers and has not received a stop signal.
#[derive(Debug)]
pub struct RunningGateway {
    /// The addresses of the listeners, in the order of the configuration, with the ports that the system chose.
    pub addresses: Vec<Address>,
    /// The address of the admin listener.
    pub admin: SocketAddr,
    pub(super) admin_listener: AdminListener,
    pub(super) socket_paths: Vec<SocketPath>,
    pub(super) drain: Drain,
    pub(super) schedule: Schedule,
    pub(super) workers: WorkerThreads,
    pub(super) watches: Vec<Watch>,
    pub(super) credential_probe: CredentialProbe,
    pub(super) exporter: Option<Exporter>,
    pub(super) reloader: Option<Reloader>,
    pub(super) shared: SharedParts,
}

/// The admin listener, bound but not served yet.
#[derive(Debug)]
pub(super) struct AdminListener {
    pub(super) socket: TcpListener,
    pub(super) hosts: Vec<String>,
    pub(super) exposition: Exposition,
}

impl RunningGateway {
    /// Serves until `stop_signal` resolves, then drains. If `stop_signal` resolves again, the drain is aborted. Whenever
    /// `reload_signal` resolves before the drain, the configuration is read again and the audit file is reopened.
    ///
    /// # Errors
    ///
    /// If the admin listener cannot be served, a worker failed, requests were aborted, or audit records could not be written.
    pub async fn run_until(
        self,
        mut stop_signal: impl AsyncFnMut(),
        mut reload_signal: impl AsyncFnMut(),
    ) -> io::Result<()> {
        let AdminListener { socket, hosts, exposition } = self.admin_listener;
        let socket = tokio::net::TcpListener::from_std(socket)?;
        let SharedParts { state, credentials, sinks, health } = self.shared;
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
            // Last, because losing spans does the least harm.
            if is_drained && let Some(exporter) = exporter {
                tokio::select! {
                    () = exporter.flush() => {}
                    () = stop_signal() => {}
                }
            }
            failed.and(failed_early).and(aborted).and(lost)
        };
        // Probes are answered until the end.
        tokio::select! {
            never = admin => match never {},
            never = refresher => match never {},
            ended = ending => ended,
        }
    }
}

/// Logs that a worker accepts no more callers before the drain, or that its thread has ended, and returns the error to exit with.
/// The other requests in flight complete, and the process exits, so that its supervisor starts another one.
fn report_failed_worker() -> io::Error {
    tracing::error!(
        event = event::WORKER_FAILED,
        "a worker ended before the drain; the process drains and exits. Report this, with the log lines before it"
    );
    io::Error::other("a worker ended before the drain")
}

/// Drains. Returns whether the drain ran to its end, which a second stop signal prevents.
async fn drain(
    drain: &Drain,
    schedule: Schedule,
    socket_paths: Vec<SocketPath>,
    workers: &mut WorkerThreads,
    stop_signal: &mut impl AsyncFnMut(),
) -> bool {
    tracing::info!(event = event::DRAIN_BEGUN, delay = ?schedule.delay, timeout = ?schedule.timeout, "draining");
    let drained = async {
        // Once its path is removed, a socket gets no new callers; those in its queue are still accepted.
        drain.run(schedule, || drop(socket_paths)).await;
        workers.all_ended().await;
    };
    tokio::select! {
        () = drained => return true,
        () = stop_signal() => {}
    }
    tracing::error!(event = event::DRAIN_ABORTED, "second signal received; aborting the remaining requests");
    workers.abort(ABORT_TIMEOUT).await;
    false
}

/// Logs the end of the drain, or which requests it aborted.
///
/// # Errors
///
/// If a request was aborted: its execution may be running although its caller was not answered.
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
    Err(io::Error::other("requests were aborted before they were answered"))
}

/// Writes the remaining audit records, even if a worker failed.
///
/// # Errors
///
/// If some of them could not be written.
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
