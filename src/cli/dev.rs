//! `dev`: runs the gateway in front of a simulated Asteroid in one process, for first steps.

use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, anyhow};
use clap::Args;
use secrecy::SecretString;
use tokio::net::TcpListener;

use crate::config::resolve::Address;
use crate::config::{self, DEVELOPMENT_API_KEY};
use crate::log::Format;
use crate::secret::{Environment, Secret};
use crate::simulator::api::Api;
use crate::simulator::plan::{LifeDuration, LifePlan};
use crate::simulator::{Options, Simulator};
use crate::{app, asteroid, process_hardening};

use super::{
    LOG_CLOSE_TIMEOUT, Logging, Signals, build_runtime, print_error, print_line, start_log, warn_if_unprotected,
};

/// The options of `dev`.
#[derive(Debug, Args)]
pub(super) struct Dev {
    /// The address of the gateway; port 0 takes a free port
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// The address of the admin listener, for probes and metrics; port 0 takes a free port
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// The time from the start of an execution until it is completed, such as 10s or 5m, or `never`
    #[arg(long, value_name = "TIME", default_value = "10s")]
    duration: LifeDuration,
}

impl Dev {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let protected = process_hardening::apply();
        let log = start_log(&Logging { log_level: "warn".to_owned(), log_format: Format::Text })?;
        warn_if_unprotected(protected);
        let ended = build_runtime()?.block_on(async {
            let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("the simulated Asteroid")?;
            let upstream = socket.local_addr()?;
            let mut config = match config::development(&format!("http://{upstream}/agents/v2")) {
                Ok(loaded) => loaded.config,
                Err(faults) => {
                    print_error(faults);
                    return Err(anyhow!("an environment variable ASTEROID_GATEWAY__… is refused; correct or unset it"));
                }
            };
            if let (Some(address), Some(listener)) = (self.listen, config.listeners.first_mut()) {
                listener.address = Address::Tcp(address);
            }
            config.admin.address = self.admin.unwrap_or(config.admin.address);
            // A new API key for each run, worthless afterwards.
            let api_key = uuid::Uuid::new_v4().simple().to_string();
            let environment = Environment::with_development(DEVELOPMENT_API_KEY, Secret::new(api_key.clone())?);
            // Taken by the first start, so that the next steps are printed once.
            let address = Arc::new(Mutex::new(None));
            let first_start = Arc::clone(&address);
            let duration = self.duration;
            let options = Options {
                api_keys: vec![SecretString::from(api_key)],
                observer: Some(Box::new(move |request| {
                    print_line(request);
                    let Some(id) = &request.execution_id else { return };
                    if let Some(address) = first_start.lock().unwrap_or_else(PoisonError::into_inner).take() {
                        print_next_steps(&address, id, duration);
                    }
                })),
                // A newcomer may use the SDK of either era.
                api: Api::Both,
                life: LifePlan { duration, ..LifePlan::default() },
            };
            let simulator = Simulator::new(options);
            let mut signals = Signals::new()?;
            let gateway =
                app::start(config, environment, None, Some(log.clone())).await.map_err(|error| match error {
                    app::Error::Bind { .. } | app::Error::Socket { .. } => anyhow!(error)
                        .context("choose another address with --listen 127.0.0.1:0 or --admin 127.0.0.1:0"),
                    error => error.into(),
                })?;
            let printed = gateway_address(&gateway);
            print_welcome(&gateway, &printed, upstream);
            *address.lock().unwrap_or_else(PoisonError::into_inner) = Some(printed);
            tokio::select! {
                never = simulator.serve(socket, None) => match never {},
                ended = gateway.run_until(async || signals.next().await, pending) => Ok(ended?),
            }
        });
        log.close(LOG_CLOSE_TIMEOUT);
        ended.map(|()| ExitCode::SUCCESS)
    }
}

/// How the gateway is addressed in what is printed.
#[derive(Default)]
struct GatewayAddress {
    /// The address alone.
    shown: String,
    /// The options by which curl finds it.
    options: String,
    /// The beginning of its URLs.
    url: String,
}

fn gateway_address(running: &app::RunningGateway) -> GatewayAddress {
    match running.addresses.first() {
        Some(Address::Unix { path, .. }) => {
            let path = path.display();
            GatewayAddress {
                shown: format!("unix:{path}"),
                options: format!(" --unix-socket '{path}'"),
                url: "http://localhost".to_owned(),
            }
        }
        Some(Address::Tcp(address)) => {
            let url = format!("http://{address}");
            GatewayAddress { shown: url.clone(), options: String::new(), url }
        }
        None => GatewayAddress::default(),
    }
}

fn print_welcome(running: &app::RunningGateway, address: &GatewayAddress, upstream: SocketAddr) {
    let GatewayAddress { shown, options, url } = address;
    print_line(format_args!(
        "asteroid-gateway {version} for development: nothing leaves this machine; press Ctrl-C to stop

  gateway             {shown}  (tenant billing; no credential needed)
  simulated Asteroid  http://{upstream}/agents/v2  (checks the API key, which the gateway adds)
  probes              http://{admin}/readyz

Start an execution, from another terminal; then the lines to follow it are printed here:

  curl{options} -sSi {url}/agents/{agent}/execute -H 'Content-Type: application/json' -d '{{\"inputs\":{{\"invoice\":4711}}}}'

See the requests that reached the simulated Asteroid, or how to make it fail:

  curl -sS http://{upstream}/_simulator/requests
  curl -sS http://{upstream}/_simulator/
",
        version = env!("CARGO_PKG_VERSION"),
        admin = running.admin,
        agent = asteroid::EXAMPLE_AGENT,
    ));
}

/// Prints how to follow an execution, with its id, so that each line can be pasted.
fn print_next_steps(GatewayAddress { options, url, .. }: &GatewayAddress, id: &str, duration: LifeDuration) {
    let end = match duration.0 {
        Some(_) => format!("It ends after {duration}; `dev --duration 5m` leaves more time for the lines below."),
        None => "It runs until it is cancelled.".to_owned(),
    };
    print_line(format_args!(
        "
Execution {id} was started. {end}

Ask for its status and result, and for what it does:

  curl{options} -sS {url}/executions/{id}
  curl{options} -sS {url}/executions/{id}/activities

Send a message to it:

  curl{options} -sS {url}/executions/{id}/user-messages -H 'Content-Type: application/json' -d '{{\"message\":\"Skip page 2\"}}'

List the executions of this tenant, or cancel the execution:

  curl{options} -sS {url}/executions
  curl{options} -sS -X POST {url}/executions/{id}/cancel
"
    ));
}
