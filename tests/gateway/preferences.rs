//! Media types: those that callers and collectors accept, and those that a body may have.

use crate::harness::{EXECUTE, Pair};

#[test]
fn a_collector_gets_the_format_of_metrics_that_it_wants_most() {
    let pair = Pair::start();
    let text = "text/plain; version=0.0.4; charset=utf-8";
    let open = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    for (accept, expected) in [
        ("application/openmetrics-text;q=0, text/plain;version=0.0.4", text),
        ("text/plain;version=0.0.4;q=0.9, application/openmetrics-text;q=0.1", text),
        ("application/openmetrics-text;version=0.0.1", text),
        ("*/*", text),
        ("Application/OpenMetrics-Text; Version=1.0.0; Q=0.5, text/plain;version=0.0.4;q=0.2, */*;q=0.1", open),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.5", open),
    ] {
        let mut caller = pair.gateway.probe();
        caller.send(format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n").as_bytes());
        let answer = caller.answer();
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(expected)), "{accept}");
    }
}

#[test]
fn an_error_is_problem_json_where_the_caller_wants_that_at_least_as_much() {
    let pair = Pair::start();
    let (json, problem) = ("application/json", "application/problem+json");
    for (accept, expected) in [
        (&["application/problem+json;q=0"][..], json),
        (&["application/problem+json;q=0.1, application/json"], json),
        (&["application/problem+json;q=0.5, */*"], json),
        (&["application/*"], json),
        (&["*/*"], json),
        (&["application/json, APPLICATION/PROBLEM+JSON"], problem),
        (&["application/problem+json;q=0.2, application/json;q=0.1"], problem),
        (&["text/html", "application/problem+json"], problem),
    ] {
        let headers: Vec<_> = accept.iter().map(|accept| ("Accept", *accept)).collect();
        let answer = pair.caller().post(EXECUTE, &headers, b"[]");
        assert_eq!((answer.status, answer.header("content-type")), (400, Some(expected)), "{accept:?}");
    }
}

#[test]
fn every_spelling_of_utf_8_and_its_part_ascii_is_taken_and_passed_on() {
    let pair = Pair::start();
    for charset in ["utf8", "UTF-8", "\"utf-8\"", "'utf-8'", "Utf_8", "us-ascii", "US-ASCII", "ascii"] {
        let value = format!("application/json; charset={charset}");
        let answer =
            pair.caller().post(EXECUTE, &[("Content-Type", &value)], "{\"inputs\":{\"a\":\"\u{e9}\"}}".as_bytes());
        assert_eq!(answer.status, 202, "{charset}");
        assert_eq!(pair.asteroid.requests().pop().unwrap().header("content-type"), Some(value.as_str()));
    }
    for charset in ["iso-8859-1", "utf-16", "utf-80", "utf", "", "latin1", "utf-8x", "\"utf-8"] {
        let value = format!("application/json; charset={charset}");
        let answer = pair.caller().post(EXECUTE, &[("Content-Type", &value)], b"{}");
        answer.assert_error(415, "media-type", "not_started");
        assert_eq!(answer.header("accept"), Some("application/json"));
    }
}

#[test]
fn a_compressed_body_is_refused_with_what_came_and_what_would_be_taken() {
    let pair = Pair::start();
    for coding in ["gzip", "zstd", "br", "identity, gzip", "x-unknown", "\"", "aws-chunked"] {
        let answer = pair.caller().post(EXECUTE, &[("Content-Encoding", coding)], b"\x1f\x8b");
        answer.assert_error(415, "media-type", "not_started");
        assert_eq!(answer.header("accept-encoding"), Some("identity"), "{coding}");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(&format!("Content-Encoding is {coding:?}")), "{message}");
    }
    let long = "x".repeat(8000);
    let answer = pair.caller().post(EXECUTE, &[("Content-Encoding", &long)], b"{}");
    assert!(answer.status == 415 && answer.body.len() < 1000, "{}", answer.body.len());
    assert_eq!(pair.caller().post(EXECUTE, &[("Content-Encoding", "Identity")], b"{}").status, 202);
    let message = pair.caller().post(EXECUTE, &[("Content-Type", "text/csv")], b"{}").json()["message"].to_string();
    assert!(message.contains("text/csv"), "{message}");
    assert_eq!(pair.asteroid.requests().len(), 1);
}
