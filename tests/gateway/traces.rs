//! Traces: the decision to sample, the content of spans, and the context that is forwarded.

mod export;

use asteroid_gateway::event;
use serde_json::{Value, json};

use crate::harness::{AGENT, Collector, EXECUTE, Pair, TlsPair};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn parent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

/// Returns the only span of this kind.
fn only<'a>(spans: &'a [Value], kind: &str) -> &'a Value {
    let of_kind: Vec<&Value> = spans.iter().filter(|span| span["kind"] == format!("SPAN_KIND_{kind}")).collect();
    assert_eq!(of_kind.len(), 1, "{spans:#?}");
    of_kind[0]
}

/// Returns the trace, span and flags of the `traceparent` that the upstream received.
fn sent(request: &asteroid_gateway::simulator::received::ReceivedRequest) -> (String, String, String) {
    let value = request.header("traceparent").expect("one traceparent");
    let [version, trace, span, flags] = value.split('-').collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(version, "00");
    (trace.to_owned(), span.to_owned(), flags.to_owned())
}

/// Posts with this `traceparent` and a `tracestate`.
fn traced(pair: &Pair, traceparent: &str) {
    let headers = [("traceparent", traceparent), ("tracestate", "a=1"), ("tracestate", "b=2")];
    assert_eq!(pair.caller().post(EXECUTE, &headers, b"{}").status, 202);
}

fn states(request: &asteroid_gateway::simulator::received::ReceivedRequest) -> Vec<&str> {
    let states = request.headers.iter().filter(|(name, _)| name == "tracestate");
    states.map(|(_, value)| value.as_str()).collect()
}

#[test]
fn a_sampled_request_has_a_span_for_itself_and_one_for_its_exchange_in_the_callers_trace() {
    let collector = Collector::start();
    let pair = Pair::with(&collector.traces(", service_name: billing-gateway"));
    let headers = [("traceparent", parent("01")), ("tracestate", "a=1".into()), ("Idempotency-Key", "k".into())];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let answer = pair.caller().post(EXECUTE, &headers, br#"{"inputs":{"secret":"CANARY"}}"#);
    assert_eq!(answer.status, 202);
    let spans = collector.spans(2);
    assert_eq!(spans.len(), 2);
    let (server, client) = (only(&spans, "SERVER"), only(&spans, "CLIENT"));
    let line = pair.gateway.request_line(202);

    assert_eq!((&server["trace"], &server["parent"]), (&TRACE.into(), &PARENT.into()));
    assert_eq!((&client["trace"], &client["parent"]), (&TRACE.into(), &server["id"]));
    assert_eq!((&server["flags"], &client["flags"]), (&json!(0x301), &json!(0x101)));
    assert_eq!((&server["state"], &client["state"]), (&"a=1".into(), &"a=1".into()));
    assert_eq!((&server["name"], &client["name"]), (&"POST /agents/{agentId}/execute".into(), &"POST".into()));
    assert_ne!(client["id"], server["id"]);
    let (trace, span, flags) = sent(&pair.asteroid.only_request());
    assert_eq!((trace.as_str(), &Value::from(span), flags.as_str()), (TRACE, &client["id"], "01"));
    assert_eq!(line["trace_id"], TRACE);

    let times = [&server["start"], &client["start"], &client["end"], &server["end"]].map(|time| time.as_u64().unwrap());
    assert!(times.is_sorted(), "{times:?}");
    for span in &spans {
        assert_eq!((&span["status"], &span["message"]), (&"STATUS_CODE_UNSET".into(), &"".into()));
        assert_eq!(span["resource"]["service.name"], "billing-gateway");
        assert_eq!(span["resource"]["service.version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(span["scope"], "asteroid-gateway");
    }
    let expected = json!({
        "http.request.method": "POST", "network.protocol.version": "1.1", "url.scheme": "http", "url.path": EXECUTE,
        "http.route": "/agents/{agentId}/execute", "http.response.status_code": 202, "client.address": "127.0.0.1",
        "network.peer.address": "127.0.0.1",
        "network.peer.port": line["peer"].as_str().unwrap().rsplit(':').next().unwrap().parse::<u16>().unwrap(),
        "asteroid_gateway.request_id": line["request_id"], "asteroid_gateway.tenant": "billing",
        "asteroid_gateway.operation": "AgentExecutePost", "asteroid_gateway.agent_id": AGENT,
        "asteroid_gateway.credential": "main", "asteroid_gateway.outcome": "answered",
        "asteroid_gateway.idempotency_digest": line["idempotency_digest"],
        "asteroid_gateway.idempotency_outcome": "answered",
        "asteroid_gateway.execution_id": pair.asteroid.executions()[0].id, "asteroid_gateway.delivered": true
    });
    assert_eq!(server["attributes"], expected);
    let (host, port) =
        pair.asteroid.authority().rsplit_once(':').map(|(host, port)| (host.to_owned(), port.to_owned())).unwrap();
    let expected = json!({
        "http.request.method": "POST", "network.protocol.version": "1.1", "http.response.status_code": 202,
        "url.full": format!("{}/agents/{AGENT}/execute", pair.asteroid.url()), "server.address": host,
        "server.port": port.parse::<u16>().unwrap()
    });
    assert_eq!(client["attributes"], expected);
    let post = &collector.posts(1)[0];
    assert!(post.head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{}", post.head);
    assert!(post.head.contains("content-type: application/x-protobuf\r\n"), "{}", post.head);
}

#[test]
fn the_ratio_decides_about_new_traces_and_those_that_a_caller_sampled_and_no_other_is_recorded() {
    for (sample, is_recorded) in [("0", false), ("1", true)] {
        let collector = Collector::start();
        let pair = Pair::with(&collector.traces(&format!(", sample: {sample}")));
        traced(&pair, &parent("00"));
        traced(&pair, &parent("01"));
        assert_eq!(pair.execute("{}").status, 202);
        // The end of the gateway flushes the last spans, so no more can arrive.
        let Pair { asteroid, gateway } = pair;
        let ended = gateway.stop();
        let seen = if is_recorded { collector.spans(4) } else { Vec::new() };
        assert_eq!((seen.len(), collector.posts(0).is_empty()), if is_recorded { (4, false) } else { (0, true) });

        let [unsampled, sampled, root] = asteroid.requests().try_into().unwrap();
        assert_eq!(unsampled.header("traceparent"), Some(parent("00").as_str()), "it goes on as it came");
        assert_eq!(states(&unsampled), ["a=1", "b=2"]);
        let (trace, span, flags) = sent(&sampled);
        assert_eq!((trace.as_str(), flags.as_str()), (TRACE, "01"));
        assert_eq!(span != PARENT, is_recorded, "it goes on as it came where it is not recorded");
        assert_eq!(seen.iter().any(|seen| seen["id"] == span), is_recorded);
        assert_eq!(states(&sampled), ["a=1", "b=2"]);
        let (trace, _, flags) = sent(&root);
        assert_eq!(flags, if is_recorded { "03" } else { "02" }, "the upstream decides no other way");
        assert_eq!(seen.iter().any(|seen| seen["trace"] == trace), is_recorded);
        assert_eq!(states(&root), [""; 0]);
        for trace in [TRACE, &trace] {
            assert!(ended.output.contains(&format!(r#""trace_id":"{trace}""#)), "{}", ended.output);
        }
    }
}

#[test]
fn a_caller_cannot_choose_a_trace_that_is_always_recorded() {
    let collector = Collector::start();
    let pair = Pair::with(&collector.traces(", sample: 0.5"));
    for _ in 0..60 {
        traced(&pair, &parent("01"));
    }
    let requests = pair.asteroid.requests();
    let recorded = requests.iter().filter(|request| sent(request).1 != PARENT).count();
    assert!(recorded > 0 && recorded < requests.len(), "{recorded} of {}, all of one trace", requests.len());
}

#[test]
fn an_invalid_context_is_replaced_by_a_new_trace_and_its_state_goes_with_it() {
    for sample in [0, 1] {
        let collector = Collector::start();
        let pair = Pair::with(&collector.traces(&format!(", sample: {sample}")));
        let upper = parent("01").to_uppercase();
        let zero = parent("01").replace(PARENT, &"0".repeat(16));
        for invalid in ["", "x", &upper, &zero, &format!("{}-x", parent("01"))] {
            traced(&pair, invalid);
        }
        let twice = [("traceparent", parent("01")), ("traceparent", parent("01")), ("tracestate", "a=1".into())];
        let twice = twice.each_ref().map(|(name, value)| (*name, value.as_str()));
        assert_eq!(pair.caller().post(EXECUTE, &twice, b"{}").status, 202);
        assert_eq!(pair.caller().post(EXECUTE, &[("tracestate", "a=1")], b"{}").status, 202);
        let requests = pair.asteroid.requests();
        assert_eq!(requests.len(), 7);
        for request in requests {
            let (trace, _, _) = sent(&request);
            assert!(trace != TRACE, "{:?}", request.headers);
            assert_eq!(states(&request), [""; 0]);
        }
        if sample == 1 {
            for span in collector.spans(14) {
                let is_root = span["kind"] == "SPAN_KIND_SERVER";
                assert_eq!((span["parent"] == "", &span["state"]), (is_root, &"".into()), "{span:#}");
            }
        }
    }
}

#[test]
fn without_a_collector_a_valid_context_passes_as_it_came_and_an_invalid_one_does_not() {
    let pair = Pair::start();
    let later = format!("01-{TRACE}-{PARENT}-fd-more");
    for valid in [&parent("00"), &parent("01"), &later] {
        traced(&pair, valid);
        let requests = pair.asteroid.requests();
        let request = requests.last().unwrap();
        assert_eq!((request.header("traceparent"), states(request)), (Some(valid.as_str()), vec!["a=1", "b=2"]));
    }
    traced(&pair, "00-nonsense");
    assert_eq!(pair.execute("{}").status, 202);
    for request in &pair.asteroid.requests()[3..] {
        assert!(!request.headers.iter().any(|(name, _)| name.starts_with("trace")), "{:?}", request.headers);
    }
    let lines = pair.gateway.stop().output;
    assert_eq!(lines.matches(&format!(r#""trace_id":"{TRACE}""#)).count(), 3, "{lines}");
    assert_eq!(lines.matches("trace_id").count(), 3, "{lines}");
}

#[test]
fn what_fails_says_so_by_the_conventions() {
    let collector = Collector::start();
    let more = format!("{}\ntimeouts: {{ response: 300ms }}", collector.traces(""));
    let pair = Pair::with(&more);
    let mut seen = 0;
    let mut spans = |count: usize| {
        let spans = collector.spans(seen + count).split_off(seen);
        assert_eq!(spans.len(), count, "{spans:#?}");
        seen += count;
        spans
    };
    let errors = |spans: &[Value], kind: &str| {
        let span = only(spans, kind);
        (span["status"].as_str().unwrap().replace("STATUS_CODE_", ""), span["attributes"]["error.type"].clone())
    };
    let unset = ("UNSET".to_owned(), Value::Null);
    let error = |kind: &str| ("ERROR".to_owned(), Value::from(kind));

    pair.execute("[]").assert_error(400, "body", "not_started");
    let refused = spans(1);
    assert_eq!(errors(&refused, "SERVER"), unset, "a caller's fault is none of a server's");
    assert_eq!(refused[0]["attributes"]["asteroid_gateway.error"], "body");

    pair.asteroid.fail_next(json!({"then": {"answer": {"status": 422, "headers": [], "body": "{}"}}}));
    assert_eq!(pair.execute("{}").status, 422);
    let refused = spans(2);
    assert_eq!((errors(&refused, "SERVER"), errors(&refused, "CLIENT")), (unset, error("422")));

    pair.asteroid.fail_next(json!({"then": {"answer": {"status": 500, "headers": [], "body": "oops"}}}));
    assert_eq!(pair.execute("{}").status, 500);
    let failed = spans(2);
    assert_eq!((errors(&failed, "SERVER"), errors(&failed, "CLIENT")), (error("500"), error("500")));

    pair.asteroid.fail_next(json!({"then": {"answer": {"status": 401, "headers": [], "body": "{}"}}}));
    assert_eq!(pair.execute("{}").status, 502);
    let refused = spans(2);
    let code = only(&refused, "SERVER")["attributes"]["asteroid_gateway.error"].as_str().unwrap();
    assert_eq!((errors(&refused, "SERVER"), errors(&refused, "CLIENT")), (error(code), error("401")));

    for (then, code) in [("close", "upstream-broke"), ("stall", "upstream-timeout")] {
        pair.asteroid.fail_next(json!({"then": then}));
        assert_eq!(pair.execute("{}").status, 504);
        let broke = spans(2);
        assert_eq!((errors(&broke, "SERVER"), errors(&broke, "CLIENT")), (error(code), error(code)));
        assert_eq!(only(&broke, "SERVER")["attributes"]["asteroid_gateway.outcome"], "unknown");
    }

    let mut caller = pair.caller();
    caller.send(format!("BREW /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(1000)).as_bytes());
    assert_eq!(caller.answer().status, 404);
    let odd = spans(1);
    assert_eq!(odd[0]["name"], "HTTP");
    let shown = &odd[0]["attributes"];
    assert_eq!(
        (&shown["http.request.method"], &shown["http.request.method_original"]),
        (&"_OTHER".into(), &"BREW".into())
    );
    assert_eq!(shown["url.path"].as_str().unwrap().len(), 256);
}

#[test]
fn each_look_up_has_a_span_and_goes_on_with_the_trace() {
    let collector = Collector::start();
    let pair = Pair::with(&format!("{}\nidempotency: {{ recovery: true }}", collector.traces("")));
    let headers = [("Idempotency-Key", "k"), ("traceparent", &parent("01")), ("tracestate", "a=1")];
    assert_eq!(pair.caller().post(EXECUTE, &headers, b"{}").status, 202);
    // There is one look-up for each form of the filter.
    let spans = collector.spans(4);
    assert_eq!(spans.len(), 4);
    let clients: Vec<&Value> = spans.iter().filter(|span| span["kind"] == "SPAN_KIND_CLIENT").collect();
    assert_eq!(clients.iter().map(|span| &span["name"]).collect::<Vec<_>>(), ["GET", "GET", "POST"]);
    for (client, next) in clients.iter().zip(&clients[1..]) {
        assert!(client["attributes"]["url.full"].as_str().unwrap().contains("/executions?"), "{client:#}");
        assert!(client["end"].as_u64() <= next["start"].as_u64());
    }
    for (request, client) in pair.asteroid.requests().iter().zip(clients) {
        let (trace, span, flags) = sent(request);
        assert_eq!((trace.as_str(), &Value::from(span), flags.as_str()), (TRACE, &client["id"], "01"));
        assert_eq!(states(request), ["a=1"]);
    }
}

#[test]
fn the_query_of_a_caller_is_in_no_span_and_no_value_of_it_in_the_log() {
    let collector = Collector::start();
    let pair = Pair::with(&collector.traces(""));
    let list = |query: &str| pair.caller().request("GET", &format!("/executions?{query}")).status;
    assert_eq!(list("inputsKey=email&inputsValue=QUERY-CANARY"), 200);
    assert_eq!(list("inputsValue=QUERY-CANARY+1"), 400);
    let spans = collector.spans(3);
    assert!(!format!("{spans:?}").contains("QUERY-CANARY"), "{spans:#?}");
    let sent = pair.asteroid.only_request();
    assert!(sent.target.contains("inputsValue=QUERY-CANARY&metadataKey=tenant"), "{}", sent.target);
    assert_eq!(only(&spans, "CLIENT")["attributes"]["url.full"], format!("{}/executions", pair.asteroid.url()));
    let ended = pair.gateway.stop();
    assert!(ended.output.contains("has a plus in") && !ended.output.contains("QUERY-CANARY"), "{}", ended.output);
}

#[test]
fn the_spans_of_https_and_http2_say_so() {
    let collector = Collector::start();
    let secure = TlsPair::with(&collector.traces(""));
    assert_eq!(secure.http2().post(&[], "{}").unwrap().status(), 202);
    let spans = collector.spans(2);
    let server = &only(&spans, "SERVER")["attributes"];
    assert_eq!((&server["url.scheme"], &server["network.protocol.version"]), (&"https".into(), &"2".into()));
    let pair = Pair::tls(&collector.traces(""));
    assert_eq!(pair.execute("{}").status, 202);
    let spans = collector.spans(4).split_off(2);
    let client = &only(&spans, "CLIENT")["attributes"];
    assert_eq!(client["network.protocol.version"], "2");
    assert_eq!(client["url.full"], format!("{}/agents/{AGENT}/execute", pair.asteroid.url()));
}

#[test]
fn the_audit_names_the_trace_that_begins_here() {
    let collector = Collector::start();
    let pair = Pair::with(&format!("{}\naudit: {{ stdout: true }}", collector.traces("")));
    assert_eq!(pair.execute("{}").status, 202);
    let record = pair.gateway.event(event::AUDIT_RECORDED);
    assert_eq!(record["trace_id"], only(&collector.spans(2), "SERVER")["trace"]);
}
