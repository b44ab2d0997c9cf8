//! The value of `Idempotency-Key`: a text has one quoted spelling and, if it needs no quotes, one without. Both are read as
//! the same text, and no other spelling is accepted.

use asteroid_gateway::proxy::idempotency::parse_value;
use hyper::header::HeaderValue;

pub(crate) fn check(input: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(input) else { return };
    let parsed = parse_value(value.as_bytes());
    assert_eq!(parsed.as_deref(), expected(value.as_bytes()).as_deref());
    let Some(text) = parsed else { return };
    assert!((1..=255).contains(&text.len()) && text.iter().all(|byte| matches!(byte, b' '..=b'~')));
    assert_eq!(parse_value(&quoted(&text)), Some(text.clone()));
    if needs_no_quotes(&text) {
        assert_eq!(parse_value(&text), Some(text.clone()));
    }
}

/// Returns the text of which this is a spelling. A reading is right if writing it gives the same value again.
fn expected(value: &[u8]) -> Option<Vec<u8>> {
    let text = match value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) {
        Some(inner) => unescaped(inner),
        None => value.to_vec(),
    };
    let is_spelling = quoted(&text) == value || needs_no_quotes(&text) && text == value;
    let is_text = (1..=255).contains(&text.len()) && text.iter().all(|byte| matches!(byte, b' '..=b'~'));
    (is_spelling && is_text).then_some(text)
}

/// Removes each backslash that escapes, without looking at the escaped byte.
fn unescaped(inner: &[u8]) -> Vec<u8> {
    let mut escapes = false;
    let keep = |byte: &u8| {
        escapes = *byte == b'\\' && !escapes;
        !escapes
    };
    inner.iter().copied().filter(keep).collect()
}

/// Writes a string as RFC 8941, section 4.1.6 says.
fn quoted(text: &[u8]) -> Vec<u8> {
    let escaped = text.iter().flat_map(|byte| match byte {
        b'"' | b'\\' => vec![b'\\', *byte],
        _ => vec![*byte],
    });
    std::iter::once(b'"').chain(escaped).chain([b'"']).collect()
}

/// Returns whether a text may stand without quotes. A comma could come from a proxy that joined two headers.
fn needs_no_quotes(text: &[u8]) -> bool {
    text.iter().all(|byte| byte.is_ascii_graphic() && !b"\",\\".contains(byte))
}
