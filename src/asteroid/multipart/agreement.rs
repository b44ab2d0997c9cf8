//! Asserts that the check of uploads and its [`oracle`] agree on generated bodies, and that the verdict does not depend on how a
//! body is cut.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::oracle;
use super::tests::{BOUNDARY, verdict};

fn text(texts: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(texts).prop_map(str::to_owned)
}

/// Returns one of the usual texts, and seldom one of the others.
fn mostly(usual: &'static [&'static str], others: &'static [&'static str]) -> impl Strategy<Value = String> + Clone {
    prop_oneof![60 => select(usual), 1 => select(others)].prop_map(str::to_owned)
}

fn disposition() -> impl Strategy<Value = String> {
    let kind = mostly(&["form-data", "Form-Data "], &["attachment", "", "form-data;"]);
    let name = mostly(
        &[r#"; name="files""#, r#";name="files""#, "; name=files", r#"; NAME="files""#],
        &[
            "",
            r#"; name="file""#,
            r#"; name="files "#,
            r#"; name*="files""#,
            r#"; name = "files""#,
            r#"; name="f\iles""#,
        ],
    );
    let filename = mostly(
        &[
            "",
            r#"; filename="a.pdf""#,
            "; filename=a.pdf",
            r#"; filename="";"#,
            r#"; filename="a;b: é\\""#,
            r#" ; filename="C:\a" "#,
        ],
        &[
            r#"; filename="a\""#,
            r#"; filename="a" b"#,
            "; filename=é",
            "; filename=a b",
            r#"; size=1"#,
            r#"; name="files""#,
        ],
    );
    let extended = mostly(&["", "; filename*=UTF-8''%c3%a9"], &[r#"; filename*0="a""#]);
    (kind, prop::bool::ANY, name, filename, extended).prop_map(|(kind, is_first, name, filename, extended)| {
        let (one, two) = if is_first { (name, filename) } else { (filename, name) };
        // A semicolon at the end goes with another parameter behind it, and else is a fault.
        format!("{kind}{one}{two}{extended}")
    })
}

fn head() -> impl Strategy<Value = String> {
    let disposition = disposition().prop_map(|value| format!("Content-Disposition: {value}\r\n"));
    let header = mostly(
        &["Content-Type: text/plain\r\n", "content-transfer-encoding:binary\r\n", "X-Note:\r\n", "X: --X\r\n"],
        &[
            "Content-Transfer-Encoding: base64\r\n",
            "Content-Disposition: form-data; name=\"files\"\r\n",
            " folded\r\n",
            "X: 1\n",
            "X: \r1\r\n",
            "X: \0\r\n",
            "X : 1\r\n",
            "--X: 1\r\n",
            "none\r\n",
            "\r\n",
        ],
    );
    (vec(header.clone(), 0..3), disposition, vec(header, 0..2))
        .prop_map(|(before, disposition, behind)| before.concat() + &disposition + &behind.concat())
}

fn content() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        60 => text(&["", "a", "\r\n", "\r", "\n", "-", "--", "\r\n-", "\r\n--", "é\0", "--X", "a--X--\r\n", "\r\n\r\n"]),
        1 => text(&["\r\n--X", "\n--X", "\r--X\r\n", "\r\n--X--", "\r\n--XY", "\r\n--X \r\n"]),
    ];
    vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn body() -> impl Strategy<Value = String> {
    let before = mostly(&["", "\r\n"], &["\r\n\r\n", "preamble\r\n", "\n", "\r"]);
    let line = mostly(&["--X\r\n", "--X \t\r\n"], &["--X\n", "-X\r\n", "--X\r", "--X --\r\n", "--XX\r\n", "--X-\r\n"]);
    let part =
        (line, head(), content()).prop_map(|(line, head, content)| format!("{line}{head}\r\n{content}\r\n")).boxed();
    let end = mostly(
        &["--X--\r\n", "--X--", "--X-- \t", "--X-- \r\n"],
        &["", "--X", "--X-", "--X--\r", "--X--\n", "--X--\r\n\r\n", "--X--a"],
    );
    let count = prop_oneof![1 => Just(0_usize), 30 => 1..4_usize];
    let parts = count.prop_flat_map(move |count| vec(part.clone(), count));
    (before, parts, end).prop_map(|(before, parts, end)| before + &parts.concat() + &end)
}

/// Returns a body in pieces.
fn cut(body: &[u8], cuts: Vec<Index>) -> Vec<&[u8]> {
    let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.index(body.len() + 1)).collect();
    cuts.extend([0, body.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &body[pair[0]..pair[1]]).collect()
}

fn assert_same(body: &[u8], cuts: Vec<Index>) {
    let whole = verdict(BOUNDARY, [body]);
    let shown = String::from_utf8_lossy(body);
    assert_eq!(whole.is_ok(), oracle::contents(BOUNDARY, body).is_some(), "{whole:?} {shown:?}");
    assert_eq!(verdict(BOUNDARY, body.chunks(1)), whole, "byte by byte: {shown:?}");
    assert_eq!(verdict(BOUNDARY, cut(body, cuts)), whole, "{shown:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn uploads_are_judged_as_a_second_reader_judges_them_however_they_are_cut(
        body in body(),
        cuts in vec(any::<Index>(), 0..6),
    ) {
        assert_same(body.as_bytes(), cuts);
    }

    #[test]
    fn uploads_with_a_byte_removed_or_changed_are_judged_as_a_second_reader_judges_them(
        body in body(),
        at in any::<Index>(),
        with in "[\r\n\"\\\\;:=X \t\\-]?",
        cuts in vec(any::<Index>(), 0..6),
    ) {
        let mut body = body.into_bytes();
        if !body.is_empty() {
            let at = at.index(body.len());
            body.splice(at..=at, with.bytes());
        }
        assert_same(&body, cuts);
    }
}

#[test]
fn most_of_the_generated_uploads_are_accepted() {
    let mut runner = TestRunner::deterministic();
    let accepted = |_: &usize| {
        let body = body().new_tree(&mut runner).unwrap().current();
        verdict(BOUNDARY, [body.as_bytes()]).is_ok()
    };
    let count = (0..300).filter(accepted).count();
    assert!((100..290).contains(&count), "{count}");
}
