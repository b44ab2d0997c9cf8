//! Lists of files: those of a folder that executions share are shown to the tenant whose they are.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{API_KEY, EXECUTE, Pair};

/// Starts an execution without the gateway, so that the gateway does not know whose it is. Returns its id.
fn start(pair: &Pair, tenant: &str) -> String {
    let body = json!({"metadata": {"tenant": tenant}}).to_string();
    let path = format!("/agents/v2{EXECUTE}");
    let answer = pair.asteroid.caller().post(&path, &[("X-Api-Key", API_KEY)], body.as_bytes());
    answer.json()["executionId"].as_str().unwrap().to_owned()
}

/// Returns the executions whose files are in the shared folder, as the gateway shows it.
fn shown(pair: &Pair, id: &str, kind: &str) -> BTreeSet<String> {
    let answer = pair.caller().request("GET", &format!("/executions/{id}/{kind}"));
    assert_eq!(answer.status, 200);
    let shared = answer.json()["directories"]["shared"].as_array().unwrap().clone();
    let executions = shared.iter().map(|file| file["executionId"].as_str().unwrap().to_owned());
    executions.collect()
}

/// Returns how many executions the gateway has asked for.
fn lookups(pair: &Pair) -> usize {
    let is_lookup = |target: &str| target.strip_prefix("/agents/v2/executions/").is_some_and(|id| !id.contains('/'));
    pair.asteroid.requests().iter().filter(|request| request.method == "GET" && is_lookup(&request.target)).count()
}

#[test]
fn of_a_shared_folder_a_tenant_sees_its_own_files_and_one_list_asks_for_at_most_twenty_executions() {
    let pair = Pair::start();
    let id = pair.execute("{}").json()["executionId"].as_str().unwrap().to_owned();
    let [foreign, also_foreign] = ["sales", ""].map(|tenant| start(&pair, tenant));
    let own: BTreeSet<String> = (0..21).map(|_| start(&pair, "billing")).collect();
    let all = pair.asteroid.get(&format!("/agents/v2/executions/{id}/files")).json();
    let all: Vec<&Value> = all["directories"]["shared"].as_array().unwrap().iter().collect();
    assert_eq!(all.len(), 24, "Asteroid shows them all");

    let first = shown(&pair, &id, "files");
    assert_eq!(lookups(&pair), 20);
    // The look-ups of a list begin at any of its executions, two of which are foreign.
    assert!(first.contains(&id) && (19..=21).contains(&first.len()), "{}", first.len());
    let second = shown(&pair, &id, "agent-files");
    assert!(!second.contains(&foreign) && !second.contains(&also_foreign));
    assert_eq!(second, own.into_iter().chain([id]).collect());
}

#[test]
fn a_list_of_files_whose_owners_cannot_be_found_out_shows_those_that_are_known() {
    let pair = Pair::start();
    let id = pair.execute("{}").json()["executionId"].as_str().unwrap().to_owned();
    start(&pair, "billing");
    pair.asteroid.fail_always(json!({"operation": "get", "then": {"answer": {"status": 503}}}));
    assert_eq!(shown(&pair, &id, "files"), BTreeSet::from([id]));
}
