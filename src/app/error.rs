//! Errors of starting a gateway, in terms of the configuration.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::resolve::Address;
use crate::proxy::generation;
use crate::secret;
use crate::server::{tls as server_tls, unix};
use crate::transport::{connect, tls};

use super::traces;

/// The reason why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address cannot be listened on.
    #[error("{config_path} {address}")]
    Bind {
        /// The config path of the address.
        config_path: String,
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// A Unix socket cannot be created at its path.
    #[error("{config_path} {address}")]
    Socket {
        /// The config path of the address.
        config_path: String,
        /// The address.
        address: Address,
        /// The reason.
        source: unix::Error,
    },
    /// An API key cannot be read.
    #[error("credentials.{name}")]
    Secret {
        /// The name of the credential.
        name: String,
        /// The reason.
        source: secret::Error,
    },
    /// A listener's certificate cannot be used.
    #[error("listeners[{index}].tls.{reason}")]
    Certificate {
        /// The listener's position in the configuration.
        index: usize,
        /// The reason; begins with the config path below `tls`.
        reason: server_tls::Error,
    },
    /// Audit records cannot be written to the file in the configuration.
    #[error("audit.file {}: cannot be opened for appending; create its directory, and let the gateway's user write there", file.display())]
    Audit {
        /// The file.
        file: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// TLS towards the upstream cannot be set up.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// The upstream's host is not a name that a certificate can have.
    #[error("upstream.url")]
    Host(#[from] connect::EndpointError),
    /// The collector's URL cannot be used.
    #[error("traces.otlp")]
    Traces(#[from] traces::Error),
    /// The upstream's URL has no valid path; `config::resolve` rules this out.
    #[error("upstream.url: its path is not valid")]
    BasePath,
    /// The configuration cannot serve.
    #[error(transparent)]
    Generation(#[from] generation::Error),
    /// The system refused a thread, a socket or a runtime.
    #[error("starting failed")]
    System(#[from] io::Error),
}
