//! The simulated Asteroid, which `dev` and `simulate` run and the tests use as the upstream.
//!
//! - It answers `POST /agents/v2/agents/{agentId}/execute`, and the newer era's `/workflows/{workflowId}/execute`, as the
//!   vendor's specification describes.
//! - It lists the executions that it started: see [`listing`].
//! - It records the requests that it received: see [`received`].
//! - It fails on command: see [`fault`].
//! - It is controlled over HTTP below `/_simulator/`: see [`control`].
//!
//! It spawns its own tasks, and shares no code with the gateway's reading of requests. So if the two read the
//! specification differently, the tests find it.

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

use fault::{Fault, FaultStage, Faults};
use listing::ListingBehaviour;
use received::ReceivedRequest;

/// The number of recorded requests; each may hold a MiB of its body.
const MAX_REQUESTS: usize = 100;

/// The number of recorded executions. A test starts some hundreds; a thousand with five tags each took 1.2 MiB.
const MAX_EXECUTIONS: usize = 1000;

/// A function that is called with each request once it is answered.
pub type Observer = Box<dyn Fn(&ReceivedRequest) + Send + Sync>;

/// The options of a simulator.
#[derive(Default)]
pub struct Options {
    /// The accepted API keys; if there is none, every API key is accepted.
    pub api_keys: Vec<SecretString>,
    /// Called with each answered request.
    pub observer: Option<Observer>,
}

/// A simulated Asteroid.
pub struct Simulator {
    state: Mutex<State>,
    observer: Option<Observer>,
    /// Changed by every recorded request.
    arrived: watch::Sender<()>,
    /// Changed when the faults are cleared.
    released: watch::Sender<()>,
    /// Connections of an older generation are closed.
    generation: watch::Sender<u64>,
    connections: AtomicU64,
}

#[derive(Default)]
struct State {
    api_keys: Vec<SecretString>,
    faults: Faults,
    requests: VecDeque<ReceivedRequest>,
    executions: VecDeque<SimulatedExecution>,
    started: usize,
    listing: ListingBehaviour,
}

/// A started execution.
#[derive(Debug, Clone, Serialize)]
pub struct SimulatedExecution {
    /// Its id.
    pub id: String,
    /// The agent, if the request named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The workflow, if the request named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_id: Option<String>,
    /// The metadata, by which the listing finds it.
    pub metadata: Map<String, Value>,
    /// The time of its start, in RFC 3339.
    pub created_at: String,
    /// The execution that it repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Whether it was rerun.
    pub rerun: bool,
    /// Whether the listing shows it.
    pub listed: bool,
    /// The same time as `created_at`.
    #[serde(skip)]
    pub started: Instant,
}

impl SimulatedExecution {
    /// Returns the id of the agent or workflow.
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
    /// Creates a simulator without requests and faults.
    #[must_use]
    pub fn new(options: Options) -> Arc<Simulator> {
        let state = State { api_keys: options.api_keys, ..State::default() };
        Arc::new(Simulator {
            state: Mutex::new(state),
            observer: options.observer,
            arrived: watch::Sender::new(()),
            released: watch::Sender::new(()),
            generation: watch::Sender::new(0),
            connections: AtomicU64::new(0),
        })
    }

    /// Serves until the future is dropped, which also closes its connections.
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
                        // TLS itself tells the peer why a handshake fails.
                        if let Ok(stream) = tls.accept(stream).await {
                            connection::serve(simulator, number, stream).await;
                        }
                    }
                }
            });
        }
    }

    /// Replaces the accepted API keys.
    pub fn set_api_keys(&self, api_keys: Vec<SecretString>) {
        self.lock().api_keys = api_keys;
    }

    /// Lets the next `times` requests that match the fault fail, after the faults that are already queued.
    pub fn fail_next(&self, times: u32, fault: Fault) {
        self.lock().faults.push(times, fault);
    }

    /// Removes the queued faults, and releases the requests that stall.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
        self.released.send_replace(());
    }

    /// Closes the open connections, and waits until they are closed.
    pub async fn close_connections(&self) {
        self.generation.send_modify(|generation| *generation += 1);
        self.wait_until_disconnected().await;
    }

    /// Waits until no connection is open.
    pub async fn wait_until_disconnected(&self) {
        self.generation.closed().await;
    }

    /// Returns the recorded requests, newest last.
    #[must_use]
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.lock().requests.iter().cloned().collect()
    }

    /// Returns the recorded executions, newest last.
    #[must_use]
    pub fn executions(&self) -> Vec<SimulatedExecution> {
        self.lock().executions.iter().cloned().collect()
    }

    /// Returns the number of all started executions, including those that are no longer recorded.
    #[must_use]
    pub fn started_count(&self) -> usize {
        self.lock().started
    }

    /// Removes the recorded requests.
    pub fn clear_requests(&self) {
        self.lock().requests.clear();
    }

    /// Waits until at least `count` requests are recorded.
    pub async fn wait_for_requests(&self, count: usize) {
        let mut arrived = self.arrived.subscribe();
        while self.lock().requests.len() < count {
            // The sender lives as long as this simulator.
            drop(arrived.changed().await);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_fault(&self, moment: FaultStage, method: Option<&Method>) -> Option<Fault> {
        self.lock().faults.take(moment, method)
    }

    /// Records a request that has arrived. [`Simulator::record_answer`] adds its answer.
    fn record_request(&self, received: ReceivedRequest) {
        let mut state = self.lock();
        if state.requests.len() == MAX_REQUESTS {
            state.requests.pop_front();
        }
        state.requests.push_back(received);
        drop(state);
        self.arrived.send_replace(());
    }

    fn record_answer(&self, number: u64, answer: String, execution: Option<&SimulatedExecution>) {
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

    fn record_execution(&self, mut execution: SimulatedExecution) {
        let mut state = self.lock();
        execution.listed = !state.listing.lags;
        state.started += 1;
        if state.executions.len() == MAX_EXECUTIONS {
            state.executions.pop_front();
        }
        state.executions.push_back(execution);
    }

    fn accepts(&self, key: &[u8]) -> bool {
        let state = self.lock();
        state.api_keys.is_empty() || state.api_keys.iter().any(|known| known.expose_secret().as_bytes() == key)
    }
}

/// Reads an API key to accept, without the white space around it.
///
/// # Errors
///
/// If the file cannot be read, or is not UTF-8.
pub fn read_api_key(file: &Path) -> io::Result<SecretString> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", file.display()));
    let bytes = files::read_whole(file, MAX_LENGTH + 2).map_err(named)?;
    let text =
        str::from_utf8(&bytes).map_err(|_| named(io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8")))?;
    Ok(text.trim().to_owned().into())
}
