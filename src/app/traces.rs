//! Building the tracer and the exporter of spans.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::client::Client;
use crate::config::resolve::{Config, Traces};
use crate::tasks::Tasks;
use crate::trace::export::Exporter;
use crate::trace::{self, Tracer};
use crate::transport::connect::EndpointError;
use crate::transport::endpoint::Endpoint;
use crate::transport::tls;

/// How long an unused connection to the collector is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// The reason why spans cannot be sent; `config::resolve` rules it out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The collector's host is not a name that a certificate can have.
    #[error(transparent)]
    Host(#[from] EndpointError),
    /// The path of its URL is not valid in a request.
    #[error("its path is not valid")]
    Path,
}

/// Returns the tracer, which creates spans, and the exporter, which sends them, if traces are configured. Must be called inside the
/// runtime that sends.
pub(super) fn build(config: &Config, tls: &Arc<tls::ClientTls>) -> Result<Option<(Tracer, Exporter)>, Error> {
    let Some(Traces { collector, sample, service_name }) = &config.traces else { return Ok(None) };
    let tasks = Tasks::new(Handle::current());
    let client = Client::new(&collector.endpoint, tls, config.timeouts.connect, IDLE_TIMEOUT, tasks)?;
    let target = collector.path.parse().map_err(|_| Error::Path)?;
    let (queue, exporter) = Exporter::new(client, target, service_name);
    let Endpoint { scheme, host, port, authority } = &config.upstream.endpoint;
    let upstream =
        trace::PeerAttributes { origin: format!("{}://{authority}", scheme.name()), host: host.clone(), port: *port };
    Ok(Some((Tracer::new(*sample, upstream, queue), exporter)))
}
