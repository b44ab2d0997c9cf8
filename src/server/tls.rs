//! Server TLS: versions 1.2 and 1.3, HTTP/2 and HTTP/1.1 by ALPN, and a certificate that is replaced when its files change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, io};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert, ServerSessionMemoryCache};
use rustls::sign::CertifiedKey;

use crate::config::resolve::ListenerTls;
use crate::files::{self, Changes, Watch};
use crate::{event, pem};

const CERTIFICATE_PATH: &str = "certificate_file";
const PRIVATE_KEY_PATH: &str = "key_file";

/// How many sessions of a listener's callers are remembered, so that they can be resumed: as many as rustls remembers by default.
const MAX_SESSIONS: usize = 256;

/// The name of HTTP/2 in ALPN.
pub(super) const HTTP2: &[u8] = b"h2";

/// The reason why a certificate cannot be used. Its text begins with the config path below `tls`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read.
    #[error("{path}: {} cannot be read: {reason}", file.display())]
    Read {
        /// The config path below `tls`.
        path: &'static str,
        /// The file.
        file: PathBuf,
        /// The system's error.
        reason: io::Error,
    },
    /// The content of a file is not usable.
    #[error("{path}: {}: {reason}", file.display())]
    Invalid {
        /// The config path below `tls`.
        path: &'static str,
        /// The file.
        file: PathBuf,
        /// What is wrong, without a byte of the file.
        reason: String,
    },
    /// TLS itself could not be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(rustls::Error),
}

/// Builds the TLS configuration of one listener. Returns it with a watch that replaces its certificate when the files change.
///
/// # Errors
///
/// If the files hold no certificate and private key that belong together.
pub async fn server_config(named: &ListenerTls) -> Result<(Arc<ServerConfig>, Watch), Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let changes = Changes::of([named.certificate_file.clone(), named.key_file.clone()], files::PEM_LIMIT);
    let current = Arc::new(CurrentCertificate(ArcSwap::from_pointee(read(named, &provider).await?)));
    let parts = (Arc::new(named.clone()), Arc::clone(&current), Arc::clone(&provider));
    let watch = Watch::new(changes, move || {
        let (named, current, provider) = parts.clone();
        async move { replace(&current, &named, &provider).await }
    });
    let versions =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(Error::Tls)?;
    let mut config = versions.with_no_client_auth().with_cert_resolver(current);
    config.alpn_protocols = vec![HTTP2.to_vec(), b"http/1.1".to_vec()];
    config.session_storage = ServerSessionMemoryCache::new(MAX_SESSIONS);
    Ok((Arc::new(config), watch))
}

/// The certificate for new handshakes.
struct CurrentCertificate(ArcSwap<CertifiedKey>);

impl fmt::Debug for CurrentCertificate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("CurrentCertificate(..)")
    }
}

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

async fn replace(current: &CurrentCertificate, named: &ListenerTls, provider: &CryptoProvider) {
    let certificate_file = named.certificate_file.display();
    match read(named, provider).await {
        Ok(certificate) => {
            current.0.store(Arc::new(certificate));
            tracing::info!(
                event = event::LISTENER_CERTIFICATE_REPLACED,
                %certificate_file,
                "the certificate was replaced; new connections use it"
            );
        }
        Err(error) => tracing::error!(
            event = event::LISTENER_CERTIFICATE_REFUSED,
            %error,
            "the new certificate cannot be used; the previous one stays in use. Write a certificate and its \
             private key"
        ),
    }
}

async fn read(named: &ListenerTls, provider: &CryptoProvider) -> Result<CertifiedKey, Error> {
    let (certificate_file, key_file) = (&named.certificate_file, &named.key_file);
    let unreadable = |path, file: &Path, reason| Error::Read { path, file: file.to_owned(), reason };
    let chain = files::read(certificate_file, files::PEM_LIMIT).await;
    let chain = chain.map_err(|reason| unreadable(CERTIFICATE_PATH, certificate_file, reason))?;
    let chain = pem::certificates(&chain).map_err(|error| {
        invalid(
            CERTIFICATE_PATH,
            certificate_file,
            format!("{error}; it must hold the listener's own certificate first"),
        )
    })?;
    let private_key = files::read(key_file, files::PEM_LIMIT).await;
    let private_key = private_key.map_err(|reason| unreadable(PRIVATE_KEY_PATH, key_file, reason))?;
    let private_key = pem::private_key(&private_key).map_err(|error| {
        invalid(PRIVATE_KEY_PATH, key_file, format!("{error}; it must hold the certificate's private key"))
    })?;
    CertifiedKey::from_der(chain, private_key, provider).map_err(|error| match error {
        // The library's reasons are left out, because they could repeat parts of the file.
        rustls::Error::InvalidCertificate(_) => invalid(
            CERTIFICATE_PATH,
            certificate_file,
            "its first certificate cannot be read; write it again from its source",
        ),
        rustls::Error::InconsistentKeys(_) => {
            invalid(PRIVATE_KEY_PATH, key_file, "it is not the private key of the certificate")
        }
        _ => invalid(
            PRIVATE_KEY_PATH,
            key_file,
            "it cannot be used; it must hold an RSA, ECDSA or Ed25519 private key without a password",
        ),
    })
}

fn invalid(path: &'static str, file: &Path, reason: impl Into<String>) -> Error {
    Error::Invalid { path, file: file.to_owned(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_the_sessions_that_callers_may_resume_few_are_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let [certificate_file, key_file] = ["cert.pem", "key.pem"].map(|name| dir.path().join(name));
        std::fs::write(&certificate_file, own.cert.pem()).unwrap();
        std::fs::write(&key_file, own.signing_key.serialize_pem()).unwrap();
        let (config, _watch) = server_config(&ListenerTls { certificate_file, key_file }).await.unwrap();
        let sessions = &config.session_storage;
        let names = || (0..10_000_u32).map(|number| number.to_be_bytes().to_vec());
        assert!(names().all(|name| sessions.put(name, vec![0])));
        let remembered = names().filter(|name| sessions.get(name).is_some()).count();
        assert!((1..=MAX_SESSIONS).contains(&remembered), "{remembered}");
    }
}
