//! The side towards callers: listening, accepting, one connection.

pub mod accept;
pub mod activity;
pub mod capacity;
pub mod connection;
pub mod http1;
pub mod http2;
pub mod monitor;
pub mod patient;
pub mod socket;
pub mod tls;
pub mod unix;
