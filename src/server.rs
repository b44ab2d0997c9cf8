//! The side towards callers: listening, accepting, one connection.

pub mod accept;
pub mod connection;
mod http1;
