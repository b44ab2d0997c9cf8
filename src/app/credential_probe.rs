//! Asking the upstream about an API key with a read call of the gateway's own. So no start tests an API key, and no tenant's
//! request decides about an API key that other tenants use as well.

use std::sync::Arc;
use std::time::Duration;

use hyper::http::uri::PathAndQuery;
use tokio::runtime::Handle;

use crate::asteroid::{answer, execution};
use crate::client::{self, Client};
use crate::config::resolve::Config;
use crate::credential::{Credential, ProbeResult, SecretVersion};
use crate::tasks::Tasks;
use crate::transport::tls;

use super::Error;

/// How long the upstream may take. Until it has answered, the previous API key is tried first.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// A client that asks the upstream about API keys.
#[derive(Debug)]
pub(super) struct CredentialProbe {
    client: Client,
    target: PathAndQuery,
    /// The path of the read call, below the base path.
    path: String,
}

impl CredentialProbe {
    /// Creates a probe with connections of its own. Must be called inside the runtime that sends its requests.
    pub(super) fn new(config: &Config, tls: &Arc<tls::ClientTls>) -> Result<CredentialProbe, Error> {
        let upstream = &config.upstream;
        let (connect_timeout, idle_timeout) = (config.timeouts.connect, config.timeouts.idle);
        let tasks = Tasks::new(Handle::current());
        let client = Client::new(&upstream.endpoint, tls, connect_timeout, idle_timeout, tasks)?;
        let path = execution::smallest_listing(upstream.organization_id);
        let target = PathAndQuery::try_from(upstream.base_path.clone() + &path).map_err(|_| Error::BasePath)?;
        Ok(CredentialProbe { client, target, path })
    }

    /// Asks about one version of a credential's secret, and returns the result. The status of the answer is enough for it.
    pub(super) async fn ask(&self, credential: &Credential, version: &SecretVersion) -> ProbeResult {
        let mut question = client::get(&self.target);
        version.inject(&credential.definition().header, &mut question);
        let status = match self.client.send(question, PROBE_TIMEOUT).await {
            Ok(answer) => answer.status(),
            Err(client::Error::Incomplete(status, _)) => status,
            Err(error) => return ProbeResult::Inconclusive(error.to_string()),
        };
        match status {
            status if status.is_success() => ProbeResult::Accepted,
            status if answer::refuses_key(status) => ProbeResult::Rejected,
            status => ProbeResult::Inconclusive(format!("GET {} was answered with {status}", self.path)),
        }
    }
}
