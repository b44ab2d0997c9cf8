//! Decodes the characters between a string's quotes.

use std::borrow::Cow;

/// Returns the text of a well-formed string; `None` if it contains a lone escaped half of a surrogate pair, which no
/// text can have.
pub(super) fn exact(raw: &str) -> Option<Cow<'_, str>> {
    unescape(raw, None)
}

/// Returns the text of a well-formed string, with U+FFFD for every lone half of a surrogate pair.
pub(super) fn lossy(raw: &str) -> Cow<'_, str> {
    unescape(raw, Some(char::REPLACEMENT_CHARACTER)).unwrap_or(Cow::Borrowed(raw))
}

/// Returns whether a well-formed string means `text`.
pub(super) fn means(raw: &str, text: &str) -> bool {
    if raw.contains('\\') { exact(raw).is_some_and(|meant| meant == text) } else { raw == text }
}

/// Decodes a string with `lone` in place of every lone half of a surrogate pair. Without `lone`, returns `None` if there is
/// one.
fn unescape(raw: &str, lone: Option<char>) -> Option<Cow<'_, str>> {
    let Some((plain, mut rest)) = raw.split_once('\\') else { return Some(Cow::Borrowed(raw)) };
    let mut text = String::with_capacity(raw.len());
    text.push_str(plain);
    loop {
        let mut after = rest.chars();
        match after.next() {
            Some('b') => text.push('\u{8}'),
            Some('f') => text.push('\u{c}'),
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some('u') => {
                let (units, behind) = units(after.as_str());
                for unit in char::decode_utf16(units) {
                    text.push(unit.ok().or(lone)?);
                }
                after = behind.chars();
            }
            Some(itself) => text.push(itself),
            None => {}
        }
        let Some((plain, behind)) = after.as_str().split_once('\\') else {
            text.push_str(after.as_str());
            return Some(Cow::Owned(text));
        };
        text.push_str(plain);
        rest = behind;
    }
}

/// Returns the UTF-16 code unit after a `\u`, the one that completes its pair, if any, and the rest.
fn units(rest: &str) -> (impl Iterator<Item = u16>, &str) {
    let (first, behind) = unit(rest);
    let mut units = [Some(first), None];
    let mut rest = behind;
    if matches!(first, 0xd800..0xdc00)
        && let Some((second @ 0xdc00..0xe000, behind)) = behind.strip_prefix("\\u").map(unit)
    {
        units = [Some(first), Some(second)];
        rest = behind;
    }
    (units.into_iter().flatten(), rest)
}

fn unit(rest: &str) -> (u16, &str) {
    let (digits, behind) = rest.split_at_checked(4).unwrap_or((rest, ""));
    (u16::from_str_radix(digits, 16).unwrap_or_default(), behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_mean_their_characters() {
        let raw = r#"a\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC\ud83d\ude00z"#;
        assert_eq!(exact(raw).unwrap(), "a\"\\/\u{8}\u{c}\n\r\tA\u{e9}\u{20ac}\u{1f600}z");
        assert!(means(r"met\u0061data", "metadata"));
        assert!(!means(r"met\u0062data", "metadata"));
    }

    #[test]
    fn text_without_escapes_is_not_copied() {
        assert!(matches!(exact("plain é"), Some(Cow::Borrowed("plain é"))));
    }

    #[test]
    fn half_a_surrogate_pair_is_no_text() {
        for raw in [r"\ud800", r"\udc00", r"a\ud800b", r"\ud800\ud800", r"\udc00\ud800", r"\ud800\n", r"\ud800\u0041"] {
            assert_eq!(exact(raw), None, "{raw}");
            assert!(!means(raw, &lossy(raw)), "{raw}");
        }
        assert_eq!(lossy(r"a\ud800b\ud83d\ude00\udfffc"), "a\u{fffd}b\u{1f600}\u{fffd}c");
        assert_eq!(lossy(r"\ud800\ud83d\ude00"), "\u{fffd}\u{1f600}");
        assert_eq!(lossy(r"\ud800\u0041"), "\u{fffd}A");
    }
}
