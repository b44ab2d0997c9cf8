//! The files of executions, their downloads, and the storage behind them.

use asteroid_gateway::simulator::activity::URL_SIGNATURE;
use asteroid_gateway::simulator::api::Api;
use asteroid_gateway::simulator::execution::ORGANIZATION;
use serde_json::{Value, json};

use super::form::{assert_text, form, post};
use super::{PATH, assert_contract, control, execute};
use crate::harness::{AGENT, API_KEY, Answer, Asteroid, at_once};

const OTHER: &str = "0b0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11";

const DIRECTORIES: [&str; 6] = ["uploads", "downloads", "workspace", "shared", "debug", "tracing"];

fn start(asteroid: &Asteroid, body: &Value) -> String {
    execute(asteroid, &body.to_string()).json()["executionId"].as_str().unwrap().to_owned()
}

fn get(asteroid: &Asteroid, path: &str) -> Answer {
    asteroid.get(&format!("/agents/v2/executions/{path}"))
}

/// Requests a signed URL of this server without a credential.
fn fetch(asteroid: &Asteroid, url: &str) -> Answer {
    asteroid.caller().request("GET", path(asteroid, url))
}

/// Returns the path of a URL of this server.
fn path<'u>(asteroid: &Asteroid, url: &'u str) -> &'u str {
    url.strip_prefix(&format!("http://{}", asteroid.authority())).unwrap_or_else(|| panic!("{url}"))
}

/// Returns the files in a directory of an execution.
fn directory(asteroid: &Asteroid, id: &str, name: &str) -> Vec<Value> {
    get(asteroid, &format!("{id}/files")).json()["directories"][name].as_array().unwrap().clone()
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap_or_else(|| panic!("{member}: {value}"))
}

#[test]
fn files_are_added_to_a_running_execution_listed_and_downloaded() {
    for api in [Api::Old, Api::New] {
        let asteroid = Asteroid::start_api(api);
        let id = start(&asteroid, &json!({}));
        let body = form(&[("Rechnung ü.pdf", b"%PDF 1"), ("b", b"")]);
        assert_text(&post(&asteroid, &format!("/executions/{id}/context-files"), &body), 200, "Files uploaded");
        let listed = get(&asteroid, &format!("{id}/context-files"));
        assert_eq!((listed.status, listed.header("content-type")), (200, Some("application/json")));
        let listed = listed.json();
        assert_eq!(listed.as_array().unwrap().len(), 2);
        let file = &listed[0];
        let file_id = text(file, "id");
        let shown = json!({
            "id": file_id, "executionId": id, "agentId": AGENT, "fileName": "Rechnung ü.pdf",
            "filePath": "uploads/Rechnung ü.pdf", "fileExt": "pdf", "fileType": "document", "fileSize": 6,
            "mimeType": "application/pdf", "createdAt": file["createdAt"], "signedUrl": file["signedUrl"],
            "downloadUrl":
                format!("http://{}/agents/v2/executions/{id}/context-files/{file_id}/download", asteroid.authority()),
        });
        let mut expected = shown;
        if api == Api::New {
            expected["workflowId"] = json!(AGENT);
        }
        assert_eq!(file, &expected);
        let bytes = fetch(&asteroid, text(file, "signedUrl"));
        assert_eq!((bytes.status, bytes.body.as_slice()), (200, &b"%PDF 1"[..]));
        assert_eq!(bytes.header("content-type"), Some("application/pdf"));

        for kind in ["files", "agent-files", "context-files"] {
            let redirect = get(&asteroid, &format!("{id}/{kind}/{file_id}/download"));
            assert_eq!((redirect.status, redirect.body.len()), (303, 0), "{kind}");
            let location = redirect.header("location").unwrap();
            assert!(location.contains(URL_SIGNATURE), "{location}");
            assert_eq!(fetch(&asteroid, location).body, b"%PDF 1", "{kind}");
        }
        assert_text(&get(&asteroid, &format!("{id}/debug-files/{file_id}/download")), 404, "file not found");
        assert_eq!(directory(&asteroid, &id, "uploads").len(), 2);
    }
}

#[test]
fn each_execution_has_a_file_in_every_directory_that_its_agent_fills() {
    let asteroid = Asteroid::start();
    let id = start(&asteroid, &json!({}));
    let listing = get(&asteroid, &format!("{id}/files")).json();
    assert_eq!(listing, get(&asteroid, &format!("{id}/agent-files")).json());
    assert!(humantime::parse_rfc3339(text(&listing, "lastUpdated")).is_ok());
    for name in DIRECTORIES {
        let files = listing["directories"][name].as_array().unwrap();
        assert_eq!(files.len(), usize::from(name != "uploads"), "{name}");
        for file in files {
            assert_eq!((text(file, "directory"), text(file, "executionId")), (name, id.as_str()));
            assert_eq!((text(file, "createdBy"), text(file, "agentId")), ("agent", AGENT));
            for kind in ["files", "debug-files"].into_iter().filter(|kind| *kind == "files" || name == "debug") {
                let redirect = get(&asteroid, &format!("{id}/{kind}/{}/download", text(file, "id")));
                let bytes = fetch(&asteroid, redirect.header("location").unwrap());
                assert_eq!(json!(bytes.body.len()), file["fileSize"], "{name} {kind}");
                assert!(bytes.body.windows(id.len()).any(|window| window == id.as_bytes()), "it is its own");
            }
            assert_text(&get(&asteroid, &format!("{id}/context-files/{}/download", text(file, "id"))), 404, "file");
        }
    }
    let activities = get(&asteroid, &format!("{id}/activities")).json();
    let added = activities.as_array().unwrap().iter().find(|activity| activity["payload"]["fileId"].is_string());
    let downloads = &listing["directories"]["downloads"][0];
    assert_eq!(
        (&added.unwrap()["payload"]["fileId"], &added.unwrap()["payload"]["fileSize"]),
        (&downloads["id"], &downloads["fileSize"])
    );
}

#[test]
fn the_shared_folder_has_the_files_of_all_executions_of_the_agent_with_the_same_storage_key() {
    let asteroid = Asteroid::start();
    let with_key = |key: &str| json!({"executionOptions": {"sharedStorageKey": key}});
    let plain = start(&asteroid, &json!({"metadata": {"tenant": "a"}}));
    let also_plain = start(&asteroid, &json!({"metadata": {"tenant": "b"}}));
    let keyed = start(&asteroid, &with_key("k"));
    let also_keyed = start(&asteroid, &json!({"executionOptions": {"variantKey": "k"}}));
    let other_key = start(&asteroid, &with_key("l"));
    let other_agent = asteroid.caller().post(&PATH.replace(AGENT, OTHER), &[("X-Api-Key", API_KEY)], b"{}").json();
    let other_agent = text(&other_agent, "executionId").to_owned();
    let shared = |id: &str| -> Vec<String> {
        let files = directory(&asteroid, id, "shared");
        files.iter().map(|file| text(file, "executionId").to_owned()).collect()
    };
    assert_eq!(shared(&plain), [plain.clone(), also_plain.clone()]);
    assert_eq!(shared(&also_plain), shared(&plain));
    assert_eq!(shared(&keyed), [keyed.clone(), also_keyed]);
    assert_eq!((shared(&other_key), shared(&other_agent)), (vec![other_key], vec![other_agent]));

    let foreign = directory(&asteroid, &plain, "shared")[1].clone();
    let redirect = get(&asteroid, &format!("{plain}/files/{}/download", text(&foreign, "id")));
    assert_eq!(redirect.status, 303, "the API does not keep them apart");
    assert!(
        String::from_utf8(fetch(&asteroid, redirect.header("location").unwrap()).body).unwrap().contains(&also_plain)
    );
    let own = directory(&asteroid, &also_plain, "downloads")[0].clone();
    assert_text(&get(&asteroid, &format!("{plain}/files/{}/download", text(&own, "id"))), 404, "file not found");
}

#[test]
fn a_staged_file_is_a_context_file_of_each_execution_that_names_it_while_it_lasts() {
    let asteroid = Asteroid::start();
    let staged = post(&asteroid, &format!("/temp-files/{ORGANIZATION}"), &form(&[("a.pdf", b"A"), ("b.pdf", b"B")]));
    assert_eq!((staged.status, staged.header("content-type")), (200, Some("application/json")));
    let staged = staged.json()["tempFiles"].clone();
    assert_eq!((&staged[0]["name"], &staged[1]["name"]), (&json!("a.pdf"), &json!("b.pdf")));
    assert!(asteroid.storage().files.iter().all(|file| file.execution_id.is_none()));

    let unknown = json!({"id": OTHER, "name": "c.pdf"});
    let first = start(&asteroid, &json!({"tempFiles": [staged[1], unknown, staged[0]]}));
    let names = |id: &str| -> Vec<String> {
        let files = get(&asteroid, &format!("{id}/context-files")).json();
        files.as_array().unwrap().iter().map(|file| text(file, "fileName").to_owned()).collect()
    };
    assert_eq!(names(&first), ["b.pdf", "a.pdf"]);
    assert_eq!(names(&start(&asteroid, &json!({"tempFiles": [staged[0]]}))), ["a.pdf"]);
    let path = format!("/agents/v2/executions/{first}/rerun");
    let rerun = asteroid.caller().post(&path, &[("X-Api-Key", API_KEY)], b"").json();
    assert!(names(text(&rerun, "executionId")).is_empty(), "a rerun does not copy them");

    let told = control(&asteroid, "PUT", "storage", r#"{"staged_for":"0s"}"#);
    assert_eq!(told.status, 200);
    assert!(names(&start(&asteroid, &json!({"tempFiles": [staged[0]]}))).is_empty(), "their time is up");
    assert_eq!(names(&first), ["b.pdf", "a.pdf"]);
    asteroid.set_status(&first, "completed");
    assert_text(&post(&asteroid, &format!("/executions/{first}/context-files"), &form(&[("c", b"C")])), 400, "ended");
    asteroid.delete(&first);
    assert_eq!(asteroid.storage().files.len(), 1, "an execution takes its files with it");
}

#[test]
fn the_organisation_of_staged_files_is_in_the_path_or_in_the_query_of_the_newer_era() {
    let body = form(&[("a", b"A")]);
    for (api, expected) in [(Api::Old, 404), (Api::Both, 200), (Api::New, 200)] {
        let asteroid = Asteroid::start_api(api);
        let status = |path: &str| post(&asteroid, path, &body).status;
        assert_eq!(status("/temp-files"), expected, "{api:?}");
        assert_eq!(status(&format!("/temp-files?organizationId={ORGANIZATION}")), expected, "{api:?}");
        assert_eq!(status(&format!("/temp-files/{ORGANIZATION}")), 200);
    }
    let asteroid = Asteroid::start();
    assert_text(&post(&asteroid, &format!("/temp-files/{OTHER}"), &body), 403, "not a member");
    assert_text(&post(&asteroid, &format!("/temp-files?organizationId={OTHER}"), &body), 403, "not a member");
    assert_text(&post(&asteroid, "/temp-files?organizationId=x", &body), 400, "uuid");
    asteroid.set_listing(json!({"needs_organization": true}));
    assert_text(&post(&asteroid, "/temp-files", &body), 400, "required");
    assert!(asteroid.storage().files.is_empty());
}

#[test]
fn a_recording_is_redirected_to_and_the_older_api_tells_its_url() {
    let asteroid = Asteroid::start();
    let id = start(&asteroid, &json!({}));
    for query in ["", "?token=secret-of-a-player"] {
        let redirect = get(&asteroid, &format!("{id}/recording{query}"));
        assert_eq!(redirect.status, 307);
        let bytes = fetch(&asteroid, redirect.header("location").unwrap());
        assert_eq!((bytes.status, bytes.header("content-type")), (200, Some("video/mp4")));
        assert!(bytes.body.starts_with(format!("Recording of {id}\n").as_bytes()));
    }
    let told = asteroid.get(&format!("/api/v1/execution/{id}/browser_session/recording"));
    assert_eq!((told.status, told.json().as_object().unwrap().len()), (200, 1));
    assert_eq!(fetch(&asteroid, text(&told.json(), "recording_url")).status, 200);
    assert_contract(&get(&asteroid, &format!("{OTHER}/recording")), 404);
    let unknown = asteroid.get(&format!("/api/v1/execution/{OTHER}/browser_session/recording"));
    assert_eq!((unknown.status, unknown.json()["error"].is_string()), (404, true));
}

#[test]
fn the_files_of_an_unknown_execution_are_404_in_plain_text_and_no_key_is_401() {
    let asteroid = Asteroid::start();
    let body = form(&[("a", b"A")]);
    let download = format!("/{OTHER}/download");
    let reads = ["files", "agent-files", "context-files"].map(str::to_owned);
    let downloads = ["files", "agent-files", "context-files", "debug-files"].map(|kind| format!("{kind}{download}"));
    at_once(reads.iter().chain(&downloads), |read| {
        assert_text(&get(&asteroid, &format!("{OTHER}/{read}")), 404, "execution not found");
        let path = format!("/agents/v2/executions/{OTHER}/{read}");
        assert_contract(&asteroid.caller().request("GET", &path), 401);
    });
    let path = format!("/executions/{OTHER}/context-files");
    assert_text(&post(&asteroid, &path, &body), 404, "execution not found");
    assert_contract(&asteroid.caller().post(&format!("/agents/v2{path}"), &[], &body), 401);
    assert_contract(&get(&asteroid, &format!("{OTHER}/other-files{download}")), 404);
    assert!(asteroid.storage().files.is_empty());
}

#[test]
fn the_storage_refuses_credentials_counts_them_and_serves_a_signed_url_while_it_is_valid() {
    let asteroid = Asteroid::start();
    let id = start(&asteroid, &json!({}));
    let file = directory(&asteroid, &id, "downloads")[0].clone();
    let signed = || {
        let redirect = get(&asteroid, &format!("{id}/files/{}/download", text(&file, "id")));
        redirect.header("location").unwrap().to_owned()
    };
    let url = signed();
    let with = |header: &str| {
        let mut caller = asteroid.caller();
        let path = path(&asteroid, &url);
        caller.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n{header}: anything\r\n\r\n").as_bytes());
        caller.answer().status
    };
    assert_eq!(["X-Api-Key", "X-Asteroid-Agents-Api-Key", "Authorization"].map(with), [400; 3]);
    let before = asteroid.requests().len();
    assert_eq!(fetch(&asteroid, &url).status, 200);
    let report = control(&asteroid, "GET", "storage", "").json();
    assert_eq!((&report["leaked_credentials"], &report["downloads"]), (&json!(3), &json!(1)));
    assert_eq!(asteroid.requests().len(), before, "it is not the API");

    for wrong in [
        url.replace("signature=", "signature=x"),
        url.split('&').next().unwrap().to_owned(),
        url.replace("signed=", "signed=9"),
        url.replace(text(&file, "id"), OTHER),
    ] {
        assert_eq!(fetch(&asteroid, &wrong).status, 403, "{wrong}");
    }
    assert_eq!(asteroid.caller().post(path(&asteroid, &url), &[], b"").status, 405);
    assert_eq!(control(&asteroid, "PUT", "storage", r#"{"signed_for":"0s"}"#).status, 200);
    assert_eq!([fetch(&asteroid, &url).status, fetch(&asteroid, &signed()).status], [403, 403]);
    assert_eq!(control(&asteroid, "PUT", "storage", "{}").status, 200);
    assert_eq!(fetch(&asteroid, &url).status, 200);
    asteroid.delete(&id);
    assert_eq!(fetch(&asteroid, &url).status, 404);
    assert_eq!(control(&asteroid, "PUT", "storage", r#"{"signed_for":5}"#).status, 400);
}
