//! The proof by a look-up that finds nothing: both filters, the organisation, the limits before it, and the positive
//! control.

use asteroid_gateway::event;
use serde_json::json;

use super::{RECOVERY, assert_found, keyed, lose, replaced, rerun};
use crate::harness::{Asteroid, EXECUTE, Pair};

#[test]
fn an_older_filter_that_finds_nothing_hides_no_execution_from_the_newer_one() {
    for blind in ["pair", "repeated"] {
        let pair = Pair::with(RECOVERY);
        pair.asteroid.set_listing(json!({"blind": blind}));
        assert_eq!(keyed(&pair, "k").status, 202);
        let pair = replaced(pair);
        assert_found(&pair, &keyed(&pair, "k"));
    }
}

#[test]
fn the_organisation_is_named_where_the_key_spans_several_and_is_missed_where_it_is_not() {
    let organization = asteroid_gateway::simulator::listing::ORGANIZATION;
    for (id, found) in [(Some(organization), true), (None, false)] {
        let asteroid = Asteroid::start();
        asteroid.set_listing(json!({"needs_organization": true}));
        let named = id.map_or_else(String::new, |id| format!("organization_id: {id}"));
        let configuration = asteroid.configuration().upstream(&named).with(RECOVERY);
        let pair = Pair::run(asteroid, configuration);
        let answer = keyed(&pair, "k");
        if found {
            assert_eq!(answer.status, 202, "{answer:?}");
            pair.gateway.event(event::RECOVERY_PROVEN);
            continue;
        }
        answer.assert_error(504, "idempotency-lookup", "unknown");
        assert_eq!(answer.header("retry-after"), None);
        assert!(answer.json()["detail"].as_str().unwrap().contains("upstream.organization_id"), "{answer:?}");
        assert_eq!(pair.asteroid.executions().len(), 0);
    }
}

#[test]
fn a_start_that_a_limit_refuses_is_not_looked_up_and_one_that_is_found_is_free_of_limits() {
    for limits in ["executions: { rate: 2/d }", "budget: { executions: 2, per: day }"] {
        let asteroid = Asteroid::start();
        let limited = asteroid.configuration().with(RECOVERY).billing(&format!("limits: {{ {limits} }}"));
        let pair = Pair::run(asteroid, &limited);
        assert_eq!(keyed(&pair, "control").status, 202);
        pair.gateway.event(event::RECOVERY_PROVEN);
        pair.gateway.signal("KILL");
        let Pair { asteroid, gateway } = pair;
        gateway.end();
        let pair = Pair::run(asteroid, &limited);
        assert_eq!(keyed(&pair, "control").header("idempotent-replayed"), Some("true"), "{limits}");
        lose(&pair, "lost", true);
        assert_eq!(keyed(&pair, "another").status, 202, "what was found took nothing: {limits}");
        pair.gateway.event(event::RECOVERY_PROVEN);
        let before = pair.asteroid.requests().len();
        for n in 0..20 {
            keyed(&pair, &format!("refused-{n}")).assert_error(429, "limit", "not_started");
        }
        assert_eq!(pair.asteroid.requests().len(), before, "{limits}");
        assert_eq!(
            keyed(&pair, "lost").header("idempotent-replayed"),
            Some("true"),
            "a retry starts nothing: {limits}"
        );
    }
}

#[test]
fn recovery_is_unproven_until_a_start_was_found_and_what_was_learned_is_shown() {
    let pair = Pair::with(RECOVERY);
    let report = || String::from_utf8(pair.gateway.admin("/readyz?verbose").body).unwrap();
    let gauge = |name: &str| {
        pair.gateway.metrics().find(&format!("asteroid_gateway_recovery_{name}"), &[("credential", "main")])
    };
    pair.gateway.event(event::RECOVERY_UNPROVEN);
    assert!(report().contains("[!]recovery with credential main: unproven until a start"), "{}", report());
    assert_eq!((gauge("proven"), gauge("listing_lag_seconds")), (Some(0.0), None));
    pair.asteroid.set_listing(json!({"lag_ms": 1500, "filters": "repeated"}));
    assert_eq!(keyed(&pair, "k").status, 202);
    assert_eq!(gauge("proven"), Some(0.0));
    assert!(
        report().contains("[!]recovery with credential main: unproven; a start is being looked up"),
        "{}",
        report()
    );
    let line = pair.gateway.event(event::RECOVERY_PROVEN);
    assert_eq!(line["filter"], "metadata");
    assert!(line["lag_ms"].as_u64().unwrap() >= 1000, "{line}");
    assert_eq!(gauge("proven"), Some(1.0));
    assert!(gauge("listing_lag_seconds").unwrap() >= 1.0);
    assert!(report().contains("[+]recovery with credential main: proven by the filter metadata;"), "{}", report());
    assert_eq!(pair.gateway.admin("/readyz").status, 200);
    let before = pair.asteroid.requests().len();
    assert_eq!(keyed(&pair, "another").status, 202);
    assert_eq!(pair.asteroid.requests().len(), before + 3, "one control is enough");
}

#[test]
fn a_filter_that_is_known_to_find_something_is_the_one_whose_word_counts() {
    let pair = Pair::with(RECOVERY);
    pair.asteroid.set_listing(json!({"blind": "pair"}));
    assert_eq!(keyed(&pair, "k").status, 202);
    pair.gateway.event(event::RECOVERY_PROVEN);
    pair.asteroid.set_listing(json!({"blind": "pair", "filters": "pair"}));
    let answer = keyed(&pair, "another");
    answer.assert_error(504, "idempotency-lookup", "unknown");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("no longer takes the filter metadata "), "{detail}");
    assert_eq!(pair.asteroid.executions().len(), 1);
}

#[test]
fn what_is_left_of_a_budget_counts_no_start_that_could_not_be_looked_up() {
    let budget = "limits: { budget: { executions: 9, per: day } }";
    let pair = Pair::configured(|smallest| smallest.with(RECOVERY).billing(budget));
    pair.asteroid.fail_next(json!({"method": "GET", "then": {"answer": {"status": 403}}}));
    let answer = keyed(&pair, "k");
    answer.assert_error(504, "idempotency-lookup", "unknown");
    assert!(answer.header("ratelimit").unwrap().starts_with("\"budget\";r=9;"), "{answer:?}");
}

#[test]
fn a_drain_does_not_wait_for_a_start_that_is_not_listed() {
    let pair = Pair::with("idempotency: { recovery: true }\ndrain: { timeout: 1h }");
    pair.asteroid.set_listing(json!({"lags": true}));
    assert_eq!(keyed(&pair, "k").status, 202);
    assert!(pair.gateway.stop().status.success());
}

#[test]
fn of_more_executions_than_are_looked_at_none_is_named() {
    let pair = Pair::with(RECOVERY);
    assert_eq!(keyed(&pair, "k").status, 202);
    let first = pair.asteroid.executions()[0].id.clone();
    (0..100).for_each(|_| assert_eq!(rerun(&pair, &first).status, 202));
    let pair = replaced(pair);
    keyed(&pair, "k").assert_error(504, "idempotency-unknown", "unknown");
    assert_eq!(pair.asteroid.executions().len(), 101);
}

#[test]
fn the_body_of_a_start_without_its_tag_is_not_compared() {
    let pair = Pair::with(RECOVERY);
    assert_eq!(keyed(&pair, "k").status, 202);
    let started = pair.asteroid.executions()[0].metadata.clone();
    assert_eq!(started["idempotency_body"].as_str().unwrap().len(), 16);
    let digest = started["idempotency_digest"].clone();
    pair.asteroid.delete(&pair.asteroid.executions()[0].id);
    let older = json!({"metadata": {"idempotency_digest": digest}}).to_string();
    let key = ("X-Api-Key", crate::harness::API_KEY);
    assert_eq!(pair.asteroid.caller().post(&format!("/agents/v2{EXECUTE}"), &[key], older.as_bytes()).status, 202);
    let pair = replaced(pair);
    for body in ["{ }", "{}"] {
        assert_found(&pair, &pair.caller().post(EXECUTE, &[("Idempotency-Key", "k")], body.as_bytes()));
    }
}
