//! What the operator writes. Every key is optional here: absence is judged in `resolve`, where it can be told apart
//! from a key that was refused.
//!
//! Values are kept as text, because a value that does not parse must be reported beside all others; serde would stop
//! at the first. A key that is not here is refused: no feature is configured before it exists.
//!
//! The comments on keys are written for operators: they are what an editor shows and what `docs/CONFIGURATION.md` says.
//! Bounds and defaults do not stand in them; `tests/reference` asks `resolve` for those.

mod value;

use std::collections::BTreeMap;

use serde::Deserialize;

pub(crate) use value::{Flag, List, Mode, Number, Quantity};

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Gateway {
    /// How many threads serve callers, each with connections of its own to the upstream. `auto`: one if every listener is on
    /// loopback or a Unix socket, else one for each core that the control group allows.
    pub(crate) workers: Option<Number>,
    /// Where requests go.
    pub(crate) upstream: Upstream,
    /// Where requests arrive: one listener or more.
    pub(crate) listeners: Option<List<Listener>>,
    /// Where probes arrive: `/livez`, `/readyz`. Apart from the listeners; it may be reachable from outside, as
    /// Kubernetes needs.
    pub(crate) admin: Admin,
    /// What the fingerprints of keys in logs, metrics and the audit are made with: 1 to 128 characters. Gateways with the same
    /// salt call a key the same. Absent: each process has its own.
    pub(crate) fingerprint_salt: Option<String>,
    /// Where the keys are, by name: 1 to 63 of `a-z`, `0-9`, `_` and `-`. A key itself never stands in the file.
    pub(crate) credentials: BTreeMap<String, Credential>,
    /// When the gateway is ready.
    pub(crate) readiness: Readiness,
    /// Who may start agents, by name: 1 to 128 of `A-Z`, `a-z`, `0-9`, `.`, `_` and `-`.
    pub(crate) tenants: BTreeMap<String, Tenant>,
    /// What is written into the `metadata` of every execution.
    pub(crate) tagging: Tagging,
    /// What this process remembers of idempotency keys, and forgets when it ends (docs/IDEMPOTENCY.md).
    pub(crate) idempotency: Idempotency,
    /// The largest request body.
    pub(crate) body_limit: Option<Quantity>,
    /// How much memory requests and their bodies may take together, at least three times `body_limit`. A tenant may take as much as
    /// it leaves free, the only tenant all of it; beyond that, 503. `auto`: a quarter of the memory that the control group
    /// (version 1 or 2) allows, else of the machine's, at most 1 GiB.
    pub(crate) body_memory: Option<Quantity>,
    /// How long each part of an exchange may take.
    pub(crate) timeouts: Timeouts,
    /// How the gateway ends after SIGTERM.
    pub(crate) drain: Drain,
    /// Where spans go (docs/TRACING.md). Without this section there are none, and a caller's valid trace context is passed
    /// on as it came.
    pub(crate) traces: Option<Traces>,
    /// Where a record of every start is kept, one JSON object a line (docs/AUDIT.md). Absent: there is no audit.
    pub(crate) audit: Option<Audit>,
}

/// `upstream`: where requests go.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Upstream {
    /// The base URL of the Asteroid API: `https://`, or `http://` for localhost, 127.0.0.0/8 and `[::1]` alone. No user,
    /// query or fragment. Over `https`, HTTP/2 or HTTP/1.1 is spoken, as the upstream chooses.
    pub(crate) url: Option<String>,
    /// The header that carries the key. Newer servers: `X-Api-Key`.
    pub(crate) credential_header: Option<String>,
    /// Certificates (PEM) that are trusted beside the built-in roots; read again when they change.
    pub(crate) ca_file: Option<String>,
    /// The id of the organisation, if the keys span several: listings need it then.
    pub(crate) organization_id: Option<String>,
}

/// One of `listeners`: where requests arrive.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Listener {
    /// An IP address and a port; port 0 lets the system choose, and the log says which. Off loopback,
    /// `tenant.trusted_peers` must say who may call. Or a Unix socket, for processes of this machine: HTTP/1.1 in cleartext,
    /// at a path of at most 99 bytes in a directory that is there. One that nobody listens on is replaced.
    pub(crate) address: Option<String>,
    /// Who may call at a Unix socket: its permissions in octal, whatever the umask. It gets the directory's group where that
    /// has the setgid bit.
    pub(crate) mode: Option<Number>,
    /// How the tenant of a request is known: `fixed` or `header`.
    pub(crate) tenant: TenantSource,
    /// Further names that callers may use in `Host`, without port, beside localhost, 127.0.0.0/8 and `[::1]` on loopback.
    /// Off loopback and at a Unix socket, `Host` is judged where names are given.
    pub(crate) hosts: Option<List<String>>,
    /// HTTPS, with HTTP/2 for callers that choose it; without it, HTTP/1.1 in cleartext. Both files are read again when
    /// they change. Not at a Unix socket.
    pub(crate) tls: Option<ListenerTls>,
}

/// `listeners[].tls`: where a listener's certificate is.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct ListenerTls {
    /// The certificate chain (PEM), the listener's own certificate first.
    pub(crate) certificate_file: Option<String>,
    /// The certificate's private key (PEM).
    pub(crate) key_file: Option<String>,
}

/// `listeners[].tenant`: how the tenant of a request is known.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantSource {
    /// Whoever reaches this listener is this tenant.
    pub(crate) fixed: Option<String>,
    /// The name of the header that names the tenant; it must come once.
    pub(crate) header: Option<String>,
    /// The networks and addresses that are believed. Connections of all others are closed before anything is read. Needed off
    /// loopback; on loopback, everybody is believed if it is absent. Callers at a Unix socket have no address: there, `mode` and
    /// the directory decide.
    pub(crate) trusted_peers: Option<List<String>>,
}

/// `admin`: the listener for probes.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Admin {
    /// An IP address and a port, none of a listener's; no Unix socket.
    pub(crate) address: Option<String>,
    /// Names that may stand in `Host`, without port, beside IP addresses and localhost: those that probes and Prometheus ask by.
    /// Others are refused (421), so that no web page reads metrics by a name of its own.
    pub(crate) hosts: Option<List<String>>,
}

/// One of `credentials`: where a key is kept, never the key.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Credential {
    /// A file with the key alone on one line, 16 to 8192 visible ASCII characters. It is looked at every second: another key in
    /// it serves from the next request on, or as soon as the upstream accepts it; where it holds none, the last one stays in
    /// use. A relative path starts where the gateway started.
    pub(crate) file: Option<String>,
    /// Another file, for the key before: it is held, too, until the upstream has accepted the one in `file` once, so that a
    /// gateway which starts in the middle of a rotation has both. It may be absent or empty, and is never used alone.
    pub(crate) previous_file: Option<String>,
    /// How long a key stays in use that `file` does not hold any more: `10s` to `30days`. After that, starts get 503. Absent:
    /// for ever.
    pub(crate) max_stale: Option<Quantity>,
    /// The name of an environment variable that holds the key, of 16 characters or more: for development.
    pub(crate) env: Option<String>,
}

/// `readiness`: when the gateway is ready.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Readiness {
    /// Which keys `/readyz` waits for: `any`, one that can be sent; `all`, one of each credential; `verified`, one that the
    /// upstream has accepted once, for which it is asked by a read call. A key that the upstream refuses later does not change
    /// readiness.
    pub(crate) credentials: Option<String>,
}

/// One of `tenants`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tenant {
    /// The name of the credential whose key is sent for this tenant.
    pub(crate) credential: Option<String>,
    /// Tags beside the tenant's name, written into the `metadata` of every execution. Both sides are text (a number
    /// needs quotes) and not empty: at most 128 bytes for the key, 1024 for the value.
    pub(crate) metadata: BTreeMap<String, String>,
    /// What this tenant may do, counted by this process; an absent limit is no limit. A request beyond one gets 429.
    pub(crate) limits: Limits,
    /// Whether starts may carry an `Idempotency-Key`, so that a retry starts nothing twice: `optional`, `required` (400
    /// without one) or `off` (400 with one).
    pub(crate) idempotency: Option<Mode>,
}

/// `tenants.*.limits`: what a tenant may do; an absent limit is no limit.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    /// Starts of executions, counted once they were found valid. Only time gives anything back.
    pub(crate) executions: Option<Rate>,
    /// Requests of any kind, counted before their bodies are read.
    pub(crate) requests: Option<Rate>,
    /// Requests at once, from their heads to the ends of their answers, also where the caller has hung up.
    pub(crate) in_flight: Option<Quantity>,
    /// Starts in a UTC calendar day, counted in this process alone and forgotten when it ends. What is known to have started
    /// nothing, because the upstream refused it or could not be reached, is given back.
    pub(crate) budget: Option<Budget>,
}

/// `tenants.*.limits.executions` and `requests`: how many in which span of time.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Rate {
    /// How many in which span of time: a second (`s`), minute (`m`), hour (`h`) or day (`d`).
    pub(crate) rate: Option<Quantity>,
    /// How many may come at once after a rest; where it is absent, the number of the rate.
    pub(crate) burst: Option<Quantity>,
}

/// `tenants.*.limits.budget`: how many starts in a day.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Budget {
    /// How many.
    pub(crate) executions: Option<Quantity>,
    /// In which span of time: the UTC calendar day.
    pub(crate) per: Option<String>,
    /// Has no effect: budgets are counted in this process alone, and forgotten when it ends. Earlier versions wanted `true`
    /// here.
    pub(crate) local: Option<Flag>,
}

/// `tagging`: what is written into a request's `metadata`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Tagging {
    /// The metadata key that carries the tenant's name; no tenant's `metadata` may name it.
    pub(crate) tenant_key: Option<String>,
    /// What stands before the name, such as `prod/` where several gateways share one organisation's key.
    pub(crate) tenant_prefix: Option<String>,
    /// What happens when a caller sends one of these keys with another value: `reject` (400) or `overwrite`.
    pub(crate) on_conflict: Option<String>,
    /// The metadata key that carries the digest of an idempotency key. No caller may send it.
    pub(crate) idempotency_key: Option<String>,
}

/// `idempotency`: what is remembered of idempotency keys.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Idempotency {
    /// How long after its end a start is remembered.
    pub(crate) retention: Option<Quantity>,
    /// How much memory the records of all tenants may take; about 450 bytes are one start. Each tenant has an equal share
    /// for certain, and beyond it what others do not use. Where it is full, the oldest answers of the tenant that is over its
    /// share are forgotten first, and the log says so.
    pub(crate) memory: Option<Quantity>,
    /// `true`: a start whose outcome is unknown here is looked up at the upstream by its digest, and so is the first
    /// start with any key, since this process may have been restarted or be one of several: one more request for each.
    pub(crate) recovery: Option<Flag>,
}

/// `timeouts`: how long each part of an exchange may take.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Timeouts {
    /// Connecting to the upstream, TLS and the beginning of HTTP/2 included.
    pub(crate) connect: Option<Quantity>,
    /// From sending the request to the end of its answer. Of an answer above 64KiB: to the end of the first 64KiB, and
    /// then from each part to the next.
    pub(crate) response: Option<Quantity>,
    /// Reading a caller's body.
    pub(crate) body: Option<Quantity>,
    /// How long an unused connection to the upstream is kept: less than the upstream keeps it.
    pub(crate) idle: Option<Quantity>,
    /// How long a caller's connection is kept without a request: longer than a load balancer in front of the gateway keeps
    /// it. The whole head of the next request must have come by then. Also how long a caller may leave an answer unread. A TLS
    /// handshake and the first head have 10s together, or this if it is shorter.
    pub(crate) caller_idle: Option<Quantity>,
}

/// `drain`: how the gateway ends.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Drain {
    /// How long the listeners go on after readiness has flipped, so that load balancers notice.
    pub(crate) delay: Option<Quantity>,
    /// How long requests in flight may take after that. If it is less than `timeouts.response` plus 5s, starts that are paid can
    /// be cut off.
    pub(crate) timeout: Option<Quantity>,
}

/// `traces`: where spans go.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Traces {
    /// A collector that takes OTLP over HTTP as protobuf. Over `https` its certificate is trusted as the upstream's is.
    pub(crate) otlp: Option<String>,
    /// The share of traces that are recorded: of those that begin here, and of those that a caller's `traceparent` marks as
    /// sampled. A trace that a caller marks as not sampled is not recorded.
    pub(crate) sample: Option<Number>,
    /// What `service.name` says.
    pub(crate) service_name: Option<String>,
}

/// `audit`: where a record of every start is kept.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Audit {
    /// A file that is appended to, and followed when it is moved away (logrotate).
    pub(crate) file: Option<String>,
    /// `true`: records stand on standard output, between the lines of the log, as well or instead.
    pub(crate) stdout: Option<Flag>,
    /// What becomes of starts while their records cannot be written, because the disk is full or a reader stalls, and 8192
    /// are waiting: `wait` (up to 5s, then 503) or `refuse` (503 at once).
    pub(crate) when_full: Option<String>,
}
