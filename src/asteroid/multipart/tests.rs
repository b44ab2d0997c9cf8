//! Tests of what an upload may be, and of what is said of others.

use super::*;

pub(super) const BOUNDARY: &str = "X";

/// What `temp_files_upload` of the Python SDKs 1.7.257 and 1.9.167 writes (urllib3 2.8): a file with a quotation mark in its name,
/// a name and text, bare bytes, and an empty file.
const PYTHON: &str = "--f777c7d98245e1f9aa42eba09e7d6ef9\r\nContent-Disposition: form-data; name=\"files\"; filename=\"q3 r\u{e9}sum\u{e9} %22final%22.pdf\"\r\nContent-Type: application/pdf\r\n\r\n%PDF-1.7\r\n--\r\n\r\n--f777c7d98245e1f9aa42eba09e7d6ef9\r\nContent-Disposition: form-data; name=\"files\"; filename=\"x\\y;.txt\"\r\nContent-Type: text/plain\r\n\r\nhello\r\n--f777c7d98245e1f9aa42eba09e7d6ef9\r\nContent-Disposition: form-data; name=\"files\"; filename=\"files\"\r\nContent-Type: application/octet-stream\r\n\r\nbare\r\n--f777c7d98245e1f9aa42eba09e7d6ef9\r\nContent-Disposition: form-data; name=\"files\"; filename=\"empty.bin\"\r\nContent-Type: application/octet-stream\r\n\r\n\r\n--f777c7d98245e1f9aa42eba09e7d6ef9--\r\n";

/// What the `FormData` of Node 20 writes (undici): a file, a blob without a name, and an empty blob with a line end in its name.
const UNDICI: &str = "------formdata-undici-016311810288\r\nContent-Disposition: form-data; name=\"files\"; filename=\"q3 r\u{e9}sum\u{e9} %22final%22.pdf\"\r\nContent-Type: application/pdf\r\n\r\n%PDF-1.7\r\n\r\n------formdata-undici-016311810288\r\nContent-Disposition: form-data; name=\"files\"; filename=\"blob\"\r\nContent-Type: application/octet-stream\r\n\r\nbare\r\n------formdata-undici-016311810288\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a\\b%0Ac\"\r\nContent-Type: application/octet-stream\r\n\r\n\r\n------formdata-undici-016311810288--\r\n";

/// Returns the verdict on a body that comes in these pieces.
pub(super) fn verdict<'b>(boundary: &str, pieces: impl IntoIterator<Item = &'b [u8]>) -> Result<(), Fault> {
    let content_type = format!("multipart/form-data; boundary=\"{boundary}\"");
    let mut checker = Checker::new(Boundary::of(content_type.as_bytes())?);
    pieces.into_iter().try_for_each(|piece| checker.push(piece))?;
    checker.finish()
}

fn of(body: &str) -> Result<(), Fault> {
    verdict(BOUNDARY, [body.as_bytes()])
}

/// Returns a body with one part that has this head, without its last line end.
fn with_head(head: &str) -> String {
    format!("--X\r\n{head}\r\n\r\ncontent\r\n--X--\r\n")
}

fn with_disposition(disposition: &str) -> String {
    with_head(&format!("Content-Disposition: {disposition}"))
}

fn with_content(content: &str) -> String {
    format!("--X\r\nContent-Disposition: form-data; name=\"files\"\r\n\r\n{content}\r\n--X--\r\n")
}

fn head_fault(head: &str) -> HeadFault {
    match of(&with_head(head)) {
        Err(Fault::Head { part: 1, fault }) => fault,
        other => panic!("{other:?} {head:?}"),
    }
}

#[test]
fn what_the_sdks_write_is_accepted_however_it_is_cut() {
    for (content_type, body) in [
        ("multipart/form-data; boundary=f777c7d98245e1f9aa42eba09e7d6ef9", PYTHON),
        ("multipart/form-data; boundary=----formdata-undici-016311810288", UNDICI),
        ("multipart/form-data; boundary=----formdata-undici-016311810288", UNDICI.trim_end()),
    ] {
        let boundary = Boundary::of(content_type.as_bytes()).unwrap();
        for size in 1..=body.len() {
            let mut checker = Checker::new(boundary.clone());
            for piece in body.as_bytes().chunks(size) {
                checker.push(piece).unwrap();
            }
            assert_eq!(checker.finish(), Ok(()), "{size}");
        }
        for end in 0..body.trim_end().len() {
            let mut checker = Checker::new(boundary.clone());
            checker.push(&body.as_bytes()[..end]).unwrap();
            assert!(checker.finish().is_err(), "{end}");
        }
    }
}

#[test]
fn a_content_type_names_exactly_one_boundary() {
    let read = |content_type: &str| Boundary::of(content_type.as_bytes()).map(Boundary::into_delimiter);
    let longest = "a".repeat(70);
    for (content_type, boundary) in [
        ("multipart/form-data; boundary=X", "X"),
        ("Multipart/Form-Data;BOUNDARY=\"X\" ; charset=utf-8", "X"),
        ("multipart/form-data; charset=\"a;boundary=Y\"; boundary=----X'+_-.", "----X'+_-."),
        ("multipart/form-data; boundary=\"a b()/:=?,\"", "a b()/:=?,"),
        (&format!("multipart/form-data; boundary={longest}"), longest.as_str()),
    ] {
        assert_eq!(read(content_type), Ok(format!("--{boundary}").into_bytes()), "{content_type}");
    }
    for (content_type, fault) in [
        ("", Fault::MediaType),
        ("multipart/mixed; boundary=X", Fault::MediaType),
        ("multipart/form-data, multipart/form-data; boundary=X", Fault::MediaType),
        ("multipart/form-data", Fault::NoBoundary),
        ("multipart/form-data; charset=utf-8", Fault::NoBoundary),
        ("multipart/form-data; boundary=X; boundary=X", Fault::RepeatedBoundary),
        ("multipart/form-data; boundary=X; Boundary=\"Y\"", Fault::RepeatedBoundary),
        ("multipart/form-data; boundary=\"\"", Fault::Boundary),
        ("multipart/form-data; boundary=\"a \"", Fault::Boundary),
        ("multipart/form-data; boundary=\"a*b\"", Fault::Boundary),
        ("multipart/form-data; boundary=\"\u{e9}\"", Fault::Boundary),
        (&format!("multipart/form-data; boundary={longest}a"), Fault::Boundary),
        ("multipart/form-data; boundary=", Fault::ContentType),
        ("multipart/form-data; boundary = X", Fault::ContentType),
        ("multipart/form-data; boundary=a/b", Fault::ContentType),
        ("multipart/form-data; boundary=\"X", Fault::ContentType),
        ("multipart/form-data; boundary=\"X\\\"\"", Fault::ContentType),
        ("multipart/form-data; boundary=X;", Fault::ContentType),
        ("multipart/form-data boundary=X", Fault::MediaType),
        ("multipart/form-data; boundary*=utf-8''X", Fault::ContentType),
        ("multipart/form-data; boundary=X; boundary*0=Y", Fault::ContentType),
    ] {
        assert_eq!(read(content_type), Err(fault), "{content_type}");
    }
}

#[test]
fn every_part_is_a_file_in_the_one_field() {
    for disposition in [
        r#"form-data; name="files""#,
        r#"FORM-DATA;Name=files;FileName=a.pdf;filename*=UTF-8''%e2%82%ac"#,
        "form-data; filename=\"\u{20ac} %22 ; name=\\\\\" ; name=\"files\"",
    ] {
        assert_eq!(of(&with_disposition(disposition)), Ok(()), "{disposition}");
    }
    for (disposition, fault) in [
        (r#"form-data; name="file""#, HeadFault::Field),
        (r#"form-data; name="Files""#, HeadFault::Field),
        (r#"form-data; name="files[]""#, HeadFault::Field),
        (r#"form-data; name="fil\es""#, HeadFault::Field),
        (r#"form-data; name="_charset_""#, HeadFault::Field),
        ("form-data", HeadFault::NoField),
        (r#"form-data; filename="files""#, HeadFault::NoField),
        (r#"form-data; name="files"; name="files""#, HeadFault::RepeatedParameter),
        (r#"form-data; name="files"; filename=a; FILENAME=b"#, HeadFault::RepeatedParameter),
        (r#"form-data; name="files"; filename*=a; filename*=b"#, HeadFault::RepeatedParameter),
        (r#"form-data; name="files"; name*=utf-8''x"#, HeadFault::UnknownParameter),
        (r#"form-data; name*0="fi"; name*1="les""#, HeadFault::UnknownParameter),
        (r#"form-data; name="files"; filename="a\"; name="x""#, HeadFault::Backslash),
        (r#"form-data; name="files"; filename="a"b""#, HeadFault::Disposition),
        (r#"form-data; name="files"; filename="a"#, HeadFault::Disposition),
        (r#"form-data; name="files"; filename=a b"#, HeadFault::Disposition),
        (r#"form-data; name = "files""#, HeadFault::Disposition),
        (r#"form-data; name="files";"#, HeadFault::Disposition),
        (r#"form-data name="files""#, HeadFault::Disposition),
        (r#"file; name="files""#, HeadFault::Disposition),
        ("", HeadFault::Disposition),
    ] {
        assert_eq!(head_fault(&format!("Content-Disposition: {disposition}")), fault, "{disposition}");
    }
}

#[test]
fn the_head_of_a_part_is_strict() {
    const FILE: &str = "Content-Disposition: form-data; name=\"files\"";
    for rest in
        ["", "\r\nContent-Type:", "\r\nContent-Transfer-Encoding:\tBinary ", "\r\nX-Note: a:b\tc\r\nx-note: --X"]
    {
        assert_eq!(of(&with_head(&format!("{FILE}{rest}"))), Ok(()), "{rest:?}");
    }
    for (rest, fault) in [
        (format!("\r\n{FILE}"), HeadFault::RepeatedHeader),
        ("\r\nContent-Type: a/b\r\ncontent-type: a/b".to_owned(), HeadFault::RepeatedHeader),
        ("\r\nContent-Transfer-Encoding: base64".to_owned(), HeadFault::Encoding),
        ("\r\nContent-Transfer-Encoding: quoted-printable".to_owned(), HeadFault::Encoding),
        ("\r\nContent-Transfer-Encoding:".to_owned(), HeadFault::Encoding),
        (
            "\r\nContent-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: 8bit".to_owned(),
            HeadFault::RepeatedHeader,
        ),
        ("\r\n more".to_owned(), HeadFault::Folded),
        ("\r\n\tmore".to_owned(), HeadFault::Folded),
        ("\nX: 1".to_owned(), HeadFault::LineEnd),
        ("\r\nX: 1\rY: 2".to_owned(), HeadFault::LineEnd),
        ("\r\nX: \0".to_owned(), HeadFault::ControlCharacter),
        ("\r\nX: \u{7f}".to_owned(), HeadFault::ControlCharacter),
        ("\r\nX : 1".to_owned(), HeadFault::Header),
        ("\r\n: 1".to_owned(), HeadFault::Header),
        ("\r\nnone".to_owned(), HeadFault::Header),
        ("\r\n--X: 1".to_owned(), HeadFault::Delimiter),
        ("\r\n--X".to_owned(), HeadFault::Delimiter),
    ] {
        assert_eq!(head_fault(&format!("{FILE}{rest}")), fault, "{rest:?}");
    }
    assert_eq!(head_fault("Content-Type: a/b"), HeadFault::NoDisposition);
    let empty = of("--X\r\n\r\ncontent\r\n--X--");
    assert_eq!(empty, Err(Fault::Head { part: 1, fault: HeadFault::NoDisposition }));
    let latin = [b"--X\r\n", FILE.as_bytes(), b"; filename=\"\xe9\"\r\n\r\n\r\n--X--"].concat();
    assert_eq!(verdict(BOUNDARY, [&*latin]), Err(Fault::Head { part: 1, fault: HeadFault::Utf8 }));
}

#[test]
fn a_body_begins_with_its_first_boundary_and_ends_with_its_last() {
    for (before, behind) in [("", ""), ("\r\n", "\r\n"), ("", " \t"), ("", " \r\n")] {
        let body = with_content("a");
        assert_eq!(of(&format!("{before}{}{behind}", body.trim_end())), Ok(()), "{before:?} {behind:?}");
    }
    for (body, fault) in [
        ("", Fault::Opening),
        ("\r\n", Fault::Opening),
        ("\r\n\r\n--X\r\n", Fault::Opening),
        ("\n--X\r\n", Fault::Opening),
        ("preamble\r\n--X\r\n", Fault::Opening),
        ("--Y\r\n", Fault::Opening),
        ("--XY\r\n", Fault::Opening),
        ("--X\n", Fault::Opening),
        ("--X", Fault::Opening),
        ("--X--\r\n", Fault::Empty),
        ("\r\n--X--", Fault::Empty),
        ("--X\r\n", Fault::Unfinished { part: 1 }),
    ] {
        assert_eq!(of(body), Err(fault), "{body:?}");
    }
    let body = with_content("a");
    for (behind, fault) in [
        ("\r", Fault::Epilogue),
        ("\r\n\r\n", Fault::Epilogue),
        ("\n", Fault::Epilogue),
        ("a", Fault::Epilogue),
        (" \r\n ", Fault::Epilogue),
    ] {
        assert_eq!(of(&format!("{}{behind}", body.trim_end())), Err(fault), "{behind:?}");
    }
    assert_eq!(of(&format!("{body}{body}")), Err(Fault::Epilogue));
    let open = body.trim_end().trim_end_matches('-');
    for end in [open, &format!("{open}-"), &format!("{open}\r\nContent-Type: a/b\r\n")] {
        assert!(matches!(of(end), Err(Fault::Unfinished { .. })), "{end:?}");
    }
}

#[test]
fn the_boundary_in_content_is_a_fault_where_some_parser_would_end_the_content() {
    for content in [
        "",
        "--",
        "-X",
        "a--X",
        "a--X--\r\n",
        "\r\n-X\r\n",
        "\r\n--x",
        "\r\n --X",
        "\r\r\n\n",
        "--\r\n--",
        "\r\n-\r\n--\r\n---X",
    ] {
        assert_eq!(of(&with_content(content)), Ok(()), "{content:?}");
    }
    for content in [
        "--X",
        "--X--",
        "\n--X",
        "\r--X\r\n",
        "\r\n--XY",
        "\r\n--X -",
        "\r\n--X \n",
        "\r\n--X\n",
        "\r\n--X\ra",
        "\r\n--X-a",
        "a\r\r\n--X:",
    ] {
        for size in 1..6 {
            let body = with_content(content);
            let refused = verdict(BOUNDARY, body.as_bytes().chunks(size));
            assert_eq!(refused, Err(Fault::BoundaryInContent { part: 1 }), "{content:?} {size}");
        }
    }
    assert_eq!(of(&with_content("a\r\n--X--")), Err(Fault::Epilogue), "the content ends there");
}

#[test]
fn the_head_of_the_first_part_tells_that_a_body_is_an_upload() {
    let body = with_content("a");
    let end = body.find("\r\n\r\n").unwrap() + 4;
    let mut checker = Checker::new(Boundary::of(b"multipart/form-data; boundary=X").unwrap());
    for (at, byte) in body.bytes().enumerate() {
        assert_eq!(checker.has_first_head(), at >= end, "{at}");
        checker.push(&[byte]).unwrap();
    }
    assert!(checker.has_first_head());
}

#[test]
fn heads_headers_and_parts_have_a_bound_and_content_has_none() {
    let long = |length: usize| {
        let head = "Content-Disposition: form-data; name=\"files\"\r\nX: ";
        with_head(&format!("{head}{}", "a".repeat(length - head.len() - 4)))
    };
    assert_eq!(of(&long(MAX_HEAD)), Ok(()));
    assert_eq!(of(&long(MAX_HEAD + 1)), Err(Fault::Head { part: 1, fault: HeadFault::TooLong }));
    let endless = std::iter::once(&b"--X\r\n"[..]).chain(std::iter::repeat(&b"aaaaaaaaaaaaaaaa"[..]));
    assert_eq!(verdict(BOUNDARY, endless), Err(Fault::Head { part: 1, fault: HeadFault::TooLong }));
    let headers =
        |count| with_head(&format!("Content-Disposition: form-data; name=files{}", "\r\nX: 1".repeat(count - 1)));
    assert_eq!(of(&headers(MAX_HEADERS)), Ok(()));
    assert_eq!(of(&headers(MAX_HEADERS + 1)), Err(Fault::Head { part: 1, fault: HeadFault::TooManyHeaders }));
    let parts = |count| {
        let part = "--X\r\nContent-Disposition: form-data; name=files\r\n\r\n\r\n";
        format!("{}--X--", part.repeat(count))
    };
    assert_eq!(of(&parts(MAX_PARTS)), Ok(()));
    assert_eq!(of(&parts(MAX_PARTS + 1)), Err(Fault::TooManyParts));
    let mut second = parts(1).trim_end_matches("--").to_owned();
    second.push_str("\r\nContent-Disposition: form-data; name=secret\r\n\r\n");
    let refused = of(&second).unwrap_err();
    assert_eq!(refused, Fault::Head { part: 2, fault: HeadFault::Field });
    let said = refused.to_string();
    assert_eq!(
        said,
        "part 2 of the body: its field is not `files`; send every file in a field of that name, and no other field"
    );

    let mut checker = Checker::new(Boundary::of(b"multipart/form-data; boundary=X").unwrap());
    let body = with_content("");
    let (begin, end) = body.split_at(body.find("\r\n\r\n").unwrap() + 4);
    checker.push(begin.as_bytes()).unwrap();
    for _ in 0..1000 {
        checker.push(&[b'-'; 16 * 1024]).unwrap();
    }
    checker.push(end.as_bytes()).unwrap();
    assert_eq!(checker.finish(), Ok(()));
}
