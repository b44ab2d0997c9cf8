//! Asking the upstream about an API key with a read call of the gateway's own. No start tests a key, and no tenant's request
//! decides about a key that others use, too.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderValue;
use hyper::http::uri::PathAndQuery;
use tokio::runtime::Handle;

use crate::asteroid::{answer, execution};
use crate::client::Client;
use crate::config::resolve::Config;
use crate::credential::{Credential, ProbeResult, SecretVersion};
use crate::tasks::Tasks;
use crate::transport::connect::Connector;
use crate::transport::{Transport, tls};

use super::Error;

/// How long the upstream may take. Until then the previous API key goes first.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// A client that asks the upstream about API keys.
#[derive(Debug)]
pub(super) struct CredentialProbe {
    client: Client,
    /// The path of the read call, below the base path.
    path: String,
}

impl CredentialProbe {
    /// Creates a probe with connections of its own. Must be called inside the runtime that asks.
    pub(super) fn new(config: &Config, tls: &Arc<tls::Client>) -> Result<CredentialProbe, Error> {
        let upstream = &config.upstream;
        let connector = Connector::new(&upstream.endpoint, tls, config.timeouts.connect)?;
        let tasks = Tasks::new(Handle::current());
        let connections = Transport::new(connector, config.timeouts.idle, tasks);
        let authority = HeaderValue::try_from(upstream.endpoint.authority.as_str())
            .map_err(crate::proxy::generation::Error::from)?;
        let path = execution::any(upstream.organization_id);
        let whole = PathAndQuery::try_from(upstream.base_path.clone() + &path).map_err(|_| Error::BasePath)?;
        Ok(CredentialProbe { client: Client::new(connections, authority, whole), path })
    }

    /// Asks about one version of a credential's secret.
    pub(super) async fn ask(&self, credential: &Credential, version: &SecretVersion) -> ProbeResult {
        let mut request = self.client.get();
        version.inject(&credential.definition().header, &mut request);
        match self.client.status(request, PROBE_TIMEOUT).await {
            Ok(status) if status.is_success() => ProbeResult::Accepted,
            Ok(status) if answer::refuses_key(status) => ProbeResult::Rejected,
            Ok(status) => ProbeResult::Inconclusive(format!("GET {} was answered with {status}", self.path)),
            Err(error) => ProbeResult::Inconclusive(error.to_string()),
        }
    }
}
