//! The proof in an answer: whether a start has spent its budget and its idempotency key, and what its caller is told.

use asteroid_gateway::event;
use serde_json::{Value, json};

use crate::harness::raw::{AfterAnswer, FirstExchange, RawUpstream};
use crate::harness::{Answer, Asteroid, Caller, Configuration, EXECUTE, Pair, Program};

/// The statuses that prove that nothing was started, except 401, which is about the gateway's API key.
const REFUSED: [u16; 19] =
    [400, 402, 403, 404, 405, 406, 410, 411, 413, 414, 415, 417, 421, 422, 426, 428, 429, 431, 451];

/// Some statuses that prove nothing.
const OPEN: [u16; 22] =
    [300, 301, 303, 304, 307, 407, 408, 409, 412, 416, 418, 423, 424, 425, 460, 499, 500, 501, 502, 503, 504, 599];

const BUDGET: u32 = 1000;

/// Starts a gateway that tells the tenant its remaining budget.
fn pair(more: &str) -> Pair {
    let asteroid = Asteroid::start();
    let gateway = gateway(&asteroid.url(), more);
    Pair { asteroid, gateway }
}

fn gateway(url: &str, sections: &str) -> Program {
    let budget = format!("limits: {{ budget: {{ executions: {BUDGET}, per: day }} }}");
    Program::run(Configuration::for_upstream(url).with(sections).billing(&budget))
}

/// Sends a start with this request id and this idempotency key, if any.
fn start(gateway: &Program, id: &str, idempotency_key: Option<&str>) -> Answer {
    let mut headers = vec![("X-Request-Id", id)];
    headers.extend(idempotency_key.map(|key| ("Idempotency-Key", key)));
    Caller::connect(gateway.address()).post(EXECUTE, &headers, b"{}")
}

/// Returns the number of starts that the tenant has spent, from the headers of an answer.
fn spent(answer: &Answer) -> u32 {
    let left = answer.header("ratelimit").unwrap().strip_prefix("\"budget\";r=").unwrap();
    BUDGET - left.split(';').next().unwrap().parse::<u32>().unwrap()
}

/// Waits for the log line of a request, and returns its outcome and its idempotency outcome.
fn logged(gateway: &Program, id: &str) -> (Value, Value) {
    let line = gateway.line(|line| line["event"] == event::REQUEST_COMPLETED && line["request_id"] == id);
    (line["outcome"].clone(), line["idempotency_outcome"].clone())
}

/// Lets the next start be answered so, and run if `run` is set.
fn answer_next(asteroid: &Asteroid, run: bool, answer: Value) {
    asteroid.next(json!({"method": "POST", "run": run, "then": {"answer": answer}}));
}

/// Asserts that an answer was forwarded with an unknown outcome.
#[track_caller]
fn assert_open(answer: &Answer, what: &str) {
    let told = (answer.header("execution-outcome"), answer.header("retry-after"), answer.header("proxy-status"));
    assert_eq!(told, (Some("unknown"), None, None), "{what}");
}

#[test]
fn a_status_that_proves_nothing_says_so_stays_spent_and_uses_its_key_up() {
    let pair = pair("");
    for (n, status) in (0..).zip(OPEN) {
        let answer =
            json!({"status": status, "headers": [["retry-after", "7"]], "body": if status == 304 { "" } else { "{}" }});
        answer_next(&pair.asteroid, true, answer.clone());
        let keyless = start(&pair.gateway, &format!("keyless-{status}"), None);
        assert_eq!((keyless.status, spent(&keyless)), (status, 2 * n + 1));
        assert_open(&keyless, &format!("{status} without a key"));
        assert_eq!(logged(&pair.gateway, &format!("keyless-{status}")), ("unknown".into(), Value::Null), "{status}");

        answer_next(&pair.asteroid, true, answer);
        let (key, id) = (format!("k{status}"), format!("keyed-{status}"));
        let keyed = start(&pair.gateway, &id, Some(&key));
        assert_eq!((keyed.status, spent(&keyed)), (status, 2 * n + 2));
        assert_open(&keyed, &format!("{status} with a key"));
        assert_eq!(logged(&pair.gateway, &id), ("unknown".into(), "unknown".into()), "{status}");
        let again = start(&pair.gateway, "again", Some(&key));
        again.assert_error(504, "idempotency-unknown", "unknown");
        assert_eq!(again.header("execution-outcome"), Some("unknown"), "the gateway's own says so, too");
    }
    assert_eq!(pair.asteroid.started(), 2 * OPEN.len(), "as many ran as were spent");
    let metrics = pair.gateway.metrics();
    let unknown = metrics.find("asteroid_gateway_executions_unknown_total", &[("tenant", "billing")]);
    assert_eq!(unknown, Some(f64::from(u32::try_from(2 * OPEN.len()).unwrap())));
}

#[test]
fn a_status_that_proves_that_nothing_was_started_gives_budget_and_key_back() {
    let pair = pair("");
    let padding = "x".repeat(200_000);
    for status in REFUSED {
        for body in ["{}", padding.as_str()] {
            answer_next(
                &pair.asteroid,
                false,
                json!({"status": status, "headers": [["retry-after", "7"]], "body": body}),
            );
            let id = format!("{status}-{}", body.len());
            let refused = start(&pair.gateway, &id, Some("k"));
            assert_eq!((refused.status, spent(&refused)), (status, 0));
            assert_eq!((refused.header("execution-outcome"), refused.header("retry-after")), (None, Some("7")), "{id}");
            assert_eq!(logged(&pair.gateway, &id), ("not_started".into(), "free".into()), "{id}");
        }
    }
    assert_eq!(start(&pair.gateway, "last", Some("k")).status, 202);
    let metrics = pair.gateway.metrics();
    assert_eq!(metrics.find("asteroid_gateway_executions_unknown_total", &[("tenant", "billing")]), Some(0.0));
}

/// Returns answers with a 2xx that name no execution.
fn useless() -> Vec<Value> {
    let json = json!([["content-type", "application/json"]]);
    let named = json!({"executionId": "8d0f7a52-1c5e-4b8e-9f59-000000000001"}).to_string();
    vec![
        json!({"status": 202}),
        json!({"status": 204}),
        json!({"status": 205}),
        json!({"status": 206, "headers": json, "body": named.split_at(20).0}),
        json!({"status": 202, "headers": json, "body": "{}"}),
        json!({"status": 202, "headers": json, "body": "[]"}),
        json!({"status": 202, "headers": json, "body": r#"{"executionId": null}"#}),
        json!({"status": 202, "headers": json, "body": format!("[{named}]")}),
        json!({"status": 202, "headers": json, "body": format!("{named}{named}")}),
        json!({"status": 200, "headers": [["content-type", "text/html"]], "body": "<html>Welcome</html>"}),
        json!({"status": 202, "headers": [["content-encoding", "gzip"]], "body": "coded"}),
        json!({"status": 202, "headers": [["content-encoding", "br"]], "body": named}),
    ]
}

#[test]
fn a_2xx_that_names_no_execution_is_no_answer_that_is_kept() {
    let pair = pair("");
    for (n, answer) in (0..).zip(useless()) {
        answer_next(&pair.asteroid, true, answer.clone());
        let (key, id) = (format!("k{n}"), format!("first-{n}"));
        let first = start(&pair.gateway, &id, Some(&key));
        assert_eq!((i64::from(first.status), spent(&first)), (answer["status"].as_i64().unwrap(), n + 1), "{answer}");
        assert_open(&first, &answer.to_string());
        assert_eq!(logged(&pair.gateway, &id), ("unknown".into(), "unknown".into()), "{answer}");
        start(&pair.gateway, "again", Some(&key)).assert_error(504, "idempotency-unknown", "unknown");
    }
    assert_eq!(pair.asteroid.started(), useless().len());
    assert_eq!(pair.gateway.metrics().all("asteroid_gateway_executions_started_total"), []);
}

#[test]
fn recovery_finds_what_ran_behind_an_answer_that_proves_nothing() {
    let pair = pair("idempotency: { recovery: true }");
    let statuses = [408, 409, 425, 499, 303].map(|status| json!({"status": status, "body": "{}"}));
    for (n, answer) in useless().into_iter().chain(statuses).enumerate() {
        answer_next(&pair.asteroid, true, answer.clone());
        let key = format!("k{n}");
        start(&pair.gateway, "first", Some(&key));
        let found = start(&pair.gateway, "again", Some(&key));
        assert_eq!((found.status, found.header("idempotent-replayed")), (202, Some("true")), "{answer}");
        assert_eq!(found.json()["executionId"], pair.asteroid.executions()[n].id.as_str(), "{answer}");
    }
}

#[test]
fn an_answer_without_a_length_that_breaks_off_is_not_taken_for_the_whole() {
    let body = r#"{"executionId": "8d0f7a52-1c5e-4b8e-9f59-000000000001"}"#;
    for (sent, is_whole) in [(body.split_at(30).0, false), (body, true)] {
        let head = "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\n\r\n";
        let first =
            FirstExchange { answer: [head, sent].concat().into_bytes(), then: AfterAnswer::Close, early: false };
        let upstream = RawUpstream::start(first);
        let gateway = gateway(&format!("http://{}", upstream.address), "");
        let first = start(&gateway, "first", Some("k"));
        assert_eq!((first.status, first.header("execution-outcome").is_none()), (202, is_whole), "{sent}");
        let again = start(&gateway, "again", Some("k"));
        if is_whole {
            assert_eq!((again.header("idempotent-replayed"), again.body.as_slice()), (Some("true"), body.as_bytes()));
        } else {
            again.assert_error(504, "idempotency-unknown", "unknown");
        }
        assert_eq!(upstream.connections(), 1, "nothing was started again");
    }
}

#[test]
fn an_error_of_the_gateway_s_own_says_that_the_outcome_is_unknown_and_only_then() {
    let pair = pair("timeouts: { response: 300ms }");
    for then in ["close", "reset", "stall", "close_mid_answer", "stall_mid_answer"] {
        pair.asteroid.next(json!({"run": true, "then": then}));
        let answer = start(&pair.gateway, then, None);
        assert_eq!((answer.status, answer.header("execution-outcome")), (504, Some("unknown")), "{then}");
        assert_eq!(answer.header("retry-after"), None, "{then}");
    }
    let refused = pair.caller().post(EXECUTE, &[], b"[]");
    assert_eq!((refused.status, refused.header("execution-outcome")), (400, None));
    pair.asteroid.next(json!({"then": {"answer": {"status": 401}}}));
    assert_eq!(start(&pair.gateway, "refused", None).header("execution-outcome"), None);
}

#[test]
fn retry_after_is_whole_seconds_and_what_only_the_gateway_says_is_not_taken_from_the_upstream() {
    let pair = pair("");
    for (said, rounded) in [("0", Some("1")), ("1.2", Some("2")), ("soon", None), ("3", Some("3"))] {
        let headers = json!([["retry-after", said], ["execution-outcome", "unknown"], ["idempotent-replayed", "true"]]);
        answer_next(&pair.asteroid, false, json!({"status": 429, "headers": headers, "body": "{}"}));
        let answer = start(&pair.gateway, "first", Some("k"));
        assert_eq!(answer.header("retry-after"), rounded, "{said}");
        assert_eq!((answer.header("execution-outcome"), answer.header("idempotent-replayed")), (None, None));
    }
}
