//! The command line. No other module prints.

mod dev;
mod explain;
mod probe;
mod simulate;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::error::{ContextKind, ContextValue};
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::level_filters::LevelFilter;

use crate::config::{self, pasted, resolve::Config};
use crate::log::{Format, Log};
use crate::secret::Environment;
use crate::{app, event, log, process_hardening};

/// How long the rest of the log may take to be written when the process exits.
const LOG_CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// An authenticating reverse proxy: services start Asteroid agents through it and hold no API key.
#[derive(Debug, Parser)]
#[command(name = "asteroid-gateway", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    Run {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        logging: Logging,
    },
    /// Print every fault and every risk of a configuration, without starting the gateway; files that it names, such as those of API
    /// keys, are not read
    Check {
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Print every decision about a start or another call and the exact request that would be sent, without reading an API key or
    /// sending anything; the body, if the operation has one, is read from standard input
    Explain(explain::Explain),
    /// Request a URL and exit with 0 if the answer is a 2xx; for images without a shell
    Probe(probe::Probe),
    /// Run the gateway and a simulated Asteroid in one process, without any set-up
    Dev(dev::Dev),
    /// Run the simulated Asteroid alone
    Simulate(simulate::Simulate),
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file (YAML)
    #[arg(long = "config", value_name = "FILE")]
    path: PathBuf,
}

#[derive(Debug, Args)]
struct Logging {
    /// The least severe level to log; the line of each request has the level info
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = ["off", "error", "warn", "info", "debug"])]
    log_level: String,
    /// The format of the log lines
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "json")]
    log_format: Format,
}

/// Runs the command of the process's arguments and returns the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(mut error) => {
            hide_api_keys(&mut error);
            // If standard output or error is closed, the error cannot be reported.
            drop(error.print());
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let result = match cli.command {
        Command::Run { config, logging } => run(&config, &logging),
        Command::Check { config } => check(&config),
        Command::Explain(explain) => explain.run(),
        Command::Probe(probe) => probe.run(),
        Command::Dev(dev) => dev.run(),
        Command::Simulate(simulate) => simulate.run(),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            print_error(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Hides what may be an API key, pasted in place of an argument.
fn hide_api_keys(error: &mut clap::Error) {
    let is_pasted = |value: &ContextValue| matches!(value, ContextValue::String(text) if pasted::may_be_api_key(text));
    let pasted: Vec<ContextKind> =
        error.context().filter(|(_, value)| is_pasted(value)).map(|(kind, _)| kind).collect();
    for kind in pasted {
        error.insert(kind, ContextValue::String("<hidden>".to_owned()));
    }
}

fn run(file: &ConfigFile, logging: &Logging) -> anyhow::Result<ExitCode> {
    let protected = process_hardening::apply();
    let source = app::ConfigSource::new(file.path.clone());
    let runtime = build_runtime()?;
    // Before the configuration is read, because SIGHUP ends a process that does not receive it.
    let hangup = {
        let _context = runtime.enter();
        signal(SignalKind::hangup()).context("SIGHUP cannot be received")?
    };
    let Some(config) = runtime.block_on(load(file)) else { return Ok(ExitCode::FAILURE) };
    let log = start_log(logging)?;
    warn_if_unprotected(protected);
    let ended = runtime.block_on(serve(config, source, logging.logs_requests().then(|| log.clone()), hangup));
    // A file system that hangs must not delay the exit.
    runtime.shutdown_background();
    log.close(LOG_CLOSE_TIMEOUT);
    ended.map(|()| ExitCode::SUCCESS)
}

fn check(file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let Some(config) = build_runtime()?.block_on(load(file)) else { return Ok(ExitCode::FAILURE) };
    print_line(format_args!(
        "{}: no faults; listeners: {}, tenants: {}. Files that it names were not read",
        file.path.display(),
        config.listeners.len(),
        config.tenants.len()
    ));
    Ok(ExitCode::SUCCESS)
}

/// Loads the configuration and prints its warnings. If it is refused, prints its faults and returns `None`.
async fn load(file: &ConfigFile) -> Option<Config> {
    match config::load(&file.path).await {
        Ok(loaded) => {
            for warning in loaded.warnings.iter() {
                print_error(format_args!("warning: {warning}"));
            }
            Some(loaded.config)
        }
        Err(faults) => {
            print_error(format_args!("{}: the configuration is refused", file.path.display()));
            print_error(faults);
            None
        }
    }
}

async fn serve(config: Config, source: app::ConfigSource, log: Option<Log>, mut hangup: Signal) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let gateway = app::start(config, Environment::process(), Some(source), log).await?;
    let reload_signal = async || {
        hangup.recv().await;
    };
    Ok(gateway.run_until(async || signals.next().await, reload_signal).await?)
}

/// SIGTERM and SIGINT: the first signal drains, the second aborts.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Signals> {
        let terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be received")?;
        let interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be received")?;
        Ok(Signals { terminate, interrupt })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

impl Logging {
    fn logs_requests(&self) -> bool {
        matches!(self.log_level.as_str(), "info" | "debug")
    }

    fn level(&self) -> LevelFilter {
        self.log_level.parse().unwrap_or(LevelFilter::INFO)
    }
}

fn start_log(logging: &Logging) -> anyhow::Result<Log> {
    let log = Log::new(io::stdout(), logging.log_format).context("the log cannot be started")?;
    log::install(&log, logging.level());
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(event = event::GATEWAY_PANICKED, %panic, "the gateway panicked; please report this");
        // If the panic ends the process, the log is not written.
        print_error(format_args!("the gateway panicked; please report this: {panic}"));
    }));
    Ok(log)
}

/// Logs a warning if the process is not protected. The gateway serves nevertheless.
fn warn_if_unprotected(protected: Result<(), process_hardening::Error>) {
    if let Err(error) = protected {
        let error = format!("{:#}", anyhow::Error::from(error));
        tracing::warn!(
            event = event::PROCESS_UNPROTECTED,
            error,
            "this process's memory is not protected: a core dump or a debugger can show the API key"
        );
    }
}

fn build_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("the runtime cannot be started")
}

/// Prints a line on standard output. If that fails, the failure cannot be reported and is ignored.
fn print_line(line: impl Display) {
    drop(writeln!(io::stdout(), "{line}"));
}

/// Prints a line on standard error.
fn print_error(line: impl Display) {
    drop(writeln!(io::stderr(), "{line}"));
}
