//! The side towards callers: listening sockets, accepting, and one connection at a time.

pub mod accept;
pub mod activity;
mod bounds;
pub mod capacity;
pub mod connection;
mod eviction;
pub mod http1;
pub mod http2;
pub mod monitor;
pub mod socket;
pub mod stream;
pub mod tls;
pub mod unix;
