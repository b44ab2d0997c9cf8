//! An upstream that sends the API key back, in every part of an answer and in invalid answers.

use asteroid_gateway::asteroid::operation::Operation;

use super::assert_clean;
use super::requests::request;
use crate::harness::raw::{AfterAnswer, FirstExchange, RawUpstream};
use crate::harness::{AGENT, API_KEY, Caller, Configuration, Program, at_once};

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

/// Sends a request to a gateway whose upstream answers it so, and returns the whole answer, that to a repetition, and what the
/// gateway wrote.
fn exchange(request: &str, answer: &str) -> (String, String) {
    let first =
        FirstExchange { answer: answer.as_bytes().to_vec(), then: AfterAnswer::Close, ..FirstExchange::default() };
    let upstream = RawUpstream::start(first);
    let configuration = Configuration::for_address(upstream.address)
        .with("audit: { stdout: true }\noperations: { rerun: true, delete: true }\ntimeouts: { response: 2s }");
    let gateway = Program::run_with(configuration, &["--log-level", "debug"], &[]);
    let ask = || {
        let mut caller = Caller::connect(gateway.address());
        caller.send(request.as_bytes());
        String::from_utf8(caller.rest().unwrap()).unwrap()
    };
    let got = ask();
    assert_clean("an answer", &got);
    assert_clean("a repetition", &ask());
    for path in ["/readyz?verbose", "/metrics"] {
        super::assert_answer_clean(&gateway.admin(path));
    }
    let output = gateway.stop().output;
    assert_clean("the log and the audit", &output);
    (got, output)
}

#[test]
fn no_place_of_an_answer_in_which_an_upstream_says_the_key_back_shows_it_to_anybody() {
    // A rerun asks first whose the execution is, so it is below.
    let operations: Vec<_> = Operation::starts().filter(|start| *start != Operation::ExecutionRerun).collect();
    at_once(operations, |operation| {
        for (status, answer) in answers() {
            let headers = "Connection: close\r\nTE: trailers\r\nIdempotency-Key: k\r\n";
            let (got, _) = exchange(&request(operation, AGENT, "", headers), &answer);
            assert!(got.starts_with(&format!("HTTP/1.1 {status} ")), "{got}\nfor\n{answer}");
        }
    });
}

#[test]
fn nor_does_a_page_an_execution_or_a_look_up_in_which_it_says_the_key_back() {
    let operations = [
        Operation::ExecutionList,
        Operation::ExecutionGet,
        Operation::ExecutionActivities,
        Operation::ExecutionMessage,
        Operation::V1Status,
        Operation::ExecutionRerun,
        Operation::ExecutionFiles,
        Operation::ContextFileDownload,
        Operation::ContextFilesUpload,
        Operation::TempFilesUpload,
    ];
    at_once(operations, |operation| {
        let listing = answers().into_iter().map(|(_, answer)| answer);
        let readable = listing.map(|answer| answer.replacen("HTTP/1.1 202 ", "HTTP/1.1 200 ", 1));
        for answer in readable {
            let (got, output) =
                exchange(&request(operation, AGENT, "", "Connection: close\r\nTE: trailers\r\n"), &answer);
            assert!(got.starts_with("HTTP/1.1 "), "{operation:?}: {got}\nfor\n{answer}");
            assert!(output.contains(operation.name()), "{output}");
        }
    });
}
