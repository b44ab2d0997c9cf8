//! The simulated Asteroid, which `dev` and `simulate` run and the tests use as the upstream.
//!
//! - It serves the life of an execution, from its start to its deletion, as the vendor's specification and SDKs describe the
//!   [`operation`]s of either [era](api), and the two of v1 that are still in use.
//! - An execution lives as [planned](plan), unless a caller interferes.
//! - It lists the executions that it started: see [`listing`].
//! - It keeps the files that callers upload in bounded [memory](mod@file), and serves their bytes from a [`storage`] of its own.
//! - It records the requests that it received: see [`received`].
//! - It fails on command: see [`fault`].
//! - It is controlled over HTTP below `/_simulator/`: see [`control`].
//!
//! It spawns its own tasks, and shares no code with the gateway's reading of requests. So if the two read the
//! specification differently, the tests find it.

pub mod activity;
mod answer;
pub mod api;
mod body;
mod change;
pub mod connection;
pub mod control;
mod cut;
pub mod distort;
pub mod exchange;
pub mod execute;
pub mod execution;
pub mod fault;
pub mod file;
mod folder;
pub mod life;
pub mod listing;
mod multipart;
pub mod operation;
pub mod plan;
mod reading;
pub mod received;
mod refusal;
pub mod route;
pub mod status;
pub mod storage;
mod sync;
pub mod tls;
mod transfer;
pub mod upload;
mod v1;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use std::{fmt, io};

use hyper::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::files;
use crate::secret::MAX_LENGTH;

pub use execution::SimulatedExecution;

use api::Api;
use fault::{Fault, FaultStage, FaultTarget, Faults};
use file::FileStore;
use listing::ListingBehaviour;
use plan::LifePlan;
use received::ReceivedRequest;
use refusal::Refusal;
use upload::ReceivedUpload;

/// The number of recorded requests; each may hold a MiB of its body.
const MAX_REQUESTS: usize = 100;

/// The number of recorded executions. A test starts some hundreds; a thousand with five tags each took 3 MiB.
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
    /// The era of the API.
    pub api: Api,
    /// The life of the executions.
    pub life: LifePlan,
}

/// A simulated Asteroid.
pub struct Simulator {
    state: Mutex<State>,
    observer: Option<Observer>,
    api: Api,
    /// Changed by every recorded request.
    arrived: watch::Sender<()>,
    /// Changed when an execution is changed by anything but time.
    changed: watch::Sender<()>,
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
    life: LifePlan,
    files: FileStore,
}

impl State {
    /// Returns the execution with this id as it is now, even if the listing does not show it.
    fn find(&mut self, id: &str) -> Result<&mut SimulatedExecution, Refusal> {
        let found = self.executions.iter_mut().find(|execution| execution.id == id);
        let execution = found.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "execution not found"))?;
        execution.life.advance(Instant::now());
        Ok(execution)
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
        let state = State { api_keys: options.api_keys, life: options.life, ..State::default() };
        Arc::new(Simulator {
            state: Mutex::new(state),
            observer: options.observer,
            api: options.api,
            changed: watch::Sender::new(()),
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

    /// Returns the recorded executions as they are now, newest last.
    #[must_use]
    pub fn executions(&self) -> Vec<SimulatedExecution> {
        let (mut state, now) = (self.lock(), Instant::now());
        let advanced = state.executions.iter_mut().map(|execution| {
            execution.life.advance(now);
            execution.clone()
        });
        advanced.collect()
    }

    /// Returns how the executions live that are started from now on.
    #[must_use]
    pub fn life(&self) -> LifePlan {
        self.lock().life
    }

    /// Changes how the executions live that are started from now on.
    pub fn set_life(&self, life: LifePlan) {
        self.lock().life = life;
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

    fn take_fault(&self, moment: impl Fn(FaultStage) -> bool, target: FaultTarget<'_>) -> Option<Fault> {
        self.lock().faults.take(moment, target)
    }

    /// Shows the execution with this id as it is now, even if the listing does not show it yet.
    fn find<T>(&self, id: &str, show: impl FnOnce(&SimulatedExecution) -> T) -> Result<T, Refusal> {
        self.lock().find(id).map(|execution| show(execution))
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

    /// Adds what was read of the body to a recorded request.
    fn record_body(&self, number: u64, body: &[u8], upload: Option<ReceivedUpload>) {
        let mut state = self.lock();
        if let Some(received) = state.requests.iter_mut().rev().find(|received| received.number == number) {
            received.set_body(body, upload);
        }
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
        if state.executions.len() == MAX_EXECUTIONS
            && let Some(oldest) = state.executions.pop_front()
        {
            state.files.remove_execution(&oldest.id);
        }
        state.files.attach(&execution.temp_files, &execution.id);
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
