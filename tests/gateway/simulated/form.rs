//! Multipart bodies, as the SDKs write them.

use crate::harness::{API_KEY, Answer, Asteroid};

const BOUNDARY: &str = "3f1c8d5a";

pub(crate) const TYPE: &str = "multipart/form-data; boundary=3f1c8d5a";

/// Returns a body with these files.
pub(crate) fn form(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, content) in files {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{name}\"\r\n\
             Content-Type: application/pdf\r\n\r\n"
        );
        body.extend_from_slice(&[head.as_bytes(), *content, b"\r\n"].concat());
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

/// Posts a body of this form to a path of the API.
pub(crate) fn post(asteroid: &Asteroid, path: &str, body: &[u8]) -> Answer {
    asteroid.caller().post(&format!("/agents/v2{path}"), &[("X-Api-Key", API_KEY), ("Content-Type", TYPE)], body)
}

/// Asserts that an answer is plain text, as the operations on files refuse, and says this.
pub(crate) fn assert_text(answer: &Answer, status: u16, says: &str) {
    let text = String::from_utf8(answer.body.clone()).unwrap();
    assert_eq!((answer.status, answer.header("content-type")), (status, Some("text/plain; charset=utf-8")), "{text}");
    assert!(text.contains(says), "{text}");
}

/// Returns the SHA-256 of a body, as the simulator writes it.
pub(crate) fn sum(bytes: &[u8]) -> String {
    let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
