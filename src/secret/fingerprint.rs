//! What a key is told from others by where it must not be shown.

use std::fmt;

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};

/// The first 32 bits of an HMAC-SHA-256 of a key's bytes: enough to tell a handful of keys apart, and worth nothing to who
/// would find a key by it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(u32);

/// What fingerprints are made with: those of one salt can be compared.
pub struct Salt(Key);

impl Salt {
    /// This one, so that processes which have the same call a key the same. `printf %s "$KEY" | openssl dgst -sha256 -hmac
    /// "$SALT"` shows a fingerprint as its first 8 digits.
    #[must_use]
    pub fn new(salt: &str) -> Salt {
        Salt(Key::new(HMAC_SHA256, salt.as_bytes()))
    }

    /// One that nobody knows.
    #[must_use]
    pub fn random() -> Salt {
        Salt(Key::new(HMAC_SHA256, uuid::Uuid::new_v4().as_bytes()))
    }
}

impl Default for Salt {
    fn default() -> Salt {
        Salt::random()
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Salt")
    }
}

impl Fingerprint {
    pub(super) fn of(key: &[u8], Salt(salt): &Salt) -> Fingerprint {
        let signed = sign(salt, key);
        let first = signed.as_ref().first_chunk().copied().unwrap_or_default();
        Fingerprint(u32::from_be_bytes(first))
    }
}

/// 8 hexadecimal digits in lower case.
impl fmt::Display for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:08x}", self.0)
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
    fn a_fingerprint_is_what_openssl_shows_first_and_another_with_each_salt() {
        // RFC 4231, test case 2.
        let known = Fingerprint::of(b"what do ya want for nothing?", &Salt::new("Jefe"));
        assert_eq!(known.to_string(), "5bdcc146");
        assert_eq!(Fingerprint(1).to_string(), "00000001");
        let of = |salt: &Salt| Fingerprint::of(b"key", salt);
        let (one, other) = (Salt::random(), Salt::random());
        assert_eq!(of(&one), of(&one));
        assert_ne!(of(&one), of(&other));
    }
}
