//! The rules for bodies, of which only the metadata changes.

use serde_json::json;

use crate::harness::{AGENT, EXECUTE, Pair};

#[test]
fn every_byte_outside_the_inserted_tags_leaves_as_it_came() {
    let pair = Pair::start();
    let before = "{ \"inputs\" : {\"big\":12345678901234567890123, \"f\":1.0E+2,\t\"s\":\"\\u00e9\\/\\ud83d\\ude00 \u{e9}\", \"a\":1, \"a\":2},\r\n \"version\": 3, ";
    let metadata = "\"met\\u0061data\" : { ";
    let after = "\"order\":\"z\\u0041\" } , \"unknown\":[null,{}]  }\n";
    assert_eq!(pair.execute(&[before, metadata, after].concat()).status, 202);
    let tags = r#""tenant":"billing","cost_center":"4711","team":"billing","#;
    let sent = pair.asteroid.only_request().text();
    let expected = [before, "\"met\\u0061data\" : {", tags, " ", after].concat();
    assert_eq!(sent, expected);
}

#[test]
fn tags_are_written_whether_metadata_is_absent_empty_or_null() {
    let pair = Pair::start();
    for body in ["{}", "{ }", r#"{"metadata":{}}"#, r#"{"metadata":null}"#, r#"{"version":1}"#] {
        assert_eq!(pair.execute(body).status, 202, "{body}");
        let sent = pair.asteroid.requests().pop().unwrap().json();
        assert_eq!(sent["metadata"], json!({"tenant": "billing", "team": "billing", "cost_center": "4711"}), "{body}");
    }
}

#[test]
fn a_forged_tag_is_refused_and_names_its_place() {
    let pair = Pair::start();
    for body in [
        r#"{"metadata":{"tenant":"sales"}}"#,
        r#"{"metadata":{"ten\u0061nt":"sales"}}"#,
        r#"{"metadata":{"tenant":null}}"#,
        r#"{"metadata":{"team":"sales"}}"#,
    ] {
        let answer = pair.execute(body);
        answer.assert_error(400, "body", "not_started");
        let pointer = answer.json()["errors"][0]["pointer"].clone();
        assert!(pointer == "/metadata/tenant" || pointer == "/metadata/team", "{body}: {pointer}");
    }
    assert_eq!(pair.asteroid.requests().len(), 0);
}

#[test]
fn a_forged_tag_is_overwritten_where_the_configuration_says_so() {
    let pair = Pair::with("tagging: { on_conflict: overwrite, tenant_key: owner, tenant_prefix: prod/ }");
    assert_eq!(pair.execute(r#"{"metadata":{"owner":"sales","mine":"1"}}"#).status, 202);
    let sent = pair.asteroid.only_request().json();
    let expected = json!({"owner": "prod/billing", "team": "billing", "cost_center": "4711", "mine": "1"});
    assert_eq!(sent["metadata"], expected);
}

#[test]
fn a_second_metadata_that_a_lenient_reader_would_take_is_refused() {
    let pair = Pair::start();
    for body in [
        r#"{"metadata":{},"metadata":{"tenant":"sales"}}"#,
        r#"{"metadata":{},"met\u0061data":{"tenant":"sales"}}"#,
        r#"{"metadata":{"a":"1","a":"2"}}"#,
        r#"{"Metadata":{"tenant":"sales"}}"#,
        r#"{"METAD\u0041TA":{"tenant":"sales"}}"#,
    ] {
        pair.execute(body).assert_error(400, "body", "not_started");
    }
    assert_eq!(pair.asteroid.requests().len(), 0);
}

#[test]
fn malformed_json_is_refused_with_the_place_of_the_fault() {
    let pair = Pair::start();
    let deep = format!("{{\"inputs\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{} {}",
        "{\"a\":01}",
        "{\"a\":\"\t\"}",
        "{'a':1}",
        "{\"a\":1,}",
        "\u{feff}{}",
        deep.as_str(),
    ] {
        let answer = pair.execute(body);
        answer.assert_error(400, "body", "not_started");
        assert_eq!(answer.json()["errors"][0]["pointer"], "", "{answer:?}");
    }
    let answer = pair.caller().post(EXECUTE, &[], b"{\"a\":\"\xff\"}");
    answer.assert_error(400, "body", "not_started");
    assert_eq!(pair.asteroid.requests().len(), 0);
}

#[test]
fn a_byte_order_mark_and_a_body_that_nests_too_deep_are_called_by_their_names() {
    let pair = Pair::start();
    for mark in [b"\xef\xbb\xbf".as_slice(), b"\xff\xfe", b"\xfe\xff"] {
        let answer = pair.caller().post(EXECUTE, &[], &[mark, b"{}"].concat());
        answer.assert_error(400, "body", "not_started");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains("byte order mark") && !message.contains("not JSON"), "{message}");
    }
    // The body and its inputs are two further levels.
    let nested = |levels| format!("{{\"inputs\":{{\"a\":{}{}}}}}", "[".repeat(levels), "]".repeat(levels));
    // The simulator's parser accepts one level less.
    assert_eq!(pair.execute(&nested(126)).header("proxy-status"), None);
    assert_eq!(pair.asteroid.requests().len(), 1);
    let answer = pair.execute(&nested(127));
    answer.assert_error(400, "body", "not_started");
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("more than 128") && !message.contains("not JSON"), "{message}");
    let half = pair.execute(r#"{"metadata":{"\ud800":"x"}}"#);
    half.assert_error(400, "body", "not_started");
    assert!(!half.json()["message"].to_string().contains("not JSON"), "{half:?}");
}

#[test]
fn a_name_that_only_looks_like_one_that_the_gateway_reads_or_writes_is_refused() {
    let pair = Pair::with("idempotency: { recovery: true }");
    for name in [
        "Tenant",
        "TENANT",
        " tenant",
        "tenant ",
        "ten ant",
        "tenant\\u0000",
        "tenant\\u200b",
        "\\ufefftenant",
        "ｔenant",
        "\\uff54enant",
        "\u{1d42d}enant",
        "tenant\u{a0}",
        "Team",
        "Cost_Center",
        "Idempotency_Digest",
        "idempotency_digest\u{ad}",
    ] {
        let key = [("Idempotency-Key", name.len().to_string())];
        let key: Vec<_> = key.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let body = format!("{{\"metadata\":{{\"ticket\":\"1\",\"{name}\":\"sales\"}}}}");
        let answer = pair.caller().post(EXECUTE, &key, body.as_bytes());
        answer.assert_error(400, "body", "not_started");
        assert!(answer.json()["errors"][0]["pointer"].as_str().unwrap().starts_with("/metadata/"), "{name}");
    }
    for name in
        ["metadata ", "meta data", "ｍetadata", "metadata\\u0000", "\\u200bmetadata", "Version", "version\u{2060}"]
    {
        let answer = pair.execute(&format!("{{\"{name}\":{{\"tenant\":\"sales\"}}}}"));
        answer.assert_error(400, "body", "not_started");
    }
    for body in [
        r#"{"executionOptions":{"Soft TimeoutMins":1}}"#,
        "{\"tempFiles\":[{\"id\":\"8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11\",\"name\":\"a\",\"ｎame\":\"b\"}]}",
    ] {
        pair.execute(body).assert_error(400, "body", "not_started");
    }
    assert_eq!(pair.asteroid.requests().len(), 0);
    // Other names are accepted, and so is any name in a part that is not read.
    let body =
        r#"{"metadata":{"tenants":"x","tènant":"y","te-am":"z"},"inputs":{"Tenant":1,"metadata ":{}},"later":1}"#;
    assert_eq!(pair.execute(body).status, 202);
    let overwriting = Pair::with("tagging: { on_conflict: overwrite }");
    let answer = overwriting.execute(r#"{"metadata":{"TENANT":"sales"}}"#);
    answer.assert_error(400, "body", "not_started");
}

#[test]
fn an_answer_that_lists_faults_is_short_however_long_the_names_are() {
    let pair = Pair::start();
    let long = "~/".repeat(200_000);
    let few = format!("{{\"metadata\":{{\"{long}\":1}}}}");
    let members: Vec<_> = (0..200).map(|n| format!("\"{}{n}\":1", "~".repeat(4000))).collect();
    let many = format!("{{\"metadata\":{{{}}}}}", members.join(","));
    for body in [few, many] {
        let answer = pair.execute(&body);
        answer.assert_error(400, "body", "not_started");
        assert!(answer.body.len() < 48 * 1024, "{} for {}", answer.body.len(), body.len());
        let pointer = answer.json()["errors"][0]["pointer"].as_str().unwrap().to_owned();
        assert!(pointer.starts_with("/metadata/~") && pointer.ends_with('…'), "{pointer}");
    }
    let host = "x".repeat(12_000);
    let answer = pair.caller().post(EXECUTE, &[("Host", &host)], b"{}");
    assert!(answer.status == 421 && answer.body.len() < 2000, "{}", answer.body.len());
}

#[test]
fn metadata_that_is_no_object_of_strings_is_refused_with_every_fault_at_once() {
    let pair = Pair::start();
    pair.execute(r#"{"metadata":"x"}"#).assert_error(400, "body", "not_started");
    let answer = pair.execute(r#"{"metadata":{"a":1,"b":"ok","c/d":[]}}"#);
    answer.assert_error(400, "body", "not_started");
    let pointers: Vec<_> = answer.json()["errors"].as_array().unwrap().iter().map(|e| e["pointer"].clone()).collect();
    assert_eq!(pointers, ["/metadata/a", "/metadata/c~1d"]);
}

#[test]
fn every_rule_of_the_specification_is_checked_and_every_fault_told_at_once() {
    let pair = Pair::start();
    let wrong = json!({
        "agentProfileId": "billing-profile", "agentProfilePoolId": AGENT, "inputs": [], "dynamicData": "x",
        "metadata": {"tenant": "sales", "ticket": 7}, "version": 1.5,
        "executionOptions": {"sharedStorageKey": 1, "softTimeoutMins": 0},
        "tempFiles": [{"id": AGENT, "name": "a"}, {"id": "1", "name": null}, {"name": "a"}, 4],
        "profileId": AGENT, "profileGroupId": AGENT, "head": true, "onCapacityLimit": "wait", "Version": 1,
    });
    let mut expected = [
        "/agentProfileId",
        "/agentProfilePoolId",
        "/inputs",
        "/dynamicData",
        "/metadata/tenant",
        "/metadata/ticket",
        "/version",
        "/executionOptions/sharedStorageKey",
        "/executionOptions/softTimeoutMins",
        "/tempFiles/1/id",
        "/tempFiles/1/name",
        "/tempFiles/2",
        "/tempFiles/3",
        "/profileGroupId",
        "/head",
        "/onCapacityLimit",
        "/Version",
    ];
    expected.sort_unstable();
    for path in [EXECUTE.to_owned(), format!("/workflows/{AGENT}/execute")] {
        let answer = pair.caller().post(&path, &[], wrong.to_string().as_bytes());
        answer.assert_error(400, "body", "not_started");
        let problem = answer.json();
        let errors = problem["errors"].as_array().unwrap();
        let mut pointers: Vec<&str> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
        pointers.sort_unstable();
        assert_eq!(pointers, expected);
        assert!(!problem.to_string().contains("billing-profile"), "no value of a body is shown");
    }
    assert_eq!(pair.asteroid.requests().len(), 0);
}

#[test]
fn what_both_eras_allow_and_what_neither_knows_is_passed_on() {
    let pair = Pair::start();
    for body in [
        json!({"agentProfilePoolId": AGENT.to_uppercase(), "agentProfileId": null, "version": 3, "tempFiles": null}),
        json!({"profileGroupId": AGENT, "profileId": null, "head": true, "version": null, "onCapacityLimit": "queue"}),
        json!({"executionOptions": {"variantKey": "a", "softTimeoutMins": 525_600, "later": 1}, "later": {"a": [1]}}),
        json!({"tempFiles": [{"id": AGENT, "name": "a.pdf", "later": null}], "dynamicData": {}, "inputs": {}}),
    ] {
        assert_eq!(pair.execute(&body.to_string()).status, 202, "{body}");
        let mut sent = pair.asteroid.requests().pop().unwrap().json();
        sent.as_object_mut().unwrap().remove("metadata");
        assert_eq!(sent, body);
    }
}

#[test]
fn a_workflow_is_started_and_tagged_like_an_agent_and_logged_as_a_workflow() {
    let pair = Pair::start();
    let answer = pair.caller().post(&format!("/workflows/{AGENT}/execute"), &[], br#"{"metadata":{"a":"b"}}"#);
    assert_eq!(answer.status, 202);
    let sent = pair.asteroid.only_request();
    assert_eq!(sent.target, format!("/agents/v2/workflows/{AGENT}/execute"));
    assert_eq!(sent.text(), r#"{"metadata":{"tenant":"billing","cost_center":"4711","team":"billing","a":"b"}}"#);
    assert_eq!(pair.asteroid.executions()[0].workflow_id.as_deref(), Some(AGENT));
    let line = pair.gateway.request_line(202);
    assert_eq!((&line["operation"], &line["workflow_id"]), (&"WorkflowExecutePost".into(), &AGENT.into()));
    assert!(line.get("agent_id").is_none(), "{line}");
}

#[test]
fn another_media_type_is_refused() {
    let pair = Pair::start();
    for value in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "multipart/form-data",
        "application/json; charset=utf-16",
        "application/json; charset = utf-16",
        "application/json;a=b;Charset=\"utf-7\"",
        "",
    ] {
        pair.caller().post(EXECUTE, &[("Content-Type", value)], b"{}").assert_error(415, "media-type", "not_started");
    }
    let coded = pair.caller().post(EXECUTE, &[("Content-Encoding", "gzip")], b"{}");
    coded.assert_error(415, "media-type", "not_started");
    let twice = [("Content-Type", "application/json"), ("Content-Type", "text/plain")];
    pair.caller().post(EXECUTE, &twice, b"{}").assert_error(415, "media-type", "not_started");
    assert_eq!(pair.asteroid.requests().len(), 0);
}

#[test]
fn a_media_type_with_a_parameter_is_taken_and_passed_on() {
    let pair = Pair::start();
    let value = "Application/JSON; charset=utf-8";
    assert_eq!(pair.caller().post(EXECUTE, &[("Content-Type", value)], b"{}").status, 202);
    assert_eq!(pair.asteroid.only_request().header("content-type"), Some(value));
}

#[test]
fn a_chunked_body_is_taken_and_leaves_with_a_length() {
    let pair = Pair::start();
    let mut caller = pair.caller();
    let head = "Host: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    caller.send(format!("POST {EXECUTE} HTTP/1.1\r\n{head}").as_bytes());
    caller.send(b"3\r\n{\"a\r\n5\r\n\":1}\n\r\n0\r\n\r\n");
    assert_eq!(caller.answer().status, 202);
    let sent = pair.asteroid.only_request();
    assert!(sent.header("content-length").is_some() && sent.header("transfer-encoding").is_none());
    assert!(sent.text().ends_with("\"a\":1}\n"));
}

#[test]
fn a_body_at_the_limit_is_taken_and_one_byte_more_is_refused_before_it_is_read_or_as_soon_as_it_is() {
    let pair = Pair::with("body_limit: 1KiB");
    let body = |length: usize| format!("{{\"inputs\":{{\"a\":\"{}\"}}}}", "x".repeat(length - 19));
    assert_eq!(body(1024).len(), 1024);
    assert_eq!(pair.execute(&body(1024)).status, 202);

    let mut announced = pair.caller();
    announced.send_post(EXECUTE, &[], body(1025).as_bytes());
    let answer = announced.answer();
    answer.assert_error(413, "body-too-large", "not_started");
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(announced.is_closed());

    let mut chunked = pair.caller();
    let head = "Host: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    chunked.send(format!("POST {EXECUTE} HTTP/1.1\r\n{head}401\r\n{}\r\n", body(1025)).as_bytes());
    chunked.answer().assert_error(413, "body-too-large", "not_started");
    assert_eq!(pair.asteroid.requests().len(), 1);
}

#[test]
fn a_caller_who_writes_a_refused_body_before_reading_still_gets_the_answer() {
    let pair = Pair::with("body_limit: 1KiB");
    let mut caller = pair.caller();
    // More than the sockets' buffers hold: if the gateway did not read on, writing would fail with a reset.
    caller.send_post(EXECUTE, &[], &vec![b' '; 3 * 1024 * 1024]);
    caller.answer().assert_error(413, "body-too-large", "not_started");
}

#[test]
fn a_caller_who_expects_100_continue_gets_it_for_a_good_request_and_a_refusal_for_a_bad_one() {
    let pair = Pair::with("body_limit: 1KiB");
    let head = |length: usize| {
        format!(
            "POST {EXECUTE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let mut good = pair.caller();
    good.send(head(2).as_bytes());
    assert_eq!(good.answer().status, 100);
    good.send(b"{}");
    assert_eq!(good.answer().status, 202);
    let mut bad = pair.caller();
    bad.send(head(4096).as_bytes());
    bad.answer().assert_error(413, "body-too-large", "not_started");
    assert!(bad.is_closed());
}

#[test]
fn a_body_that_does_not_arrive_in_time_is_refused_and_the_connection_closed() {
    let pair = Pair::with("timeouts: { body: 200ms }");
    let mut caller = pair.caller();
    caller.send(format!("POST {EXECUTE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{{").as_bytes());
    let answer = caller.answer();
    answer.assert_error(408, "body-timeout", "not_started");
    assert!(caller.is_closed());
    assert_eq!(pair.asteroid.requests().len(), 0);
}

#[test]
fn a_body_whose_framing_is_broken_is_refused() {
    let pair = Pair::start();
    let mut caller = pair.caller();
    let head = "Host: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    caller.send(format!("POST {EXECUTE} HTTP/1.1\r\n{head}zz\r\n{{}}\r\n0\r\n\r\n").as_bytes());
    caller.answer().assert_error(400, "body-broken", "not_started");
    assert!(caller.is_closed());
    assert_eq!(pair.asteroid.requests().len(), 0);
}

#[test]
fn a_caller_who_accepts_problem_json_gets_it() {
    let pair = Pair::start();
    let answer = pair.caller().post(EXECUTE, &[("Accept", "application/problem+json, */*")], b"[]");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.json()["title"], "Invalid body");
}
