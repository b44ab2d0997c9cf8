//! Builds the running program from a configuration. The only module that knows every part.

mod credential_probe;
mod credentials;
mod dry_run;
mod error;
mod listeners;
mod reload;
mod running;
mod traces;
mod worker_threads;

use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::admin::exposition::{Exposition, MetricSources};
use crate::admin::health::Health;
use crate::audit::{self, Audit};
use crate::config::resolve::{self, Config, MAX_WORKERS, Workers};
use crate::credential::Credentials;
use crate::drain::{self, DrainSignal, Schedule};
use crate::log::Log;
use crate::metrics::{self, Metrics};
use crate::proxy::generation::{ActiveGeneration, Generation};
use crate::record::Sinks;
use crate::secret::{Environment, Salt};
use crate::server::capacity::Capacity;
use crate::state::{Limits, State};
use crate::transport::connect::Connector;
use crate::transport::tls;
use crate::upstream::health::UpstreamHealth;
use crate::worker::{Worker, WorkerListener};
use crate::{event, memory};

use credential_probe::CredentialProbe;
use listeners::{Listeners, OpenListener};
use reload::Reloader;
use running::AdminListener;
use worker_threads::WorkerThreads;

pub use dry_run::dry_run;
pub use error::Error;
pub use reload::ConfigSource;
pub use running::RunningGateway;

/// The log warns if fewer connections than this can be open.
const FEW_CONNECTIONS: usize = 16;

/// The parts of a process that outlive a reload of its configuration.
#[derive(Debug, Clone)]
struct SharedParts {
    state: Arc<State>,
    credentials: Arc<Credentials>,
    sinks: Arc<Sinks>,
    health: Arc<Health>,
}

/// Starts a gateway: reads the API keys, binds every address, and starts the workers. Must be called inside the runtime that is
/// to answer probes. If the configuration has a `source`, changes of that file are applied.
///
/// # Errors
///
/// If anything keeps the gateway from serving. Then nothing is left running.
pub async fn start(
    config: Config,
    environment: Environment,
    source: Option<ConfigSource>,
    log: Option<Log>,
) -> Result<RunningGateway, Error> {
    let available_memory = memory::limit();
    let state = Arc::new(State::new(available_memory, audit::SLOTS));
    let (credentials, active) = read_first_generation(&config, &environment, &state).await?;
    let audit = config.audit.as_ref().map(open_audit).transpose()?;
    let (tls, ca_file) = tls::ClientTls::new(config.upstream.ca_file.as_deref()).await?;
    let connector = Connector::new(&config.upstream.endpoint, &tls, config.timeouts.connect)?;
    let (admin, admin_socket) = listeners::bind("admin.address".to_owned(), config.admin.address)?;
    let listeners = Listeners::open(&config.listeners).await?;
    let credential_probe = CredentialProbe::new(&config, &tls)?;
    let (tracer, exporter) = traces::build(&config, &tls)?.unzip();

    let (drain, draining) = drain::channel();
    let upstream_health = Arc::<UpstreamHealth>::default();
    let metrics = Metrics::new(state.tenant(metrics::OTHER, &Limits::default(), Instant::now()).meters);
    let sinks = Arc::new(Sinks { log, audit: audit.clone(), tracer, metrics });
    let health = build_health(&config, &state, &credentials, draining.clone(), &upstream_health, audit);
    let shared = SharedParts { state, credentials, sinks, health };

    let worker_count = count_workers(&config);
    let capacity = Capacity::of_process(listeners.open.len(), worker_count, listeners.have_tls(), available_memory);
    // A connection whose long poll waits is never evicted, so half of them are left to other requests.
    shared.state.long_polls.resize(capacity.max() / 2);
    let exposition = build_exposition(&config, &shared, capacity.max());
    listeners.log_started(&config.listeners);
    let Listeners { open, socket_paths, certificates } = listeners;
    let addresses = open.iter().map(|listener| listener.address.clone()).collect();
    let worker = Worker {
        listeners: build_worker_listeners(open, &active, &config, &shared.sinks.metrics),
        capacity: capacity.clone(),
        connector,
        upstream_health,
        idle_timeout: config.timeouts.idle,
        draining,
        drain_timeout: config.drain.timeout,
        abort: CancellationToken::new(),
        sinks: Arc::clone(&shared.sinks),
        state: Arc::clone(&shared.state),
    };
    let workers = WorkerThreads::start(&worker, worker_count)?;
    log_started(admin, worker_count, capacity.max(), &shared);

    let hosts = config.admin.hosts.clone();
    Ok(RunningGateway {
        addresses,
        admin,
        admin_listener: AdminListener { socket: admin_socket, hosts, exposition },
        socket_paths,
        drain,
        schedule: Schedule { delay: config.drain.delay, timeout: config.drain.timeout },
        workers,
        watches: certificates.into_iter().chain(ca_file).collect(),
        credential_probe,
        exporter,
        reloader: source.map(|source| Reloader { source, environment, config, active, shared: shared.clone() }),
        shared,
    })
}

/// Reads the API keys, and returns them with the first generation of each listener.
async fn read_first_generation(
    config: &Config,
    environment: &Environment,
    state: &State,
) -> Result<(Arc<Credentials>, Vec<Arc<ActiveGeneration>>), Error> {
    let salt = config.fingerprint_salt.as_deref().map_or_else(Salt::random, Salt::new);
    let credentials = Arc::new(Credentials::new(salt));
    let present = credentials::read(config, environment, &credentials).await?;
    let generations = Generation::build(config, &present, state)?;
    credentials.replace(present);
    Ok((credentials, generations.into_iter().map(|generation| Arc::new(ActiveGeneration::new(generation))).collect()))
}

fn open_audit(config: &resolve::Audit) -> Result<Arc<Audit>, Error> {
    Audit::open(config.file.as_deref(), config.stdout, config.when_full).map_err(|source| match &config.file {
        Some(file) => Error::Audit { file: file.clone(), source },
        None => Error::System(source),
    })
}

fn build_health(
    config: &Config,
    state: &Arc<State>,
    credentials: &Arc<Credentials>,
    draining: DrainSignal,
    upstream_health: &Arc<UpstreamHealth>,
    audit: Option<Arc<Audit>>,
) -> Arc<Health> {
    let (upstream_health, credentials, state) =
        (Arc::clone(upstream_health), Arc::clone(credentials), Arc::clone(state));
    Arc::new(Health::new(draining, upstream_health, credentials, audit, config.readiness, state))
}

fn build_exposition(config: &Config, shared: &SharedParts, capacity: usize) -> Exposition {
    Exposition::new(MetricSources {
        sinks: Arc::clone(&shared.sinks),
        state: Arc::clone(&shared.state),
        credentials: Arc::clone(&shared.credentials),
        capacity,
        upstream: (config.upstream.endpoint.host.clone(), config.upstream.endpoint.port),
    })
}

fn build_worker_listeners(
    open: Vec<OpenListener>,
    active: &[Arc<ActiveGeneration>],
    config: &Config,
    metrics: &Metrics,
) -> Vec<WorkerListener> {
    let listeners = open.into_iter().zip(active).zip(&config.listeners);
    let listener = |((OpenListener { socket, tls, .. }, active), definition): (
        (_, &Arc<ActiveGeneration>),
        &resolve::Listener,
    )| {
        let open = metrics.listener(&definition.address.to_string());
        WorkerListener { socket, tls, active: Arc::clone(active), open }
    };
    listeners.map(listener).collect()
}

fn log_started(admin: SocketAddr, workers: usize, connections: usize, shared: &SharedParts) {
    if connections < FEW_CONNECTIONS {
        tracing::warn!(
            event = event::CONNECTION_LIMIT_LOW,
            limit = connections,
            "only few callers can be connected at a time; raise the limit of open files (ulimit -Hn) or of memory"
        );
    }
    match shared.health.obstacle() {
        None => tracing::info!(event = event::GATEWAY_READY, address = %admin, workers, "ready"),
        Some(obstacle) => {
            tracing::warn!(
                event = event::GATEWAY_UNREADY,
                address = %admin,
                workers,
                %obstacle,
                "started, but not ready yet"
            )
        }
    }
    for (credential, _) in shared.state.listing_checks() {
        tracing::info!(
            event = event::RECOVERY_UNPROVEN,
            credential,
            "recovery is unproven until a start with an Idempotency-Key is found at the upstream"
        );
    }
}

/// Returns how many workers a configuration asks for. `auto` means one worker for a sidecar, which only this machine's services
/// can call, and otherwise as many as the control group has cores.
fn count_workers(config: &Config) -> usize {
    match config.workers {
        Workers::Count(count) => count.get(),
        Workers::Auto if config.listeners.iter().all(|listener| listener.address.is_local()) => 1,
        Workers::Auto => std::thread::available_parallelism().map_or(1, NonZero::get).min(MAX_WORKERS),
    }
}
