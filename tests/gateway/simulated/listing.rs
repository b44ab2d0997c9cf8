//! The listing of executions, as the SDKs of both eras request it.

use serde_json::{Value, json};

use super::{assert_contract, control, execute};
use crate::harness::{AGENT, API_KEY, Answer, Asteroid};

const OTHER: &str = "0b0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11";

/// Starts an execution with this metadata, and returns its id.
fn start(asteroid: &Asteroid, metadata: Value) -> String {
    let answer = execute(asteroid, &json!({ "metadata": metadata }).to_string());
    answer.json()["executionId"].as_str().unwrap().to_owned()
}

/// Requests the listing.
fn get(asteroid: &Asteroid, query: &str) -> Answer {
    asteroid.get(&format!("/agents/v2/executions{query}"))
}

/// Requests the listing, and returns the ids of the items.
fn ids(asteroid: &Asteroid, query: &str) -> Vec<String> {
    let answer = get(asteroid, query);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{query}");
    let items = answer.json()["items"].as_array().unwrap().clone();
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_was_started_is_listed_newest_first_with_what_either_era_requires() {
    let asteroid = Asteroid::start();
    assert_eq!(get(&asteroid, "").json(), json!({"items": [], "page": 1, "pageSize": 10, "total": 0}));
    let first = start(&asteroid, json!({"a": "b"}));
    let second = start(&asteroid, json!({}));
    let listing = get(&asteroid, "").json();
    assert_eq!((&listing["page"], &listing["pageSize"], &listing["total"]), (&json!(1), &json!(10), &json!(2)));
    assert_eq!([&listing["items"][0]["id"], &listing["items"][1]["id"]], [&second, &first]);
    let mut item = listing["items"][1].clone();
    let created = item["createdAt"].take();
    assert!(humantime::parse_rfc3339(created.as_str().unwrap()).is_ok(), "{created}");
    for required in ["agentId", "agentName", "organizationId", "workflowId", "workflowName", "workflowVersionId"] {
        assert!(item[required].is_string(), "{required}: {item}");
    }
    assert_eq!((&item["agentId"], &item["status"]), (&json!(AGENT), &json!("running")));
    assert_eq!((&item["metadata"], &item["hasBeenRerun"]), (&json!({"a": "b"}), &json!(false)));
    assert_eq!((&item["humanLabels"], &item["comments"]), (&json!([]), &json!([])));
}

#[test]
fn an_execution_is_found_by_its_id_and_another_id_is_404() {
    let asteroid = Asteroid::start();
    let id = start(&asteroid, json!({"a": "b"}));
    let found = get(&asteroid, &format!("/{id}"));
    assert_eq!((found.status, found.json()), (200, get(&asteroid, "").json()["items"][0].clone()));
    assert_contract(&get(&asteroid, &format!("/{OTHER}")), 404);
    assert_contract(&get(&asteroid, "/"), 404);
    assert_contract(&get(&asteroid, &format!("/{id}/more")), 404);
}

#[test]
fn the_listing_needs_the_key_and_is_only_read() {
    let asteroid = Asteroid::start();
    let id = start(&asteroid, json!({}));
    for path in ["/agents/v2/executions".to_owned(), format!("/agents/v2/executions/{id}")] {
        assert_contract(&asteroid.caller().request("GET", &path), 401);
        assert_contract(&asteroid.caller().post(&path, &[("X-Api-Key", API_KEY)], b"{}"), 405);
    }
}

#[test]
fn metadata_is_matched_as_a_whole_in_the_form_of_either_era() {
    let asteroid = Asteroid::start();
    let one = start(&asteroid, json!({"team": "a b", "ticket": "x=1&ü"}));
    let two = start(&asteroid, json!({"team": "a b", "ticket": "2"}));
    let both = vec![two.clone(), one.clone()];
    for (query, expected) in [
        ("?metadataKey=team&metadataValue=a%20b", &both),
        ("?metadataValue=a+b&metadataKey=te%61m", &both),
        ("?metadata=team%3Da%20b", &both),
        ("?metadata=ticket=x%3D1%26%C3%BC", &vec![one.clone()]),
        ("?metadata=team%3Da+b&metadata=ticket%3D2", &vec![two.clone()]),
        ("?metadata=team%3Da+b&metadataKey=ticket&metadataValue=2", &vec![two]),
        ("?metadata=ticket%3D1&metadata=ticket%3D2", &vec![]),
        ("?metadataKey=team&metadataValue=a", &vec![]),
        ("?metadataKey=Team&metadataValue=a%20b", &vec![]),
        ("?metadata=absent%3D", &vec![]),
        ("?unknown=1&status=running", &both),
    ] {
        assert_eq!(&ids(&asteroid, query), expected, "{query}");
    }
}

#[test]
fn half_a_filter_and_numbers_that_are_none_are_400() {
    let asteroid = Asteroid::start();
    for query in [
        "metadataKey=a",
        "metadataValue=a",
        "metadata=a",
        "metadata=",
        "metadata=a%3Db&metadata=c",
        "page=0",
        "page=-1",
        "page=x",
        "page=",
        "page=1.0",
        "pageSize=0",
        "pageSize=101",
        "pageSize=all",
    ] {
        assert_contract(&get(&asteroid, &format!("?{query}")), 400);
    }
}

#[test]
fn the_listing_is_filtered_by_ids_and_read_page_by_page() {
    let asteroid = Asteroid::start();
    let mut started: Vec<_> = (0..5).map(|_| start(&asteroid, json!({}))).collect();
    let workflow = format!("/agents/v2/workflows/{OTHER}/execute");
    let other = asteroid.caller().post(&workflow, &[("X-Api-Key", API_KEY)], b"{}").json()["executionId"].clone();
    assert_eq!(ids(&asteroid, &format!("?workflowId={OTHER}")), [other.as_str().unwrap()]);
    started.reverse();
    assert_eq!(ids(&asteroid, &format!("?agentId={AGENT}")), started);
    assert!(ids(&asteroid, &format!("?agentId={AGENT}&workflowId={OTHER}")).is_empty());
    let part = started[2].get(4..30).unwrap().to_uppercase();
    assert_eq!(ids(&asteroid, &format!("?executionId={part}")), [started[2].clone()]);

    let page = |page: u64| format!("?agentId={AGENT}&pageSize=2&page={page}");
    let pages = [1, 2, 3].map(|number| ids(&asteroid, &page(number)));
    assert_eq!((pages.concat(), pages[2].len()), (started, 1));
    let beyond = get(&asteroid, &page(u64::MAX)).json();
    assert_eq!((&beyond["items"], &beyond["total"]), (&json!([]), &json!(5)));
}

#[test]
fn while_the_listing_lags_what_is_started_is_found_by_its_id_alone() {
    let asteroid = Asteroid::start();
    let before = start(&asteroid, json!({"a": "b"}));
    asteroid.set_listing(json!({"lags": true}));
    let meanwhile = start(&asteroid, json!({"a": "b"}));
    assert_eq!(ids(&asteroid, "?metadata=a%3Db"), [before.as_str()]);
    assert_eq!(get(&asteroid, "").json()["total"], 1);
    assert_eq!(get(&asteroid, &format!("/{meanwhile}")).status, 200);
    asteroid.set_listing(json!({"lags": true, "filters": "pair"}));
    assert_eq!(ids(&asteroid, ""), [before.as_str()], "told again, it still lags");
    asteroid.set_listing(json!({"lags": false}));
    let after = start(&asteroid, json!({"a": "c"}));
    assert_eq!(ids(&asteroid, ""), [after, meanwhile, before]);
}

#[test]
fn a_server_of_one_era_ignores_the_filter_of_the_other() {
    let asteroid = Asteroid::start();
    start(&asteroid, json!({"a": "b"}));
    start(&asteroid, json!({"a": "c"}));
    let (pair, repeated) = ("?metadataKey=a&metadataValue=b", "?metadata=a%3Db");
    let found = |query| ids(&asteroid, query).len();
    asteroid.set_listing(json!({"filters": "pair"}));
    assert_eq!((found(pair), found(repeated), found("?metadata=a")), (1, 2, 2));
    assert_contract(&get(&asteroid, "?metadataKey=a"), 400);
    asteroid.set_listing(json!({"filters": "repeated"}));
    assert_eq!((found(pair), found(repeated), found("?metadataKey=a")), (2, 1, 2));
    assert_contract(&get(&asteroid, "?metadata=a"), 400);
    asteroid.set_listing(json!({}));
    assert_eq!((found(pair), found(repeated)), (1, 1));
}

#[test]
fn a_listing_that_shows_no_metadata_is_filtered_by_it_all_the_same() {
    let asteroid = Asteroid::start();
    let id = start(&asteroid, json!({"a": "b"}));
    start(&asteroid, json!({}));
    asteroid.set_listing(json!({"shows_metadata": false}));
    let listing = get(&asteroid, "?metadata=a%3Db").json();
    assert_eq!((&listing["items"][0]["id"], &listing["total"]), (&json!(id), &json!(1)));
    assert_eq!(listing["items"][0].get("metadata"), None);
    assert_eq!(get(&asteroid, &format!("/{id}")).json()["metadata"], json!({"a": "b"}));
}

#[test]
fn how_the_listing_differs_is_told_and_shown_over_http() {
    let asteroid = Asteroid::start();
    let at_first = json!({
        "lags": false, "filters": null, "shows_metadata": true, "lag_ms": 0, "blind": null, "needs_organization": false,
        "unknown": "ignore", "partial": false, "foreign": null, "total_more": 0,
    });
    assert_eq!(control(&asteroid, "GET", "listing", "").json(), at_first);
    let told = json!({
        "lags": true, "filters": "repeated", "shows_metadata": false, "lag_ms": 10, "blind": "pair",
        "needs_organization": true, "unknown": "reject", "partial": true, "foreign": {"a": "b"}, "total_more": 2,
    });
    assert_eq!(control(&asteroid, "PUT", "listing", &told.to_string()).status, 200);
    assert_eq!(control(&asteroid, "GET", "listing", "").json(), told);
    for wrong in [r#"{"lag":true}"#, r#"{"filters":"any"}"#, r#"{"unknown":"drop"}"#, "[", r#"{"lags":1}"#] {
        let refused = control(&asteroid, "PUT", "listing", wrong);
        assert_eq!(refused.status, 400, "{wrong}");
        assert!(String::from_utf8(refused.body).unwrap().contains("shows_metadata"), "it says what is accepted");
    }
    assert_eq!(control(&asteroid, "GET", "listing", "").json(), told);
    assert_eq!(control(&asteroid, "PUT", "listing", "{}").status, 200);
    assert_eq!(control(&asteroid, "GET", "listing", "").json(), at_first, "what is left out is as at first");
}

#[test]
fn the_last_thousand_executions_are_remembered() {
    let asteroid = Asteroid::start();
    let mut caller = asteroid.caller();
    let mut start = || {
        let answer = caller.post(super::PATH, &[("X-Api-Key", API_KEY)], b"{}");
        answer.json()["executionId"].as_str().unwrap().to_owned()
    };
    let oldest = start();
    let kept = start();
    (0..998).for_each(|_| drop(start()));
    assert_eq!(get(&asteroid, &format!("/{oldest}")).status, 200);
    start();
    assert_eq!(get(&asteroid, &format!("/{oldest}")).status, 404);
    assert_eq!(get(&asteroid, &format!("/{kept}")).status, 200);
    assert_eq!(get(&asteroid, "").json()["total"], 1000);
}

#[test]
fn the_listing_is_filtered_by_what_an_execution_is_and_sorted() {
    let asteroid = Asteroid::start();
    asteroid.set_life(json!({"duration": "never", "starting": "0s", "staff_notes": true}));
    let body = json!({"inputs": {"invoice": "A-4711"}, "version": 3, "agentProfileId": OTHER}).to_string();
    let one = execute(&asteroid, &body).json()["executionId"].as_str().unwrap().to_owned();
    asteroid.set_life(json!({"duration": "never", "starting": "0s"}));
    let two = start(&asteroid, json!({}));
    let three = start(&asteroid, json!({}));
    asteroid.set_status(&two, "failed");
    asteroid.set_status(&three, "queued");
    let label = get(&asteroid, &format!("/{one}")).json()["humanLabels"][0]["id"].as_str().unwrap().to_owned();
    let all = || vec![three.as_str(), two.as_str(), one.as_str()];
    for (query, expected) in [
        ("status=running".to_owned(), vec![one.as_str()]),
        ("status=failed&status=queued".to_owned(), vec![&three, &two]),
        ("phase=terminal".to_owned(), vec![&two]),
        ("phase=pending&phase=active".to_owned(), vec![&three, &one]),
        ("phase=active&status=failed".to_owned(), vec![]),
        ("inputsKey=invoice&inputsValue=a-47".to_owned(), vec![&one]),
        ("inputsKey=order&inputsValue=a-47".to_owned(), vec![]),
        ("workflowVersion=3".to_owned(), vec![&one]),
        (format!("agentProfileIds={AGENT}&agentProfileIds={OTHER}"), vec![&one]),
        (format!("profileIds={AGENT}"), vec![]),
        (format!("humanLabels={label}"), vec![&one]),
        ("outcomeLabel=FAIL".to_owned(), vec![&two]),
        ("triggerSource=ui&triggerSource=api".to_owned(), all()),
        ("triggerSource=schedule".to_owned(), vec![]),
        ("hasScriptFailures=true".to_owned(), vec![]),
        ("hasScriptFailures=false&createdWithin=1d&createdBefore=2026-11-01T00:00:00.000000%2B0000".to_owned(), all()),
        ("batchId=x".to_owned(), vec![]),
        ("sortDirection=asc".to_owned(), vec![&one, &two, &three]),
        ("sortField=status&sortDirection=asc".to_owned(), vec![&two, &three, &one]),
        ("sort=status:desc".to_owned(), vec![&one, &three, &two]),
    ] {
        assert_eq!(ids(&asteroid, &format!("?{query}")), expected, "{query}");
    }
    for wrong in [
        "status=busy",
        "phase=over",
        "inputsKey=a",
        "workflowVersion=x",
        "hasScriptFailures=1",
        "sortField=name",
        "sortDirection=up",
        "sort=status",
        "sort=status:asc&sortField=status",
    ] {
        assert_contract(&get(&asteroid, &format!("?{wrong}")), 400);
    }
}
