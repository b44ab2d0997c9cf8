//! `simulate`: runs the simulated Asteroid alone.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use crate::simulator::api::Api;
use crate::simulator::plan::{LifeDuration, LifePlan};
use crate::simulator::{self, Simulator};

use super::{Signals, build_runtime, print_line};

/// The options of `simulate`.
#[derive(Debug, Args)]
pub(super) struct Simulate {
    /// The address to listen on
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// A file with an API key to accept; can be repeated. Without it, any API key is accepted
    #[arg(long, value_name = "FILE")]
    key_file: Vec<PathBuf>,
    /// A certificate chain (PEM); enables TLS
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Speak only HTTP/1.1 over TLS; by default, the client chooses between that and HTTP/2
    #[arg(long, requires = "tls_certificate")]
    http1_only: bool,
    /// The era of the API to serve
    #[arg(long, value_enum, value_name = "ERA", default_value = "both")]
    api: Api,
    /// The time from the start of an execution until it is completed, such as 10s or 50ms, or `never`
    #[arg(long, value_name = "TIME", default_value = "10s")]
    duration: LifeDuration,
}

impl Simulate {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let keys: io::Result<Vec<_>> = self.key_file.iter().map(|file| simulator::read_api_key(file)).collect();
        let tls = match (&self.tls_certificate, &self.tls_key) {
            (Some(certificate), Some(key)) => Some(simulator::tls::server(certificate, key, self.http1_only)?),
            _ => None,
        };
        let options = simulator::Options {
            api_keys: keys.context("--key-file")?,
            observer: Some(Box::new(|received| print_line(received))),
            api: self.api,
            life: LifePlan { duration: self.duration, ..LifePlan::default() },
        };
        let simulator = Simulator::new(options);
        build_runtime()?.block_on(async {
            let mut signals = Signals::new()?;
            let listener = tokio::net::TcpListener::bind(self.listen).await;
            let listener = listener.with_context(|| format!("--listen {}", self.listen))?;
            let scheme = if tls.is_some() { "https" } else { "http" };
            let address = listener.local_addr()?;
            print_line(format_args!(
                "simulated Asteroid on {scheme}://{address}/agents/v2, help on {scheme}://{address}/_simulator/"
            ));
            tokio::select! {
                never = simulator.serve(listener, tls) => match never {},
                () = signals.next() => {}
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}
