//! TLS towards callers: TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1 by ALPN, and a certificate that may change meanwhile.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::config::resolve::ListenerTls;
use crate::event;
use crate::files::{self, Changes, Watch};
use crate::pem;

const CERTIFICATE: &str = "certificate_file";
const KEY: &str = "key_file";

/// How callers ask for HTTP/2.
pub(super) const HTTP2: &[u8] = b"h2";

/// Why a certificate cannot be used; begins with the key of the configuration below `tls`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read.
    #[error("{key}: {} cannot be read: {reason}", file.display())]
    Read {
        /// The key of the configuration.
        key: &'static str,
        /// The file.
        file: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// A file holds something else.
    #[error("{key}: {}: {reason}", file.display())]
    Invalid {
        /// The key of the configuration.
        key: &'static str,
        /// The file.
        file: PathBuf,
        /// What is wrong with it; shows nothing of it.
        reason: String,
    },
    /// TLS itself could not be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(rustls::Error),
}

/// Sets TLS up for one listener, and has its certificate read again when its files change.
///
/// # Errors
///
/// Where the files hold no certificate and key that belong together.
pub async fn server(named: &ListenerTls) -> Result<(Arc<ServerConfig>, Watch), Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let changes = Changes::of([named.certificate_file.clone(), named.key_file.clone()], files::PEM_LIMIT);
    let current = Arc::new(Current(ArcSwapOption::empty()));
    current.0.store(Some(Arc::new(read(named, &provider).await?)));
    let parts = (Arc::new(named.clone()), Arc::clone(&current), Arc::clone(&provider));
    let watch = Watch::new(changes, move || {
        let (named, current, provider) = parts.clone();
        async move { replace(&current, &named, &provider).await }
    });
    let versions =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(Error::Tls)?;
    let mut config = versions.with_no_client_auth().with_cert_resolver(current);
    config.alpn_protocols = vec![HTTP2.to_vec(), b"http/1.1".to_vec()];
    Ok((Arc::new(config), watch))
}

/// What new handshakes are shown.
struct Current(ArcSwapOption<CertifiedKey>);

impl fmt::Debug for Current {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Current(..)")
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}

async fn replace(current: &Current, named: &ListenerTls, provider: &CryptoProvider) {
    let certificate_file = named.certificate_file.display();
    match read(named, provider).await {
        Ok(key) => {
            current.0.store(Some(Arc::new(key)));
            tracing::info!(event = event::LISTENER_CERTIFICATE_REPLACED, %certificate_file, "the certificate was replaced; new connections get it");
        }
        Err(error) => tracing::error!(
            event = event::LISTENER_CERTIFICATE_REFUSED,
            %error,
            "the certificate was not replaced and the one before goes on; write a certificate and the key that belongs to it"
        ),
    }
}

async fn read(named: &ListenerTls, provider: &CryptoProvider) -> Result<CertifiedKey, Error> {
    let (certificate_file, key_file) = (&named.certificate_file, &named.key_file);
    let unreadable = |key, file: &Path, reason| Error::Read { key, file: file.to_owned(), reason };
    let chain = files::read(certificate_file, files::PEM_LIMIT).await;
    let chain = chain.map_err(|reason| unreadable(CERTIFICATE, certificate_file, reason))?;
    let chain = pem::certificates(&chain).map_err(|error| {
        invalid(CERTIFICATE, certificate_file, format!("{error}; it must hold the listener's own certificate first"))
    })?;
    let key = files::read(key_file, files::PEM_LIMIT).await;
    let key = key.map_err(|reason| unreadable(KEY, key_file, reason))?;
    let key = pem::private_key(&key)
        .map_err(|error| invalid(KEY, key_file, format!("{error}; it must hold the certificate's private key")))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        // The library's reasons are left out: they could repeat what it could not read.
        rustls::Error::InvalidCertificate(_) => invalid(
            CERTIFICATE,
            certificate_file,
            "its first certificate cannot be read; write it again from its source",
        ),
        rustls::Error::InconsistentKeys(_) => invalid(KEY, key_file, "it is not the key of the certificate"),
        _ => invalid(KEY, key_file, "it cannot be used; it must hold an RSA, ECDSA or Ed25519 key without a password"),
    })
}

fn invalid(key: &'static str, file: &Path, reason: impl Into<String>) -> Error {
    Error::Invalid { key, file: file.to_owned(), reason: reason.into() }
}
