//! Turns the file's model into the configuration that runs. Records every fault with its path and continues with the
//! next section. Does no I/O: it uses no file, name server or environment.

mod address;
mod audit;
mod body_memory;
mod credential;
mod header;
mod idempotency;
mod limits;
mod listener;
mod listing;
mod operations;
mod redact;
mod tenant;
mod timeouts;
mod traces;
mod upstream;
mod workers;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use hyper::header::HeaderName;
use ipnet::IpNet;
use uuid::Uuid;

use crate::asteroid::era::Era;
use crate::asteroid::group::OpenGroups;
use crate::asteroid::start::OnConflict;
use crate::credential::Definition;
use crate::state::{Bounds, Limits};
use crate::trace::Ratio;
use crate::transport::endpoint::Endpoint;

use super::finding::{Findings, Path};
use super::{file, units};

pub use address::Address;
pub use audit::Audit;
pub use body_memory::BodyMemory;
pub use credential::Readiness;
pub use idempotency::BODY_TAG;
pub use upstream::port;
pub use workers::{MAX_WORKERS, Workers};

/// A runnable configuration. It holds no secret and may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The number of threads that serve callers.
    pub workers: Workers,
    /// The API that requests are forwarded to.
    pub upstream: Upstream,
    /// The listeners for requests; at least one.
    pub listeners: Vec<Listener>,
    /// The listener for probes and metrics.
    pub admin: Admin,
    /// The salt for the fingerprints of API keys; if absent, each process makes its own.
    pub fingerprint_salt: Option<String>,
    /// The definitions of the credentials, by name.
    pub credentials: BTreeMap<String, Definition>,
    /// The API keys that readiness waits for.
    pub readiness: Readiness,
    /// The tenants, by name.
    pub tenants: BTreeMap<String, Tenant>,
    /// The reaction to a caller's tag with the name of one of the gateway's.
    pub on_conflict: OnConflict,
    /// The memory of idempotency keys.
    pub idempotency: Idempotency,
    /// Whether `triggerContext` is taken out of executions before they are passed on.
    pub redact_trigger_context: bool,
    /// The largest request body, in bytes: 1 KiB to 64 MiB.
    pub body_limit: usize,
    /// The memory that requests and their bodies may take.
    pub body_memory: BodyMemory,
    /// The largest answer that is judged before it is passed on, in bytes: 64 KiB to 256 MiB. [`BodyMemory::max_answer`] may be
    /// lower.
    pub answer_limit: usize,
    /// The most executions that a caller may ask for in one list: 1 to 1000.
    pub max_page_size: u32,
    /// The largest upload of files, in bytes: 1 KiB to 10 GiB. It is passed on while it comes.
    pub upload_limit: u64,
    /// The time limits for the parts of an exchange.
    pub timeouts: Timeouts,
    /// The graceful shutdown.
    pub drain: Drain,
    /// The export of spans, if any.
    pub traces: Option<Traces>,
    /// The audit, if any.
    pub audit: Option<Audit>,
}

/// The Asteroid API that requests are forwarded to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Its scheme, host and port.
    pub endpoint: Endpoint,
    /// The prefix of every path: empty, or such as `/agents/v2`.
    pub base_path: String,
    /// The prefix of every path of version 1 of the API, if `base_path` shows where that is.
    pub v1_base_path: Option<String>,
    /// The header that carries the API key.
    pub credential_header: HeaderName,
    /// The file of certificates (PEM) that are trusted in addition to the built-in roots.
    pub ca_file: Option<PathBuf>,
    /// The organisation whose executions are listed; if absent, the API key's only one.
    pub organization_id: Option<Uuid>,
    /// The era of its API.
    pub era: Era,
    /// The names of further query parameters of listings that may pass: at most 50, which need no encoding.
    pub list_parameters: Vec<String>,
}

/// The export of spans: their collector, and the share of requests that have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    /// The collector.
    pub collector: Collector,
    /// The share of traces that is sampled.
    pub sample: Ratio,
    /// The value of `service.name`: 1 to 255 bytes.
    pub service_name: String,
}

/// A collector of spans with OTLP over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    /// Its scheme, host and port.
    pub endpoint: Endpoint,
    /// The path to post spans to: usually `/v1/traces`.
    pub path: String,
}

/// A listener for requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The address to bind.
    pub address: Address,
    /// The source of a request's tenant.
    pub tenant: TenantSource,
    /// The networks that may call. If empty, every caller that reaches the address may; the address is local then.
    pub trusted_peers: Vec<IpNet>,
    /// Additional names for `Host`: lower case, no port, IPv6 without brackets.
    pub hosts: Vec<String>,
    /// The certificate, if callers use TLS.
    pub tls: Option<ListenerTls>,
}

/// The listener for probes and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// The address to bind.
    pub address: SocketAddr,
    /// Names for `Host` in addition to IP addresses and localhost: lower case, no port.
    pub hosts: Vec<String>,
}

/// The files of a listener's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// The chain (PEM), the listener's own certificate first.
    pub certificate_file: PathBuf,
    /// The private key (PEM).
    pub key_file: PathBuf,
}

/// The source of a request's tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenantSource {
    /// This tenant, which exists, for every caller of the listener.
    Fixed(String),
    /// The header of this name, which names one of the tenants.
    Header(HeaderName),
}

/// A tenant, which may start agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// The name of the credential whose API key is sent, which exists.
    pub credential: String,
    /// The tags for `metadata`: the tenant's name first, then its other tags; no name twice.
    pub tags: Vec<(String, String)>,
    /// The groups of operations that are open to it.
    pub operations: OpenGroups,
    /// Its limits.
    pub limits: Limits,
    /// Whether its starts carry idempotency keys.
    pub idempotency: IdempotencyMode,
}

/// Whether the starts of a tenant carry idempotency keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IdempotencyMode {
    /// A start with an idempotency key is refused.
    Off,
    /// A start may have an idempotency key.
    #[default]
    Optional,
    /// A start without an idempotency key is refused.
    Required,
}

/// The memory of idempotency keys, and look-ups at the upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The bounds of time and memory: 1 min to 30 days, 1 MiB to 16 GiB.
    pub bounds: Bounds,
    /// Whether starts of unknown outcome, or unknown to this process, are looked up at the upstream.
    pub recovery: bool,
    /// The name of the tag with the digest of an idempotency key: 1 to 128 of `A-Z`, `a-z`, `0-9`, `.`, `_`, `-`.
    pub tag: String,
}

/// The time limits for the parts of an exchange: 1 ms to 1 h each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// Connecting to the upstream, TLS included.
    pub connect: Duration,
    /// From sending the request to the end of the buffered part of its answer; then between the parts of the rest.
    pub response: Duration,
    /// Reading a caller's body.
    pub body: Duration,
    /// How long an unused connection to the upstream is kept. Shorter than the upstream's own limit.
    pub idle: Duration,
    /// How long a caller's connection is kept without a request, until the complete head of the next one has arrived.
    pub caller_idle: Duration,
}

/// The graceful shutdown: 0 to 1 h each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drain {
    /// How long listeners continue after the gateway has become unready.
    pub delay: Duration,
    /// How long requests in flight may take after that.
    pub timeout: Duration,
}

/// Reads every section. Returns `None` only if a fault is recorded in `findings`.
pub(super) fn resolve(file: file::Gateway, findings: &mut Findings) -> Option<Config> {
    let root = Path::default();
    let upstream = upstream::resolve(file.upstream, &root.join("upstream"), findings);
    let credential_header = upstream.as_ref().map(|upstream| &upstream.credential_header);
    let listeners = listener::resolve(file.listeners, &file.tenants, credential_header, findings);
    let admin = listener::admin(file.admin, listeners.as_deref().unwrap_or_default(), findings);
    let tag = idempotency::tag(&file.tagging, findings);
    let open = operations::resolve(&file.operations, OpenGroups::default(), &root.join("operations"), findings);
    let inherited = open.unwrap_or_default();
    let tenants = tenant::resolve(file.tenants, inherited, file.tagging, tag.as_deref(), &file.credentials, findings);
    let idempotency = idempotency::resolve(file.idempotency, tag, findings);
    if let (Some(idempotency), Some((tenants, _))) = (&idempotency, &tenants) {
        idempotency::warn_of_needless_recovery(idempotency, tenants, findings);
        idempotency::warn_of_small_shares(idempotency, tenants, findings);
    }
    if let Some((tenants, _)) = &tenants {
        limits::warn_of_local_budgets(tenants, findings);
    }
    if let (Some(listeners), Some((tenants, _))) = (&listeners, &tenants) {
        listener::warn_of_idle_tenants(listeners, tenants, findings);
    }
    let used = tenants.as_ref().map(|(tenants, _)| tenants);
    let readiness = credential::readiness(file.readiness, findings);
    let credentials = credential::resolve(file.credentials, credential_header, readiness, used, findings);
    let fingerprint_salt = credential::salt(file.fingerprint_salt, findings);
    let mut section = Section { findings, path: root };
    let workers = workers::resolve(file.workers, &mut section);
    let body_limit = section.size("body_limit", file.body_limit, 1 << 20, 1 << 10, 64 << 20);
    let body_memory = body_memory::resolve(file.body_memory, body_limit, &mut section);
    let answer_limit = listing::answer_limit(file.answer_limit, body_limit, body_memory, &mut section);
    let max_page_size = listing::max_page_size(file.max_page_size, &mut section);
    let upload_limit = section.size("upload_limit", file.upload_limit, 100 << 20, 1 << 10, 10 << 30);
    let redact_trigger_context = redact::trigger_context(&file.redact, section.findings);
    let timeouts = timeouts::resolve(&file.timeouts, section.findings);
    let drain = timeouts::drain(&file.drain, section.findings);
    if let (Some(timeouts), Some(drain)) = (&timeouts, &drain) {
        timeouts::warn_of_short_drain(timeouts, drain, section.findings);
    }
    let traces = traces::resolve(file.traces, section.findings);
    let audit = audit::resolve(file.audit, section.findings);
    let (tenants, on_conflict) = tenants?;
    open?;
    Some(Config {
        workers: workers?,
        upstream: upstream?,
        listeners: listeners?,
        admin: admin?,
        fingerprint_salt: fingerprint_salt?,
        credentials: credentials?,
        readiness: readiness?,
        tenants,
        on_conflict,
        idempotency: idempotency?,
        redact_trigger_context: redact_trigger_context?,
        body_limit: body_limit?,
        body_memory: body_memory?,
        answer_limit: answer_limit?,
        max_page_size: max_page_size?,
        upload_limit: upload_limit? as u64,
        timeouts: timeouts?,
        drain: drain?,
        traces: traces?,
        audit: audit?,
    })
}

/// One section and its path, for reading quantities.
struct Section<'a> {
    findings: &'a mut Findings,
    path: Path,
}

impl Section<'_> {
    fn duration(
        &mut self,
        name: &str,
        written: Option<&file::Quantity>,
        default: u64,
        bounds: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let Some(file::Quantity(text)) = written else { return Some(Duration::from_secs(default)) };
        units::duration(text, *bounds.start(), *bounds.end())
            .or_else(|message| self.findings.refuse(&self.path.join(name), message).ok_or(()))
            .ok()
    }

    fn size(&mut self, name: &str, written: Option<file::Quantity>, default: u64, min: u64, max: u64) -> Option<usize> {
        let bytes = match written {
            None => Ok(default),
            Some(file::Quantity(text)) => units::size(&text, min, max),
        };
        match bytes.and_then(|bytes| usize::try_from(bytes).map_err(|_| "is too large for this machine".to_owned())) {
            Ok(bytes) => Some(bytes),
            Err(message) => self.findings.refuse(&self.path.join(name), message),
        }
    }
}

/// Reads a flag, which is `default` if it is absent.
fn flag(written: Option<&file::Flag>, default: bool, path: &Path, findings: &mut Findings) -> Option<bool> {
    match written.map(|file::Flag(text)| text.as_str()) {
        None => Some(default),
        Some("false") => Some(false),
        Some("true") => Some(true),
        Some(_) => findings.refuse(path, "must be true or false"),
    }
}

/// Returns whether `name` is valid in log fields, metric labels and tags: 1 to 128 of `A-Z`, `a-z`, `0-9`, `.`, `_` and
/// `-`.
fn is_tenant_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}
