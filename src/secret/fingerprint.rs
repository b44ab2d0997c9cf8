//! What a key is told from others by where it must not be shown.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};

/// The first 64 bits of the SHA-256 of a key's bytes: who holds keys can find out which it is, and nobody finds a key by it
/// that cannot be guessed. `printf %s "$KEY" | sha256sum | cut -c1-16` shows the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Fingerprint {
    pub(super) fn of(key: &[u8]) -> Fingerprint {
        let digested = digest(&SHA256, key);
        let first = digested.as_ref().first_chunk().copied().unwrap_or_default();
        Fingerprint(u64::from_be_bytes(first))
    }
}

/// 16 hexadecimal digits in lower case.
impl fmt::Display for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_what_sha256sum_shows_first() {
        assert_eq!(Fingerprint::of(b"abc").to_string(), "ba7816bf8f01cfea");
        assert_eq!(Fingerprint(1).to_string(), "0000000000000001");
    }
}
