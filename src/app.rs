//! Configuration in, running program out: the only module that knows every part.

mod credential_probe;
mod credentials;
mod rehearsal;
mod reload;
mod running;
mod traces;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use rustls::ServerConfig;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::admin::exposition::{Page, Shown};
use crate::admin::health::Health;
use crate::audit::{self, Audit};
use crate::config::resolve::{self, Address, Config, Listener, MAX_WORKERS, TenantSource, Workers};
use crate::credential::Credentials;
use crate::drain::{self, Schedule};
use crate::files::Watch;
use crate::log::Log;
use crate::metrics::{self, Metrics};
use crate::proxy::generation::{self, Current, Snapshot};
use crate::record::Sinks;
use crate::secret::{self, Environment, Salt};
use crate::server::capacity::Capacity;
use crate::server::socket::Bound;
use crate::server::unix::{self, SocketPath};
use crate::server::{self, accept};
use crate::state::{Limits, State};
use crate::transport::connect::{self, Connector};
use crate::transport::tls;
use crate::upstream::health::UpstreamHealth;
use crate::worker::Worker;
use crate::{event, memory};

use credential_probe::CredentialProbe;
use reload::Reloader;

pub use rehearsal::rehearse;
pub use reload::Source;
pub use running::Running;

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address cannot be listened on.
    #[error("{key} {address}")]
    Bind {
        /// The key of the configuration.
        key: String,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A path cannot be listened on.
    #[error("{key} {address}")]
    Socket {
        /// The key of the configuration.
        key: String,
        /// The address.
        address: Address,
        /// What stands in the way.
        source: unix::Error,
    },
    /// A key cannot be read.
    #[error("credentials.{name}")]
    Secret {
        /// The credential.
        name: String,
        /// What stands in the way.
        source: secret::Error,
    },
    /// A listener's certificate cannot be used.
    #[error("listeners[{at}].tls.{reason}")]
    Certificate {
        /// The listener's position.
        at: usize,
        /// What stands in the way; begins with the key of the configuration.
        reason: server::tls::Error,
    },
    /// Records of starts cannot be kept where the configuration says.
    #[error("audit.file {}: cannot be appended to; make its directory, and let the gateway's user write there", file.display())]
    Audit {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// The upstream's host is no name that a certificate can have.
    #[error("upstream.url")]
    Host(#[from] connect::EndpointError),
    /// The collector's URL cannot be used.
    #[error("traces.otlp")]
    Traces(#[from] traces::Error),
    /// The path of the upstream's URL is none; `config::resolve` promises that this does not happen.
    #[error("upstream.url: its path is none")]
    BasePath,
    /// The configuration cannot serve.
    #[error(transparent)]
    Snapshot(#[from] generation::Error),
    /// The system refused a thread, a socket or a runtime.
    #[error("starting failed")]
    System(#[from] io::Error),
}

/// Starts a gateway: reads the keys, binds every address, starts the workers. Called inside a runtime, which serves the
/// probes. Where the configuration has a `source`, changes of it are taken over.
///
/// # Errors
///
/// Whatever keeps it from serving; nothing is left running then.
pub async fn start(
    config: Config,
    environment: Environment,
    source: Option<Source>,
    log: Option<Log>,
) -> Result<Running, Error> {
    let available_memory = memory::limit();
    let state = Arc::new(State::new(available_memory, audit::PLACES));
    let credentials =
        Arc::new(Credentials::new(config.fingerprint_salt.as_deref().map_or_else(Salt::random, Salt::new)));
    let present = credentials::read(&config, &environment, &credentials).await?;
    let served = Snapshot::serve(&config, &present, &state)?;
    credentials.replace(present);
    let current: Vec<_> = served.into_iter().map(|served| Arc::new(Current::new(served))).collect();
    let audit = config.audit.as_ref().map(open_audit).transpose()?;
    let (tls, ca_file) = tls::Client::new(config.upstream.ca_file.as_deref()).await?;
    let connector = Connector::new(&config.upstream.endpoint, &tls, config.timeouts.connect)?;
    let connectors = vec![connector; worker_count(&config)];
    let mut watches = Vec::from_iter(ca_file);
    let tls_servers = tls_servers(&config, &mut watches).await?;
    let (admin, admin_socket) = bind("admin.address".to_owned(), config.admin.address)?;
    let Listening { addresses, sockets, socket_paths } = Listening::at(&config.listeners)?;
    let (drain, draining) = drain::channel();
    let upstream_health = Arc::new(UpstreamHealth::default());
    let health = Arc::new(Health::new(
        draining.clone(),
        Arc::clone(&upstream_health),
        Arc::clone(&credentials),
        audit.clone(),
        config.readiness,
        Arc::clone(&state),
    ));
    let (end, workers_end) = mpsc::channel(1);
    let worker_ended = CancellationToken::new();
    let with_tls = config.listeners.iter().any(|listener| listener.tls.is_some());
    let capacity = Capacity::of_process(config.listeners.len(), with_tls, available_memory);
    let metrics = Metrics::new(state.tenant(metrics::OTHER, &Limits::default(), Instant::now()).meters);
    let credential_probe = CredentialProbe::new(&config, &tls)?;
    let (tracer, exporter) = traces::parts(&config, &tls)?.unzip();
    let sinks = Arc::new(Sinks { log, audit: audit.clone(), tracer, metrics });
    let open: Vec<_> =
        config.listeners.iter().map(|listener| sinks.metrics.listener(&listener.address.to_string())).collect();
    let page = Page::new(Shown {
        sinks: Arc::clone(&sinks),
        state: Arc::clone(&state),
        credentials: Arc::clone(&credentials),
        capacity: capacity.max(),
        upstream: (config.upstream.endpoint.host.clone(), config.upstream.endpoint.port),
    });
    let mut workers = Vec::new();
    for (number, connector) in connectors.into_iter().enumerate() {
        let worker = Worker {
            sockets: sockets.iter().map(Bound::try_clone).collect::<io::Result<_>>()?,
            tls: tls_servers.clone(),
            capacity: capacity.clone(),
            current: current.clone(),
            open: open.clone(),
            connector,
            upstream_health: Arc::clone(&upstream_health),
            idle: config.timeouts.idle,
            draining: draining.clone(),
            drain_timeout: config.drain.timeout,
            sinks: Arc::clone(&sinks),
            state: Arc::clone(&state),
        };
        workers.push(worker.start(number, end.clone(), worker_ended.clone().drop_guard())?);
    }
    announce(&config.listeners, &addresses);
    say_how_it_stands(admin, workers.len(), capacity.max(), &health);
    for (credential, _) in state.listing_checks() {
        tracing::info!(
            event = event::RECOVERY_UNPROVEN,
            credential,
            "recovery is unproven until a start with an Idempotency-Key is found at the upstream"
        );
    }
    let admin_hosts = config.admin.hosts.clone();
    let schedule = Schedule { delay: config.drain.delay, timeout: config.drain.timeout };
    let reloader = source.map(|source| Reloader {
        source,
        environment,
        config,
        current,
        state: Arc::clone(&state),
        credentials: Arc::clone(&credentials),
        health: Arc::clone(&health),
        sinks,
    });
    Ok(Running {
        addresses,
        admin,
        admin_socket,
        admin_hosts,
        socket_paths,
        drain,
        health,
        reloader,
        schedule,
        workers,
        workers_end,
        worker_ended,
        watches,
        state,
        credentials,
        credential_probe,
        page,
        exporter,
        audit,
    })
}

fn open_audit(config: &resolve::Audit) -> Result<Arc<Audit>, Error> {
    Audit::open(config.file.as_deref(), config.stdout, config.when_full).map_err(|source| match &config.file {
        Some(file) => Error::Audit { file: file.clone(), source },
        None => Error::System(source),
    })
}

/// What speaks TLS on each listener that has it; `watches` keep the certificates up to date.
async fn tls_servers(config: &Config, watches: &mut Vec<Watch>) -> Result<Vec<Option<Arc<ServerConfig>>>, Error> {
    let mut servers = Vec::new();
    for (at, listener) in config.listeners.iter().enumerate() {
        let Some(files) = &listener.tls else {
            servers.push(None);
            continue;
        };
        let made = server::tls::server_config(files).await;
        let (server, watch) = made.map_err(|reason| Error::Certificate { at, reason })?;
        watches.push(watch);
        servers.push(Some(server));
    }
    Ok(servers)
}

fn bind(key: String, address: SocketAddr) -> Result<(SocketAddr, TcpListener), Error> {
    let bound = accept::bind(address).and_then(|socket| Ok((socket.local_addr()?, socket)));
    bound.map_err(|source| Error::Bind { key, address, source })
}

/// What listens, in the order of the configuration.
#[derive(Default)]
struct Listening {
    addresses: Vec<Address>,
    sockets: Vec<Bound>,
    /// Those of Unix sockets.
    socket_paths: Vec<SocketPath>,
}

impl Listening {
    fn at(listeners: &[Listener]) -> Result<Listening, Error> {
        let mut listening = Listening::default();
        for (at, listener) in listeners.iter().enumerate() {
            let key = format!("listeners[{at}].address");
            match &listener.address {
                Address::Tcp(address) => {
                    let (address, socket) = bind(key, *address)?;
                    listening.addresses.push(Address::Tcp(address));
                    listening.sockets.push(Bound::Tcp(socket));
                }
                address @ Address::Unix { path, mode } => {
                    let bound = unix::bind(path, *mode);
                    let (socket, socket_path) =
                        bound.map_err(|source| Error::Socket { key, address: address.clone(), source })?;
                    listening.addresses.push(address.clone());
                    listening.sockets.push(Bound::Unix(socket));
                    listening.socket_paths.push(socket_path);
                }
            }
        }
        Ok(listening)
    }
}

fn announce(listeners: &[Listener], addresses: &[Address]) {
    for (listener, address) in listeners.iter().zip(addresses) {
        let scheme = if listener.tls.is_some() { "https" } else { "http" };
        let mode = match address {
            Address::Tcp(_) => None,
            Address::Unix { mode, .. } => Some(format!("{mode:04o}")),
        };
        match &listener.tenant {
            TenantSource::Fixed(tenant) => {
                tracing::info!(event = event::LISTENER_STARTED, %address, mode, scheme, tenant, "listening")
            }
            TenantSource::Header(header) => {
                tracing::info!(
                    event = event::LISTENER_STARTED,
                    %address,
                    mode,
                    scheme,
                    tenant_header = %header,
                    "listening"
                );
            }
        }
    }
}

/// Few callers at once are a limit of open files that nobody meant for this process.
const FEW_CALLERS: usize = 16;

fn say_how_it_stands(address: SocketAddr, workers: usize, callers: usize, health: &Health) {
    if callers < FEW_CALLERS {
        tracing::warn!(
            event = event::CONNECTION_LIMIT_LOW,
            limit = callers,
            "few callers can be connected at a time; raise the limit of open files (ulimit -Hn) or of memory"
        );
    }
    match health.obstacle() {
        None => tracing::info!(event = event::GATEWAY_READY, %address, workers, "ready"),
        Some(obstacle) => {
            tracing::warn!(event = event::GATEWAY_UNREADY, %address, workers, obstacle, "started, but not ready yet")
        }
    }
}

/// Returns how many workers a configuration asks for. `auto` is one for a sidecar, which only this machine's services can call,
/// else as many as the control group has cores.
fn worker_count(config: &Config) -> usize {
    match config.workers {
        Workers::Count(count) => count.get(),
        Workers::Auto if config.listeners.iter().all(|listener| listener.address.is_local()) => 1,
        Workers::Auto => std::thread::available_parallelism().map_or(1, NonZero::get).min(MAX_WORKERS),
    }
}
