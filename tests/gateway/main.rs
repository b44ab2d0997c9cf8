//! The promises of the gateway, on real sockets: the built program in front of the simulated Asteroid.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking, also outside the functions that are marked as tests"
)]

mod harness;

mod admin;
mod answers;
mod attacks;
mod audit;
mod bodies;
mod bounds;
mod broken_bodies;
mod broken_upstream;
mod callers;
mod calling;
mod canary;
mod client_certificates;
mod command_line;
mod corpora;
mod delivery;
mod drain;
mod dump;
mod echo;
mod elsewhere;
mod errors;
mod examples;
mod executions;
mod explain;
mod fault_space;
mod file_lists;
mod files;
mod first_call;
mod hosts;
mod http2_upstream;
mod idempotency;
mod identity;
mod image;
mod keys;
mod late_answer;
mod limits;
mod malformed;
mod manifests;
mod metrics;
mod openapi;
mod pem;
mod preferences;
mod probe;
mod prometheus;
mod proofs;
mod recovery;
mod release;
mod reload;
mod rolling;
mod rooms;
mod rotation;
mod sdk;
mod security;
mod self_description;
mod silent_upstream;
mod simulated;
mod slow;
mod starts;
mod streams;
mod tls;
mod traces;
mod unix;
mod uploads;
mod upstream;
mod workers;
