//! TLS to services: rustls with aws-lc-rs, the built-in roots, and a private CA if one is configured.

use std::error::Error as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use rustls::{ClientConfig, RootCertStore};

use crate::files::{self, Changes, Watch};
use crate::{event, pem};

/// Why `upstream.ca_file` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be read.
    #[error("upstream.ca_file {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// It holds no usable certificate.
    #[error("upstream.ca_file {}: {reason}; it must hold certificates in PEM form", file.display())]
    Invalid {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// TLS itself could not be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// The TLS configuration of new connections: TLS 1.2 and 1.3, HTTP/2 or HTTP/1.1 by ALPN. It is replaced when the file of the
/// private CA changes, which is trusted beside the built-in roots.
#[derive(Debug)]
pub struct ClientTls {
    config: ArcSwap<ClientConfig>,
    generation: AtomicU64,
}

impl ClientTls {
    /// Creates a configuration that trusts the built-in roots and `ca_file`. Returns with it the watch that replaces it when
    /// the file changes. A changed file that cannot be used is logged, and what it held before stays trusted.
    ///
    /// # Errors
    ///
    /// If the file is missing, unreadable or holds no certificate.
    pub async fn new(ca_file: Option<&Path>) -> Result<(Arc<ClientTls>, Option<Watch>), Error> {
        let built_in = ClientTls { config: ArcSwap::from_pointee(config(None)?), generation: AtomicU64::new(0) };
        let client = Arc::new(built_in);
        let Some(file) = ca_file else { return Ok((client, None)) };
        // Created before the file is read, so that no change in between is missed.
        let changes = Changes::of([file.to_owned()], files::PEM_LIMIT);
        client.replace(config(Some(&authorities(file).await?))?);
        let (changing, path) = (Arc::clone(&client), Arc::<Path>::from(file));
        let reload = move || {
            let (changing, path) = (Arc::clone(&changing), Arc::clone(&path));
            async move { changing.reload(&path).await }
        };
        Ok((client, Some(Watch::new(changes, reload))))
    }

    /// Returns the configuration for a new connection.
    #[must_use]
    pub fn config(&self) -> Arc<ClientConfig> {
        self.config.load_full()
    }

    /// Returns how often it was replaced.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn replace(&self, config: ClientConfig) {
        // In this order, a connection that is made in between belongs to the old generation and is not kept.
        self.config.store(Arc::new(config));
        self.generation.fetch_add(1, Ordering::Release);
    }

    async fn reload(&self, ca_file: &Path) {
        let read = authorities(ca_file).await;
        match read.and_then(|authorities| config(Some(&authorities))) {
            Ok(config) => {
                self.replace(config);
                let file = ca_file.display();
                tracing::info!(
                    event = event::UPSTREAM_CA_REPLACED,
                    %file,
                    "upstream.ca_file was reloaded; new connections trust its certificates"
                );
            }
            Err(error) => {
                let cause = error.source().map(ToString::to_string);
                tracing::error!(
                    event = event::UPSTREAM_CA_REFUSED,
                    %error,
                    cause,
                    "upstream.ca_file cannot be used, and its previous certificates stay trusted; correct the file"
                );
            }
        }
    }
}

fn config(authorities: Option<&RootCertStore>) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    roots.roots.extend(authorities.into_iter().flat_map(|authorities| &authorities.roots).cloned());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = versions.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Reads the certificates of a private CA, to be trusted beside the built-in roots.
async fn authorities(file: &Path) -> Result<RootCertStore, Error> {
    let invalid = |reason: String| Error::Invalid { file: file.to_owned(), reason };
    let read = files::read(file, files::PEM_LIMIT).await;
    let read = read.map_err(|source| Error::Read { file: file.to_owned(), source })?;
    let mut authorities = RootCertStore::empty();
    let certificates = pem::certificates(&read).map_err(|error| invalid(error.to_string()))?;
    for (at, certificate) in certificates.into_iter().enumerate() {
        // The library's reason is left out: it could repeat what it could not read.
        let unreadable =
            || invalid(format!("certificate {} in it cannot be read; write it again from its source", at + 1));
        authorities.add(certificate).map_err(|_| unreadable())?;
    }
    Ok(authorities)
}
