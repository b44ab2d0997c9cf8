//! A gateway for one request that is not sent: no key is read, nothing is looked up, nothing listens.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use tokio::runtime::Handle;

use crate::config::resolve::{Address, Config, Listener, TenantSource};
use crate::credential::{Credential, CredentialMap, Definition};
use crate::proxy::Proxy;
use crate::proxy::generation::{self, Snapshot};
use crate::proxy::rehearsal::Rehearsal;
use crate::record::Sinks;
use crate::secret::Secret;
use crate::state::State;
use crate::tasks::Tasks;
use crate::transport::connect::Connector;
use crate::transport::{Transport, tls};
use crate::upstream::Upstream;
use crate::{audit, drain, memory};

use super::Error;

/// What is shown in place of a key.
const REDACTED: &str = "<redacted>";

/// Prepares a request on behalf of a tenant, as if it had come on a listener of its own. Called inside a runtime.
///
/// # Errors
///
/// Where the configuration names no such tenant, or TLS cannot be set up. A request that is refused is no error.
pub async fn rehearse(mut config: Config, tenant: &str, request: Request<Full<Bytes>>) -> Result<Rehearsal, Error> {
    config.listeners = vec![Listener {
        address: Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        tenant: TenantSource::Fixed(tenant.to_owned()),
        trusted_peers: Vec::new(),
        hosts: Vec::new(),
        tls: None,
    }];
    // A look-up would be sent.
    config.idempotency.recovery = false;
    let missing = || generation::Error::Missing { kind: "tenant", name: tenant.to_owned() };
    let served = Snapshot::serve(&config, &placeholders(&config), &State::new(memory::limit(), audit::PLACES))?
        .pop()
        .ok_or_else(missing)?;
    let tasks = Tasks::new(Handle::current());
    // The files of a private CA are not read: no connection is ever made.
    let (tls, _) = tls::Client::new(None).await?;
    let connector = Connector::new(&config.upstream.endpoint, &tls, config.timeouts.connect)?;
    let transport = Transport::new(connector, config.timeouts.idle, tasks.clone());
    let proxy = Proxy {
        upstream: Arc::new(Upstream::new(transport, Arc::default(), Arc::default())),
        tasks,
        draining: drain::channel().1,
        sinks: Arc::new(Sinks::default()),
    };
    Ok(proxy.rehearse(&served, request).await)
}

fn placeholders(config: &Config) -> CredentialMap {
    // Visible ASCII, as a key is, so that each is there.
    let placeholder = |(name, definition): (&String, &Definition)| {
        let secret = Secret::placeholder(REDACTED).ok()?;
        Some((name.clone(), Arc::new(Credential::fixed(name, secret, definition.header.clone()))))
    };
    config.credentials.iter().filter_map(placeholder).collect()
}
