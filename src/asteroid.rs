//! What is known of Asteroid's Agents API, and the only place that knows it.

/// An agent id for examples; no agent has it.
pub const EXAMPLE_AGENT: &str = "8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11";

pub mod answer;
pub mod operation;
pub mod start;
