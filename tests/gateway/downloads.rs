//! Downloads and recordings: the upstream's redirects are passed on, never followed, and shown nowhere else.

use serde_json::json;
use uuid::Uuid;

use crate::harness::teams::Teams;
use crate::harness::{Asteroid, Collector, Configuration, at_once};

/// The four downloads, and the recording, behind the id of an execution.
const REDIRECTS: [(&str, u16); 5] = [
    ("/files/{fileId}/download", 303),
    ("/context-files/{fileId}/download", 303),
    ("/debug-files/{fileId}/download", 303),
    ("/agent-files/{fileId}/download", 303),
    ("/recording", 307),
];

/// What a URL has that must not be shown.
const CANARY: &str = "canary-7f3a9c21";

/// Returns the file of an execution in a directory.
fn file(teams: &Teams, tenant: &str, id: &str, directory: &str) -> String {
    let files = teams.get(tenant, &format!("/executions/{id}/files")).json();
    let files = files["directories"][directory].as_array().unwrap().clone();
    files.iter().find(|file| file["executionId"] == id).unwrap()["id"].as_str().unwrap().to_owned()
}

/// Redirects the next request to this URL.
fn redirect_next(asteroid: &Asteroid, status: u16, location: &str) {
    let headers = json!([["location", location]]);
    asteroid.fail_next(json!({ "method": "GET", "then": { "answer": { "status": status, "headers": headers } } }));
}

#[test]
fn a_download_is_a_redirect_to_the_storage_which_the_gateway_does_not_follow() {
    for asteroid in [Asteroid::start(), Asteroid::start_tls("localhost")] {
        let teams = Teams::configured(asteroid, |configuration| configuration);
        let id = teams.execute("billing");
        for (path, status, directory) in [
            ("files", 303, "downloads"),
            ("agent-files", 303, "workspace"),
            ("debug-files", 303, "debug"),
            ("files", 303, "shared"),
        ] {
            let file = file(&teams, "billing", &id, directory);
            let answer = teams.get("billing", &format!("/executions/{id}/{path}/{file}/download"));
            assert_eq!(answer.status, status, "{path} {directory}");
            let location = answer.header("location").unwrap();
            assert!(location.contains(&format!("/_storage/{id}/{file}?")), "{location}");
        }
        let recording = teams.get("billing", &format!("/executions/{id}/recording"));
        assert_eq!(recording.status, 307);
        assert!(recording.header("location").unwrap().contains(&format!("/_storage/{id}/recording?")));
        let v1 = teams.get("billing", &format!("/api/v1/execution/{id}/browser_session/recording"));
        assert_eq!(v1.status, 200);
        assert!(v1.json()["recording_url"].as_str().unwrap().contains(&format!("/_storage/{id}/recording?")));
        let storage = teams.0.asteroid.storage();
        assert_eq!((storage.downloads, storage.leaked_credentials), (0, 0));
    }
}

#[test]
fn a_location_is_passed_on_as_it_is_and_no_other_output_has_it_nor_a_caller_s_token() {
    let collector = Collector::start();
    let teams = Teams::configured(Asteroid::start(), |configuration: Configuration| {
        configuration.with(&format!("{}\naudit: {{ stdout: true }}", collector.traces("")))
    });
    let id = teams.execute("billing");
    // A relative one, one with what URLs should not have, and an ordinary one.
    let locations = [
        format!("https://files.example/a%20b/%2F..?X-Amz-Signature={CANARY}&X-Amz-Expires=300"),
        format!("/_storage/x y?signature={CANARY}#\"{{}}"),
        format!("//other.example/{CANARY}"),
    ];
    let before = teams.count();
    for (path, status) in REDIRECTS {
        for location in &locations {
            redirect_next(&teams.0.asteroid, status, location);
            let file = Uuid::new_v4().to_string();
            let path = format!("/executions/{id}{}", path.replace("{fileId}", &file));
            let answer = teams.get("billing", &path);
            assert_eq!((answer.status, answer.header("location")), (status, Some(location.as_str())), "{path}");
            assert_eq!((answer.body.len(), answer.header("content-length")), (0, Some("0")), "{path}");
            let line = teams
                .0
                .gateway
                .line(|line| line["file_id"] == file || line["operation"] == "ExecutionRecordingRedirect");
            assert_eq!((&line["execution_id"], &line["status"]), (&json!(id), &json!(status)), "{line}");
        }
    }
    redirect_next(&teams.0.asteroid, 307, &locations[0]);
    let answer = teams.get("billing", &format!("/executions/{id}/recording?token={CANARY}"));
    assert_eq!(answer.status, 307);
    let body = json!({ "recording_url": locations[0] });
    let then = json!({ "answer": { "status": 200, "headers": [["content-type", "application/json"]], "body": body.to_string() } });
    teams.0.asteroid.fail_next(json!({ "operation": "v1_recording", "then": then }));
    let v1 = teams.get("billing", &format!("/api/v1/execution/{id}/browser_session/recording"));
    assert_eq!(v1.body, body.to_string().as_bytes());

    let sent = teams.sent(before);
    assert_eq!(sent.len(), 17, "nothing was followed: {sent:?}");
    assert!(sent.iter().all(|sent| !sent.contains(CANARY) && !sent.contains('?')), "{sent:?}");
    teams.0.gateway.line(|line| line["operation"] == "V1ExecutionRecordingGet");
    // A span for each request, and one for each exchange.
    let spans = collector.spans(2 * 18);
    assert!(!json!(spans).to_string().contains("canary"), "{spans:#?}");
    assert!(json!(spans).to_string().contains("asteroid_gateway.file_id"));
    for output in [teams.0.gateway.output(), String::from_utf8(teams.0.gateway.admin("/metrics").body).unwrap()] {
        assert!(!output.contains("canary") && !output.contains("files.example"), "{output}");
    }
    assert_eq!(teams.0.asteroid.storage().downloads, 0);
}

#[test]
fn a_refused_download_is_passed_on_too() {
    let teams = Teams::start();
    let id = teams.execute("billing");
    let answer = teams.get("billing", &format!("/executions/{id}/files/{}/download", Uuid::new_v4()));
    assert_eq!((answer.status, answer.header("content-type")), (404, Some("text/plain; charset=utf-8")));
    assert_eq!(answer.body, b"file not found");
    // A redirect without a target is the upstream's affair.
    teams.0.asteroid.fail_next(json!({ "operation": "recording", "then": { "answer": { "status": 307 } } }));
    let answer = teams.get("billing", &format!("/executions/{id}/recording"));
    assert_eq!((answer.status, answer.header("location")), (307, None));
}

#[test]
fn the_files_of_a_foreign_execution_are_404_and_the_upstream_is_asked_only_whose_it_is() {
    let teams = Teams::start();
    let own = teams.execute("billing");
    let foreign = teams.execute("sales");
    let file = file(&teams, "sales", &foreign, "downloads");
    let unknown = Uuid::new_v4().to_string();
    let reads = ["/files", "/agent-files", "/context-files", "/recording?token=t"].map(str::to_owned);
    let downloads = REDIRECTS[..4].iter().map(|(path, _)| path.replace("{fileId}", &file));
    let paths: Vec<String> = reads.into_iter().chain(downloads).collect();
    let before = teams.count();
    at_once(paths.iter().flat_map(|path| [(path, &foreign), (path, &unknown)]), |(path, id)| {
        teams.get("billing", &format!("/executions/{id}{path}")).assert_error(404, "not-found", "not_started");
    });
    for id in [&foreign, &unknown] {
        let path = format!("/api/v1/execution/{id}/browser_session/recording");
        teams.get("billing", &path).assert_error(404, "not-found", "not_started");
    }
    let questions = [&foreign, &unknown].map(|id| format!("GET /agents/v2/executions/{id}"));
    assert!(teams.sent(before).iter().all(|sent| questions.contains(sent)), "{:?}", teams.sent(before));
    let path = format!("/executions/{own}/files/not-a-uuid/download");
    teams.get("billing", &path).assert_error(400, "id", "not_started");
    teams.0.gateway.line(|line| line["file_id"] == file.as_str() && line["execution_id"] == foreign.as_str());
}
