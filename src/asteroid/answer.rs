//! Reads the upstream's answers, and judges what an answer to a start proves.

use hyper::{HeaderMap, StatusCode};
use serde::Deserialize;
use uuid::Uuid;

use crate::media_type::content_coding;

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

impl Proof {
    /// Judges an answer to a start. `body` is the whole body, or nothing if it was not read to its end.
    ///
    /// A 2xx proves a start only if its body is one JSON object that names the execution. A proxy may answer 200 with HTML of its
    /// own; a body without a length that breaks off is not JSON; a content-coded body cannot be read.
    #[must_use]
    pub fn of(status: StatusCode, headers: &HeaderMap, body: Option<&[u8]>) -> Proof {
        if is_refusal(status) {
            return Proof::NotStarted;
        }
        let body = body.filter(|_| status.is_success() && content_coding(headers).is_none());
        body.and_then(execution_id).map_or(Proof::Inconclusive, Proof::Started)
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
    #[derive(Deserialize)]
    struct ExecuteAgentResponse {
        #[serde(rename = "executionId")]
        execution_id: Uuid,
    }
    // serde reads a struct from an array, too.
    body.trim_ascii_start().strip_prefix(b"{")?;
    let answer: ExecuteAgentResponse = serde_json::from_slice(body).ok()?;
    Some(answer.execution_id).filter(|id| !id.is_nil())
}

/// Returns the answer to a start that began this execution: `ExecuteAgentResponse` of the specification, with its status and media
/// type.
#[must_use]
pub fn start_response(id: Uuid) -> (StatusCode, &'static str, String) {
    (StatusCode::ACCEPTED, "application/json", format!("{{\"executionId\":\"{id}\"}}"))
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
        Proof::of(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.map(str::as_bytes))
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
    fn a_body_with_a_content_coding_proves_nothing() {
        let body = format!("{{\"executionId\":\"{ID}\"}}");
        let proof = |codings: &[&'static str]| {
            let codings = codings.iter().map(|coding| (CONTENT_ENCODING, HeaderValue::from_static(coding)));
            Proof::of(StatusCode::ACCEPTED, &codings.collect(), Some(body.as_bytes()))
        };
        assert_eq!(proof(&["Identity"]), Proof::Started(ID));
        for codings in [&["gzip"][..], &["identity", "br"], &["identity, gzip"], &["x"], &[""]] {
            assert_eq!(proof(codings), Proof::Inconclusive, "{codings:?}");
        }
    }
}
