//! asteroid-gateway: the key of Asteroid's Agents API stays here, and a company's services start agents without it.
//!
//! # The life of a request
//!
//! A connection is accepted by one of a few workers ([`worker`], [`server`]), each a thread with a runtime of its own. A
//! request on it goes through [`proxy`] in a straight line:
//!
//! ```text
//! check the caller → identify the tenant → select the operation → admit (a Permit)
//!   → collect the body → validate → claim and reserve (a ReservedStart, or a replay)
//!   → tag → build → inject the key                                             prepare: refused for nothing
//!   → send → settle → answer, and one record                            settle: finished whether the caller stays or not
//! ```
//!
//! # The modules
//!
//! - [`cli`] is the only one that prints, [`app`] the only one that knows every part.
//! - [`config`]: what the operator writes, what runs. [`secret`]: where the key is. [`process_hardening`]: who may look into the process.
//! - [`asteroid`]: what is known of the API, and nowhere else. [`json`]: bytes of a body, and no API.
//! - [`proxy`]: the stages. [`transport`]: connections, and whether anything was written. [`upstream`]: Asteroid over them.
//!   [`state`]: what is counted and remembered.
//! - [`caller`]: who connected. [`identity`], [`tenant`]: on whose behalf. [`media_type`]: which one a client prefers.
//! - [`tasks`], [`drain`]: what runs beside requests, and how everything ends. [`files`], [`pem`]: files
//!   that the operator names and that may change meanwhile, and certificates in them. [`memory`]: how much of it this process
//!   may have.
//! - [`facts`]: what is known of one request. [`record`]: its holder, which writes them to the sinks: [`log`], [`audit`],
//!   [`metrics`], [`trace`].
//! - [`event`]: the codes of log events. [`client`]: questions of the gateway's own. [`admin`]: probes and metrics.
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
