//! The exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    asteroid_gateway::cli::main()
}
