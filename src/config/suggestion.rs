//! Suggestions for mistyped words.

use super::pasted;

/// The longest word that is compared: a longer one is not a typing error.
const MAX_LENGTH: usize = 64;

/// Returns the nearest of the `known` words, if at most a third of the letters differ.
pub(crate) fn nearest<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if written.len() > MAX_LENGTH {
        return None;
    }
    let written = written.to_ascii_lowercase().replace('-', "_");
    let is_near = |distance: usize, word: &str| distance <= written.chars().count().max(word.chars().count()) / 3;
    // A known word may be a name that must not be shown.
    let known = known.into_iter().filter(|word| !pasted::may_be_api_key(word));
    let distances = known.map(|word| (strsim::osa_distance(&written, &word.to_ascii_lowercase()), word));
    distances
        .filter(|(distance, word)| is_near(*distance, word))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Returns the question for the end of a message, or nothing if no known word is near.
pub(crate) fn question<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    nearest(written, known).map(|word| format!("; did you mean `{word}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_is_understood_and_another_word_is_not() {
        let known = ["url", "tenants", "body_limit", "idempotency"];
        for (written, meant) in [
            ("ulr", Some("url")),
            ("tennants", Some("tenants")),
            ("tenant", Some("tenants")),
            ("Body-Limit", Some("body_limit")),
            ("idempotentcy", Some("idempotency")),
            ("", None),
            ("ul", Some("url")),
            ("l", None),
            ("port", None),
            ("shared_state", None),
        ] {
            assert_eq!(nearest(written, known), meant, "{written}");
        }
        assert_eq!(nearest("url", []), None);
        assert_eq!(nearest(&"u".repeat(65), ["u".repeat(64).as_str()]), None);
    }
}
