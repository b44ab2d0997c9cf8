//! An API key that the upstream sends back: however the body is divided into frames, the output is the whole body with the
//! API key redacted. The same holds for headers and the reason phrase.
//!
//! The first line of an input is the API key. The second line has the lengths of the frames, a character each: `0` is empty,
//! `1` one byte, `a` 49. The rest is the body, in which `$` is replaced with the API key.

use std::sync::Arc;

use asteroid_gateway::proxy::redact::KeyRedactor;
use asteroid_gateway::secret::{Needle, Secret};
use bytes::Bytes;
use hyper::ext::ReasonPhrase;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Response};

pub(crate) fn check(input: &[u8]) {
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    let (Some(api_key), Some(lengths), Some(body)) = (lines.next(), lines.next(), lines.next()) else { return };
    let Ok(Ok(secret)) = str::from_utf8(api_key).map(Secret::placeholder) else { return };
    // Bounds the size, as each `$` may be 8 KiB.
    if api_key.len() > 64 || api_key.contains(&b'$') {
        return;
    }
    let body: Vec<u8> = replaced(body, b"$", api_key);
    check_body(&secret, api_key, lengths, &body);
    check_head(&secret, api_key, &body);
}

fn check_body(secret: &Secret, api_key: &[u8], lengths: &[u8], body: &[u8]) {
    let (mut redactor, mut passed, mut read) = (redactor(secret), Vec::new(), 0);
    let mut frames = frames(body, lengths).into_iter().peekable();
    while let Some(frame) = frames.next() {
        read += frame.len();
        passed.extend(redactor.redact(Bytes::copy_from_slice(frame), frames.peek().is_some()));
        assert_eq!(passed.len() + redactor.withheld(), read, "each byte is passed on or withheld");
        let withheld = &body[passed.len()..read];
        assert!(
            withheld.len() < api_key.len() && api_key.starts_with(withheld),
            "only the beginning of an API key is withheld"
        );
    }
    assert!(redactor.rest().is_empty());
    assert_eq!(passed, redacted(body, api_key));
    assert_eq!(redactor.has_redacted(), has(body, api_key));
    // An API key with asterisks could arise from the asterisks of the redaction.
    assert!(api_key.contains(&b'*') || !has(&passed, api_key));
}

fn check_head(secret: &Secret, api_key: &[u8], text: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(text) else { return };
    let mut headers = HeaderMap::from_iter([(HeaderName::from_static("x-text"), value)]);
    let name = HeaderName::from_bytes(text).ok();
    headers.extend(name.clone().map(|name| (name, HeaderValue::from_static("v"))));
    let mut response = Response::new(());
    response.extensions_mut().insert(ReasonPhrase::try_from(text).expect("it was taken as a value"));
    *response.headers_mut() = headers.clone();
    let (mut head, ()) = response.into_parts();

    let mut redactor = redactor(secret);
    redactor.redact_head(&mut head);

    let is_named = |name: &HeaderName| has(name.as_str().as_bytes(), &api_key.to_ascii_lowercase());
    let expected: HeaderMap = headers
        .iter()
        .filter(|(name, _)| !is_named(name))
        .map(|(name, value)| {
            (name.clone(), HeaderValue::from_bytes(&redacted(value.as_bytes(), api_key)).expect("it is as before"))
        })
        .collect();
    assert_eq!(head.headers, expected);
    let reason = head.extensions.get::<ReasonPhrase>().expect("a reason stays one");
    assert_eq!(reason.as_bytes(), redacted(text, api_key));
    let is_in_head = has(text, api_key) || headers.keys().any(is_named) || has(b"v", api_key);
    assert_eq!(redactor.has_redacted(), is_in_head);
}

fn redactor(secret: &Secret) -> KeyRedactor {
    KeyRedactor::new(Needle::new(secret), Arc::default(), "main".into())
}

/// Divides a body into frames of these lengths, which are repeated; without any length, the whole body is one frame.
fn frames<'b>(body: &'b [u8], lengths: &[u8]) -> Vec<&'b [u8]> {
    let lengths: Vec<usize> = lengths.iter().map(|byte| usize::from(byte.wrapping_sub(b'0'))).collect();
    let (mut frames, mut rest) = (Vec::new(), body);
    if lengths.iter().any(|length| *length > 0) {
        for length in lengths.into_iter().cycle() {
            let Some((frame, behind)) = rest.split_at_checked(length) else { break };
            frames.push(frame);
            rest = behind;
        }
    }
    frames.push(rest);
    frames
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn redacted(bytes: &[u8], api_key: &[u8]) -> Vec<u8> {
    replaced(bytes, api_key, &vec![b'*'; api_key.len()])
}

/// Replaces a part from the left, byte by byte.
fn replaced(bytes: &[u8], part: &[u8], with: &[u8]) -> Vec<u8> {
    let (mut replaced, mut rest) = (Vec::new(), bytes);
    while let Some((first, behind)) = rest.split_first() {
        if let Some(behind) = rest.strip_prefix(part) {
            replaced.extend_from_slice(with);
            rest = behind;
        } else {
            replaced.push(*first);
            rest = behind;
        }
    }
    replaced
}
