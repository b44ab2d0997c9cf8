//! The process: runs the command line and exits with its code.

use std::process::ExitCode;

fn main() -> ExitCode {
    asteroid_gateway::cli::main()
}
