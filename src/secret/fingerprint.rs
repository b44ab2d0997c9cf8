//! Fingerprints of secrets, which may be shown in their place.

use std::fmt;

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};

/// The first 32 bits of an HMAC-SHA-256 of a secret: enough to distinguish a few secrets, and too few to guess one from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(u32);

/// The salt of fingerprints. Those with the same salt can be compared.
pub struct Salt(Key);

impl Salt {
    /// Creates a salt from a text, so that processes with the same text give a secret the same fingerprint: the first 8
    /// digits of `printf %s "$API_KEY" | openssl dgst -sha256 -hmac "$SALT"`.
    #[must_use]
    pub fn new(salt: &str) -> Salt {
        Salt(Key::new(HMAC_SHA256, salt.as_bytes()))
    }

    /// Creates a random salt.
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
    pub(super) fn of(secret: &[u8], Salt(salt): &Salt) -> Fingerprint {
        let signed = sign(salt, secret);
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
    fn a_fingerprint_is_the_beginning_of_openssls_output_and_differs_with_each_salt() {
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
