//! Uploads: in bounded memory, broken, and with faults in their middle.

use asteroid_gateway::simulator::received::ReceivedRequest;
use asteroid_gateway::simulator::upload::ReceivedUpload;
use serde_json::json;

use super::form::{TYPE, assert_text, form, post, sum};
use super::{assert_contract, execute};
use crate::harness::{API_KEY, Asteroid, Caller, at_once};

const MIB: usize = 1024 * 1024;

const STAGE: &str = "/temp-files";

/// Sends the head of an upload of this length.
fn begin(caller: &mut Caller, length: usize) {
    let head = format!(
        "POST /agents/v2{STAGE} HTTP/1.1\r\nHost: x\r\nX-Api-Key: {API_KEY}\r\nContent-Type: {TYPE}\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    caller.send(head.as_bytes());
}

fn last_upload(asteroid: &Asteroid) -> ReceivedUpload {
    asteroid.requests().pop().unwrap().upload.unwrap()
}

#[test]
fn of_an_upload_the_length_and_the_checksum_are_shown_and_not_the_content() {
    let asteroid = Asteroid::start();
    let body = form(&[("a.pdf", b"the content of a file")]);
    assert_eq!(post(&asteroid, STAGE, &body).status, 200);
    let ReceivedRequest { method, target, upload, body: recorded, .. } = asteroid.only_request();
    assert_eq!((method.as_str(), target.as_str(), recorded.len()), ("POST", "/agents/v2/temp-files", 0));
    assert_eq!(upload, Some(ReceivedUpload { bytes: body.len() as u64, sha256: sum(&body), is_whole: true }));
    let shown = asteroid.shown();
    assert!(shown.contains(&sum(&body)) && shown.contains(TYPE) && !shown.contains("the content"), "{shown}");
    let [file] = asteroid.storage().files.try_into().unwrap();
    assert_eq!((file.name.as_str(), file.size, file.sha256), ("a.pdf", 21, sum(b"the content of a file")));
    assert_eq!(execute(&asteroid, "{}").status, 202);
    assert!(!serde_json::to_string(&asteroid.requests()[1]).unwrap().contains("upload"));
}

#[test]
fn of_a_large_file_the_first_mib_is_kept_and_a_download_has_its_whole_length() {
    let asteroid = Asteroid::start();
    let id = execute(&asteroid, "{}").json()["executionId"].as_str().unwrap().to_owned();
    let content: Vec<u8> = (0..3 * MIB + 5).map(|n| u8::try_from(n % 251).unwrap() + 1).collect();
    let body = form(&[("large", &content), ("small", b"S")]);
    assert_eq!(post(&asteroid, &format!("/executions/{id}/context-files"), &body).status, 200);
    let report = asteroid.storage();
    assert_eq!((report.files[0].size, report.files[0].kept_bytes), (content.len() as u64, MIB));
    assert_eq!((&report.files[0].sha256, report.kept_bytes), (&sum(&content), MIB + 1));
    let listed = asteroid.get(&format!("/agents/v2/executions/{id}/context-files")).json();
    let url = listed[0]["signedUrl"].as_str().unwrap();
    let path = url.strip_prefix(&format!("http://{}", asteroid.authority())).unwrap();
    let bytes = asteroid.caller().request("GET", path).body;
    assert_eq!((bytes.len(), bytes[..MIB] == content[..MIB]), (content.len(), true));
    assert!(bytes[MIB..].iter().all(|byte| *byte == 0));
}

#[test]
fn the_oldest_files_make_room_for_new_ones() {
    let asteroid = Asteroid::start();
    let content = vec![b'x'; MIB];
    for n in 0..66 {
        let name = n.to_string();
        assert_eq!(post(&asteroid, STAGE, &form(&[(name.as_str(), &content)])).status, 200);
    }
    let report = asteroid.storage();
    assert_eq!((report.files.len(), report.kept_bytes), (64, 64 * MIB));
    assert_eq!(report.files[0].name, "2");
    let hundred = vec![("e", &b""[..]); 100];
    let body = form(&hundred);
    for _ in 0..10 {
        assert_eq!(post(&asteroid, STAGE, &body).status, 200);
    }
    let report = asteroid.storage();
    assert_eq!((report.files.len(), report.kept_bytes), (1000, 0));
    let more = form(&vec![("e", &b""[..]); 101]);
    assert_text(&post(&asteroid, STAGE, &more), 413, "at most 100 files");
    assert_eq!(asteroid.storage().files.len(), 1000);
}

#[test]
fn uploads_that_are_not_finished_share_the_memory_and_give_it_back() {
    let asteroid = Asteroid::start();
    let content = vec![b'x'; MIB];
    let body = form(&vec![("part", content.as_slice()); 70]);
    let mut caller = asteroid.caller();
    begin(&mut caller, body.len());
    caller.send(&body[..body.len() - 10]);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while asteroid.storage().kept_bytes < 64 * MIB {
        assert!(std::time::Instant::now() < deadline, "{}", asteroid.storage().kept_bytes);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    caller.hang_up();
    asteroid.wait_for_requests(1);
    while asteroid.storage().kept_bytes > 0 {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(asteroid.storage().files.is_empty());
}

#[test]
fn a_body_that_breaks_off_leaves_no_file() {
    let asteroid = Asteroid::start();
    let body = form(&[("a", b"A"), ("b", &vec![b'x'; 100_000])]);
    for (n, length) in [10, 200, body.len() - 50_000, body.len() - 1].into_iter().enumerate() {
        let mut caller = asteroid.caller();
        begin(&mut caller, body.len());
        caller.send(&body[..length]);
        if n % 2 == 0 {
            caller.hang_up()
        } else {
            caller.reset()
        }
        asteroid.wait_for_requests(n + 1);
        let upload = last_upload(&asteroid);
        assert!(!upload.is_whole && upload.bytes <= length as u64, "{upload:?}");
    }
    asteroid.wait_for_no_connection();
    let report = asteroid.storage();
    assert_eq!((report.files.len(), report.kept_bytes), (0, 0));
}

#[test]
fn what_is_no_form_of_files_is_refused_in_plain_text() {
    let asteroid = Asteroid::start();
    let whole = String::from_utf8(form(&[("a", b"A")])).unwrap();
    let (parts, _) = whole.split_once("--3f1c8d5a--").unwrap();
    let cases = [
        (whole.clone(), "multipart/form-data"),
        (whole.clone(), "application/json"),
        (whole.replace("\"files\"", "\"file\""), TYPE),
        (whole.replace("; filename=\"a\"", ""), TYPE),
        (parts.to_owned(), TYPE),
        ("--3f1c8d5a--".to_owned(), TYPE),
        (whole.replace("\r\n\r\nA", &format!("\r\nX-Long: {}\r\n\r\nA", "x".repeat(9000))), TYPE),
        (String::new(), TYPE),
    ];
    at_once(cases, |(body, media_type)| {
        let headers = [("X-Api-Key", API_KEY), ("Content-Type", media_type)];
        let answer = asteroid.caller().post("/agents/v2/temp-files", &headers, body.as_bytes());
        assert_text(&answer, 400, "");
    });
    assert!(asteroid.storage().files.is_empty());
    assert_contract(&asteroid.get("/agents/v2/temp-files"), 405);
}

#[test]
fn an_upload_is_answered_in_its_middle_and_not_read_on() {
    let asteroid = Asteroid::start();
    let body = form(&[("a", &vec![b'x'; 8 * MIB])]);
    let headers = json!([["connection", "close"], ["content-type", "text/plain"]]);
    let refusal = json!({"answer": {"status": 413, "headers": headers, "body": "too large"}});
    asteroid.fail_next(json!({"operation": "stage", "when": {"bytes": MIB}, "then": refusal}));
    let mut caller = asteroid.caller();
    begin(&mut caller, body.len());
    caller.try_send(&body[..2 * MIB]);
    assert_text_of_413(&mut caller);
    let upload = last_upload(&asteroid);
    assert!(!upload.is_whole && upload.bytes >= MIB as u64 && upload.bytes <= 2 * MIB as u64, "{upload:?}");
    for then in ["close", "reset"] {
        asteroid.fail_next(json!({"operation": "stage", "when": {"bytes": 1}, "then": then}));
        let mut caller = asteroid.caller();
        begin(&mut caller, body.len());
        caller.send(&body[..1000]);
        assert!(caller.try_answer().is_none(), "{then}");
    }
    assert!(asteroid.storage().files.is_empty());
    assert_eq!(post(&asteroid, STAGE, &body).status, 200);
}

fn assert_text_of_413(caller: &mut Caller) {
    let answer = caller.answer();
    assert_eq!((answer.status, answer.body.as_slice()), (413, &b"too large"[..]));
}

#[test]
fn an_upload_stalls_in_its_middle_and_is_read_on_when_the_faults_are_cleared() {
    let asteroid = Asteroid::start();
    let body = form(&[("a", &vec![b'x'; 2 * MIB])]);
    asteroid.fail_next(json!({"when": {"bytes": 1000}, "then": "stall"}));
    let mut caller = asteroid.caller();
    begin(&mut caller, body.len());
    caller.send(&body[..2000]);
    asteroid.wait_for_requests(1);
    assert!(!last_upload(&asteroid).is_whole);
    assert_eq!(post(&asteroid, STAGE, &body).status, 200, "others are served meanwhile");
    asteroid.clear_faults();
    caller.send(&body[2000..]);
    assert_eq!(caller.answer().status, 200);
    let upload = asteroid.requests()[0].upload.clone().unwrap();
    assert_eq!(upload, ReceivedUpload { bytes: body.len() as u64, sha256: sum(&body), is_whole: true });
    assert_eq!(asteroid.storage().files.len(), 2);
}

#[test]
fn a_fault_in_the_middle_of_a_body_is_told_over_http_and_applies_to_every_body() {
    let asteroid = Asteroid::start();
    let told = |fault: &str| super::control(&asteroid, "POST", "faults", &format!(r#"{{"fault":{fault}}}"#)).status;
    assert_eq!(told(r#"{"when":{"bytes":5},"run":true,"then":"close"}"#), 400);
    assert_eq!(told(r#"{"when":{"bytes":"x"}}"#), 400);
    assert_eq!(told(r#"{"when":{"bytes":5},"then":{"answer":{"status":503}}}"#), 200);
    assert_eq!([(); 2].map(|()| execute(&asteroid, r#"{"inputs":{}}"#).status), [503, 202]);
    assert_eq!(told(r#"{"when":{"bytes":5000},"then":{"answer":{"status":503}}}"#), 200);
    assert_eq!([(); 2].map(|()| execute(&asteroid, "{}").status), [503, 202], "the body may be shorter");
    for operation in
        ["upload", "stage", "files", "context_files", "download", "recording", "v1_recording", "rerun", "start"]
    {
        assert_eq!(told(&format!(r#"{{"operation":"{operation}"}}"#)), 200, "{operation}");
    }
}
