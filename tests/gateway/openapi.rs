//! docs/openapi.json: the admin listener serves it, and a gateway behaves as it says.

use serde_json::Value;

use crate::examples::read;
use crate::harness::Pair;

const FILE: &str = "docs/openapi.json";

#[test]
fn the_admin_listener_serves_the_document_of_the_repository() {
    let pair = Pair::start();
    let served = pair.gateway.admin("/openapi.json");
    assert_eq!((served.status, served.header("content-type")), (200, Some("application/json")));
    let document: Value = serde_json::from_str(&read(FILE)).unwrap();
    assert_eq!(served.json(), document);
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.contains_key("/agents/{agentId}/execute") && paths.len() > 10, "{paths:?}");
}
