//! What the operator wrote → what runs. Every problem is recorded with its path, then the next section is read; no
//! file, no name server and no environment is asked.

mod address;
mod audit;
mod body_memory;
mod credential;
mod header;
mod idempotency;
mod limits;
mod listener;
mod tenant;
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

use super::finding::{Findings, Path};
use super::{file, units};
use crate::asteroid::start::OnConflict;
use crate::credential::Definition;
use crate::state::{Bounds, Limits};
use crate::trace::Ratio;
use crate::transport::endpoint::Endpoint;

pub use address::Address;
pub use audit::Audit;
pub use body_memory::BodyMemory;
pub use credential::Readiness;
pub use idempotency::BODY_TAG;
pub use upstream::port;
pub use workers::{MAX_WORKERS, Workers};

/// A configuration that can run. Holds no secret and may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How many threads serve callers.
    pub workers: Workers,
    /// Where requests go.
    pub upstream: Upstream,
    /// Where requests arrive; at least one.
    pub listeners: Vec<Listener>,
    /// Where probes arrive; apart from every listener.
    pub admin: Admin,
    /// What the fingerprints of keys are made with; absent where each process has its own.
    pub fingerprint_salt: Option<String>,
    /// Where the keys are, by name.
    pub credentials: BTreeMap<String, Definition>,
    /// Which keys readiness waits for.
    pub readiness: Readiness,
    /// The tenants, by name.
    pub tenants: BTreeMap<String, Tenant>,
    /// What happens to a caller's tag that is one of the gateway's.
    pub on_conflict: OnConflict,
    /// What is remembered of idempotency keys.
    pub idempotency: Idempotency,
    /// The largest request body, in bytes: 1 KiB to 64 MiB.
    pub body_limit: usize,
    /// How much memory requests and their bodies may take.
    pub body_memory: BodyMemory,
    /// How long each part of an exchange may take.
    pub timeouts: Timeouts,
    /// How the gateway ends.
    pub drain: Drain,
    /// Where spans go; absent where none are made.
    pub traces: Option<Traces>,
    /// Where a record of every start is kept, if anywhere.
    pub audit: Option<Audit>,
}

/// The Asteroid API that the gateway stands in front of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Where it is.
    pub endpoint: Endpoint,
    /// What stands before every path: empty, or such as `/agents/v2`.
    pub base_path: String,
    /// The header that carries the key.
    pub credential_header: HeaderName,
    /// Certificates (PEM) that are trusted beside the built-in roots.
    pub ca_file: Option<PathBuf>,
    /// The organisation whose executions are listed; where it is absent, the key's only one.
    pub organization_id: Option<Uuid>,
}

/// Which requests have spans, and where these go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    /// Who takes them.
    pub collector: Collector,
    /// How many of the traces that begin here are sampled.
    pub sample: Ratio,
    /// `service.name`: 1 to 255 bytes.
    pub service_name: String,
}

/// A collector of spans that speaks OTLP over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    /// Where it is.
    pub endpoint: Endpoint,
    /// Where spans are posted: `/v1/traces`, as a rule.
    pub path: String,
}

/// A socket on which requests arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Where it is.
    pub address: Address,
    /// How the tenant of a request is known.
    pub tenant: TenantSource,
    /// Who is believed; where it is empty, everybody who reaches the address, which then is local.
    pub trusted_peers: Vec<IpNet>,
    /// Further names for `Host`: lower case, no port, IPv6 without brackets.
    pub hosts: Vec<String>,
    /// The certificate, where callers speak TLS.
    pub tls: Option<ListenerTls>,
}

/// The listener for probes and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Where it is.
    pub address: SocketAddr,
    /// Names for `Host`, beside IP addresses and localhost: lower case, no port.
    pub hosts: Vec<String>,
}

/// Where a listener's certificate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// The chain (PEM), the listener's own certificate first.
    pub certificate_file: PathBuf,
    /// The private key (PEM).
    pub key_file: PathBuf,
}

/// How the tenant of a request is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenantSource {
    /// Whoever reaches this listener is this tenant, which exists.
    Fixed(String),
    /// This header names one of the tenants.
    Header(HeaderName),
}

/// Somebody who starts agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// The name of the key that is sent, which exists.
    pub credential: String,
    /// What is written into `metadata`: the tenant's own tag first, then its further ones; no key twice.
    pub tags: Vec<(String, String)>,
    /// What it may do.
    pub limits: Limits,
    /// Whether its starts carry idempotency keys.
    pub idempotency: IdempotencyMode,
}

/// Whether the starts of a tenant carry idempotency keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IdempotencyMode {
    /// A start with one is refused.
    Off,
    /// As the caller likes.
    #[default]
    Optional,
    /// A start without one is refused.
    Required,
}

/// What is remembered of idempotency keys, and where else is looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// How long and how much: 1 min to 30 days, 1 MiB to 16 GiB.
    pub bounds: Bounds,
    /// Whether starts that are not known here are looked up at the upstream.
    pub recovery: bool,
    /// The metadata key that carries the digest of an idempotency key: 1 to 128 of `A-Z`, `a-z`, `0-9`, `.`, `_`, `-`.
    pub tag: String,
}

/// How long each part of an exchange may take: 1 ms to 1 h each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// Connecting to the upstream, TLS included.
    pub connect: Duration,
    /// From sending the request to the end of the part of its answer that is buffered; then between the parts of the rest.
    pub response: Duration,
    /// Reading a caller's body.
    pub body: Duration,
    /// How long an unused connection to the upstream is kept: less than the upstream keeps it.
    pub idle: Duration,
    /// How long a caller's connection is kept without a request, until the whole head of the next one has come.
    pub caller_idle: Duration,
}

/// How the gateway ends: 0 to 1 h each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drain {
    /// How long listeners go on after readiness has flipped.
    pub delay: Duration,
    /// How long requests in flight may take after that.
    pub timeout: Duration,
}

const LEAST: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Reads every section. Nothing is answered only where a fault is recorded in `findings`.
pub(super) fn resolve(file: file::Gateway, findings: &mut Findings) -> Option<Config> {
    let root = Path::default();
    let upstream = upstream::resolve(file.upstream, &root.key("upstream"), findings);
    let credential_header = upstream.as_ref().map(|upstream| &upstream.credential_header);
    let listeners = listener::resolve(file.listeners, &file.tenants, credential_header, findings);
    let admin = listener::admin(file.admin, listeners.as_deref().unwrap_or_default(), findings);
    let tag = idempotency::tag(&file.tagging, findings);
    let tenants = tenant::resolve(file.tenants, file.tagging, tag.as_deref(), &file.credentials, findings);
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
    let timeouts = timeouts(&file.timeouts, section.findings);
    let drain = drain(&file.drain, section.findings);
    if let (Some(timeouts), Some(drain)) = (&timeouts, &drain) {
        warn_of_short_drain(timeouts, drain, section.findings);
    }
    let traces = traces::resolve(file.traces, section.findings);
    let audit = audit::resolve(file.audit, section.findings);
    let (tenants, on_conflict) = tenants?;
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
        body_limit: body_limit?,
        body_memory: body_memory?,
        timeouts: timeouts?,
        drain: drain?,
        traces: traces?,
        audit: audit?,
    })
}

fn timeouts(written: &file::Timeouts, findings: &mut Findings) -> Option<Timeouts> {
    let mut section = Section { findings, path: Path::default().key("timeouts") };
    let connect = section.duration("connect", written.connect.as_ref(), 5, LEAST..=HOUR);
    let response = section.duration("response", written.response.as_ref(), 60, LEAST..=HOUR);
    let body = section.duration("body", written.body.as_ref(), 30, LEAST..=HOUR);
    let idle = section.duration("idle", written.idle.as_ref(), 50, LEAST..=HOUR);
    let caller_idle = section.duration("caller_idle", written.caller_idle.as_ref(), 75, LEAST..=HOUR);
    Some(Timeouts { connect: connect?, response: response?, body: body?, idle: idle?, caller_idle: caller_idle? })
}

fn drain(written: &file::Drain, findings: &mut Findings) -> Option<Drain> {
    let mut section = Section { findings, path: Path::default().key("drain") };
    let delay = section.duration("delay", written.delay.as_ref(), 0, Duration::ZERO..=HOUR);
    let timeout = section.duration("timeout", written.timeout.as_ref(), 65, Duration::ZERO..=HOUR);
    Some(Drain { delay: delay?, timeout: timeout? })
}

/// Warns if a request that is in flight when the drain begins may take longer than the drain: as long as an answer may take, and
/// some seconds around it.
fn warn_of_short_drain(timeouts: &Timeouts, drain: &Drain, findings: &mut Findings) {
    let needed = timeouts.response + Duration::from_secs(5);
    if drain.timeout < needed {
        let needed = humantime::format_duration(needed);
        let path = Path::default().key("drain").key("timeout");
        let message = format!(
            "is less than `timeouts.response` plus 5s: paid starts could be cut off at a shutdown; write {needed}"
        );
        findings.warnings.push(&path, message);
    }
}

/// The quantities of one section.
struct Section<'a> {
    findings: &'a mut Findings,
    path: Path,
}

impl Section<'_> {
    fn duration(
        &mut self,
        key: &str,
        written: Option<&file::Quantity>,
        default: u64,
        bounds: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let Some(file::Quantity(text)) = written else { return Some(Duration::from_secs(default)) };
        units::duration(text, *bounds.start(), *bounds.end())
            .or_else(|message| self.findings.fault(&self.path.key(key), message).ok_or(()))
            .ok()
    }

    fn size(
        &mut self,
        key: &str,
        written: Option<file::Quantity>,
        default: u64,
        least: u64,
        most: u64,
    ) -> Option<usize> {
        let bytes = match written {
            None => Ok(default),
            Some(file::Quantity(text)) => units::size(&text, least, most),
        };
        match bytes.and_then(|bytes| usize::try_from(bytes).map_err(|_| "is too large for this machine".to_owned())) {
            Ok(bytes) => Some(bytes),
            Err(message) => self.findings.fault(&self.path.key(key), message),
        }
    }
}

/// Whether `name` may stand in log fields, metric labels and tags: 1 to 128 of `A-Z`, `a-z`, `0-9`, `.`, `_` and `-`.
fn is_tenant_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}
