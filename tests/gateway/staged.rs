//! Files that are staged for later starts belong to the tenant that staged them, and to one organisation.

use asteroid_gateway::event;
use asteroid_gateway::simulator::execution::ORGANIZATION;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::teams::Teams;
use crate::harness::{AGENT, Answer, Asteroid, Configuration};
use crate::simulated::form::{TYPE, form};

/// Both forms of staging, without and with the organisation in the path.
fn forms() -> [String; 2] {
    ["/temp-files".to_owned(), format!("/temp-files/{ORGANIZATION}")]
}

/// Uploads two files of a tenant to this path.
fn post(teams: &Teams, tenant: &str, path: &str) -> Answer {
    let body = form(&[("a.pdf", b"A"), ("b.pdf", b"B")]);
    teams.0.caller().post(path, &[("X-Tenant-Id", tenant), ("Content-Type", TYPE)], &body)
}

/// Stages two files of a tenant, and returns the list that a start takes.
fn stage(teams: &Teams, tenant: &str, path: &str) -> Value {
    let answer = post(teams, tenant, path);
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    answer.json()["tempFiles"].clone()
}

/// Starts an execution of a tenant with staged files.
fn start(teams: &Teams, tenant: &str, files: &Value) -> Answer {
    let body = json!({ "tempFiles": files }).to_string();
    teams.call(tenant, "POST", &format!("/agents/{AGENT}/execute"), &body)
}

/// Asserts that a start was refused for the staged files at these places.
#[track_caller]
fn assert_foreign(answer: &Answer, places: &[usize]) {
    answer.assert_error(400, "body", "not_started");
    let problem = answer.json();
    let pointers: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| error["pointer"].clone()).collect();
    let expected: Vec<_> = places.iter().map(|at| json!(format!("/tempFiles/{at}/id"))).collect();
    assert_eq!(pointers, expected, "{problem}");
}

#[test]
fn a_staged_file_serves_the_starts_of_its_own_tenant_and_no_other_s() {
    for asteroid in [Asteroid::start(), Asteroid::start_tls("localhost")] {
        let teams = Teams::configured(asteroid, |configuration| configuration);
        for path in forms() {
            let files = stage(&teams, "billing", &path);
            let before = teams.0.asteroid.started();
            assert_foreign(&start(&teams, "sales", &json!([files[1]])), &[0]);
            let unknown = json!({ "id": Uuid::new_v4(), "name": "other.pdf" });
            assert_foreign(&start(&teams, "sales", &json!([unknown, files[0]])), &[1]);
            assert_eq!(teams.0.asteroid.started(), before);
            let answer = start(&teams, "billing", &files);
            assert_eq!(answer.status, 202);
            let id = answer.json()["executionId"].as_str().unwrap().to_owned();
            let listed = teams.get("billing", &format!("/executions/{id}/context-files"));
            assert_eq!(listed.json().as_array().unwrap().len(), 2);
            // It can be used again, and is still no other's.
            assert_eq!(start(&teams, "billing", &files).status, 202);
            assert_foreign(&start(&teams, "sales", &files), &[0, 1]);
        }
    }
}

#[test]
fn a_file_that_is_not_known_here_passes_and_the_upstream_judges_it() {
    let teams = Teams::start();
    let answer = start(&teams, "billing", &json!([{ "id": Uuid::new_v4(), "name": "elsewhere.pdf" }]));
    assert_eq!(answer.status, 202, "another gateway may have staged it");
}

#[test]
fn whose_a_file_is_is_known_after_a_reload_that_keeps_its_tenant_and_not_after_it_is_removed() {
    let teams = Teams::start();
    let files = stage(&teams, "billing", "/temp-files");
    let of_sales = stage(&teams, "sales", "/temp-files");
    let configuration = teams.0.asteroid.configuration().by_header().tenant("sales");
    let changed = configuration.clone().tenant("support").billing("limits: { in_flight: 100 }");
    assert_eq!(teams.0.gateway.reload(&changed)["event"], event::CONFIG_RELOADED);
    for tenant in ["sales", "support"] {
        assert_foreign(&start(&teams, tenant, &json!([files[0]])), &[0]);
    }
    assert_eq!(start(&teams, "billing", &files).status, 202);
    let without = teams.0.asteroid.configuration().by_header().tenant("support");
    assert_eq!(teams.0.gateway.reload(&without)["event"], event::CONFIG_RELOADED);
    assert_eq!(start(&teams, "support", &json!([of_sales[0]])).status, 202, "it belongs to no tenant any more");
    assert_foreign(&start(&teams, "support", &json!([files[0]])), &[0]);
}

#[test]
fn a_refused_upload_stages_nothing_and_an_answer_that_cannot_be_read_is_passed_on() {
    let teams = Teams::start();
    let id = Uuid::new_v4();
    let named = json!({ "tempFiles": [{ "id": id, "name": "a.pdf" }] }).to_string();
    let answers = [(403, named.clone()), (200, "[]".to_owned()), (200, named.replace("tempFiles", "files"))];
    for (status, body) in answers {
        let then =
            json!({ "answer": { "status": status, "headers": [["content-type", "application/json"]], "body": body } });
        teams.0.asteroid.fail_next(json!({ "operation": "stage", "then": then }));
        let answer = post(&teams, "billing", "/temp-files");
        assert_eq!((answer.status, &answer.body[..]), (status, body.as_bytes()));
    }
    assert_eq!(start(&teams, "sales", &json!([{ "id": id, "name": "a.pdf" }])).status, 202);
}

#[test]
fn files_are_staged_in_the_configured_organisation_alone() {
    let organized = |configuration: Configuration| configuration.upstream(&format!("organization_id: {ORGANIZATION}"));
    let teams = Teams::configured(Asteroid::start(), organized);
    let other = Uuid::new_v4();
    let cases = [
        ("/temp-files".to_owned(), 200),
        (format!("/temp-files?organizationId={ORGANIZATION}"), 200),
        (format!("/temp-files/{ORGANIZATION}"), 200),
        (format!("/temp-files?organizationId={other}"), 400),
        (format!("/temp-files/{other}"), 400),
        (format!("/temp-files?organizationId={ORGANIZATION}&organizationId={other}"), 400),
        (format!("/temp-files/{ORGANIZATION}?organizationId={other}"), 400),
        ("/temp-files?organizationid=x".to_owned(), 400),
    ];
    for (path, status) in &cases {
        let answer = post(&teams, "billing", path);
        assert_eq!(answer.status, *status, "{path}: {}", String::from_utf8_lossy(&answer.body));
        if *status == 400 {
            answer.assert_error(400, "query", "not_started");
        }
    }
    let in_query = format!("POST /agents/v2/temp-files?organizationId={ORGANIZATION}");
    let in_path = format!("POST /agents/v2/temp-files/{ORGANIZATION}");
    assert_eq!(teams.sent(0), [&in_query, &in_query, &in_path].map(String::as_str));
}

#[test]
fn without_a_configured_organisation_the_caller_s_is_sent_as_it_is() {
    let teams = Teams::start();
    for path in [
        "/temp-files".to_owned(),
        format!("/temp-files?organizationId={ORGANIZATION}"),
        format!("/temp-files/{ORGANIZATION}"),
    ] {
        let before = teams.count();
        assert_eq!(post(&teams, "billing", &path).status, 200);
        assert_eq!(teams.sent(before), [format!("POST /agents/v2{path}")]);
    }
    // The upstream refuses what the key does not belong to.
    let answer = post(&teams, "billing", &format!("/temp-files/{}", Uuid::new_v4()));
    assert_eq!((answer.status, answer.header("content-type")), (403, Some("text/plain; charset=utf-8")));
}
