//! Refusals before a body is read. They are readable for callers that write everything before they read, and for curl.

use std::fs::File;
use std::process::Command;

use uuid::Uuid;

use super::{MIB, STAGE, assert_nothing_is_left};
use crate::harness::teams::Teams;
use crate::harness::{Asteroid, Caller, Configuration, at_once};
use crate::simulated::form::TYPE;

/// The lengths of the bodies: the first fits into the buffers of the system, and the second does not.
const LENGTHS: [u64; 2] = [8_000_000, 100_000_000];

/// A gateway with an upload of the tenant `sales` that it refuses.
struct Refusal {
    teams: Teams,
    path: String,
    status: u16,
    code: &'static str,
}

/// Starts a gateway for each reason to refuse an upload before it is read.
fn refusals() -> Vec<Refusal> {
    let refusal = |sections: &str, members: &str, status: u16, code: &'static str| {
        let change = |configuration: Configuration| configuration.with(sections).add("/tenants/sales", members);
        let teams = Teams::configured(Asteroid::start(), change);
        Refusal { teams, path: STAGE.to_owned(), status, code }
    };
    let mut foreign = refusal("", "", 404, "not-found");
    foreign.path = format!("/executions/{}/context-files", foreign.teams.execute("billing"));
    let limited = refusal("", "limits: { requests: { rate: 1/h } }", 429, "limit");
    limited.teams.execute("sales");
    vec![
        foreign,
        refusal("", "operations: { files: false }", 403, "operation-closed"),
        limited,
        refusal("upload_limit: 4MiB", "", 413, "body-too-large"),
    ]
}

impl Refusal {
    /// Returns the head of the upload, without its end.
    fn head(&self, caller: &Caller) -> String {
        let Refusal { path, .. } = self;
        let host = caller.address();
        format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nX-Tenant-Id: sales\r\nContent-Type: {TYPE}\r\n")
    }

    /// Asserts that nothing of the upload has reached the upstream, and that nothing is left of it.
    fn assert_no_trace(&self) {
        let requests = self.teams.0.asteroid.requests();
        assert!(requests.iter().all(|request| request.upload.is_none()), "{requests:?}");
        assert_nothing_is_left(&self.teams.0.gateway);
    }
}

#[track_caller]
fn assert_refused(caller: &mut Caller, refusal: &Refusal) {
    let answer = caller.answer();
    answer.assert_error(refusal.status, refusal.code, "not_started");
    assert_eq!((answer.header("connection"), caller.is_closed()), (Some("close"), true));
}

#[test]
fn a_refusal_is_read_by_a_caller_that_writes_everything_first() {
    at_once(refusals(), |refusal| {
        let part = vec![b'x'; MIB];
        for length in LENGTHS {
            let mut caller = refusal.teams.0.caller();
            caller.send(format!("{}Content-Length: {length}\r\n\r\n", refusal.head(&caller)).as_bytes());
            let length = usize::try_from(length).unwrap();
            for at in (0..length).step_by(MIB) {
                caller.try_send(&part[..MIB.min(length - at)]);
            }
            assert_refused(&mut caller, &refusal);
        }
        refusal.assert_no_trace();
    });
}

#[test]
fn curl_shows_a_refusal_whether_it_asks_first_or_not() {
    let dir = tempfile::tempdir().unwrap();
    at_once(refusals(), |refusal| {
        let Refusal { teams, path, status, code } = &refusal;
        for (length, expect) in
            LENGTHS.iter().flat_map(|length| [(length, "Expect:"), (length, "Expect: 100-continue")])
        {
            // A file with holes takes no space.
            let file = dir.path().join(Uuid::new_v4().to_string());
            File::create(&file).unwrap().set_len(*length).unwrap();
            let url = format!("http://{}{path}", teams.0.gateway.address());
            let form = format!("files=@{};filename=a.pdf", file.display());
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--show-error", "--max-time", "60", "--http1.1", "--header", expect]);
            curl.args(["--header", "X-Tenant-Id: sales", "--write-out", "\n%{http_code}"]);
            let output = curl.args(["--form", &form, &url]).output().unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            let (body, shown) = said.rsplit_once('\n').unwrap();
            let complaint = String::from_utf8_lossy(&output.stderr);
            assert_eq!(shown, status.to_string(), "{code} {length} {expect}: {body} {complaint}");
            assert!(body.contains(&format!("urn:asteroid-gateway:error:{code}")), "{body} {complaint}");
        }
        refusal.assert_no_trace();
    });
}

#[test]
fn a_caller_that_asks_first_is_refused_without_being_told_to_go_on() {
    at_once(refusals(), |refusal| {
        let mut caller = refusal.teams.0.caller();
        let head = refusal.head(&caller);
        caller.send(format!("{head}Content-Length: 8000000\r\nExpect: 100-continue\r\n\r\n").as_bytes());
        assert_refused(&mut caller, &refusal);
    });
}
