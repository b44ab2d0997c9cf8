//! The search for a secret in bytes that are passed on, and its redaction.
//!
//! Each search makes a searcher that borrows the secret's bytes. One that is kept would be a copy of the secret that is not
//! zeroed. Short texts, as nearly all answers are, are searched without one.

use bytes::{Bytes, BytesMut};
use hyper::header::HeaderName;
use memchr::{memchr_iter, memmem};

use super::Secret;

/// The byte that overwrites each byte of the secret.
const ASTERISK: u8 = b'*';

/// A secret to search for. It shares the secret's bytes, and shows nothing of them.
#[derive(Debug, Clone)]
pub struct Needle(Secret);

/// Bytes without the secret, except that one may begin at their end.
#[derive(Debug)]
pub struct Redaction {
    /// The bytes, as many as before.
    pub bytes: Bytes,
    /// The end of the last secret among them, or 0.
    pub end: usize,
}

impl Needle {
    /// Creates the needle for a secret.
    #[must_use]
    pub fn new(secret: &Secret) -> Needle {
        Needle(secret.clone())
    }

    /// Returns whether the secret is among these bytes.
    #[must_use]
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        let secret = self.0.expose();
        // Most headers are shorter than a secret, and even a short search reads the whole secret first.
        bytes.len() >= secret.len() && memmem::find(bytes, secret).is_some()
    }

    /// Returns whether the secret is in the name of a header, in any case: hyper writes names in lower case.
    #[must_use]
    pub fn is_in_name(&self, name: &HeaderName) -> bool {
        let (secret, name) = (self.0.expose(), name.as_str().as_bytes());
        name.windows(secret.len().max(1)).any(|part| part.eq_ignore_ascii_case(secret))
    }

    /// Overwrites every occurrence of the secret, from the left. Returns the bytes; if there is none, they are the same buffer.
    #[must_use]
    pub fn redact(&self, bytes: Bytes) -> Redaction {
        if !self.is_in(&bytes) {
            return Redaction { bytes, end: 0 };
        }
        // A shared buffer is copied, because its other holders must not see a change.
        let mut bytes = bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&*shared));
        let (finder, mut end) = (memmem::Finder::new(self.0.expose()), 0);
        while let Some(at) = bytes.get(end..).and_then(|left| finder.find(left)) {
            let begin = end + at;
            end = begin + finder.needle().len();
            if let Some(secret) = bytes.get_mut(begin..end) {
                secret.fill(ASTERISK);
            }
        }
        Redaction { bytes: bytes.freeze(), end }
    }

    /// Returns how many bytes at the end may be the beginning of a secret whose rest is still to come: fewer than it has.
    #[must_use]
    pub fn partial_length(&self, bytes: &[u8]) -> usize {
        let secret = self.0.expose();
        let Some((first, rest)) = secret.split_first() else { return 0 };
        let end = bytes.get(bytes.len().saturating_sub(rest.len())..).unwrap_or_default();
        let partial = memchr_iter(*first, end).filter_map(|at| end.get(at..)).find(|part| secret.starts_with(part));
        partial.map_or(0, <[u8]>::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needle(secret: &str) -> Needle {
        Needle::new(&Secret::placeholder(secret).unwrap())
    }

    fn redacted(secret: &str, text: &str) -> String {
        let redaction = needle(secret).redact(Bytes::copy_from_slice(text.as_bytes()));
        String::from_utf8(redaction.bytes.to_vec()).unwrap()
    }

    #[test]
    fn every_whole_secret_is_overwritten_and_nothing_else_is() {
        let long = "x".repeat(100);
        for (secret, text, expected) in [
            ("sk-1", "", ""),
            ("sk-1", "sk-", "sk-"),
            ("sk-1", "sk-1", "****"),
            ("sk-1", "sk-1sk-1", "********"),
            ("sk-1", "SK-1 sk-2 sksk-1", "SK-1 sk-2 sk****"),
            ("aab", "aaab", "a***"),
            ("aa", "aaaaa", "****a"),
            ("k", "a key", "a *ey"),
            ("sk-1", &format!("{long}sk-1{long}sk-1"), &format!("{long}****{long}****")),
            (&"k".repeat(70), &"k".repeat(71), &format!("{}k", "*".repeat(70))),
        ] {
            assert_eq!(redacted(secret, text), expected, "{secret} in {text}");
        }
    }

    #[test]
    fn another_holder_of_the_bytes_keeps_them() {
        let shared = Bytes::from("a sk-1".to_owned());
        assert_eq!(needle("sk-1").redact(shared.clone()).bytes, "a ****");
        assert_eq!(shared, "a sk-1");
        let untouched = needle("sk-2").redact(shared.clone());
        assert_eq!((untouched.bytes.as_ptr(), untouched.end), (shared.as_ptr(), 0), "nothing is copied without need");
    }

    #[test]
    fn a_secret_is_found_in_the_name_of_a_header_in_any_case() {
        for (name, expected) in [("x-sk-aa-y", true), ("sk-aa", true), ("sk-a", false), ("x-sk-a-a", false)] {
            assert_eq!(needle("sK-Aa").is_in_name(&HeaderName::from_static(name)), expected, "{name}");
        }
    }

    #[test]
    fn only_bytes_that_may_begin_a_secret_are_partial() {
        for (secret, text, expected) in [
            ("aab", "", 0),
            ("aab", "a", 1),
            ("aab", "ba", 1),
            ("aab", "aaaa", 2),
            ("aab", "aab", 0),
            ("aab", "ab", 0),
            ("k", "kk", 0),
            ("abcabd", "xabcab", 5),
            ("abcabd", "xabcabca", 4),
            ("abcabd", "abcabx", 0),
        ] {
            assert_eq!(needle(secret).partial_length(text.as_bytes()), expected, "{secret} at the end of {text}");
        }
    }

    #[test]
    fn nothing_of_the_secret_is_shown_and_nothing_copied() {
        let secret = Secret::placeholder("sk-CANARY").unwrap();
        let needle = Needle::new(&secret);
        assert!(!format!("{needle:?}").contains("CANARY"));
        assert_eq!(needle.0.expose().as_ptr(), secret.expose().as_ptr());
    }
}
