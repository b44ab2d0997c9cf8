//! The simulated Asteroid: what `dev` and `simulate` run, and the upstream of the tests.
//!
//! It answers `POST /agents/v2/agents/{agentId}/execute` as the vendor's specification says the real one does, and the
//! same of the newer era's `/workflows/{workflowId}`, lists what it started (see [`listing`]), remembers what it was sent,
//! and fails on command (see [`fault`]). Below `/_simulator/` it is asked and told over HTTP.
//!
//! A program of its own, it spawns for itself and shares no code with the gateway's own reading of requests: two readings
//! of the specification that disagree are found by the tests.

pub mod connection;
pub mod control;
mod cut;
pub mod exchange;
pub mod execute;
pub mod fault;
pub mod listing;
pub mod received;
mod refusal;
pub mod route;
pub mod tls;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use std::{fmt, io};

use hyper::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::files;
use crate::secret::MAX_LENGTH;

use fault::{Fault, Faults, Moment};
use listing::Listing;
use received::Received;

/// How many requests are remembered; each may hold a MiB of its body.
const REQUESTS: usize = 100;

/// How many executions are remembered: a test starts some hundreds. A thousand with five tags each took 1.2 MiB.
const EXECUTIONS: usize = 1000;

/// Told of each request once it is answered.
pub type Observer = Box<dyn Fn(&Received) + Send + Sync>;

/// How a simulator is set up.
#[derive(Default)]
pub struct Options {
    /// The keys that are accepted; where there is none, every key is.
    pub keys: Vec<SecretString>,
    /// Told of each request.
    pub on_request: Option<Observer>,
}

/// One simulated Asteroid.
pub struct Simulator {
    state: Mutex<State>,
    observer: Option<Observer>,
    /// Changed with every request that was remembered.
    arrived: watch::Sender<()>,
    /// Changed when the faults are cleared.
    released: watch::Sender<()>,
    /// Connections of an older generation are closed.
    generation: watch::Sender<u64>,
    connections: AtomicU64,
}

#[derive(Default)]
struct State {
    keys: Vec<SecretString>,
    faults: Faults,
    requests: VecDeque<Received>,
    executions: VecDeque<Execution>,
    started: usize,
    listing: Listing,
}

/// An execution that was started.
#[derive(Debug, Clone, Serialize)]
pub struct Execution {
    /// Its id.
    pub id: String,
    /// The agent, where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The workflow, where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_id: Option<String>,
    /// What it is found by.
    pub metadata: Map<String, Value>,
    /// When it was started, in RFC 3339.
    pub created_at: String,
    /// The execution that it repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Whether it was repeated.
    pub rerun: bool,
    /// Whether the listing shows it.
    pub listed: bool,
    /// The same moment as `created_at`.
    #[serde(skip)]
    pub started: Instant,
}

impl Execution {
    /// The id of the agent or workflow.
    fn started_by(&self) -> &str {
        self.agent_id.as_deref().or(self.workflow_id.as_deref()).unwrap_or_default()
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Simulator").field("requests", &self.lock().requests.len()).finish_non_exhaustive()
    }
}

impl Simulator {
    /// A simulator that has seen nothing.
    #[must_use]
    pub fn new(options: Options) -> Arc<Simulator> {
        let state = State { keys: options.keys, ..State::default() };
        Arc::new(Simulator {
            state: Mutex::new(state),
            observer: options.on_request,
            arrived: watch::Sender::new(()),
            released: watch::Sender::new(()),
            generation: watch::Sender::new(0),
            connections: AtomicU64::new(0),
        })
    }

    /// Serves until it is dropped; its connections end with it.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, tls: Option<Arc<rustls::ServerConfig>>) -> Infallible {
        let tls = tls.map(TlsAcceptor::from);
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            };
            let number = self.connections.fetch_add(1, Ordering::Relaxed);
            let simulator = Arc::clone(&self);
            let tls = tls.clone();
            connections.spawn(async move {
                match tls {
                    None => connection::serve(simulator, number, stream).await,
                    Some(tls) => {
                        // A peer that does not trust the certificate has been told so by TLS.
                        if let Ok(stream) = tls.accept(stream).await {
                            connection::serve(simulator, number, stream).await;
                        }
                    }
                }
            });
        }
    }

    /// Replaces the keys that are accepted.
    pub fn set_keys(&self, keys: Vec<SecretString>) {
        self.lock().keys = keys;
    }

    /// Lets the next requests fail that it is for, after those for which faults wait already.
    pub fn fail_next(&self, times: u32, fault: Fault) {
        self.lock().faults.push(times, fault);
    }

    /// Forgets the faults that wait, and lets go of requests that are held.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
        self.released.send_replace(());
    }

    /// Closes the connections that are open, and waits until they are.
    pub async fn close_connections(&self) {
        self.generation.send_modify(|generation| *generation += 1);
        self.unconnected().await;
    }

    /// Resolves when no connection is open.
    pub async fn unconnected(&self) {
        self.generation.closed().await;
    }

    /// The last requests, newest last.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        self.lock().requests.iter().cloned().collect()
    }

    /// The last executions that were started, newest last.
    #[must_use]
    pub fn executions(&self) -> Vec<Execution> {
        self.lock().executions.iter().cloned().collect()
    }

    /// How many executions were started in all, those that are not remembered any more included.
    #[must_use]
    pub fn started_in_all(&self) -> usize {
        self.lock().started
    }

    /// Forgets the requests.
    pub fn clear_requests(&self) {
        self.lock().requests.clear();
    }

    /// Resolves when at least `count` requests have arrived and are remembered.
    pub async fn arrived(&self, count: usize) {
        let mut arrived = self.arrived.subscribe();
        while self.lock().requests.len() < count {
            // The sender lives as long as this simulator.
            drop(arrived.changed().await);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault(&self, moment: Moment, method: Option<&Method>) -> Option<Fault> {
        self.lock().faults.take(moment, method)
    }

    /// A request has arrived; its answer is told to [`Simulator::answered`].
    fn remember(&self, received: Received) {
        let mut state = self.lock();
        if state.requests.len() == REQUESTS {
            state.requests.pop_front();
        }
        state.requests.push_back(received);
        drop(state);
        self.arrived.send_replace(());
    }

    fn answered(&self, number: u64, answer: String, execution: Option<&Execution>) {
        let mut state = self.lock();
        let Some(received) = state.requests.iter_mut().rev().find(|received| received.number == number) else { return };
        received.answer = Some(answer);
        received.execution_id = execution.map(|execution| execution.id.clone());
        let received = received.clone();
        drop(state);
        if let Some(observer) = &self.observer {
            observer(&received);
        }
    }

    fn started(&self, mut execution: Execution) {
        let mut state = self.lock();
        execution.listed = !state.listing.lags;
        state.started += 1;
        if state.executions.len() == EXECUTIONS {
            state.executions.pop_front();
        }
        state.executions.push_back(execution);
    }

    fn accepts(&self, key: &[u8]) -> bool {
        let state = self.lock();
        state.keys.is_empty() || state.keys.iter().any(|known| known.expose_secret().as_bytes() == key)
    }
}

/// Reads a key that is to be accepted; white space around it is dropped.
///
/// # Errors
///
/// Where the file cannot be read as text.
pub fn read_key(file: &Path) -> io::Result<SecretString> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", file.display()));
    let bytes = files::read_whole(file, MAX_LENGTH + 2).map_err(named)?;
    let text =
        str::from_utf8(&bytes).map_err(|_| named(io::Error::new(io::ErrorKind::InvalidData, "it is not text")))?;
    Ok(text.trim().to_owned().into())
}
