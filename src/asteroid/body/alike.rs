//! Names that look like another one: they differ only in case, blanks, invisible characters, or the Unicode form of
//! their letters.
//!
//! A parser that folds or normalises names would take such a name for the one that was checked.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// Returns whether a parser may take one name for the other.
#[must_use]
pub fn is_alike(one: &str, other: &str) -> bool {
    let longest = one.chars().count().max(other.chars().count());
    folded(one, longest) == folded(other, longest)
}

/// Returns the common form of all names that look alike, cut after `longest` characters and one more.
///
/// Compatibility forms are unified (NFKC), letters are lower-cased, and blanks and invisible characters are removed.
pub(in crate::asteroid) fn folded(name: &str, longest: usize) -> Cow<'_, str> {
    if name.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()) {
        return Cow::Borrowed(name);
    }
    if name.is_ascii() {
        let visible = name.chars().filter(char::is_ascii_graphic);
        return Cow::Owned(visible.map(|letter| letter.to_ascii_lowercase()).take(longest + 1).collect());
    }
    // To upper case and back, since a capital and its small letter do not always correspond one to one: ẞ, ß and SS, or
    // ı and I.
    let capital = name.nfkc().filter(is_visible).flat_map(char::to_lowercase).flat_map(char::to_uppercase);
    let small = capital.flat_map(char::to_lowercase);
    // The dot that remains of a Turkish capital is not part of any composed letter.
    Cow::Owned(small.nfkc().filter(is_visible).filter(|letter| *letter != '\u{307}').take(longest + 1).collect())
}

/// Returns whether a character is visible: not white space, not a control character, and not ignored by default
/// (Unicode, `Default_Ignorable_Code_Point`).
fn is_visible(character: &char) -> bool {
    let is_ignored = matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}');
    // A Braille pattern without dots is a blank that Unicode counts as a symbol.
    !is_ignored && !character.is_whitespace() && !character.is_control() && *character != '\u{2800}'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_have_one_form() {
        for name in [
            "Tenant",
            "TENANT",
            " tenant",
            "tenant\t",
            "ten ant",
            "tenant\0",
            "\u{1}tenant",
            "tenant\u{200b}",
            "\u{feff}tenant",
            "ten\u{ad}ant",
            "ten\u{2060}\u{fe0f}ant",
            "ｔｅｎａｎｔ",
            "𝐭𝐞𝐧𝐚𝐧𝐭",
            "ⓣⓔⓝⓐⓝⓣ",
            "tenant\u{3000}",
            "tenant\u{a0}",
            "tenant\u{e0041}",
            "te\u{115f}nant",
        ] {
            assert_eq!(folded(name, 6), "tenant", "{name:?}");
        }
        assert_eq!(folded("STRAẞE", 20), folded("strasse", 20));
        assert_eq!(folded("TİER\u{212a}ſ", 20), "tierks");
        assert_eq!(folded("tıer", 20), "tier");
        assert_eq!(folded("e\u{301}tat", 20), folded("É\u{200d}TAT", 20));
    }

    #[test]
    fn other_names_have_another() {
        for name in ["tenants", "ténant", "tenant_", "te-nant", "xtenant", "тenant"] {
            assert_ne!(folded(name, 6), "tenant", "{name:?}");
        }
    }

    #[test]
    fn a_long_name_does_not_grow() {
        assert_eq!(folded(&"\u{fdfa}".repeat(100_000), 6).chars().count(), 7);
        assert_eq!(folded(&"A".repeat(100_000), 6).len(), 7);
    }
}
