//! Certificates and private keys in PEM form. A file may hold both, so no error repeats a byte of what was read.

use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The reason why a file holds nothing usable. Each text is fixed, because the library's errors quote the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A `BEGIN` line without its `END` line.
    #[error(
        "a block has no `-----END …-----` line of its own; write the file again with its line breaks and without indentation"
    )]
    NoEnd,
    /// An incomplete `BEGIN` line.
    #[error(
        "a `-----BEGIN …-----` line is incomplete; write the file again with its line breaks and without indentation"
    )]
    BrokenStart,
    /// A block whose content is not base64.
    #[error("a block is not base64; write the file again from its source")]
    NotBase64,
    /// A block that is too large.
    #[error("a block is too large; the file must hold certificates or a private key, and nothing else")]
    TooLarge,
    /// There is no certificate.
    #[error("it holds no `-----BEGIN CERTIFICATE-----` at the beginning of a line")]
    NoCertificate,
    /// There is no private key.
    #[error("it holds no `-----BEGIN PRIVATE KEY-----` (or RSA, or EC) at the beginning of a line")]
    NoPrivateKey,
    /// PEM that cannot be read for another reason.
    #[error("it cannot be read as PEM; write the file again from its source")]
    Other,
}

impl From<PemError> for Error {
    fn from(error: PemError) -> Error {
        match error {
            PemError::MissingSectionEnd { .. } => Error::NoEnd,
            PemError::IllegalSectionStart { .. } => Error::BrokenStart,
            PemError::Base64Decode(_) => Error::NotBase64,
            PemError::SectionTooLarge => Error::TooLarge,
            _ => Error::Other,
        }
    }
}

/// Returns all certificates in their order, and skips other blocks.
///
/// # Errors
///
/// If there is none, or a block cannot be read.
pub fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(bytes).collect::<Result<_, PemError>>()?;
    if certificates.is_empty() { Err(Error::NoCertificate) } else { Ok(certificates) }
}

/// Returns the first private key.
///
/// # Errors
///
/// If there is none, or a block before it cannot be read.
pub fn private_key(bytes: &[u8]) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_slice(bytes).map_err(|error| match error {
        PemError::NoItemsFound => Error::NoPrivateKey,
        error => error.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "Q0FOQVJZQ0FOQVJZ";

    fn block(kind: &str) -> String {
        format!("-----BEGIN {kind}-----\n{BODY}\n-----END {kind}-----\n")
    }

    #[test]
    fn no_error_repeats_a_byte_of_the_file_in_any_form() {
        let whole = block("PRIVATE KEY") + &block("CERTIFICATE");
        for (text, expected) in [
            (whole.replace('\n', " "), Error::NoEnd),
            (whole.replace('\n', ""), Error::NoEnd),
            (whole.replace('\n', "\\n"), Error::BrokenStart),
            (whole.replace('\n', "\n  "), Error::NoEnd),
            (block("CERTIFICATE").replace("-----END CERTIFICATE-----", ""), Error::NoEnd),
            (whole.replace("-----END", "---- END"), Error::NoEnd),
            (whole.replace(BODY, "CANARY!*"), Error::NotBase64),
            ("CANARY".to_owned(), Error::NoCertificate),
            (String::new(), Error::NoCertificate),
        ] {
            let error = certificates(text.as_bytes()).unwrap_err();
            assert_eq!(error, expected, "{text:?}");
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("CANARY") && !shown.contains(BODY) && !shown.contains("67, 65"), "{shown}");
        }
        assert_eq!(private_key(block("CERTIFICATE").as_bytes()), Err(Error::NoPrivateKey));
        assert_eq!(private_key(b"-----BEGIN PRIVATE KEY-----\nQ0FO"), Err(Error::NoEnd));
    }

    #[test]
    fn other_blocks_and_text_between_them_are_skipped() {
        let text = format!("a comment\n{}{}\n{}", block("PRIVATE KEY"), block("CERTIFICATE"), block("CERTIFICATE"));
        assert_eq!(certificates(text.as_bytes()).unwrap().len(), 2);
        assert!(private_key(text.as_bytes()).is_ok());
    }
}
