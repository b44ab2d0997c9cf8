//! Secrets: bytes that are sent as a key and shown nowhere.
//!
//! The bytes lie in one allocation that is zeroed when its last holder goes: a header value made from a secret shares
//! it and makes no copy. What was sent leaves copies in the connection's write buffer, which the kernel gets anyway.

mod env;
mod file;
mod fingerprint;
mod mask;
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
pub use mask::{Covered, Mask};
pub use store::{Pace, Store};

/// The longest key that is taken: 8 KiB, as much as servers commonly take of one header.
pub const MAX_LENGTH: usize = 8 * 1024;

/// The shortest key that is taken. A shorter one could be part of ordinary answers, in which it would be overwritten, and
/// could be guessed.
pub const MIN_LENGTH: usize = 16;

/// A key: [`MIN_LENGTH`] to [`MAX_LENGTH`] visible ASCII characters. `Debug` shows nothing of it, and nothing displays it.
#[derive(Clone)]
pub struct Secret(HeaderValue);

/// Where a secret is kept. Says nothing of the secret itself and may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// A file that holds the key and at most one line break after it.
    File {
        /// The file.
        path: PathBuf,
        /// Another one, for the key before.
        previous: Option<PathBuf>,
    },
    /// An environment variable: for development, because it is inherited and can be read by others.
    Env(String),
}

/// What a store holds at a time.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The key.
    pub key: Secret,
    /// The key before, or why it cannot be had; nothing where the store has none.
    pub previous: Option<Result<Secret, Error>>,
}

/// Why a secret could not be read. No message holds anything of the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No such file.
    #[error("{path}: there is no such file; put the key there or correct the path", path = .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The path names a directory.
    #[error("{path}: this is a directory; name the file inside it that holds the key", path = .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
    },
    /// The system refused to read the file.
    #[error("{path}: cannot be read ({reason}); put a regular file there that the gateway's user may read", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// The file differs each time that it is read.
    #[error("{path}: does not hold still; write the key in one go, or rename a file that holds it", path = .path.display())]
    Restless {
        /// The file.
        path: PathBuf,
    },
    /// The store does not answer.
    #[error("{place}: no answer within {}; see what it waits for", humantime::format_duration(*.after))]
    Slow {
        /// What was asked.
        place: String,
        /// For how long.
        after: Duration,
    },
    /// No such environment variable.
    #[error("the environment variable {name} is not set; set it to the key")]
    Unset {
        /// The variable.
        name: String,
    },
    /// There is something, but it cannot be a key.
    #[error("{place}: {invalid}")]
    Invalid {
        /// The path, or the variable's name.
        place: String,
        /// What is wrong with it.
        invalid: Invalid,
    },
}

/// What keeps bytes from being a key: it travels in a header, which takes visible ASCII alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Nothing is there.
    #[error("is empty; write the key into it")]
    Empty,
    /// Less than [`MIN_LENGTH`] bytes.
    #[error("holds fewer than 16 bytes, which is no key that Asteroid gives out; write the whole key into it")]
    TooShort,
    /// More than [`MAX_LENGTH`] bytes.
    #[error("holds more than 8 KiB; it must hold the key alone")]
    TooLong,
    /// A space, tab or line break, also at the ends.
    #[error("holds a space or a line break beside the key; it must hold the key alone, on one line")]
    Space,
    /// A byte that is no visible ASCII character.
    #[error("holds a character that a header cannot carry; a key is made of visible ASCII characters")]
    NotVisible,
}

impl Error {
    /// What a metric calls it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Missing { .. } | Self::Unset { .. } => "missing",
            Self::Directory { .. } | Self::Unreadable { .. } => "unreadable",
            Self::Restless { .. } => "restless",
            Self::Slow { .. } => "slow",
            Self::Invalid { .. } => "invalid",
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
    /// Takes a key. The given buffer is zeroed, whatever comes of it.
    ///
    /// # Errors
    ///
    /// If the bytes cannot be a key.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, Invalid> {
        let bytes = Zeroizing::new(bytes.into());
        Self::from_slice(&bytes)
    }

    /// Takes a placeholder that is shown in a key's place, or a key of a test: it may be shorter than a key.
    ///
    /// # Errors
    ///
    /// If a header cannot carry the bytes.
    pub fn placeholder(bytes: &str) -> Result<Self, Invalid> {
        Self::of_any_length(bytes.as_bytes())
    }

    fn from_slice(bytes: &[u8]) -> Result<Self, Invalid> {
        let secret = Self::of_any_length(bytes)?;
        if bytes.len() < MIN_LENGTH { Err(Invalid::TooShort) } else { Ok(secret) }
    }

    fn of_any_length(bytes: &[u8]) -> Result<Self, Invalid> {
        if bytes.is_empty() {
            return Err(Invalid::Empty);
        }
        if bytes.len() > MAX_LENGTH {
            return Err(Invalid::TooLong);
        }
        if bytes.iter().any(u8::is_ascii_whitespace) {
            return Err(Invalid::Space);
        }
        if !bytes.iter().all(u8::is_ascii_graphic) {
            return Err(Invalid::NotVisible);
        }
        // `to_vec` allocates exactly what it needs, so that no reallocation leaves a copy behind.
        let shared = Bytes::from_owner(Owner(SecretSlice::from(bytes.to_vec())));
        let mut value = HeaderValue::from_maybe_shared(shared).map_err(|_| Invalid::NotVisible)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    /// The header value that carries the key, marked as sensitive. Cheap: it shares the secret's bytes.
    ///
    /// For the one line that injects the key into a request.
    #[must_use]
    pub fn header_value(&self) -> HeaderValue {
        self.0.clone()
    }

    /// What the key is called where it must not be shown.
    #[must_use]
    pub fn fingerprint(&self, salt: &Salt) -> Fingerprint {
        Fingerprint::of(self.0.as_bytes(), salt)
    }

    /// Whether two are the same key.
    #[must_use]
    pub fn is(&self, other: &Secret) -> bool {
        self.expose() == other.expose()
    }

    /// The bytes themselves, for stores and the guard that keeps them out of answers.
    fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(<redacted>)")
    }
}

/// Keeps the bytes for `Bytes` and zeroes them when the last reference goes.
struct Owner(SecretSlice<u8>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

/// Bytes as stores have them: one line break at the end belongs to the file, not to the key.
fn without_line_break(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "sk-CANARY-0123456789";

    #[test]
    fn nothing_shows_the_key() {
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
    fn what_a_header_cannot_carry_is_no_key() {
        for (bytes, invalid) in [
            (&b""[..], Invalid::Empty),
            (b"two words", Invalid::Space),
            (b" leading", Invalid::Space),
            (b"trailing\t", Invalid::Space),
            (b"two\nlines", Invalid::Space),
            ("schl\u{fc}ssel".as_bytes(), Invalid::NotVisible),
            (b"nul\0", Invalid::NotVisible),
            (b"del\x7f", Invalid::NotVisible),
            (&[b'k'; MAX_LENGTH + 1], Invalid::TooLong),
            (b"1", Invalid::TooShort),
            (&[b'k'; MIN_LENGTH - 1], Invalid::TooShort),
        ] {
            assert_eq!(Secret::new(bytes).unwrap_err(), invalid);
        }
        for bytes in [&b"!~a:b=c/d+e#$%&{"[..], &[b'k'; MIN_LENGTH], &[b'k'; MAX_LENGTH]] {
            assert_eq!(Secret::new(bytes).unwrap().expose(), bytes);
        }
    }
}
