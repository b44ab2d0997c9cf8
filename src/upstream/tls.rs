//! TLS towards the upstream: rustls with aws-lc-rs, the built-in roots, and a private CA where one is configured.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, pem};
use rustls::{ClientConfig, RootCertStore};

/// Why `upstream.ca_file` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be read.
    #[error("upstream.ca_file {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
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

/// The client's TLS configuration: TLS 1.2 and 1.3, HTTP/1.1 by ALPN; the private CA stands beside the built-in roots.
///
/// # Errors
///
/// Where the file is missing, unreadable or holds no certificate.
pub fn client(ca_file: Option<&Path>) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(file) = ca_file {
        add(&mut roots, file)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = versions.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn add(roots: &mut RootCertStore, file: &Path) -> Result<(), Error> {
    let invalid = |reason: String| Error::Invalid { file: file.to_owned(), reason };
    let read = std::fs::read(file).map_err(|source| Error::Read { file: file.to_owned(), source })?;
    let certificates: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&read).collect();
    let certificates = certificates.map_err(|error| invalid(error.to_string()))?;
    if certificates.is_empty() {
        return Err(invalid("there is no certificate in it".to_owned()));
    }
    for certificate in certificates {
        roots.add(certificate).map_err(|error| invalid(error.to_string()))?;
    }
    Ok(())
}
