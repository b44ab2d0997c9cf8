//! An upstream that requires a client certificate. The gateway has none, so its handshake is refused.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::harness::asteroid::certificates;
use crate::harness::caller::TIMEOUT;
use crate::harness::{Caller, Configuration, EXECUTE, Program};

/// Returns a configuration of this TLS version that requires a client certificate.
fn strict(dir: &Path, version: &'static SupportedProtocolVersion, protocol: &[u8]) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(dir.join("ca.pem")).unwrap()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let chain = vec![CertificateDer::from_pem_file(dir.join("cert.pem")).unwrap()];
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let builder = builder.with_client_cert_verifier(verifier);
    let mut config =
        builder.with_single_cert(chain, PrivateKeyDer::from_pem_file(dir.join("key.pem")).unwrap()).unwrap();
    config.alpn_protocols = vec![protocol.to_vec()];
    Arc::new(config)
}

/// Serves, and counts the connections whose handshake failed.
fn listen(config: Arc<ServerConfig>) -> (SocketAddr, Arc<AtomicUsize>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let refused = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&refused);
    std::thread::spawn(move || {
        runtime.block_on(async {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                assert!(TlsAcceptor::from(Arc::clone(&config)).accept(stream).await.is_err());
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
    });
    (address, refused)
}

#[test]
fn a_handshake_that_the_upstream_refused_is_named_has_started_nothing_and_leaves_the_idempotency_key_free() {
    for (version, protocol, alert) in [
        (&version::TLS13, &b"http/1.1"[..], "CertificateRequired"),
        (&version::TLS13, b"h2", "CertificateRequired"),
        (&version::TLS12, b"http/1.1", "CertificateRequired"),
    ] {
        let dir = certificates("localhost");
        let (address, refused) = listen(strict(dir.path(), version, protocol));
        let ca = dir.path().join("ca.pem");
        let upstream = Configuration::for_upstream(&format!("https://localhost:{}/agents/v2", address.port()));
        let gateway = Program::run(upstream.upstream(&format!("ca_file: '{}'", ca.display())));
        for tries in 1..=5 {
            let answer = Caller::connect(gateway.address()).post(EXECUTE, &[("Idempotency-Key", "k")], b"{}");
            answer.assert_error(502, "unreachable", "not_started");
            assert!(answer.json()["detail"].as_str().unwrap().contains(alert), "{answer:?}");
            assert_eq!(answer.header("proxy-status"), Some("asteroid-gateway; error=tls_protocol_error"));
            // The gateway may read the alert before the upstream has counted it.
            let until = Instant::now() + TIMEOUT;
            while refused.load(Ordering::SeqCst) < tries {
                assert!(Instant::now() < until, "each try is a handshake of its own");
                std::thread::yield_now();
            }
            assert_eq!(refused.load(Ordering::SeqCst), tries);
        }
        let line = gateway.request_line(502);
        assert_eq!((&line["outcome"], &line["error"]), (&json!("not_started"), &json!("unreachable")), "{line}");
    }
}
