//! TLS for the simulated Asteroid.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use rustls::ServerConfig;

use crate::{files, pem};

/// Reads a certificate chain and its private key, in PEM form, and returns a configuration that offers HTTP/2 and
/// HTTP/1.1, or HTTP/1.1 only.
///
/// # Errors
///
/// If a file is missing or has other content, or if the two do not belong together.
pub fn server(certificate: &Path, key: &Path, http1_only: bool) -> anyhow::Result<Arc<ServerConfig>> {
    let shown = |file: &Path| file.display().to_string();
    let chain = files::read_whole(certificate, files::PEM_LIMIT).with_context(|| shown(certificate))?;
    let chain = pem::certificates(&chain).with_context(|| shown(certificate))?;
    let key_bytes = files::read_whole(key, files::PEM_LIMIT).with_context(|| shown(key))?;
    let key = pem::private_key(&key_bytes).with_context(|| shown(key))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = versions.with_no_client_auth().with_single_cert(chain, key)?;
    config.alpn_protocols =
        if http1_only { vec![b"http/1.1".to_vec()] } else { vec![b"h2".to_vec(), b"http/1.1".to_vec()] };
    Ok(Arc::new(config))
}
