//! A key that the upstream sends back: overwritten before anybody sees it.
//!
//! The key is searched for as it is, byte by byte, in the values of all headers, in the reason and in the body, also where it
//! is cut into parts. Not found is what was encoded: escaped, in base64, compressed; the last is counted.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use hyper::HeaderMap;
use hyper::ext::ReasonPhrase;
use hyper::header::{CONTENT_ENCODING, HeaderName, HeaderValue};
use hyper::http::response::Parts;

use crate::event;
use crate::secret::Mask;
use crate::state::Echoes;

/// Looks for the key of one exchange in its answer.
#[derive(Debug)]
pub struct Echo {
    mask: Mask,
    echoes: Arc<Echoes>,
    /// The credential's name in the configuration.
    credential: Arc<str>,
    /// The end of what was read, as it may be the beginning of the key.
    held: Bytes,
    found: bool,
}

impl Echo {
    /// Nothing read yet of the answer to a request that carried this key.
    #[must_use]
    pub fn new(mask: Mask, echoes: Arc<Echoes>, credential: Arc<str>) -> Echo {
        Echo { mask, echoes, credential, held: Bytes::new(), found: false }
    }

    /// Overwrites the key in the head of the answer.
    pub fn clean(&mut self, head: &mut Parts) {
        self.clean_headers(&mut head.headers);
        let reason = head.extensions.get::<ReasonPhrase>().filter(|reason| self.mask.is_in(reason.as_bytes()));
        if let Some(reason) = reason.map(|reason| Bytes::copy_from_slice(reason.as_bytes())) {
            head.extensions.remove::<ReasonPhrase>();
            if let Ok(covered) = ReasonPhrase::try_from(self.covered(reason).as_ref()) {
                head.extensions.insert(covered);
            }
            self.tell();
        }
        if is_coded(&head.headers) {
            self.echoes.coded.add();
        }
    }

    /// Overwrites the key in headers or trailers; one that has it as its name is removed.
    pub fn clean_headers(&mut self, headers: &mut HeaderMap) {
        let mut found = false;
        for value in headers.values_mut().filter(|value| self.mask.is_in(value.as_bytes())) {
            let covered = self.covered(Bytes::copy_from_slice(value.as_bytes()));
            *value = HeaderValue::from_maybe_shared(covered).unwrap_or(HeaderValue::from_static(""));
            found = true;
        }
        let is_named = |name: &&HeaderName| self.mask.is_in_name(name);
        let named: Vec<HeaderName> = headers.keys().filter(is_named).cloned().collect();
        for name in &named {
            headers.remove(name);
        }
        if found || !named.is_empty() {
            self.tell();
        }
    }

    fn covered(&self, bytes: Bytes) -> Bytes {
        self.mask.cover(bytes).bytes
    }

    /// What may go on of the body, now that these bytes of it have come. Where there may be more, an end that may be the
    /// beginning of the key is held back.
    pub fn pass(&mut self, bytes: Bytes, more: bool) -> Bytes {
        let bytes = if self.held.is_empty() { bytes } else { joined(&std::mem::take(&mut self.held), &bytes) };
        let mut covered = self.mask.cover(bytes);
        if covered.after > 0 {
            self.tell();
        }
        if more {
            let begun = self.mask.begun(covered.bytes.get(covered.after..).unwrap_or_default());
            self.held = covered.bytes.split_off(covered.bytes.len() - begun);
        }
        covered.bytes
    }

    /// What was held back of a body that has ended: it was not the key.
    pub fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.held)
    }

    /// How many bytes are held back.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Whether the key was found.
    #[must_use]
    pub fn found(&self) -> bool {
        self.found
    }

    /// Counts the answer once, however often the key is in it.
    fn tell(&mut self) {
        if std::mem::replace(&mut self.found, true) {
            return;
        }
        if self.echoes.add(Instant::now()) {
            tracing::error!(
                event = event::CREDENTIAL_ECHOED,
                credential = &*self.credential,
                "the upstream sent the key back in an answer, where it was overwritten. The upstream's logs may \
                 contain it: report this to Asteroid and replace the key"
            );
        }
    }
}

fn joined(held: &[u8], bytes: &[u8]) -> Bytes {
    let mut joined = BytesMut::with_capacity(held.len() + bytes.len());
    joined.extend_from_slice(held);
    joined.extend_from_slice(bytes);
    joined.freeze()
}

/// Whether the body is compressed, although nobody asked for it.
fn is_coded(headers: &HeaderMap) -> bool {
    let codings =
        headers.get_all(CONTENT_ENCODING).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    codings.map(<[u8]>::trim_ascii).any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::secret::Secret;

    fn echo(key: &str) -> Echo {
        Echo::new(Mask::new(&Secret::placeholder(key).unwrap()), Arc::default(), "main".into())
    }

    /// The same, as anybody would write it who has the whole text.
    fn oracle(key: &str, text: &str) -> String {
        text.replace(key, &"*".repeat(key.len()))
    }

    /// Passes a text in these parts; checks that as little as may be is held back after each.
    fn passed(key: &str, parts: &[&[u8]]) -> (String, bool) {
        let (mut echo, mut passed, mut read) = (echo(key), Vec::new(), Vec::new());
        for (at, part) in parts.iter().enumerate() {
            passed.extend(echo.pass(Bytes::copy_from_slice(part), at + 1 < parts.len()));
            read.extend_from_slice(part);
            assert_eq!(passed.len() + echo.held(), read.len());
            let held = &read[passed.len()..];
            assert!(
                held.len() < key.len() && key.as_bytes().starts_with(held),
                "{held:?} was held back after {read:?}"
            );
        }
        assert_eq!(echo.rest(), "");
        (String::from_utf8(passed).unwrap(), echo.found())
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
        let mut echo = echo("sk-1");
        assert_eq!(echo.pass("sk-1".into(), true), "****");
        assert_eq!(echo.pass(" sk-1".into(), false), " ****");
        assert_eq!(echo.echoes.found.count(), 1);
    }

    #[test]
    fn every_coding_but_identity_is_one() {
        let coded = |values: &[&'static str]| {
            let values = values.iter().map(|value| (CONTENT_ENCODING, HeaderValue::from_static(value)));
            is_coded(&values.collect())
        };
        assert!(!coded(&[]) && !coded(&["identity"]) && !coded(&["Identity, identity"]) && !coded(&[""]));
        assert!(coded(&["gzip"]) && coded(&["identity, br"]) && coded(&["zstd"]));
    }
}
