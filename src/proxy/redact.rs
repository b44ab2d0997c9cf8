//! Redacts an API key that the upstream sends back.
//!
//! The API key is searched for byte by byte in all headers, in the reason phrase, and in the body, even if the body cuts it into
//! parts. An encoded API key is not found: escaped, in base64, or compressed. Compressed answers are counted.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use hyper::HeaderMap;
use hyper::ext::ReasonPhrase;
use hyper::header::{HeaderName, HeaderValue};
use hyper::http::response::Parts;

use crate::credential::Redactions;
use crate::event;
use crate::media_type::content_coding;
use crate::secret::{Needle, Redaction};

/// Redacts the API key of one exchange in its answer.
#[derive(Debug)]
pub struct KeyRedactor {
    needle: Needle,
    redactions: Arc<Redactions>,
    /// The credential's name in the configuration.
    credential: Arc<str>,
    /// The end of what was read, as it may be the beginning of the API key.
    withheld: Bytes,
    has_redacted: bool,
}

impl KeyRedactor {
    /// Creates the redactor of the answer to a request that carried this API key.
    #[must_use]
    pub fn new(needle: Needle, redactions: Arc<Redactions>, credential: Arc<str>) -> KeyRedactor {
        KeyRedactor { needle, redactions, credential, withheld: Bytes::new(), has_redacted: false }
    }

    /// Redacts the head of the answer.
    pub fn redact_head(&mut self, head: &mut Parts) {
        self.redact_headers(&mut head.headers);
        let reason = head.extensions.get::<ReasonPhrase>().filter(|reason| self.needle.is_in(reason.as_bytes()));
        if let Some(reason) = reason.map(|reason| Bytes::copy_from_slice(reason.as_bytes())) {
            head.extensions.remove::<ReasonPhrase>();
            if let Ok(redacted) = ReasonPhrase::try_from(self.needle.redact(reason).bytes.as_ref()) {
                head.extensions.insert(redacted);
            }
            self.report();
        }
        // The gateway never asks for a coding.
        if content_coding(&head.headers).is_some() {
            self.redactions.content_coded.add();
        }
    }

    /// Redacts headers or trailers. One whose name contains the API key is removed.
    pub fn redact_headers(&mut self, headers: &mut HeaderMap) {
        let mut is_found = false;
        for value in headers.values_mut().filter(|value| self.needle.is_in(value.as_bytes())) {
            let redacted = self.needle.redact(Bytes::copy_from_slice(value.as_bytes())).bytes;
            *value = HeaderValue::from_maybe_shared(redacted).unwrap_or(HeaderValue::from_static(""));
            is_found = true;
        }
        let is_named = |name: &&HeaderName| self.needle.is_in_name(name);
        let named: Vec<HeaderName> = headers.keys().filter(is_named).cloned().collect();
        for name in &named {
            headers.remove(name);
        }
        if is_found || !named.is_empty() {
            self.report();
        }
    }

    /// Redacts a part of the body and returns what may be passed on. If more may follow, an end that may be the beginning of
    /// the API key is withheld.
    pub fn redact(&mut self, bytes: Bytes, has_more: bool) -> Bytes {
        let bytes = if self.withheld.is_empty() { bytes } else { join(&std::mem::take(&mut self.withheld), &bytes) };
        let Redaction { mut bytes, end } = self.needle.redact(bytes);
        if end > 0 {
            self.report();
        }
        if has_more {
            let partial = self.needle.partial_length(bytes.get(end..).unwrap_or_default());
            self.withheld = bytes.split_off(bytes.len() - partial);
        }
        bytes
    }

    /// Returns what was withheld of a body that has ended: it was not the API key.
    pub fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.withheld)
    }

    /// Returns how many bytes are withheld.
    #[must_use]
    pub fn withheld(&self) -> usize {
        self.withheld.len()
    }

    /// Returns whether anything was redacted.
    #[must_use]
    pub fn has_redacted(&self) -> bool {
        self.has_redacted
    }

    /// Counts the answer once, however often the API key is in it.
    fn report(&mut self) {
        if std::mem::replace(&mut self.has_redacted, true) {
            return;
        }
        if self.redactions.add(Instant::now()) {
            tracing::error!(
                event = event::CREDENTIAL_ECHOED,
                credential = &*self.credential,
                "the upstream sent the API key back in an answer, where it was redacted. The upstream's logs may \
                 contain it: report this to Asteroid and rotate the key"
            );
        }
    }
}

fn join(withheld: &[u8], bytes: &[u8]) -> Bytes {
    let mut joined = BytesMut::with_capacity(withheld.len() + bytes.len());
    joined.extend_from_slice(withheld);
    joined.extend_from_slice(bytes);
    joined.freeze()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::secret::Secret;

    fn redactor(key: &str) -> KeyRedactor {
        KeyRedactor::new(Needle::new(&Secret::placeholder(key).unwrap()), Arc::default(), "main".into())
    }

    /// Returns what the redactor must return for the whole text.
    fn oracle(key: &str, text: &str) -> String {
        text.replace(key, &"*".repeat(key.len()))
    }

    /// Redacts a text in these parts, and checks that as little as possible is withheld after each.
    fn passed(key: &str, parts: &[&[u8]]) -> (String, bool) {
        let (mut redactor, mut passed, mut read) = (redactor(key), Vec::new(), Vec::new());
        for (at, part) in parts.iter().enumerate() {
            passed.extend(redactor.redact(Bytes::copy_from_slice(part), at + 1 < parts.len()));
            read.extend_from_slice(part);
            assert_eq!(passed.len() + redactor.withheld(), read.len());
            let withheld = &read[passed.len()..];
            assert!(
                withheld.len() < key.len() && key.as_bytes().starts_with(withheld),
                "{withheld:?} was withheld after {read:?}"
            );
        }
        assert_eq!(redactor.rest(), "");
        (String::from_utf8(passed).unwrap(), redactor.has_redacted())
    }

    fn split<'t>(text: &'t str, cuts: &[usize]) -> Vec<&'t [u8]> {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
        cuts.sort_unstable();
        let ends = cuts.iter().copied().chain([text.len()]);
        let begins = std::iter::once(0).chain(cuts.iter().copied());
        begins.zip(ends).map(|(begin, end)| &text.as_bytes()[begin..end]).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn however_a_text_is_cut_the_key_is_overwritten_as_in_the_whole(
            key in "[ab]{1,6}|sk-[a-c]{1,3}",
            parts in prop::collection::vec(prop_oneof![Just(None), "[abc]{0,5}|s|sk|sk-|x{60,70}".prop_map(Some)], 0..12),
            cuts in prop::collection::vec(any::<usize>(), 0..12),
        ) {
            let text: String = parts.iter().map(|part| part.as_deref().unwrap_or(&key)).collect();
            let (passed, found) = passed(&key, &split(&text, &cuts));
            prop_assert_eq!(&passed, &oracle(&key, &text));
            prop_assert!(!passed.contains(&key));
            prop_assert_eq!(found, text.contains(&key));
        }
    }

    #[test]
    fn a_key_is_found_at_every_split_in_two_and_in_single_bytes() {
        let key = "ak-canary-5f1c9d7e3b2a4680";
        let text = format!(r#"{{"a":"ak-{key}","b":"ak-can"}}"#);
        let expected = oracle(key, &text);
        for at in 0..=text.len() {
            let (begin, end) = text.as_bytes().split_at(at);
            assert_eq!(passed(key, &[begin, end]), (expected.clone(), true));
        }
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(passed(key, &bytes), (expected, true));
    }

    #[test]
    fn an_answer_is_counted_once_however_often_the_key_is_in_it() {
        let mut redactor = redactor("sk-1");
        assert_eq!(redactor.redact("sk-1".into(), true), "****");
        assert_eq!(redactor.redact(" sk-1".into(), false), " ****");
        assert_eq!(redactor.redactions.redacted.count(), 1);
    }
}
