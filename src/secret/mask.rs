//! Keeps a key out of what is passed on: finds it where it stands as it is, and overwrites it.
//!
//! The searcher is made anew for each search, for as long as it borrows the secret's own bytes: one that is kept would be a
//! copy of the key that nobody zeroes. Short texts, as nearly all answers are, are searched without one.

use bytes::{Bytes, BytesMut};
use hyper::header::HeaderName;
use memchr::{memchr_iter, memmem};

use super::Secret;

/// What each byte of the key is overwritten with.
const COVER: u8 = b'*';

/// Finds one key. It shares the secret's bytes, and shows nothing of them.
#[derive(Debug, Clone)]
pub struct Mask(Secret);

/// Bytes that may be shown, save that the key may begin at their end.
#[derive(Debug)]
pub struct Covered {
    /// As many as there were.
    pub bytes: Bytes,
    /// Where the last key ended; 0 where there was none.
    pub after: usize,
}

impl Mask {
    /// The mask of this key.
    #[must_use]
    pub fn new(secret: &Secret) -> Mask {
        Mask(secret.clone())
    }

    /// Whether the key is among these bytes.
    #[must_use]
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        let key = self.0.expose();
        // Most headers are shorter than a key, and even a short search looks at the whole key first.
        bytes.len() >= key.len() && memmem::find(bytes, key).is_some()
    }

    /// Whether the key is in the name of a header, of which no case is known: hyper writes all in lower case.
    #[must_use]
    pub fn is_in_name(&self, name: &HeaderName) -> bool {
        let (key, name) = (self.0.expose(), name.as_str().as_bytes());
        name.windows(key.len().max(1)).any(|part| part.eq_ignore_ascii_case(key))
    }

    /// Overwrites the key wherever it is, from the left; without a key among them, the bytes are not touched.
    #[must_use]
    pub fn cover(&self, bytes: Bytes) -> Covered {
        if !self.is_in(&bytes) {
            return Covered { bytes, after: 0 };
        }
        // Others may hold the same buffer: then theirs is left as it is.
        let mut bytes = bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&*shared));
        let (finder, mut after) = (memmem::Finder::new(self.0.expose()), 0);
        while let Some(at) = bytes.get(after..).and_then(|left| finder.find(left)) {
            let begin = after + at;
            after = begin + finder.needle().len();
            if let Some(key) = bytes.get_mut(begin..after) {
                key.fill(COVER);
            }
        }
        Covered { bytes: bytes.freeze(), after }
    }

    /// How many bytes at the end may be the beginning of a key whose rest is still to come: fewer than the key has.
    #[must_use]
    pub fn begun(&self, bytes: &[u8]) -> usize {
        let key = self.0.expose();
        let Some((first, rest)) = key.split_first() else { return 0 };
        let end = bytes.get(bytes.len().saturating_sub(rest.len())..).unwrap_or_default();
        let begun = memchr_iter(*first, end).filter_map(|at| end.get(at..)).find(|begun| key.starts_with(begun));
        begun.map_or(0, <[u8]>::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(key: &str) -> Mask {
        Mask::new(&Secret::placeholder(key).unwrap())
    }

    fn covered(key: &str, text: &str) -> String {
        let covered = mask(key).cover(Bytes::copy_from_slice(text.as_bytes()));
        String::from_utf8(covered.bytes.to_vec()).unwrap()
    }

    #[test]
    fn a_key_is_overwritten_wherever_it_stands_whole_and_nothing_else_is() {
        let long = "x".repeat(100);
        for (key, text, expected) in [
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
            assert_eq!(covered(key, text), expected, "{key} in {text}");
        }
    }

    #[test]
    fn who_else_holds_the_bytes_keeps_them() {
        let held = Bytes::from("a sk-1".to_owned());
        assert_eq!(mask("sk-1").cover(held.clone()).bytes, "a ****");
        assert_eq!(held, "a sk-1");
        let untouched = mask("sk-2").cover(held.clone());
        assert_eq!((untouched.bytes.as_ptr(), untouched.after), (held.as_ptr(), 0), "nothing is copied without need");
    }

    #[test]
    fn the_name_of_a_header_has_the_key_in_it_in_whatever_case() {
        for (name, expected) in [("x-sk-aa-y", true), ("sk-aa", true), ("sk-a", false), ("x-sk-a-a", false)] {
            assert_eq!(mask("sK-Aa").is_in_name(&HeaderName::from_static(name)), expected, "{name}");
        }
    }

    #[test]
    fn only_what_may_be_the_beginning_of_a_key_is_one() {
        for (key, text, expected) in [
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
            assert_eq!(mask(key).begun(text.as_bytes()), expected, "{key} at the end of {text}");
        }
    }

    #[test]
    fn nothing_of_the_key_is_shown_and_nothing_copied() {
        let secret = Secret::placeholder("sk-CANARY").unwrap();
        let mask = Mask::new(&secret);
        assert!(!format!("{mask:?}").contains("CANARY"));
        assert_eq!(mask.0.expose().as_ptr(), secret.expose().as_ptr());
    }
}
