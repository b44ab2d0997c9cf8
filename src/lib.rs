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
//! - [`config`]: what the operator writes, what runs. [`secret`]: where the key is. [`dump`]: who may look into the process.
//! - [`asteroid`]: what is known of the API, and nowhere else. [`json`]: bytes of a body, and no API.
//! - [`proxy`]: the stages. [`upstream`]: connections, and whether anything was written. [`state`]: what is counted and
//!   remembered.
//! - [`peer`]: who connected. [`error`]: every refusal and failure, and the table of answers.
//! - [`tasks`], [`drain`]: what runs beside requests, and how everything ends. [`files`], [`pem`]: files
//!   that the operator names and that may change meanwhile, and certificates in them. [`memory`]: how much of it this process
//!   may have.
//! - [`telemetry`]: the log, traces, and what is counted. [`client`]: questions of the gateway's own. [`admin`]: probes and
//!   metrics. [`simulator`]: the simulated Asteroid.

pub mod accept;
pub mod admin;
pub mod app;
pub mod asteroid;
pub mod cli;
pub mod client;
pub mod config;
pub mod drain;
pub mod dump;
pub mod error;
pub mod files;
pub mod json;
pub mod key;
pub mod memory;
pub mod peer;
pub mod pem;
pub mod proxy;
pub mod secret;
pub mod server;
pub mod simulator;
pub mod state;
pub mod tasks;
pub mod telemetry;
pub mod upstream;
pub mod worker;
