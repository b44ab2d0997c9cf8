//! The digests by which idempotency keys and bodies are remembered.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

/// The first 128 bits of a SHA-256. Finding a text with the digest of another tenant's idempotency key is infeasible.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyDigest([u8; 16]);

impl IdempotencyDigest {
    /// Returns the digest of several texts. The length of each comes before it, so that other texts cannot join to the same.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> IdempotencyDigest {
        let mut context = Context::new(&SHA256);
        for part in parts {
            context.update(&part.len().to_be_bytes());
            context.update(part);
        }
        IdempotencyDigest(first(context))
    }
}

/// 32 hexadecimal digits in lower case.
impl fmt::Display for IdempotencyDigest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for IdempotencyDigest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// The first 64 bits of the SHA-256 of an idempotency key and the body that came with it. It distinguishes the bodies of one
/// idempotency key. A body cannot be guessed from it without the idempotency key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BodyDigest([u8; 8]);

impl BodyDigest {
    /// Returns the digest of an idempotency key, the kind of its start, and a body as sent.
    #[must_use]
    pub fn of(key: &[u8], kind: &[u8], body: &[u8]) -> BodyDigest {
        let mut context = Context::new(&SHA256);
        context.update(key);
        context.update(kind);
        context.update(body);
        BodyDigest(first(context))
    }

    /// Parses the digits that [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<BodyDigest> {
        let is_written = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let fits = text.len() == 16 && text.bytes().all(is_written);
        fits.then(|| u64::from_str_radix(text, 16).ok()).flatten().map(|bits| BodyDigest(bits.to_be_bytes()))
    }
}

/// 16 hexadecimal digits in lower case.
impl fmt::Display for BodyDigest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for BodyDigest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Returns the first bytes of a digest.
fn first<const N: usize>(context: Context) -> [u8; N] {
    let mut first = [0; N];
    for (byte, digested) in first.iter_mut().zip(context.finish().as_ref()) {
        *byte = *digested;
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_half_a_sha_256_and_shows_as_32_digits() {
        // printf '\0\0\0\0\0\0\0\3abc' | sha256sum
        assert_eq!(IdempotencyDigest::of(&[b"abc"]).to_string(), "c3494ca1a2cf8eeb8a11ded316fb55b8");
        assert_eq!(IdempotencyDigest([0; 16]).to_string(), "0".repeat(32));
    }

    #[test]
    fn texts_that_join_to_the_same_have_different_digests() {
        let [ab_c, a_bc, abc] = [&[b"ab".as_slice(), b"c"][..], &[b"a", b"bc"], &[b"abc"]].map(IdempotencyDigest::of);
        assert!(ab_c != a_bc && a_bc != abc && abc != ab_c);
    }

    #[test]
    fn the_digest_of_a_body_is_a_quarter_of_a_sha_256_of_key_and_body_and_is_read_as_it_is_written() {
        // printf 'abc' | sha256sum
        let digest = BodyDigest::of(b"a", b"", b"bc");
        assert_eq!(digest.to_string(), "ba7816bf8f01cfea");
        assert_eq!(BodyDigest::parse("ba7816bf8f01cfea"), Some(digest));
        assert_eq!(BodyDigest([0; 8]).to_string(), "0".repeat(16));
        for other in ["", "ba7816bf8f01cfe", "ba7816bf8f01cfeaa", "BA7816BF8F01CFEA", "+a7816bf8f01cfea"] {
            assert_eq!(BodyDigest::parse(other), None, "{other}");
        }
    }
}
