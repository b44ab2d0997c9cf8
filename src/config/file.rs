//! The configuration file as the operator writes it. Every setting is optional here: `resolve` judges absence, since it can
//! distinguish a missing setting from a refused one.
//!
//! Values are kept as text, so that all values that do not parse are reported together; serde would stop at the first. An
//! unknown config path is refused, so that no feature can be configured before it exists.
//!
//! The comments on fields are for operators: editors show them, and `docs/CONFIGURATION.md` is generated from them. They
//! repeat no bound and no default that `tests/reference` can take from `resolve`.

mod value;

use std::collections::BTreeMap;

use serde::Deserialize;

pub(crate) use value::{Flag, List, Mode, Number, Quantity};

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Gateway {
    /// The number of threads that serve callers, each with separate connections to the upstream. `auto`: one if every
    /// listener is on loopback or a Unix socket, else one for each core that the control group allows.
    pub(crate) workers: Option<Number>,
    /// The Asteroid API that requests are forwarded to.
    pub(crate) upstream: Upstream,
    /// The addresses that callers connect to: at least one listener.
    pub(crate) listeners: Option<List<Listener>>,
    /// The listener for probes and Prometheus, separate from the others: `/livez`, `/readyz`, `/metrics`, `/openapi.json`, `/version`. It may
    /// be reachable from outside, as Kubernetes needs; it shows names of tenants and credentials, but no API key.
    pub(crate) admin: Admin,
    /// The salt for the fingerprints of API keys in logs, metrics and the audit. Gateways with the same salt show the same
    /// fingerprint for an API key. Absent: each process makes a random one.
    pub(crate) fingerprint_salt: Option<String>,
    /// The references to the API keys, by name: 1 to 63 of `a-z`, `0-9`, `_` and `-`. An API key itself is never in this file.
    pub(crate) credentials: BTreeMap<String, Credential>,
    /// The condition for readiness.
    pub(crate) readiness: Readiness,
    /// The groups of operations that are open to tenants. A call of a group that is closed gets 403.
    pub(crate) operations: Operations,
    /// The tenants that may start agents, by name: 1 to 128 of `A-Z`, `a-z`, `0-9`, `.`, `_` and `-`.
    pub(crate) tenants: BTreeMap<String, Tenant>,
    /// The tags that the gateway writes into the `metadata` of every execution.
    pub(crate) tagging: Tagging,
    /// The memory of idempotency keys, which ends with the process (docs/IDEMPOTENCY.md).
    pub(crate) idempotency: Idempotency,
    /// The parts that are taken out of the upstream's answers.
    pub(crate) redact: Redact,
    /// The largest request body.
    pub(crate) body_limit: Option<Quantity>,
    /// The most memory for all requests and their bodies together, at least three times `body_limit`. A tenant may take as
    /// much as it leaves free; the only tenant may take all of it. Beyond that, requests get 503. `auto`: a quarter of the
    /// memory that the control group (version 1 or 2) allows, else of the machine's, at most 1 GiB.
    pub(crate) body_memory: Option<Quantity>,
    /// The largest execution or list of executions that is passed on. It is read as a whole first, since it may hold what is not
    /// the tenant's; a larger one gets 502. At most a third of `body_memory`, which holds it meanwhile: less than the default
    /// if `body_memory` is small.
    pub(crate) answer_limit: Option<Quantity>,
    /// The most executions that a caller may ask for in one list.
    pub(crate) max_page_size: Option<Number>,
    /// The largest upload of files. A larger one gets 413. It is passed on while it comes, so it counts in `body_memory` as 512KiB,
    /// whatever its length.
    pub(crate) upload_limit: Option<Quantity>,
    /// The time limits for the parts of an exchange.
    pub(crate) timeouts: Timeouts,
    /// The graceful shutdown after SIGTERM.
    pub(crate) drain: Drain,
    /// The export of spans (docs/TRACING.md). Without this section the gateway makes none, and passes a caller's valid trace
    /// context on unchanged.
    pub(crate) traces: Option<Traces>,
    /// The audit: a record of every start, of every change of an execution and of every upload, one JSON object per line
    /// (docs/AUDIT.md). Absent: no audit.
    pub(crate) audit: Option<Audit>,
}

/// `upstream`: the Asteroid API that requests are forwarded to.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Upstream {
    /// The base URL of the Asteroid API: `https://`, or `http://` for localhost, 127.0.0.0/8 and `[::1]` only. No user,
    /// query or fragment. Over `https`, the upstream chooses HTTP/2 or HTTP/1.1.
    pub(crate) url: Option<String>,
    /// The header that carries the API key. Newer servers: `X-Api-Key`.
    pub(crate) credential_header: Option<String>,
    /// Certificates (PEM) that are trusted in addition to the built-in roots; reloaded when they change.
    pub(crate) ca_file: Option<String>,
    /// The id of the organisation. Listings and uploads need it if the API keys span several organisations. A caller that names
    /// another gets 400.
    pub(crate) organization_id: Option<String>,
    /// The era of the API, which decides how a list is filtered. `old`: that of the specification, with one filter by metadata.
    /// `new`: with any number of them. Absent: `new` if `credential_header` is `X-Api-Key`, else `old`.
    pub(crate) api: Option<String>,
    /// Further query parameters that a listing may carry, 50 at most. The gateway does not know their meaning, and still checks
    /// every execution of the answer.
    pub(crate) list_parameters: Option<List<String>>,
}

/// One of `listeners`: an address that callers connect to.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Listener {
    /// An IP address and a port; port 0 lets the system choose, and the log says which. Off loopback, `tenant.trusted_peers`
    /// is required. Or a Unix socket, for processes on this machine: HTTP/1.1 in cleartext, at a path of at most 99 bytes in
    /// an existing directory. A stale socket is replaced.
    pub(crate) address: Option<String>,
    /// The permissions of a Unix socket, in octal, whatever the umask: they decide which users can connect. If the directory
    /// has the setgid bit, the socket gets its group.
    pub(crate) mode: Option<Number>,
    /// How the tenant of a request is identified: `fixed` or `header`.
    pub(crate) tenant: TenantSource,
    /// Additional names that callers may use in `Host`, without port. On loopback, localhost, 127.0.0.0/8 and `[::1]` are
    /// always accepted. Off loopback and at a Unix socket, `Host` is checked only if names are given.
    pub(crate) hosts: Option<List<String>>,
    /// HTTPS, with HTTP/2 for callers that choose it. Absent: HTTP/1.1 in cleartext. Both files are reloaded when they
    /// change. Not for a Unix socket.
    pub(crate) tls: Option<ListenerTls>,
}

/// `listeners[].tls`: a listener's certificate.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct ListenerTls {
    /// The certificate chain (PEM), the listener's own certificate first.
    pub(crate) certificate_file: Option<String>,
    /// The certificate's private key (PEM).
    pub(crate) key_file: Option<String>,
}

/// `listeners[].tenant`: how the tenant of a request is identified.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantSource {
    /// The tenant of every caller of this listener.
    pub(crate) fixed: Option<String>,
    /// The header that names the tenant; a request must have it exactly once.
    pub(crate) header: Option<String>,
    /// The networks and addresses that may call. Other connections are closed before anything is read. Required off
    /// loopback; on loopback, if absent, every process may call. Callers at a Unix socket have no address: there, `mode` and
    /// the directory decide.
    pub(crate) trusted_peers: Option<List<String>>,
}

/// `admin`: the listener for probes and Prometheus.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Admin {
    /// An IP address and a port that no listener uses; not a Unix socket.
    pub(crate) address: Option<String>,
    /// Names that probes and Prometheus may use in `Host`, without port. IP addresses and localhost are always accepted.
    /// Others get 421, so that no web page can read metrics by DNS rebinding.
    pub(crate) hosts: Option<List<String>>,
}

/// One of `credentials`: the reference to an API key, never the API key itself.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Credential {
    /// A file that holds only the API key, on one line: 16 to 8192 visible ASCII characters. The gateway checks it every
    /// second. A new API key is used from the next request on, or once the upstream accepts it. If the file holds none, the
    /// last one stays in use. A relative path starts in the gateway's working directory.
    pub(crate) file: Option<String>,
    /// A second file, for the previous API key, so that a gateway that starts during a rotation has both. It is used until
    /// the upstream has accepted the API key in `file` once. The file may be missing or empty. It is never used without an API
    /// key in `file`.
    pub(crate) previous_file: Option<String>,
    /// How long an API key stays in use after `file` no longer holds it. After that, requests get 503. Absent: for ever.
    pub(crate) max_stale: Option<Quantity>,
    /// The name of an environment variable that holds the API key, of 16 characters or more. For development.
    pub(crate) env: Option<String>,
}

/// `readiness`: the condition for readiness.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Readiness {
    /// The API keys that `/readyz` waits for. `any`: one that can be sent. `all`: one for each credential. `verified`: one
    /// that the upstream has accepted once, which the gateway checks with a read call. An API key that the upstream refuses
    /// later does not change readiness.
    pub(crate) credentials: Option<String>,
}

/// `operations`: the groups of operations that are open.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Operations {
    /// Starting executions, in every way but that of `rerun`.
    pub(crate) start: Option<Flag>,
    /// Reading one execution: its status, its result, its activities.
    pub(crate) read: Option<Flag>,
    /// Listing executions.
    pub(crate) list: Option<Flag>,
    /// Pausing, resuming and cancelling executions.
    pub(crate) control: Option<Flag>,
    /// Sending messages to the agent of an execution.
    pub(crate) message: Option<Flag>,
    /// Uploading, listing and downloading files, and recordings.
    pub(crate) files: Option<Flag>,
    /// Starting an execution that repeats another. It gets the tags that the other one got, and no others.
    pub(crate) rerun: Option<Flag>,
    /// Deleting executions.
    pub(crate) delete: Option<Flag>,
}

/// One of `tenants`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tenant {
    /// The name of the credential whose API key is sent for this tenant.
    pub(crate) credential: Option<String>,
    /// Tags in addition to the tenant's name, for the `metadata` of every execution. Names and values are text (quote
    /// numbers) and not empty: at most 128 bytes for the name, 1024 for the value.
    pub(crate) metadata: BTreeMap<String, String>,
    /// The groups of operations that are open to this tenant. One that is not written is as in `operations` at the top level.
    pub(crate) operations: Operations,
    /// The tenant's limits, counted by this process. An absent limit is no limit. A request beyond a limit gets 429.
    pub(crate) limits: Limits,
    /// Whether starts may carry an `Idempotency-Key`, so that a retry starts nothing twice. `optional`; `required`: 400
    /// without one; `off`: 400 with one.
    pub(crate) idempotency: Option<Mode>,
}

/// `tenants.*.limits`: the limits of a tenant. An absent limit is no limit.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    /// Starts of executions, counted after validation. Only time replenishes the limit.
    pub(crate) executions: Option<Rate>,
    /// All requests, counted before their bodies are read. If `reads` is written, calls that only read count there instead.
    pub(crate) requests: Option<Rate>,
    /// Calls that only read: they count here instead of in `requests`.
    pub(crate) reads: Option<Rate>,
    /// Concurrent requests, each counted from its head to the end of its answer, also if the caller has hung up. Calls that
    /// only read and wait for news (long polls) are not counted; bound them with `reads`.
    pub(crate) in_flight: Option<Quantity>,
    /// Starts in a UTC calendar day. This process counts them, and forgets them when it ends. Starts that are known to have
    /// started nothing, because the upstream refused them or could not be reached, are given back.
    pub(crate) budget: Option<Budget>,
}

/// `tenants.*.limits.executions`, `requests` and `reads`: a rate and its burst.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Rate {
    /// The number per second (`s`), minute (`m`), hour (`h`) or day (`d`).
    pub(crate) rate: Option<Quantity>,
    /// The number that may come at once after a pause. Absent: the number of the rate.
    pub(crate) burst: Option<Quantity>,
}

/// `tenants.*.limits.budget`: the starts in a day.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Budget {
    /// The number of starts.
    pub(crate) executions: Option<Quantity>,
    /// The period: the UTC calendar day.
    pub(crate) per: Option<String>,
    /// Has no effect; earlier versions required `true`. Budgets are always counted by this process, and forgotten when it
    /// ends.
    pub(crate) local: Option<Flag>,
}

/// `tagging`: the tags that the gateway writes into `metadata`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Tagging {
    /// The name of the tag with the tenant's name. No tenant's `metadata` may use it.
    pub(crate) tenant_key: Option<String>,
    /// A prefix for the tenant's name in that tag, such as `prod/`, if several gateways share one organisation's API key.
    pub(crate) tenant_prefix: Option<String>,
    /// The reaction to a caller that sends one of these tags with another value: `reject` (400) or `overwrite`.
    pub(crate) on_conflict: Option<String>,
    /// The name of the tag with the digest of an idempotency key. No caller may send it.
    pub(crate) idempotency_key: Option<String>,
}

/// `idempotency`: the memory of idempotency keys.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Idempotency {
    /// How long a start is remembered after it ended.
    pub(crate) retention: Option<Quantity>,
    /// The most memory for the records of all tenants, about 450 bytes per start. Each tenant is guaranteed an equal share,
    /// and may take more while others do not use theirs. If the memory is full, the oldest answers of the tenant that is
    /// over its share are forgotten first, and the log says so.
    pub(crate) memory: Option<Quantity>,
    /// `true`: the gateway looks up at the upstream, by its digest, a start whose outcome is unknown. It also looks up the
    /// first start with each idempotency key, since this process may have been restarted or be one of several. A look-up
    /// takes two requests. Reruns are not looked up, as they carry no tag of their own.
    pub(crate) recovery: Option<Flag>,
}

/// `redact`: the parts that are taken out of the upstream's answers.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Redact {
    /// `true`: take `triggerContext` out of executions. It says with which API key one was started, and whose it is.
    pub(crate) trigger_context: Option<Flag>,
}

/// `timeouts`: the time limits for the parts of an exchange.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Timeouts {
    /// Connecting to the upstream, including TLS and the start of HTTP/2.
    pub(crate) connect: Option<Quantity>,
    /// From sending the request to the end of its answer. For an answer above 64KiB: to the end of the first 64KiB, and then
    /// from each part to the next. For an upload: from each part that the upstream takes to the next, and from the last to the
    /// answer.
    pub(crate) response: Option<Quantity>,
    /// Reading a caller's body. For an upload: how long its caller may send nothing.
    pub(crate) body: Option<Quantity>,
    /// How long an unused connection to the upstream is kept. It must be shorter than the upstream's own limit.
    pub(crate) idle: Option<Quantity>,
    /// How long a caller's connection is kept without a request. It must be longer than a load balancer in front keeps its
    /// connections. The complete head of the next request must arrive in this time. It is also how long a caller may leave
    /// an answer unread. A TLS handshake and the first head together have 10s, or this if it is shorter.
    pub(crate) caller_idle: Option<Quantity>,
}

/// `drain`: the graceful shutdown.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Drain {
    /// How long the listeners continue after `/readyz` has turned to 503, so that load balancers notice.
    pub(crate) delay: Option<Quantity>,
    /// How long requests in flight may take after that. If it is less than `timeouts.response` plus 5s, paid starts can be
    /// cut off.
    pub(crate) timeout: Option<Quantity>,
}

/// `traces`: the export of spans.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Traces {
    /// The URL of a collector for OTLP over HTTP (protobuf). Over `https` its certificate is verified like the upstream's.
    pub(crate) otlp: Option<String>,
    /// The share of traces to record: of those that begin here, and of those that a caller's `traceparent` marks as sampled.
    /// Traces that a caller marks as not sampled are not recorded.
    pub(crate) sample: Option<Number>,
    /// The value of `service.name`.
    pub(crate) service_name: Option<String>,
}

/// `audit`: a record of every start, change and upload.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Audit {
    /// A file to append records to. If it is moved away (logrotate), the gateway opens a new one at its path.
    pub(crate) file: Option<String>,
    /// `true`: write records to standard output, between the log lines, in addition to `file` or instead of it.
    pub(crate) stdout: Option<Flag>,
    /// The treatment of starts and changes if 8192 records wait because the disk is full or a reader stalls. `wait`: up to 5s, then
    /// 503. `refuse`: 503 at once.
    pub(crate) when_full: Option<String>,
}
