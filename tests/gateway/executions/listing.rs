//! A listing shows the executions of its own tenant, whole and alone, or it shows nothing.

use asteroid_gateway::event;
use asteroid_gateway::simulator::api::Api;
use serde_json::{Value, json};

use super::Teams;
use crate::harness::{Answer, Asteroid};

/// Returns the ids of the executions in a listing.
fn ids(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let items = answer.json()["items"].as_array().unwrap().clone();
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

/// Starts two tenants' gateway in front of an upstream of this era.
fn of(api: Api) -> Teams {
    let era = if matches!(api, Api::Old) { "old" } else { "new" };
    Teams::configured(Asteroid::start_api(api), |configuration| configuration.upstream(&format!("api: {era}")))
}

#[test]
fn a_tenant_lists_its_own_executions_in_either_era_and_the_upstream_is_asked_for_no_others() {
    for api in [Api::Old, Api::New] {
        let teams = of(api);
        let own = [teams.execute("billing"), teams.execute("billing")];
        let foreign = teams.execute("sales");
        let before = teams.count();
        let listed = ids(&teams.get("billing", "/executions"));
        assert_eq!(listed.len(), 2);
        assert!(own.iter().all(|id| listed.contains(id)), "{listed:?}");
        let sent = ["GET /agents/v2/executions?metadataKey=tenant&metadataValue=billing&page=1&pageSize=10"];
        assert_eq!(teams.sent(before), sent);
        assert_eq!(ids(&teams.get("sales", "/executions")), [foreign]);
        let page = teams.get("billing", "/executions?pageSize=1&page=2").json();
        assert_eq!((&page["page"], &page["pageSize"], &page["total"]), (&json!(2), &json!(1), &json!(2)));
    }
}

#[test]
fn a_caller_s_own_metadata_filter_is_added_where_the_era_has_room_for_it_and_refused_elsewhere() {
    let (old, new) = (of(Api::Old), of(Api::New));
    for filter in ["metadataKey=ticket&metadataValue=T-1", "metadata=ticket%3DT-1"] {
        old.get("billing", &format!("/executions?{filter}")).assert_error(400, "query", "not_started");
    }
    let path = format!("/agents/{}/execute", crate::harness::AGENT);
    let marked = new.call("billing", "POST", &path, r#"{"metadata":{"ticket":"T-1"}}"#).json()["executionId"].clone();
    new.execute("billing");
    new.call("sales", "POST", &path, r#"{"metadata":{"ticket":"T-1"}}"#);
    for filter in
        ["metadataKey=ticket&metadataValue=T-1", "metadata=ticket%3DT-1", "metadata=ticket%3DT-1&status=running"]
    {
        assert_eq!(json!(ids(&new.get("billing", &format!("/executions?{filter}")))), json!([marked]), "{filter}");
    }
}

#[test]
fn a_query_that_could_ask_for_the_executions_of_others_is_refused_before_anything_is_sent() {
    let teams = of(Api::New);
    teams.execute("sales");
    let before = teams.count();
    for query in [
        "metadataKey=tenant&metadataValue=sales",
        "metadata=tenant%3Dsales",
        "metadata=tenant=sales",
        "metadata%4bey=tenant&metadataValue=sales",
        "MetadataKey=tenant&metadataValue=sales",
        "metadataKey=tenant&metadataValue=billing&metadataKey=x",
        "metadataKey=a&metadataKey=b&metadataValue=c",
        "metadataKey=ticket",
        "metadata=x%00y%3Dz",
        "metadata=a+b%3Dc",
        "pageSize=101",
        "pageSize=0",
        "page=0",
        "page=1&page=2",
        "organizationId=x",
        "unknown=1",
        "sort=%ff",
        "sort=%4",
    ] {
        let answer = teams.get("billing", &format!("/executions?{query}"));
        answer.assert_error(400, "query", "not_started");
    }
    assert_eq!(teams.count(), before);
}

#[test]
fn a_listing_with_one_foreign_execution_is_an_error_that_its_operator_sees_and_never_a_shorter_listing() {
    let foreign = [
        json!({ "foreign": { "tenant": "sales" } }),
        json!({ "foreign": {} }),
        json!({ "foreign": { "tenant": "Billing" } }),
        json!({ "filters": "none" }),
        json!({ "partial": true }),
    ];
    for (n, listing) in foreign.into_iter().enumerate() {
        let teams = Teams::configured(Asteroid::start(), |configuration| {
            if n == 4 { configuration.tenant("billing-2") } else { configuration }
        });
        teams.execute("billing");
        teams.execute("sales");
        if n == 4 {
            teams.execute("billing-2");
        }
        teams.0.asteroid.set_listing(listing.clone());
        let answer = teams.get("billing", "/executions");
        answer.assert_error(502, "foreign-execution", "not_started");
        let line = teams.0.gateway.event(event::LISTING_FOREIGN);
        assert_eq!((&line["level"], &line["tenant"]), (&json!("ERROR"), &json!("billing")), "{listing}");
        assert_eq!(line["request_id"], answer.header("x-request-id").unwrap());
        assert_eq!(teams.0.gateway.metrics().find("asteroid_gateway_foreign_listings_total", &[]), Some(1.0));
    }
}

#[test]
fn a_listing_that_is_not_whole_or_cannot_be_read_is_an_error() {
    let teams = Teams::start();
    let answer = |body: Value| json!({ "answer": { "status": 200, "body": body.to_string() } });
    let item = |id: &str| json!({ "id": id, "metadata": { "tenant": "billing" } });
    let id = teams.execute("billing");
    let page = |items: Value| json!({ "items": items, "page": 1, "pageSize": 10, "total": 1 });
    let twice = format!(
        r#"{{"items":[{{"id":"{id}","metadata":{{"tenant":"billing"}},"metadata":{{}}}}],"page":1,"pageSize":10,"total":1}}"#
    );
    for (then, status, code) in [
        (json!("close_mid_answer"), 504, "upstream-broke"),
        (answer(json!({ "items": [] })), 502, "answer-unreadable"),
        (answer(json!([item(&id)])), 502, "answer-unreadable"),
        (answer(page(json!([item("x")]))), 502, "answer-unreadable"),
        (answer(page(json!([item(&id), item(&id)]))), 502, "answer-unreadable"),
        (json!({ "answer": { "status": 200, "body": twice } }), 502, "answer-unreadable"),
        (json!({ "answer": { "status": 200, "body": "<html>" } }), 502, "answer-unreadable"),
        (
            json!({ "answer": { "status": 200, "headers": [["content-encoding", "gzip"]], "body": "x" } }),
            502,
            "answer-unreadable",
        ),
        (json!({ "pad": 50_000_000 }), 502, "answer-too-large"),
    ] {
        teams.0.asteroid.fail_next(json!({ "operation": "list", "then": then }));
        let got = teams.get("billing", "/executions");
        got.assert_error(status, code, "not_started");
    }
    let own = teams.get("billing", "/executions");
    assert_eq!(ids(&own), [id]);
}

#[test]
fn a_longer_listing_than_the_limit_is_refused_without_being_held() {
    let teams = Teams::start();
    teams.execute("billing");
    teams.get("billing", "/executions");
    let before = teams.0.gateway.memory();
    for _ in 0..5 {
        teams.0.asteroid.fail_next(json!({ "operation": "list", "then": { "pad": 50_000_000 } }));
        teams.get("billing", "/executions").assert_error(502, "answer-too-large", "not_started");
    }
    let grown = teams.0.gateway.memory().saturating_sub(before);
    assert!(grown < 40 * 1024 * 1024, "{grown} bytes more");
}

#[test]
fn what_the_upstream_says_of_a_listing_it_refuses_is_passed_on() {
    let teams = Teams::start();
    let answer = json!({ "answer": { "status": 429, "headers": [["retry-after", "0"]], "body": "{\"code\":429}" } });
    teams.0.asteroid.fail_next(json!({ "operation": "list", "then": answer }));
    let got = teams.get("billing", "/executions");
    assert_eq!((got.status, got.header("retry-after"), &got.body[..]), (429, Some("1"), &b"{\"code\":429}"[..]));
}
