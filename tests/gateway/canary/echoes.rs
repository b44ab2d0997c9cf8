//! An upstream that sends the API key back, in every part of an answer and in invalid answers.

use asteroid_gateway::asteroid::operation::Operation;

use super::{assert_clean, path};
use crate::harness::raw::{AfterAnswer, FirstExchange, RawUpstream};
use crate::harness::{API_KEY, Caller, Configuration, Program};

/// Returns the upstream's answers, each with the status that the caller gets.
fn answers() -> Vec<(u16, String)> {
    let (begin, end) = API_KEY.split_at(9);
    let echoed = |status: u16, more: &str| {
        let head = format!(
            "HTTP/1.1 {status} {API_KEY}\r\nX-Echo: {API_KEY}, Bearer {API_KEY}\r\nSet-Cookie: k={API_KEY}\r\n{more}"
        );
        let chunks =
            format!("{:x}\r\n{{\"executionId\":\"{begin}\r\n{:x}\r\n{end}\"}}\r\n0\r\n", 16 + 9, end.len() + 2);
        format!("{head}Transfer-Encoding: chunked\r\nTrailer: x-end\r\n\r\n{chunks}x-end: {API_KEY}\r\n\r\n")
    };
    let location = format!("Location: https://elsewhere.example/agents?key={API_KEY}#{API_KEY}\r\n");
    let broken = |bytes: String| (504, bytes);
    let mut answers = vec![
        (202, echoed(202, "")),
        (202, echoed(202, "Content-Encoding: gzip\r\n")),
        (307, echoed(307, &location)),
        (302, echoed(302, &format!("{location}Refresh: 0; url=/{API_KEY}\r\nLink: </{API_KEY}>; rel=next\r\n"))),
        (404, echoed(404, &format!("WWW-Authenticate: Basic realm=\"{API_KEY}\"\r\n"))),
        (500, echoed(500, &format!("{API_KEY}: a name\r\n"))),
        (502, echoed(401, &location)),
        broken(format!("HTTP/1.1 101 {API_KEY}\r\nUpgrade: {API_KEY}\r\nConnection: Upgrade\r\n\r\n{API_KEY}")),
        broken(format!("{API_KEY}\r\n\r\n")),
        broken(format!("HTTP/1.1 {API_KEY}\r\n\r\n")),
        broken(format!("HTTP/1.1 202 OK\r\nX {API_KEY}: {API_KEY}\r\n\r\n")),
        broken(format!("HTTP/1.1 202 OK\r\nContent-Length: {API_KEY}\r\n\r\n")),
        broken(format!("HTTP/1.1 202 OK\r\nTransfer-Encoding: {API_KEY}\r\nContent-Length: 1\r\n\r\n{API_KEY}")),
        broken(format!("HTTP/1.1 202 OK\r\nTransfer-Encoding: chunked\r\n\r\n{API_KEY}\r\n")),
    ];
    answers.push((202, format!("HTTP/1.1 103 {API_KEY}\r\nLink: <{API_KEY}>\r\n\r\n{}", echoed(202, ""))));
    answers
}

#[test]
fn no_place_of_an_answer_in_which_an_upstream_says_the_key_back_shows_it_to_anybody() {
    for operation in Operation::STARTS {
        for (status, answer) in answers() {
            let first = FirstExchange {
                answer: answer.clone().into_bytes(),
                then: AfterAnswer::Close,
                ..FirstExchange::default()
            };
            let upstream = RawUpstream::start(first);
            let configuration = Configuration::for_address(upstream.address).with("audit: { stdout: true }");
            let gateway = Program::run_with(configuration, &["--log-level", "debug"], &[]);
            let mut caller = Caller::connect(gateway.address());
            let headers = [("Connection", "close"), ("TE", "trailers"), ("Idempotency-Key", "k")];
            caller.send_post(&path(operation), &headers, b"{}");
            let got = String::from_utf8(caller.rest().unwrap()).unwrap();
            assert!(got.starts_with(&format!("HTTP/1.1 {status} ")), "{got}\nfor\n{answer}");
            assert_clean("an answer", &got);
            let replayed = Caller::connect(gateway.address()).post(&path(operation), &headers, b"{}");
            super::assert_answer_clean(&replayed);
            for path in ["/readyz?verbose", "/metrics"] {
                super::assert_answer_clean(&gateway.admin(path));
            }
            assert_clean("the log and the audit", &gateway.stop().output);
        }
    }
}
