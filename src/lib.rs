//! asteroid-gateway: an authenticating reverse proxy for Asteroid's Agents API. The API key stays here, and a company's services
//! start agents without it.
//!
//! # The life of a request
//!
//! A [`worker`] accepts a connection ([`server`]); it is a thread with a runtime of its own. Each request on the connection
//! goes through [`proxy`] in a straight line:
//!
//! ```text
//! check the caller → identify the tenant → select the operation → admit → reserve an audit slot
//!   → read the body → validate → claim and count → tag → build → inject the API key     prepare: refused without cost
//!   → send → settle → answer, and one record                         settle: finished whether the caller stays or not
//! ```
//!
//! # The rooms
//!
//! Each module here is a room. `docs/ARCHITECTURE.md` lists them in layers: a room imports only from the layers below it.
//!
//! - What a request needs: [`asteroid`] (the API, known nowhere else), [`json`], [`state`] (counts and idempotency keys),
//!   [`credential`] and [`secret`], [`tenant`] and [`identity`], [`upstream`] over [`transport`].
//! - What is known and written of it: [`caller`], [`facts`], the [`record`], and its sinks [`log`], [`audit`], [`metrics`]
//!   and [`trace`].
//! - What runs it: [`config`] becomes a running program in [`app`]. [`admin`] shows how it is, and [`openapi`] what
//!   is served. [`cli`] alone prints.
//! - What all of them use: [`tasks`], [`drain`], [`files`], [`client`] and small rooms of one file each.
//! - [`simulator`] is the simulated Asteroid, which shares no code with the rooms that it judges.

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
pub mod openapi;
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
