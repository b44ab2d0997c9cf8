//! Uploads that are refused, with the key in each part of them.

use asteroid_gateway::asteroid::operation::Operation;

use super::outputs::Watched;
use super::requests::{files, request_with};
use crate::harness::API_KEY;
use crate::simulated::form::TYPE;

/// Sends uploads that are no forms, that are too long, and that do not come to their end.
pub(super) fn refuse(watched: &mut Watched, operation: Operation, id: &str) {
    let good = files(API_KEY);
    let boundary = good.split_once("\r\n").unwrap().0;
    let closing = format!("{boundary}--\r\n");
    for body in [
        "{}".to_owned(),
        format!("{API_KEY}\r\n{good}"),
        closing.clone(),
        good.trim_end_matches(&closing).to_owned(),
        format!("{good}{API_KEY}"),
        good.replacen("name=\"files\"", &format!("name=\"{API_KEY}\""), 1),
        good.replacen("application/pdf", &format!("application/pdf\r\nX {API_KEY}: {API_KEY}"), 1),
        good.replacen("filename=\"", &format!("filename=\"{API_KEY}\"; filename=\""), 1),
        good.replacen("form-data;", &format!("{API_KEY};"), 1),
        // A second part that is faulty, after the first was sent.
        good.replacen(&closing, &format!("{boundary}\r\n{API_KEY}: {API_KEY}\r\n\r\n{API_KEY}\r\n{closing}"), 1),
    ] {
        assert_eq!(watched.send(&request_with(operation, id, "", &body)), 400, "{operation:?} {body}");
    }
    // A part may have headers that nobody knows.
    for header in [API_KEY.to_owned(), format!("X-{API_KEY}")] {
        let body = good.replacen("Content-Type: ", &format!("{header}: {API_KEY}\r\nContent-Type: "), 1);
        assert_eq!(watched.send(&request_with(operation, id, "", &body)), 200, "{operation:?} {body}");
    }
    for media_type in [
        format!("multipart/form-data; boundary=x; boundary={API_KEY}"),
        format!("multipart/form-data; {API_KEY}"),
        format!("multipart/form-data; boundary=\"{API_KEY}@\""),
        "application/json".to_owned(),
    ] {
        let typed = request_with(operation, id, &format!("Content-Type: {media_type}\r\n"), &good);
        let status = watched.send(&typed);
        assert!([400, 415].contains(&status), "{operation:?} {media_type}: {status}");
    }
    // The refusal quotes the type to the caller that wrote it, as it does a path. No other output may.
    let before = std::mem::take(&mut watched.answers);
    let typed = request_with(operation, id, &format!("Content-Type: multipart/{API_KEY}\r\n"), &good);
    assert_eq!(watched.send(&typed), 415, "{operation:?}");
    let answer = std::mem::replace(&mut watched.answers, before);
    watched.answers += &answer.replace(&format!("multipart/{API_KEY}"), "");
    let long = files(&API_KEY.repeat(1000));
    assert_eq!(watched.send(&request_with(operation, id, "", &long)), 413, "{operation:?}");
    // The head of a part may be shorter than the body.
    let headed = good.replacen(API_KEY, &API_KEY.repeat(400), 1);
    assert_eq!(watched.send(&request_with(operation, id, "", &headed)), 400, "{operation:?}");
    let chunked = format!("Content-Type: {TYPE}\r\nTransfer-Encoding: chunked\r\n");
    let head = request_with(operation, id, &chunked, "");
    for broken in [format!("{:x}\r\n{good}\r\n{API_KEY}\r\n", good.len()), format!("{API_KEY}\r\n")] {
        watched.send(&(head.clone() + &broken));
    }
    let unfinished = request_with(operation, id, "", &good);
    let unfinished = unfinished.trim_end_matches(&closing);
    assert_eq!(watched.send(unfinished), 408, "{operation:?}");
    let mut leaving = watched.fixed();
    leaving.send(unfinished.as_bytes());
    leaving.hang_up();
}
