//! Cases of valid and invalid JSON, each with its expected result, both for read and for opaque values.

use super::{Malformed, Reason, Shape, scan};

/// A shape that reads every case below, its elements, and the members of the objects among them.
static READ: Shape = Shape::Elements(&Shape::Object(&[("a", Shape::Elements(&Shape::Object(&[])))]));

const DEPTH: usize = 64;

/// Returns the result for a body. It must be the same if the body is the only element of an array, read or opaque.
fn scan_result(body: &[u8]) -> Result<(), Malformed> {
    let bare = scan(body, &Shape::Opaque, DEPTH).map(|_| ());
    let element = [b"[", body, b"]"].concat();
    let read = scan(&element, &READ, DEPTH).map(|_| ());
    let opaque = scan(&element, &Shape::Opaque, DEPTH).map(|_| ());
    assert_eq!(read, opaque, "{}", body.escape_ascii());
    // White space alone may be inside an array, but is not a body.
    if bare.is_ok() {
        assert_eq!(read, Ok(()), "{}", body.escape_ascii());
    }
    bare
}

fn assert_accepted(cases: &[&[u8]]) {
    for body in cases {
        assert_eq!(scan_result(body), Ok(()), "{}", body.escape_ascii());
    }
}

/// Asserts that each case is refused with this offset and reason.
fn assert_refused(cases: &[(&[u8], usize, Reason)]) {
    for (body, offset, reason) in cases {
        let fault = scan_result(body).expect_err(&body.escape_ascii().to_string());
        assert_eq!((fault.offset(), fault.reason()), (*offset, *reason), "{}", body.escape_ascii());
    }
}

#[test]
fn containers_and_words_of_the_grammar_are_accepted() {
    assert_accepted(&[
        b"[]",
        b"[[]]",
        b"[[],[]]",
        b"[[],[[]],{}]",
        b"{}",
        b"{\"\":0}",
        b"{\"a\":[]}",
        b"{\"a\":{}}",
        b"{\"a\":[{}]}",
        b"{\"a\":[{\"b\":[]}],\"c\":{\"d\":{}}}",
        b"{\"a\":1,\"b\":2}",
        b"{\"a\":1,\"a\":1}",
        b"{\"a\\u0000b\":1}",
        b"{\"min\":-1.0e+28,\"max\":1.0e+28}",
        b"[1,null,true,false,\"\",[],{}]",
        b"true",
        b"false",
        b"null",
        b"[null]",
        b"[true,false]",
    ]);
}

#[test]
fn white_space_of_the_grammar_is_accepted_everywhere_between_tokens() {
    assert_accepted(&[
        b" []",
        b"[] ",
        b"\t\r\n []\t\r\n ",
        b"[ ]",
        b"{ }",
        b"[\n1\r,\t2 ]",
        b"{ \"a\" : 1 , \"b\" : 2 }",
        b"{\n\"a\"\n:\n1\n}",
        b" 1 ",
        b"\n\"\"\n",
    ]);
}

#[test]
fn numbers_of_the_grammar_are_accepted_whatever_their_size() {
    assert_accepted(&[
        b"0",
        b"-0",
        b"1",
        b"-1",
        b"10",
        b"123456789012345678901234567890123456789012345678901234567890",
        b"-9223372036854775809",
        b"0.0",
        b"-0.0",
        b"0.1",
        b"10.01",
        b"0e0",
        b"0E0",
        b"0e+1",
        b"0e-1",
        b"1e2",
        b"1E2",
        b"1E+2",
        b"1E-02",
        b"1.5e10",
        b"123.456e78",
        b"1e999",
        b"-1e-999",
        b"0.4e00669999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999",
        b"-0.000000000000000000000000000000000000000000000000000000000000000000000000000000000000001",
    ]);
}

#[test]
fn strings_of_the_grammar_are_accepted() {
    assert_accepted(&[
        b"\"\"",
        b"\" \"",
        b"\"a\"",
        b"\"a/*b*/c/*d//e\"",
        b"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        b"\"\\u0041\\u00e9\\u20AC\\uABCD\\uabcd\"",
        b"\"\\u0000\"",
        b"\"\\ud83d\\ude00\"",
        b"\"\\\\u0061\"",
        b"\"\\\\\"",
        b"\"\\\"\"",
        b"\"\x7f\"",
        "\"é€😀\"".as_bytes(),
        "\"\u{2028}\u{2029}\u{feff}\u{ffff}\u{10ffff}\"".as_bytes(),
        "{\"é\":\"€\"}".as_bytes(),
        b"\"1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890\"",
        b"\"123456789012345\\n7890123456789012345678901234567890123456789012345678901234567890123456789\\\\\"",
    ]);
}

/// Cases that the grammar allows and parsers read differently. Nothing is decoded here, so they pass.
#[test]
fn what_readers_may_disagree_on_passes_where_it_is_not_read() {
    assert_accepted(&[
        b"\"\\ud800\"",
        b"\"\\udc00\"",
        b"\"\\ud800\\ud800\"",
        b"\"\\ud800\\n\"",
        b"\"\\ud83d\\u0041\"",
        b"\"\\ude00\\ud83d\"",
        b"{\"b\":{\"\\ud800\":1}}",
        b"[{\"k\":1,\"k\":2}]",
        b"1E400",
        b"-123123e100000",
        b"100000000000000000000",
    ]);
}

#[test]
fn what_is_no_value_is_refused() {
    assert_refused(&[
        (b"", 0, Reason::Value),
        (b" ", 1, Reason::Value),
        (b"\n\n", 2, Reason::Value),
        (b"\xef\xbb\xbf{}", 0, Reason::ByteOrderMark),
        (b"\xef\xbb\xbf", 0, Reason::ByteOrderMark),
        (b"\0", 0, Reason::Value),
        (b"\x0c[]", 0, Reason::Value),
        (b"\x0b1", 0, Reason::Value),
        ("\u{a0}1".as_bytes(), 0, Reason::Value),
        ("\u{2060}[]".as_bytes(), 0, Reason::Value),
        (b"*", 0, Reason::Value),
        (b"'a'", 0, Reason::Value),
        (b"a", 0, Reason::Value),
        (b"<.>", 0, Reason::Value),
        (b"]", 0, Reason::Value),
        (b"}", 0, Reason::Value),
        (b",", 0, Reason::Value),
        (b":", 0, Reason::Value),
        (b"/**/1", 0, Reason::Value),
        (b"nul", 0, Reason::Value),
        (b"nulL", 0, Reason::Value),
        (b"tru", 0, Reason::Value),
        (b"True", 0, Reason::Value),
        (b"fals", 0, Reason::Value),
        (b"falsf", 0, Reason::Value),
        (b"undefined", 0, Reason::Value),
        (b"NaN", 0, Reason::Value),
        (b"Infinity", 0, Reason::Value),
        (b"+1", 0, Reason::Value),
        (b".5", 0, Reason::Value),
        ("\u{ff11}".as_bytes(), 0, Reason::Value),
        (b"[", 1, Reason::Value),
        (b"[1,", 3, Reason::Value),
        (b"[,1]", 1, Reason::Value),
        (b"[1,]", 3, Reason::Value),
        (b"[1,,2]", 3, Reason::Value),
        (b"[\x0c1]", 1, Reason::Value),
        (b"[\\u000A\"\"]", 1, Reason::Value),
        (b"{\"a\":}", 5, Reason::Value),
        (b"{\"a\":", 5, Reason::Value),
        (b"{\"a\"::1}", 5, Reason::Value),
    ]);
}

#[test]
fn what_may_not_follow_is_refused() {
    assert_refused(&[
        (b"1 2", 2, Reason::Trailing),
        (b"{}}", 2, Reason::Trailing),
        (b"[]]", 2, Reason::Trailing),
        (b"{},", 2, Reason::Trailing),
        (b"{}//", 2, Reason::Trailing),
        (b"{}#", 2, Reason::Trailing),
        (b"{}\0", 2, Reason::Trailing),
        (b"1\0", 1, Reason::Trailing),
        (b"nullx", 4, Reason::Trailing),
        (b"truefalse", 4, Reason::Trailing),
        (b"\"a\"b", 3, Reason::Trailing),
        (b"1a", 1, Reason::Trailing),
        (b"0x1", 1, Reason::Trailing),
        (b"1e5.2", 3, Reason::Trailing),
        (b"1.2.3", 3, Reason::Trailing),
        (b"1_000", 1, Reason::Trailing),
        (b"[1 2]", 3, Reason::CommaOrBracket),
        (b"[1", 2, Reason::CommaOrBracket),
        (b"[1}", 2, Reason::CommaOrBracket),
        (b"[1:2]", 2, Reason::CommaOrBracket),
        (b"[[]", 3, Reason::CommaOrBracket),
        (b"[\"a\"", 4, Reason::CommaOrBracket),
        (b"[1\0]", 2, Reason::CommaOrBracket),
        (b"[1\x0c]", 2, Reason::CommaOrBracket),
        (b"{\"a\":1", 6, Reason::CommaOrBrace),
        (b"{\"a\":1]", 6, Reason::CommaOrBrace),
        (b"{\"a\":1 \"b\":2}", 7, Reason::CommaOrBrace),
        (b"{\"a\":1;\"b\":2}", 6, Reason::CommaOrBrace),
        (b"{\"a\":[1}]", 7, Reason::CommaOrBracket),
        (b"{\"a\":{\"b\":1]}", 11, Reason::CommaOrBrace),
    ]);
}

#[test]
fn what_is_no_member_is_refused() {
    assert_refused(&[
        (b"{", 1, Reason::NameOrBrace),
        (b"{]", 1, Reason::NameOrBrace),
        (b"{,}", 1, Reason::NameOrBrace),
        (b"{1:1}", 1, Reason::NameOrBrace),
        (b"{a:1}", 1, Reason::NameOrBrace),
        (b"{'a':1}", 1, Reason::NameOrBrace),
        (b"{null:1}", 1, Reason::NameOrBrace),
        (b"{[]:1}", 1, Reason::NameOrBrace),
        (b"{\"a\":1,}", 7, Reason::Name),
        (b"{\"a\":1,", 7, Reason::Name),
        (b"{\"a\":1,,\"b\":2}", 7, Reason::Name),
        (b"{\"a\":1,b:2}", 7, Reason::Name),
        (b"{\"a\"}", 4, Reason::Colon),
        (b"{\"a\"", 4, Reason::Colon),
        (b"{\"a\",1}", 4, Reason::Colon),
        (b"{\"a\" 1}", 5, Reason::Colon),
        (b"{\"a\"=1}", 4, Reason::Colon),
        (b"{\"a", 3, Reason::Quote),
        (b"{\"a\x01\":1}", 3, Reason::Control),
        (b"{\"a\\x\":1}", 4, Reason::Escape),
    ]);
}

#[test]
fn numbers_outside_the_grammar_are_refused() {
    assert_refused(&[
        (b"01", 1, Reason::LeadingZero),
        (b"-01", 2, Reason::LeadingZero),
        (b"00", 1, Reason::LeadingZero),
        (b"012.3", 1, Reason::LeadingZero),
        (b"-", 1, Reason::Digit),
        (b"--1", 1, Reason::Digit),
        (b"-a", 1, Reason::Digit),
        (b"- 1", 1, Reason::Digit),
        (b"-.5", 1, Reason::Digit),
        (b"-Infinity", 1, Reason::Digit),
        (b"1.", 2, Reason::Digit),
        (b"1.e1", 2, Reason::Digit),
        (b"0.", 2, Reason::Digit),
        (b"1e", 2, Reason::Digit),
        (b"1e+", 3, Reason::Digit),
        (b"1E-a", 3, Reason::Digit),
        (b"1e+-1", 3, Reason::Digit),
        (b"1ee1", 2, Reason::Digit),
        (b"0e", 2, Reason::Digit),
        (b"[1.]", 3, Reason::Digit),
    ]);
}

#[test]
fn strings_outside_the_grammar_are_refused() {
    assert_refused(&[
        (b"\"", 1, Reason::Quote),
        (b"\"a", 2, Reason::Quote),
        (b"\"a\\\"", 4, Reason::Quote),
        (b"\"\\", 2, Reason::Escape),
        (b"\"a\0\"", 2, Reason::Control),
        (b"\"\n\"", 1, Reason::Control),
        (b"\"\t\"", 1, Reason::Control),
        (b"\"\x1f\"", 1, Reason::Control),
        (b"\"1234567890123456789012345678901234567890\n\"", 41, Reason::Control),
        (b"\"\\a\"", 2, Reason::Escape),
        (b"\"\\x00\"", 2, Reason::Escape),
        (b"\"\\'\"", 2, Reason::Escape),
        (b"\"\\U0041\"", 2, Reason::Escape),
        (b"\"\\\n\"", 2, Reason::Escape),
        ("\"\\é\"".as_bytes(), 2, Reason::Escape),
        (b"\"\\u\"", 3, Reason::HexDigits),
        (b"\"\\u00A\"", 6, Reason::HexDigits),
        (b"\"\\u00G0\"", 5, Reason::HexDigits),
        (b"\"\\u+041\"", 3, Reason::HexDigits),
        (b"\"\\ud83d\\u\"", 9, Reason::HexDigits),
    ]);
}

#[test]
fn bytes_that_are_not_utf_8_are_refused_wherever_they_stand() {
    assert_refused(&[
        (b"\"\xff\"", 1, Reason::Utf8),
        (b"\"\xe9\"", 1, Reason::Utf8),
        (b"\"\x80\"", 1, Reason::Utf8),
        (b"\"\xc0\xaf\"", 1, Reason::Utf8),
        (b"\"\xe0\x80\xaf\"", 1, Reason::Utf8),
        (b"\"\xed\xa0\x80\"", 1, Reason::Utf8),
        (b"\"\xf4\x90\x80\x80\"", 1, Reason::Utf8),
        (b"\"a\xe2\x82\"", 2, Reason::Utf8),
        (b"\"\\u\xe5\"", 3, Reason::Utf8),
        (b"[\xff]", 1, Reason::Utf8),
        (b"{\"\xb9\":1}", 2, Reason::Utf8),
        (b"\xff\xfe[\0]\0", 0, Reason::ByteOrderMark),
        (b"[1]\xff", 3, Reason::Utf8),
    ]);
}

#[test]
fn depth_is_bounded_to_the_level() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]"), ("[ [],", "]")] {
        let levels = if open.contains('{') && open.contains('[') { 2 } else { 1 };
        for shape in [&Shape::Opaque, &READ] {
            for count in [1, 2, 3, 32, 64, 65, 100, 500] {
                let depth = count * levels + usize::from(open.contains("[]"));
                let body = format!("{}0{}", open.repeat(count), close.repeat(count));
                assert!(scan(body.as_bytes(), shape, depth).is_ok(), "{depth} of {open}");
                let fault = scan(body.as_bytes(), shape, depth - 1).unwrap_err();
                assert_eq!(fault.reason(), Reason::Depth, "{depth} of {open}");
                let siblings = format!("[{body},{body}]");
                assert!(scan(siblings.as_bytes(), shape, depth + 1).is_ok(), "{depth} of {open}");
            }
        }
    }
    assert!(scan(b"1", &Shape::Opaque, 0).is_ok());
    assert!(scan(b"[]", &Shape::Opaque, 0).is_err());
    assert!(scan(b"{}", &Shape::Object(&[]), 0).is_err());
}

#[test]
fn a_hundred_thousand_levels_are_refused_at_the_first_too_many_and_exhaust_no_stack() {
    for open in ["[", "{\"a\":", "[{\"a\":"] {
        let body = open.repeat(100_000);
        let fault = scan(body.as_bytes(), &READ, DEPTH).unwrap_err();
        assert_eq!(fault.reason(), Reason::Depth);
        assert!(fault.offset() <= DEPTH * open.len());
        assert_ne!(scan(body.as_bytes(), &Shape::Opaque, usize::MAX).unwrap_err().reason(), Reason::Depth);
    }
}
