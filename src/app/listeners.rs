//! Opening the listeners of a configuration.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use rustls::ServerConfig;

use crate::config::resolve::{Address, Listener, TenantSource};
use crate::event;
use crate::files::Watch;
use crate::server::socket::StdSocket;
use crate::server::unix::{self, SocketPath};
use crate::server::{accept, tls};

use super::Error;

/// The open listeners, in the order of the configuration.
#[derive(Default)]
pub(super) struct Listeners {
    pub(super) open: Vec<OpenListener>,
    /// The paths of the Unix sockets among them.
    pub(super) socket_paths: Vec<SocketPath>,
    /// The watches that replace their certificates.
    pub(super) certificates: Vec<Watch>,
}

/// An open listener.
pub(super) struct OpenListener {
    /// Its address, with the port that the system chose if it was 0.
    pub(super) address: Address,
    pub(super) socket: StdSocket,
    /// Present if callers speak TLS.
    pub(super) tls: Option<Arc<ServerConfig>>,
}

impl Listeners {
    /// Reads all certificates, binds all addresses, and returns the listeners.
    pub(super) async fn open(definitions: &[Listener]) -> Result<Listeners, Error> {
        let mut listeners = Listeners::default();
        let mut configs = Vec::new();
        for (index, definition) in definitions.iter().enumerate() {
            configs.push(listeners.read_certificate(index, definition).await?);
        }
        for (index, (definition, tls)) in definitions.iter().zip(configs).enumerate() {
            let (address, socket) = listeners.bind(index, &definition.address)?;
            listeners.open.push(OpenListener { address, socket, tls });
        }
        Ok(listeners)
    }

    async fn read_certificate(
        &mut self,
        index: usize,
        definition: &Listener,
    ) -> Result<Option<Arc<ServerConfig>>, Error> {
        let Some(files) = &definition.tls else { return Ok(None) };
        let (config, watch) = tls::server_config(files).await.map_err(|reason| Error::Certificate { index, reason })?;
        self.certificates.push(watch);
        Ok(Some(config))
    }

    fn bind(&mut self, index: usize, address: &Address) -> Result<(Address, StdSocket), Error> {
        let config_path = format!("listeners[{index}].address");
        match address {
            Address::Tcp(address) => {
                let (address, socket) = bind(config_path, *address)?;
                Ok((Address::Tcp(address), StdSocket::Tcp(socket)))
            }
            Address::Unix { path, mode } => {
                let (socket, socket_path) = unix::bind(path, *mode).map_err(|source| Error::Socket {
                    config_path,
                    address: address.clone(),
                    source,
                })?;
                self.socket_paths.push(socket_path);
                Ok((address.clone(), StdSocket::Unix(socket)))
            }
        }
    }

    pub(super) fn have_tls(&self) -> bool {
        self.open.iter().any(|listener| listener.tls.is_some())
    }

    /// Logs every listener and the source of its tenants.
    pub(super) fn log_started(&self, definitions: &[Listener]) {
        for (OpenListener { address, tls, .. }, definition) in self.open.iter().zip(definitions) {
            let scheme = if tls.is_some() { "https" } else { "http" };
            let mode = match address {
                Address::Tcp(_) => None,
                Address::Unix { mode, .. } => Some(format!("{mode:04o}")),
            };
            match &definition.tenant {
                TenantSource::Fixed(tenant) => {
                    tracing::info!(event = event::LISTENER_STARTED, %address, mode, scheme, tenant, "listening")
                }
                TenantSource::Header(header) => {
                    tracing::info!(
                        event = event::LISTENER_STARTED,
                        %address,
                        mode,
                        scheme,
                        tenant_header = %header,
                        "listening"
                    );
                }
            }
        }
    }
}

/// Binds a TCP address. Returns the socket and its address, with the port that the system chose if it was 0.
pub(super) fn bind(config_path: String, address: SocketAddr) -> Result<(SocketAddr, TcpListener), Error> {
    let bound = accept::bind(address).and_then(|socket| Ok((socket.local_addr()?, socket)));
    bound.map_err(|source| Error::Bind { config_path, address, source })
}
