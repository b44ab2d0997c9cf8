//! asteroid-gateway: an authenticating reverse proxy for Asteroid agents.

pub mod asteroid;
pub mod config;
pub mod json;
pub mod secret;
pub mod simulator;
