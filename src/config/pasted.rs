//! Detects texts that may be an API key, pasted in place of a name. No error repeats them.

use crate::secret::MIN_LENGTH;

/// The longest word, in bytes. Names seldom contain longer ones.
const MAX_WORD: usize = 15;

/// The longest mixture of letters and digits in a name: `k8s`, `prod01`.
const MAX_MIXTURE: usize = 6;

/// The most digits in a name: a date, or a few numbers.
const MAX_DIGITS: usize = 6;

/// Returns whether a text is as long as an API key and does not consist of words. Names with few digits in
/// `words-of-any_case` do not match.
pub(crate) fn may_be_api_key(text: &str) -> bool {
    if text.len() < MIN_LENGTH {
        return false;
    }
    let digits = text.chars().filter(char::is_ascii_digit).count();
    digits > MAX_DIGITS || !text.split(|character: char| !character.is_alphanumeric()).all(is_word)
}

/// Returns the text, or `<hidden>` if it may be an API key.
pub(crate) fn hide_api_key(text: &str) -> &str {
    if may_be_api_key(text) { "<hidden>" } else { text }
}

fn is_word(text: &str) -> bool {
    if text.chars().any(|character| character.is_ascii_digit()) {
        return text.len() <= MAX_MIXTURE;
    }
    let upper = text.chars().filter(|character| character.is_uppercase()).count();
    if upper == text.chars().count() {
        return text.len() <= MAX_WORD;
    }
    // camelCase: each part begins with its only capital, and is long enough to be a word.
    let is_part = |part: &str| (3..=MAX_WORD).contains(&part.len());
    let starts = text.char_indices().filter(|(at, character)| *at > 0 && character.is_uppercase()).map(|(at, _)| at);
    let mut begin = 0;
    let mut parts = Vec::new();
    for end in starts.chain([text.len()]) {
        parts.push(text.get(begin..end).unwrap_or_default());
        begin = end;
    }
    match parts.as_slice() {
        [whole] => whole.len() <= MAX_WORD,
        parts => parts.iter().all(|part| is_part(part)),
    }
}

/// Returns whether a text is not the path of a file. An API key, or the content of a file, may have been pasted instead, and
/// the error about an unreadable file would show it.
pub(crate) fn is_not_a_path(text: &str) -> bool {
    let is_rooted = ["/", "./", "../"].iter().any(|root| text.starts_with(root));
    text.is_empty() || text.contains(char::is_control) || text.contains("-----") || (!is_rooted && may_be_api_key(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_people_write_are_shown() {
        for name in [
            "",
            "billing",
            "idempotency_key",
            "certificate_file",
            "X-Asteroid-Agents-Api-Key",
            "ASTEROID_API_KEY",
            "customer-success-emea-production",
            "team-a.prod_1",
            "eu-west-1-k8s-prod01",
            "certificateFilePath",
            "tenant-for-2026-11",
            "B\u{fc}ro des Vorstandes",
            "0123456789abcde",
        ] {
            assert!(!may_be_api_key(name), "{name}");
        }
    }

    #[test]
    fn a_text_that_is_long_and_not_made_of_words_is_hidden() {
        for key in [
            "ak-canary-5f1c9d7e3b2a4680",
            "ak_live_0c1f6b7e5d3a4928b1e07f66a5d4c3b2",
            "8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11",
            "0123456789012345",
            "abcdefghijklmnop",
            "ABCDEFGHIJKLMNOP",
            "aBcDeFgHiJkLmNoP",
            "QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "ab12-cd34-ef56-gh78",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        ] {
            assert!(may_be_api_key(key), "{key}");
            assert_eq!(hide_api_key(key), "<hidden>");
        }
    }

    #[test]
    fn an_api_key_or_a_content_that_was_pasted_instead_of_a_path_is_not_a_path() {
        for path in
            ["/run/secrets/key", "./key", "../8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11/key", "tls/cert.pem", "cert.pem"]
        {
            assert!(!is_not_a_path(path), "{path}");
        }
        for pasted in [
            "",
            "a\0b",
            "-----BEGIN PRIVATE KEY-----",
            "MIGHAgEAMBMG\nByqGSM49",
            "ak-canary-5f1c9d7e3b2a4680",
            "QWxhZGRp/bjpvcGVuIHNlc2FtZQ==",
        ] {
            assert!(is_not_a_path(pasted), "{pasted}");
        }
    }
}
