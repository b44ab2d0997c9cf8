//! Secrets: bytes that are sent as an API key and shown nowhere.
//!
//! The bytes lie in one allocation that is zeroed when its last holder goes: a header value made from a secret shares
//! it and makes no copy. A request that was sent leaves copies in the connection's write buffer, which the kernel gets anyway.

mod env;
mod file;
mod fingerprint;
mod needle;
mod pace;
mod store;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::HeaderValue;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretSlice};

pub use env::Environment;
pub use fingerprint::{Fingerprint, Salt};
pub use needle::{Needle, Redaction};
pub use pace::Pace;
pub use store::Store;

/// The longest secret: 8 KiB, as much as servers commonly accept of one header.
pub const MAX_LENGTH: usize = 8 * 1024;

/// The shortest secret. A shorter one could be part of ordinary answers, in which it would be redacted, and could be
/// guessed.
pub const MIN_LENGTH: usize = 16;

/// A secret: [`MIN_LENGTH`] to [`MAX_LENGTH`] visible ASCII characters. `Debug` shows nothing of it, and it has no `Display`.
#[derive(Clone)]
pub struct Secret(HeaderValue);

/// A reference to a secret in a store. It contains nothing of the secret and may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// A file that contains the secret and at most one line break after it.
    File {
        /// The file.
        path: PathBuf,
        /// A second file, for the previous secret.
        previous: Option<PathBuf>,
    },
    /// An environment variable: for development, because it is inherited and can be read by others.
    Env(String),
}

/// The content of a store.
#[derive(Debug, Clone)]
pub struct StoreContent {
    /// The secret.
    pub current: Secret,
    /// The previous secret, if the store has one, or the reason why it cannot be used.
    pub previous: Option<Result<Secret, Error>>,
}

/// The reason why a secret cannot be read. Its message contains nothing of the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{location}: {problem}")]
pub struct Error {
    /// The location that was read.
    pub location: String,
    /// The problem.
    pub problem: StoreProblem,
}

/// A problem of a store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreProblem {
    /// There is no such file.
    #[error("there is no such file; put the API key there or correct the path")]
    NoFile,
    /// The path names a directory.
    #[error("this is a directory; name the file inside it that holds the API key")]
    Directory,
    /// The system refused to read the file, for this reason.
    #[error("cannot be read ({0}); put a regular file there that the gateway's user may read")]
    Unreadable(String),
    /// The file differs each time that it is read.
    #[error("changes at every reading; write the API key at once, or rename a complete file to this path")]
    Unstable,
    /// The store did not answer within this time.
    #[error("no answer within {}; check whether its file system responds", humantime::format_duration(*.0))]
    TimedOut(Duration),
    /// There is no such environment variable.
    #[error("is not set; set it to the API key")]
    Unset,
    /// The content cannot be a secret.
    #[error("{0}")]
    Invalid(InvalidSecret),
}

/// The reason why bytes cannot be a secret. A header carries a secret, so it must be visible ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// There are no bytes.
    #[error("is empty; write the API key into it")]
    Empty,
    /// There are fewer than [`MIN_LENGTH`].
    #[error("holds fewer than 16 bytes, which is no API key that Asteroid gives out; write the whole API key into it")]
    TooShort,
    /// There are more than [`MAX_LENGTH`].
    #[error("holds more than 8 KiB; it must hold the API key alone")]
    TooLong,
    /// There is a space, tab or line break, perhaps at an end.
    #[error("holds a space or a line break beside the API key; it must hold the API key alone, on one line")]
    Space,
    /// A byte is no visible ASCII character.
    #[error("holds a character that a header cannot carry; an API key is made of visible ASCII characters")]
    NotVisible,
}

impl Error {
    /// Returns the code of the problem in metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.problem {
            StoreProblem::NoFile | StoreProblem::Unset => "missing",
            StoreProblem::Directory | StoreProblem::Unreadable(_) => "unreadable",
            StoreProblem::Unstable => "restless",
            StoreProblem::TimedOut(_) => "slow",
            StoreProblem::Invalid(_) => "invalid",
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, .. } => write!(out, "file {}", path.display()),
            Self::Env(name) => write!(out, "environment variable {name}"),
        }
    }
}

impl Secret {
    /// Creates a secret from these bytes. The buffer is zeroed in any case.
    ///
    /// # Errors
    ///
    /// If the bytes cannot be a secret.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, InvalidSecret> {
        let bytes = Zeroizing::new(bytes.into());
        Self::from_slice(&bytes)
    }

    /// Creates a placeholder, to be shown instead of a secret or for a test. It may be shorter than a secret.
    ///
    /// # Errors
    ///
    /// If a header cannot carry the bytes.
    pub fn placeholder(bytes: &str) -> Result<Self, InvalidSecret> {
        Self::of_any_length(bytes.as_bytes())
    }

    fn from_slice(bytes: &[u8]) -> Result<Self, InvalidSecret> {
        let secret = Self::of_any_length(bytes)?;
        if bytes.len() < MIN_LENGTH { Err(InvalidSecret::TooShort) } else { Ok(secret) }
    }

    fn of_any_length(bytes: &[u8]) -> Result<Self, InvalidSecret> {
        if bytes.is_empty() {
            return Err(InvalidSecret::Empty);
        }
        if bytes.len() > MAX_LENGTH {
            return Err(InvalidSecret::TooLong);
        }
        if bytes.iter().any(u8::is_ascii_whitespace) {
            return Err(InvalidSecret::Space);
        }
        if !bytes.iter().all(u8::is_ascii_graphic) {
            return Err(InvalidSecret::NotVisible);
        }
        // `to_vec` allocates exactly what it needs, so that no reallocation leaves a copy behind.
        let shared = Bytes::from_owner(Owner(SecretSlice::from(bytes.to_vec())));
        let mut value = HeaderValue::from_maybe_shared(shared).map_err(|_| InvalidSecret::NotVisible)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    /// Returns the header value with the secret, marked as sensitive. It shares the secret's bytes.
    ///
    /// Only for the one line that injects the secret into a request.
    #[must_use]
    pub fn header_value(&self) -> HeaderValue {
        self.0.clone()
    }

    /// Returns the fingerprint, which may be shown in place of the secret.
    #[must_use]
    pub fn fingerprint(&self, salt: &Salt) -> Fingerprint {
        Fingerprint::of(self.0.as_bytes(), salt)
    }

    /// Returns whether both secrets are the same.
    #[must_use]
    pub fn is(&self, other: &Secret) -> bool {
        self.expose() == other.expose()
    }

    /// Returns the bytes themselves, for stores and for the redaction of answers.
    fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(<redacted>)")
    }
}

/// The owner of the bytes that `Bytes` shares. They are zeroed when the last reference goes.
struct Owner(SecretSlice<u8>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

/// Returns the bytes of a store without one line break at their end, which is no part of the secret.
fn without_line_break(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "sk-CANARY-0123456789";

    #[test]
    fn nothing_shows_the_secret() {
        let secret = Secret::new(CANARY).unwrap();
        assert!(!format!("{secret:?} {:?} {:#?}", secret.header_value(), Some(&secret)).contains("CANARY"));
        assert!(secret.header_value().is_sensitive());
        assert_eq!(secret.header_value(), CANARY);
        assert_eq!(secret.expose(), CANARY.as_bytes());
    }

    #[test]
    fn a_header_value_shares_the_zeroed_allocation() {
        let secret = Secret::new(CANARY).unwrap();
        let value = secret.header_value();
        assert_eq!(value.as_bytes().as_ptr(), secret.expose().as_ptr());
        assert_eq!(secret.clone().expose().as_ptr(), secret.expose().as_ptr());
    }

    #[test]
    fn bytes_that_a_header_cannot_carry_are_no_secret() {
        for (bytes, invalid) in [
            (&b""[..], InvalidSecret::Empty),
            (b"two words", InvalidSecret::Space),
            (b" leading", InvalidSecret::Space),
            (b"trailing\t", InvalidSecret::Space),
            (b"two\nlines", InvalidSecret::Space),
            ("schl\u{fc}ssel".as_bytes(), InvalidSecret::NotVisible),
            (b"nul\0", InvalidSecret::NotVisible),
            (b"del\x7f", InvalidSecret::NotVisible),
            (&[b'k'; MAX_LENGTH + 1], InvalidSecret::TooLong),
            (b"1", InvalidSecret::TooShort),
            (&[b'k'; MIN_LENGTH - 1], InvalidSecret::TooShort),
        ] {
            assert_eq!(Secret::new(bytes).unwrap_err(), invalid);
        }
        for bytes in [&b"!~a:b=c/d+e#$%&{"[..], &[b'k'; MIN_LENGTH], &[b'k'; MAX_LENGTH]] {
            assert_eq!(Secret::new(bytes).unwrap().expose(), bytes);
        }
    }
}
