use super::*;

const TYPE: &str = "multipart/form-data; boundary=abc";

/// Reads a body in pieces of this length, and returns its files.
fn read(body: &[u8], length: usize) -> Result<Vec<(String, String, Vec<u8>)>, String> {
    let mut reader = MultipartReader::new(Some(TYPE))?;
    let mut files = Vec::new();
    for piece in body.chunks(length) {
        reader.read::<String>(piece, |part| {
            match part {
                Part::File { name, media_type } => files.push((name, media_type, Vec::new())),
                Part::Bytes(bytes) => files.last_mut().unwrap().2.extend_from_slice(bytes),
            }
            Ok(())
        })?;
    }
    reader.finish().map(|()| files)
}

fn part(name: &str, content: &str) -> String {
    format!("--abc\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{name}\"\r\n\r\n{content}\r\n")
}

#[test]
fn files_are_read_alike_in_pieces_of_any_length() {
    let head =
        "--abc \t\r\ncontent-TYPE: text/csv\r\ncontent-disposition: form-data; filename=a.csv; name=files\r\n\r\n";
    let tricky = "\r\n--ab\r\n--abcd\r\n-- abc\r--abc\n--abc\r\n\r";
    let body =
        format!("before\r\n{}{head}1;2\r\n{}--abc--after\r\n--abc", part("ü \\\"x\\\".pdf", tricky), part("b", ""));
    let octets = "application/octet-stream".to_owned();
    let expected = vec![
        ("ü \"x\".pdf".to_owned(), octets.clone(), tricky.as_bytes().to_vec()),
        ("a.csv".to_owned(), "text/csv".to_owned(), b"1;2".to_vec()),
        ("b".to_owned(), octets, Vec::new()),
    ];
    for length in 1..body.len() {
        assert_eq!(read(body.as_bytes(), length), Ok(expected.clone()), "{length}");
    }
}

#[test]
fn what_is_no_form_of_files_is_refused() {
    let whole = part("a", "1");
    let field = whole.replace("\"files\"", "\"file\"");
    let unnamed = whole.replace("; filename=\"a\"", "");
    let no_head = "--abc\r\n\r\n1\r\n--abc--".to_owned();
    let long_head = format!("--abc\r\nX: {}", "x".repeat(MAX_HEAD));
    let padded = format!("--abc{}", " ".repeat(MAX_PADDING + 1));
    let wrong = [
        String::new(),
        whole.clone(),
        format!("{field}--abc--"),
        unnamed,
        no_head,
        long_head,
        padded,
        "--abc-x".to_owned(),
    ];
    for body in wrong {
        for length in [1, 7, 10_000] {
            assert!(read(body.as_bytes(), length).is_err(), "{body} {length}");
        }
    }
    for wrong in ["multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=a", "text/plain"]
    {
        assert!(MultipartReader::new(Some(wrong)).is_err(), "{wrong}");
    }
    assert!(MultipartReader::new(None).is_err());
    assert!(MultipartReader::new(Some(&format!("multipart/form-data; boundary={}", "a".repeat(71)))).is_err());
    assert!(MultipartReader::new(Some("Multipart/Form-Data; charset=utf-8; Boundary=\"a b\"")).is_ok());
}

#[test]
fn no_more_than_a_head_is_kept_of_a_body_without_end() {
    let mut reader = MultipartReader::new(Some(TYPE)).unwrap();
    let begin = part("a", "");
    reader.read::<String>(begin.as_bytes(), |_| Ok(())).unwrap();
    let mut length = 0;
    for _ in 0..1000 {
        reader
            .read::<String>(&[b'\r'; 5000], |part| {
                if let Part::Bytes(bytes) = part {
                    length += bytes.len();
                }
                Ok(())
            })
            .unwrap();
        assert!(reader.pending.len() < 16, "{}", reader.pending.len());
    }
    assert!(length > 4_999_900, "{length}");
}
