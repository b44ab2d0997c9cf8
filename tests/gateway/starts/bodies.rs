//! The body of every start is checked and tagged, and otherwise sent as it came.

use asteroid_gateway::asteroid::operation::{BodyRule, Operation};
use serde_json::{Value, json};

use super::{Starts, inputs, tagged};
use crate::harness::AGENT;

/// Returns the inserted text, if `to` is `from` with one insertion.
fn insertion<'t>(from: &str, to: &'t str) -> Option<&'t str> {
    let same = from.bytes().zip(to.bytes()).take_while(|(from, to)| from == to).count();
    let behind = to.strip_prefix(from.get(..same)?)?;
    behind.strip_suffix(from.get(same..)?)
}

/// Starts a gateway that takes its upstream for one of this era.
fn of_era(era: &str) -> Starts {
    Starts::configured(|configuration| configuration.upstream(&format!("api: {era}")))
}

#[test]
fn the_tags_of_every_start_are_one_insertion_and_every_other_byte_is_the_caller_s() {
    let starts = Starts::new();
    for operation in tagged() {
        let inputs = inputs(operation);
        for (body, ticket) in [
            (format!("\r\n{{\"{inputs}\" : {{\"n\":1.0e2,\"n\":\"\\u00e9\u{e9}\"}},\"later\":[ 1 ]}} "), None),
            (format!("{{ \"{inputs}\":null,\"metadata\" : {{ \"ticket\":\"T\\u002d1\" }}\n}}"), Some("T-1")),
            ("{\"metadata\":null}".to_owned(), None),
        ] {
            assert!((200..300).contains(&starts.post(operation, &[], &body).status), "{operation:?} {body}");
            let sent = starts.sent(0).pop().unwrap().text();
            let nothing = body.replace(":null}", ":}");
            let inserted = insertion(&body, &sent).or_else(|| insertion(&nothing, &sent));
            assert!(inserted.is_some_and(|tags| tags.contains("\"tenant\":\"billing\"")), "{operation:?}: {sent}");
            let mut expected = json!({ "tenant": "billing", "team": "billing", "cost_center": "4711" });
            ticket.into_iter().for_each(|ticket| expected["ticket"] = ticket.into());
            let execution = starts.pair.asteroid.executions().pop().unwrap();
            assert_eq!(Value::Object(execution.metadata), expected, "{operation:?}");
        }
    }
}

#[test]
fn an_idempotency_key_is_tagged_in_every_start_that_takes_metadata_and_names_the_same_agent_in_both_eras() {
    let starts = Starts::new();
    let mut digests = Vec::new();
    for operation in tagged() {
        starts.keyed(operation, operation.name(), "{}");
        let metadata = starts.pair.asteroid.executions().pop().unwrap().metadata;
        digests.push(metadata["idempotency_digest"].as_str().unwrap().to_owned());
        assert!(metadata["idempotency_body"].is_string());
    }
    let other = Starts::configured(|configuration| configuration.with("tagging: { idempotency_key: other }"));
    let keys = tagged().map(Operation::name);
    // Each is sent by the path of the other era with the same key, and carries the same digest.
    let eras = [
        Operation::WorkflowExecute,
        Operation::AgentExecute,
        Operation::WorkflowExecuteSync,
        Operation::AgentExecuteSync,
        Operation::WorkflowVersionExecute,
        Operation::AgentVersionExecute,
    ];
    for ((operation, key), digest) in eras.into_iter().zip(keys).zip(digests) {
        other.keyed(operation, key, "{}");
        let metadata = other.pair.asteroid.executions().pop().unwrap().metadata;
        assert_eq!(metadata["other"], digest, "{operation:?}");
    }
}

/// Returns bodies that a start must not have, each with the pointer of its fault.
fn faulty(rule: BodyRule) -> Vec<(String, &'static str)> {
    let everywhere = [
        ("[]", ""),
        ("{", ""),
        ("\u{feff}{}", ""),
        (r#"{"agentProfileId":"x"}"#, "/agentProfileId"),
        (r#"{"agentProfileId":1}"#, "/agentProfileId"),
        (r#"{"metadata":{"tenant":"sales"}}"#, "/metadata"),
        (r#"{"metadata":{},"metadata":{}}"#, "/metadata"),
        (r#"{"MetaData":{}}"#, "/MetaData"),
        (r#"{"parentExecutionId":"x"}"#, "/parentExecutionId"),
        (r#"{"parentexecutionid":"ID"}"#, "/parentexecutionid"),
        (r#"{"parentExecutionId":"ID","parentExecutionId":"ID"}"#, "/parentExecutionId"),
        (r#"{"tempFiles":[{"id":"ID","name":"a"},{"id":"x","name":"a"}]}"#, "/tempFiles/1/id"),
    ];
    let tagged = [
        (r#"{"metadata":{"n":1}}"#, "/metadata/n"),
        (r#"{"metadata":[]}"#, "/metadata"),
        (r#"{"metadata":{" Tenant":"billing"}}"#, "/metadata/ Tenant"),
        (r#"{"tempFiles":[{"id":"ID"}]}"#, "/tempFiles/0"),
        (r#"{"executionOptions":{"softTimeoutMins":0}}"#, "/executionOptions/softTimeoutMins"),
        (r#"{"agentProfileId":"ID","agentProfilePoolId":"ID"}"#, "/agentProfilePoolId"),
    ];
    let of_agent = [
        (r#"{"inputs":[]}"#, "/inputs"),
        (r#"{"dynamicData":1}"#, "/dynamicData"),
        (r#"{"version":1.0}"#, "/version"),
        (r#"{"version":1,"head":true}"#, "/head"),
        (r#"{"onCapacityLimit":"wait"}"#, "/onCapacityLimit"),
        (r#"{"profileId":"ID","profileGroupId":"ID"}"#, "/profileGroupId"),
    ];
    let waiting = [
        (r#"{"timeoutSeconds":0}"#, "/timeoutSeconds"),
        (r#"{"timeoutSeconds":26}"#, "/timeoutSeconds"),
        (r#"{"timeoutSeconds":1.0}"#, "/timeoutSeconds"),
        (r#"{"timeoutSeconds":"5"}"#, "/timeoutSeconds"),
    ];
    let of_version = [(r#"{"inputVariables":[]}"#, "/inputVariables"), (r#"{"inputs":{}}"#, "/inputs")];
    let of_rerun = [(r#"{"inputs":[]}"#, "/inputs"), (r#"{"profileId":"x"}"#, "/profileId")];
    let own: Vec<_> = match rule {
        BodyRule::Start => tagged.into_iter().chain(of_agent).collect(),
        BodyRule::SyncStart => tagged.into_iter().chain(of_agent).chain(waiting).collect(),
        BodyRule::VersionStart => tagged.into_iter().chain(of_version).collect(),
        BodyRule::Rerun => of_rerun.into(),
        other => panic!("{other:?} is no body of a start"),
    };
    everywhere.into_iter().chain(own).map(|(body, pointer)| (body.replace("ID", AGENT), pointer)).collect()
}

#[test]
fn a_faulty_body_of_every_start_is_400_with_the_pointer_of_its_fault_and_nothing_is_sent() {
    let starts = Starts::new();
    for operation in Operation::starts() {
        let path = starts.path(operation);
        let before = starts.count();
        for (body, pointer) in faulty(operation.rules().body) {
            let answer = starts.pair.caller().post(&path, &[("X-Tenant-Id", "billing")], body.as_bytes());
            answer.assert_error(400, "body", "not_started");
            let named = answer.json()["errors"][0]["pointer"].as_str().unwrap().to_owned();
            assert!(named == pointer || named == format!("{pointer}/tenant"), "{operation:?} {body}: {named}");
        }
        starts.post(operation, &[("Content-Type", "text/plain")], "{}").assert_error(415, "media-type", "not_started");
        assert_eq!(starts.count(), before, "{operation:?}");
    }
}

#[test]
fn the_start_of_a_version_takes_the_inputs_of_its_upstream_s_era() {
    let [old, new] = ["old", "new"].map(of_era);
    for operation in [Operation::AgentVersionExecute, Operation::WorkflowVersionExecute] {
        for body in [r#"{"inputVariables":{"n":1}}"#, r#"{"inputVariables":{},"inputs":null}"#, "{}"] {
            assert_eq!([&old, &new].map(|starts| starts.post(operation, &[], body).status), [202; 2], "{body}");
        }
        let newer = r#"{"inputs":{"n":1},"inputVariables":null}"#;
        assert_eq!(new.post(operation, &[], newer).status, 202);
        let refused = old.post(operation, &[], newer);
        refused.assert_error(400, "body", "not_started");
        let fault = refused.json()["errors"][0].clone();
        assert_eq!(fault["pointer"], "/inputs");
        assert!(fault["detail"].as_str().unwrap().contains("send inputVariables instead"), "{fault}");
        for starts in [&old, &new] {
            let refused = starts.post(operation, &[], r#"{"inputs":{},"inputVariables":{}}"#);
            refused.assert_error(400, "body", "not_started");
            assert_eq!(refused.json()["errors"][0]["pointer"], "/inputs");
        }
    }
    assert_eq!((old.pair.asteroid.started(), new.pair.asteroid.started()), (6, 8));
}

#[test]
fn a_rerun_is_sent_byte_by_byte_and_gets_the_metadata_of_the_execution_that_it_repeats() {
    let starts = Starts::new();
    for body in ["", " {\"inputs\" : {\"n\":1.0},\"later\":[{}] }\n", r#"{"metadata":null}"#] {
        assert_eq!(starts.keyed(Operation::ExecutionRerun, &format!("k{}", body.len()), body).status, 202);
        assert_eq!(starts.sent(0).pop().unwrap().text(), body);
        let execution = starts.pair.asteroid.executions().pop().unwrap();
        assert_eq!(Value::Object(execution.metadata), json!({ "tenant": "billing", "ticket": "T-1" }));
        assert_eq!(execution.parent.as_deref(), Some(starts.original()));
    }
}
