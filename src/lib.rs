//! asteroid-gateway: an authenticating reverse proxy for Asteroid's Agents API. The API key stays here, and a company's services
//! start agents without it.
//!
//! # The life of a request
//!
//! A connection is accepted by one of a few workers ([`worker`], [`server`]), each a thread with a runtime of its own. A
//! request on it goes through [`proxy`] in a straight line:
//!
//! ```text
//! check the caller → identify the tenant → select the operation → admit (a Permit)
//!   → collect the body → validate → claim and reserve (a ReservedStart, or a replay)
//!   → tag → build → inject the API key                                         prepare: a refusal here costs nothing
//!   → send → settle → answer, and one record                            settle: completes even if the caller hangs up
//! ```
//!
//! # The modules
//!
//! - [`cli`] is the only one that prints, [`app`] the only one that knows every part.
//! - [`config`]: what the operator writes, and what runs. [`secret`]: the stores that hold API keys. [`credential`]: an API key, its
//!   versions and their rotation. [`process_hardening`]: protection of the process's memory.
//! - [`asteroid`]: everything that is known of the API. [`json`]: the bytes of a body, without any knowledge of the API.
//! - [`proxy`]: the stages of a request. [`transport`]: connections, and whether a byte was written to them. [`upstream`]: Asteroid
//!   over these connections. [`state`]: limits, budgets and idempotency keys.
//! - [`caller`]: the peer of a connection. [`identity`], [`tenant`]: the tenant of a request. [`media_type`]: the media type that a
//!   client prefers.
//! - [`tasks`], [`drain`]: tasks beside requests, and graceful shutdown. [`files`], [`pem`]: files that the operator names and that
//!   may change, and the certificates in them. [`memory`]: how much memory this process may use. [`counter`]: a number of events.
//! - [`facts`]: what is known of one request. [`record`]: their holder, which writes them to the sinks: [`log`], [`audit`],
//!   [`metrics`], [`trace`].
//! - [`event`]: the codes of log events. [`client`]: requests of the gateway's own. [`admin`]: probes and metrics.
//!   [`simulator`]: the simulated Asteroid.

pub mod admin;
pub mod app;
pub mod asteroid;
pub mod audit;
pub mod caller;
pub mod cli;
pub mod client;
pub mod config;
pub mod counter;
pub mod credential;
pub mod drain;
pub mod event;
pub mod facts;
pub mod files;
pub mod identity;
pub mod json;
pub mod log;
pub mod media_type;
pub mod memory;
pub mod metrics;
pub mod pem;
pub mod process_hardening;
pub mod proxy;
pub mod record;
pub mod secret;
pub mod server;
pub mod simulator;
pub mod state;
pub mod tasks;
pub mod tenant;
pub mod trace;
pub mod transport;
pub mod upstream;
pub mod worker;
