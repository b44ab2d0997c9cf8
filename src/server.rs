//! The server side: listening sockets, accepting, and callers' connections.

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
