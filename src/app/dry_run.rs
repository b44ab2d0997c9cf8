//! A dry run: a gateway for one request that is not sent. It reads no API key, makes no look-up and binds no address.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use tokio::runtime::Handle;

use crate::config::resolve::{Address, Config, Listener, TenantSource};
use crate::credential::{Credential, CredentialMap, Definition};
use crate::proxy::Proxy;
use crate::proxy::dry_run::DryRun;
use crate::proxy::generation::{self, Generation};
use crate::record::Sinks;
use crate::secret::Secret;
use crate::state::State;
use crate::tasks::Tasks;
use crate::transport::connect::Connector;
use crate::transport::{Transport, tls};
use crate::upstream::Upstream;
use crate::{audit, drain, memory};

use super::Error;

/// The placeholder that is shown instead of an API key.
const REDACTED: &str = "<redacted>";

/// Prepares a tenant's request as if it had come on a listener of its own, and returns the result. Must be called inside a
/// runtime.
///
/// # Errors
///
/// If the configuration names no such tenant, or TLS cannot be set up. A refused request is not an error.
pub async fn dry_run(mut config: Config, tenant: &str, request: Request<Full<Bytes>>) -> Result<DryRun, Error> {
    config.listeners = vec![Listener {
        address: Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        tenant: TenantSource::Fixed(tenant.to_owned()),
        trusted_peers: Vec::new(),
        hosts: Vec::new(),
        tls: None,
    }];
    // A look-up is a request to the upstream.
    config.idempotency.recovery = false;
    let missing = || generation::Error::Missing { kind: "tenant", name: tenant.to_owned() };
    let generation = Generation::build(&config, &placeholders(&config), &State::new(memory::limit(), audit::SLOTS))?
        .pop()
        .ok_or_else(missing)?;
    let tasks = Tasks::new(Handle::current());
    // The file of a private CA is not read, because no connection is made.
    let (tls, _) = tls::ClientTls::new(None).await?;
    let connector = Connector::new(&config.upstream.endpoint, &tls, config.timeouts.connect)?;
    let transport = Transport::new(connector, config.timeouts.idle, tasks.clone());
    let proxy = Proxy {
        upstream: Arc::new(Upstream::new(transport, Arc::default(), Arc::default())),
        tasks,
        draining: drain::channel().1,
        sinks: Arc::new(Sinks::default()),
    };
    Ok(proxy.dry_run(&generation, request).await)
}

fn placeholders(config: &Config) -> CredentialMap {
    // The placeholder is visible ASCII, as an API key is, so every credential gets one.
    let placeholder = |(name, definition): (&String, &Definition)| {
        let secret = Secret::placeholder(REDACTED).ok()?;
        Some((name.clone(), Arc::new(Credential::fixed(name, secret, definition.header.clone()))))
    };
    config.credentials.iter().filter_map(placeholder).collect()
}
