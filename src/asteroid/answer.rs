//! Reads the upstream's answers, and judges what an answer to a start proves.

mod start_answer;

use hyper::{HeaderMap, StatusCode};
use serde_json::Value;
use uuid::Uuid;

use crate::media_type::content_coding;

use start_answer::{Extent, StartAnswer};

/// The statuses that prove that nothing was started: they say that the request was not acceptable as it is.
///
/// Every other 4xx proves nothing. A load balancer answers 408, 460 or 499 if it gave up on a request that it had forwarded. A
/// 409, 423, 424 or 425 may be about the execution that this very start began.
const NOTHING_STARTED: [u16; 20] =
    [400, 401, 402, 403, 404, 405, 406, 410, 411, 413, 414, 415, 417, 421, 422, 426, 428, 429, 431, 451];

/// The proof that an answer to a start gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// This execution was started.
    Started(Uuid),
    /// Nothing was started.
    NotStarted,
    /// Neither is proven: an execution may run.
    Inconclusive,
}

/// The part of an answer's body that was read before it is passed on.
#[derive(Debug, Clone, Copy)]
pub enum ReadPart<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// The beginning of a long one.
    Beginning(&'a [u8]),
}

impl Proof {
    /// Judges an answer to a start.
    ///
    /// A 2xx proves a start only if its body is one JSON object that names the execution, or begins as one. A proxy may answer 200
    /// with HTML of its own; a short body without a length that breaks off is not JSON; a content-coded body cannot be read.
    #[must_use]
    pub fn of(status: StatusCode, headers: &HeaderMap, body: Option<ReadPart<'_>>) -> Proof {
        if is_refusal(status) {
            return Proof::NotStarted;
        }
        let named = match body.filter(|_| status.is_success() && content_coding(headers).is_none()) {
            Some(ReadPart::Whole(body)) => execution_id(body),
            Some(ReadPart::Beginning(body)) => {
                let (answer, extent) = StartAnswer::read(body);
                answer.execution_id().filter(|_| extent != Extent::Malformed)
            }
            None => None,
        };
        named.map_or(Proof::Inconclusive, Proof::Started)
    }

    /// Returns the execution that was started.
    #[must_use]
    pub fn execution(self) -> Option<Uuid> {
        if let Proof::Started(id) = self { Some(id) } else { None }
    }
}

/// Returns the execution that an answer to a start names: `ExecuteAgentResponse` of the specification.
///
/// Only a uuid is returned: nothing else of a body may get into the log.
#[must_use]
pub fn execution_id(body: &[u8]) -> Option<Uuid> {
    let (answer, extent) = StartAnswer::read(body);
    answer.execution_id().filter(|_| extent == Extent::Whole)
}

/// Returns an answer with the id and the status of a long one, which is kept in its place. It has only the id if the status is not in
/// the part that was read.
#[must_use]
pub fn short_response(body: &[u8]) -> String {
    let (answer, _) = StartAnswer::read(body);
    write_response(answer.execution_id().unwrap_or_default(), answer.status.as_deref())
}

/// Returns the answer to a start that began this execution: `ExecuteAgentResponse` of the specification, with its status and media
/// type. The answer to a start that waited for the end also has the execution's status.
#[must_use]
pub fn start_response(id: Uuid, status: Option<&str>) -> (StatusCode, &'static str, String) {
    (StatusCode::ACCEPTED, "application/json", write_response(id, status))
}

fn write_response(id: Uuid, status: Option<&str>) -> String {
    let status = status.map(|status| format!(",\"status\":{}", Value::from(status))).unwrap_or_default();
    format!("{{\"executionId\":\"{id}\"{status}}}")
}

/// Returns whether a status says that the request was not acceptable as it is, so that nothing was started or changed.
#[must_use]
pub fn is_refusal(status: StatusCode) -> bool {
    NOTHING_STARTED.contains(&status.as_u16())
}

/// Returns whether a status says that there is no such execution. Every other failure leaves open whose it is.
#[must_use]
pub fn is_no_execution(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE)
}

/// Returns whether the upstream says that it did not accept the API key. That it did no work then is an assumption of this
/// gateway.
#[must_use]
pub fn refuses_key(status: StatusCode) -> bool {
    status == StatusCode::UNAUTHORIZED
}

#[cfg(test)]
mod tests {
    use hyper::header::{CONTENT_ENCODING, HeaderValue};

    use super::*;

    const ID: Uuid = Uuid::from_u128(0x8d0f_7a52_1c5e_4b8e_9f59_2f6f_1f0a_7c11);

    fn proof(status: u16, body: Option<&str>) -> Proof {
        Proof::of(
            StatusCode::from_u16(status).unwrap(),
            &HeaderMap::new(),
            body.map(|body| ReadPart::Whole(body.as_bytes())),
        )
    }

    #[test]
    fn only_the_statuses_of_the_table_prove_that_nothing_was_started_whatever_the_body_says() {
        let named = format!("{{\"executionId\":\"{ID}\"}}");
        for status in 300..1000 {
            let expected = if NOTHING_STARTED.contains(&status) { Proof::NotStarted } else { Proof::Inconclusive };
            for body in [None, Some(""), Some("{}"), Some(named.as_str())] {
                assert_eq!(proof(status, body), expected, "{status} {body:?}");
            }
        }
        assert!(NOTHING_STARTED.is_sorted() && refuses_key(StatusCode::UNAUTHORIZED));
    }

    #[test]
    fn a_2xx_proves_a_start_if_its_whole_body_is_one_object_that_names_an_execution() {
        for body in [
            format!("{{\"executionId\":\"{ID}\"}}"),
            format!(" \n{{\"other\": [1, {{}}], \"executionId\": \"{}\"}}\r\n", ID.to_string().to_uppercase()),
            format!("{{\"execution\\u0049d\":\"{ID}\"}}"),
        ] {
            for status in [200, 201, 202, 206, 299] {
                assert_eq!(proof(status, Some(&body)), Proof::Started(ID), "{status} {body}");
            }
        }
        let whole = format!("{{\"executionId\":\"{ID}\"}}");
        let mut useless = vec![
            String::new(),
            "{}".to_owned(),
            "null".to_owned(),
            "<html></html>".to_owned(),
            r#"{"executionId":null}"#.to_owned(),
            r#"{"executionId":"x"}"#.to_owned(),
            r#"{"executionId":1}"#.to_owned(),
            format!("{{\"executionId\":\"{}\"}}", Uuid::nil()),
            format!("[\"{ID}\"]"),
            format!("[{whole}]"),
            format!("\"{ID}\""),
            format!("{whole}{whole}"),
            format!("{{\"data\":{whole}}}"),
            format!("{{\"executionId\":\"{ID}\",\"executionId\":\"{ID}\"}}"),
            format!("\u{feff}{whole}"),
        ];
        useless.extend((0..whole.len()).map(|cut| whole.split_at(cut).0.to_owned()));
        for body in useless {
            assert_eq!(proof(202, Some(&body)), Proof::Inconclusive, "{body}");
        }
        assert_eq!(proof(202, None), Proof::Inconclusive, "it was not read to its end");
    }

    #[test]
    fn a_long_answer_proves_a_start_once_it_has_named_the_execution_and_is_kept_as_its_id_and_status() {
        let beginning =
            |text: &str| Proof::of(StatusCode::OK, &HeaderMap::new(), Some(ReadPart::Beginning(text.as_bytes())));
        let named = format!(r#"{{"executionId":"{ID}","status":"completed","executionResult":{{"result":"xx"#);
        for cut in 0..named.len() {
            let (begun, _) = named.split_at(cut);
            let is_named = cut >= named.find(',').unwrap();
            let expected = if is_named { Proof::Started(ID) } else { Proof::Inconclusive };
            assert_eq!(beginning(begun), expected, "{begun}");
        }
        assert_eq!(short_response(named.as_bytes()), format!(r#"{{"executionId":"{ID}","status":"completed"}}"#));
        let last = format!(r#"{{"executionId":"{ID}","executionResult":[1],"status":"failed"}}"#);
        assert_eq!(short_response(last.as_bytes()), format!(r#"{{"executionId":"{ID}","status":"failed"}}"#));
        for status in ["1", "null", &format!("\"{}\"", "x".repeat(65))] {
            let odd = format!(r#"{{"status":{status},"executionId":"{ID}"}}"#);
            assert_eq!(short_response(odd.as_bytes()), format!(r#"{{"executionId":"{ID}"}}"#));
            assert_eq!(proof(200, Some(&odd)), Proof::Started(ID), "{odd}");
        }
        for never_json in [r#","executionId":"8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11","x"#, ",<html>", "}}", "}{"] {
            let malformed = format!(r#"{{"executionId":"{ID}"{never_json}"#);
            assert_eq!(beginning(&malformed), Proof::Inconclusive, "{malformed}");
        }
    }

    #[test]
    fn a_body_with_a_content_coding_proves_nothing() {
        let body = format!("{{\"executionId\":\"{ID}\"}}");
        let proof = |codings: &[&'static str]| {
            let codings = codings.iter().map(|coding| (CONTENT_ENCODING, HeaderValue::from_static(coding)));
            Proof::of(StatusCode::ACCEPTED, &codings.collect(), Some(ReadPart::Whole(body.as_bytes())))
        };
        assert_eq!(proof(&["Identity"]), Proof::Started(ID));
        for codings in [&["gzip"][..], &["identity", "br"], &["identity, gzip"], &["x"], &[""]] {
            assert_eq!(proof(codings), Proof::Inconclusive, "{codings:?}");
        }
    }
}
