//! The limits of a tenant: no count is lost, and only time and settlement refill it.

use serde_json::json;

use crate::harness::{Answer, Asteroid, Caller, Configuration, EXECUTE, Pair};

fn limited(limits: &str) -> Pair {
    limited_with(limits, "")
}

fn limited_with(limits: &str, sections: &str) -> Pair {
    Pair::configured(|smallest| smallest.with(sections).billing(&format!("limits: {{ {limits} }}")))
}

/// Asserts that a limit refused the request, with its name and the time to wait.
fn assert_limited(answer: &Answer, limit: &str, seconds: std::ops::RangeInclusive<u64>) {
    answer.assert_error(429, "limit", "not_started");
    assert_eq!(answer.json()["limit"], limit);
    let after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!(seconds.contains(&after), "{after} is not in {seconds:?}");
}

#[test]
fn starts_beyond_the_rate_are_refused_and_each_answer_says_what_is_left() {
    let pair = limited("executions: { rate: 2/h, burst: 3 }, requests: { rate: 100/d }");
    for left in [2, 1, 0] {
        let answer = pair.execute("{}");
        assert_eq!(answer.status, 202);
        let policy = r#""requests";q=100;w=86400, "executions";q=2;w=3600"#;
        assert_eq!(answer.header("ratelimit-policy"), Some(policy));
        let expected = format!(r#""requests";r={}, "executions";r={left}"#, left + 97);
        assert_eq!(answer.header("ratelimit"), Some(expected.as_str()));
    }
    let answer = pair.execute("{}");
    assert_limited(&answer, "executions", 1790..=1800);
    assert!(answer.header("ratelimit").unwrap().contains(r#""executions";r=0;t="#));
    assert!(answer.json()["detail"].as_str().unwrap().contains("2 per hour, burst 3"), "{answer:?}");
    assert_eq!(pair.asteroid.requests().len(), 3);
    let line = pair.gateway.request_line(429);
    assert_eq!((&line["error"], &line["outcome"]), (&json!("limit"), &json!("not_started")));
}

#[test]
fn a_start_that_is_not_valid_takes_nothing_from_the_rate_of_starts() {
    let pair = limited("executions: { rate: 1/d }, budget: { executions: 1, per: day }");
    for _ in 0..3 {
        pair.execute("[]").assert_error(400, "body", "not_started");
    }
    assert_eq!(pair.execute("{}").status, 202);
    assert_eq!(pair.execute("{}").status, 429);
}

#[test]
fn every_identified_request_counts_before_its_body_is_read_whatever_it_asks_for() {
    let pair = limited("requests: { rate: 3/d }");
    let mut caller = pair.caller();
    assert_eq!(caller.request("GET", "/nothing/here").status, 404);
    assert_eq!(caller.request("GET", EXECUTE).status, 405);
    assert_eq!(caller.execute("{}").status, 202);
    let mut unread = pair.caller();
    unread.send(
        format!(
            "POST {EXECUTE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
        )
        .as_bytes(),
    );
    let answer = unread.answer();
    assert_limited(&answer, "requests", 28_000..=28_800);
    assert_eq!(answer.header("ratelimit-policy"), Some(r#""requests";q=3;w=86400"#));
    assert_eq!(pair.asteroid.requests().len(), 1);
}

#[test]
fn no_more_than_the_limit_are_in_flight_and_each_that_settles_makes_room_for_one() {
    let pair = limited("in_flight: 3");
    for _round in 0..2 {
        let held = json!({"run": true, "then": "stall"});
        let before = pair.asteroid.requests().len();
        (0..3).for_each(|_| pair.asteroid.next(held.clone()));
        let mut callers: Vec<Caller> = (0..3).map(|_| pair.caller()).collect();
        callers.iter_mut().for_each(|caller| caller.send_post(EXECUTE, &[], b"{}"));
        pair.asteroid.wait_for_requests(before + 3);
        let answer = pair.execute("{}");
        assert_limited(&answer, "in_flight", 1..=1);
        let policy = r#""in_flight";q=3;qu="concurrent-requests""#;
        assert_eq!(answer.header("ratelimit-policy"), Some(policy));
        assert_eq!(answer.header("ratelimit"), Some(r#""in_flight";r=0"#));
        pair.asteroid.clear_faults();
        for caller in &mut callers {
            assert_eq!(caller.answer().status, 202);
        }
        assert_eq!(pair.execute("{}").header("ratelimit"), Some(r#""in_flight";r=2"#), "all have left");
    }
}

#[test]
fn a_caller_who_hangs_up_stays_in_flight_until_the_exchange_is_settled() {
    let pair = limited("in_flight: 1");
    pair.asteroid.next(json!({"run": true, "then": "stall"}));
    let mut caller = pair.caller();
    caller.send_post(EXECUTE, &[("X-Request-Id", "left")], b"{}");
    pair.asteroid.wait_for_requests(1);
    caller.leave();
    assert_limited(&pair.execute("{}"), "in_flight", 1..=1);
    pair.asteroid.clear_faults();
    pair.gateway.line(|line| line["request_id"] == "left");
    assert_eq!(pair.execute("{}").status, 202);
}

#[test]
fn a_refused_or_broken_request_leaves_nothing_in_flight() {
    let pair = limited_with("in_flight: 1", "timeouts: { response: 200ms }");
    pair.execute("[]").assert_error(400, "body", "not_started");
    for then in ["close", "reset", "close_mid_answer", "stall"] {
        pair.asteroid.next(json!({"then": then}));
        assert_eq!(pair.execute("{}").status, 504, "{then}");
    }
    assert_eq!(pair.execute("{}").status, 202);
}

#[test]
fn a_budget_is_spent_by_what_may_have_started_and_given_back_by_what_did_not() {
    let pair = limited_with("budget: { executions: 4, per: day }", "timeouts: { connect: 1s, response: 300ms }");
    let left = |answer: &Answer| {
        let text = answer.header("ratelimit").unwrap();
        text.split(";r=").nth(1).unwrap().split(';').next().unwrap().parse::<u32>().unwrap()
    };
    let scripted = |status: u16| json!({"then": {"answer": {"status": status, "headers": [], "body": "{}"}}});
    for status in [400, 402, 404, 422, 429] {
        pair.asteroid.next(scripted(status));
        let answer = pair.execute("{}");
        assert_eq!((answer.status, left(&answer)), (status, 4), "a refusal of the upstream's has started nothing");
    }
    pair.asteroid.next(scripted(401));
    let answer = pair.execute("{}");
    assert_eq!((answer.status, left(&answer)), (502, 4), "a refused key has started nothing");
    pair.asteroid.next(json!({"then": "close"}));
    let answer = pair.execute("{}");
    assert_eq!((answer.status, left(&answer)), (504, 3), "an unknown outcome stays spent");
    pair.asteroid.next(scripted(500));
    let answer = pair.execute("{}");
    assert_eq!((answer.status, left(&answer)), (500, 2), "so does an upstream's 5xx");
    assert_eq!(pair.execute("{}").status, 202);
    assert_eq!(left(&pair.execute("{}")), 0);
    let answer = pair.execute("{}");
    assert_limited(&answer, "budget", 1..=86_400);
    assert_eq!(answer.header("ratelimit-policy"), Some(r#""budget";q=4;w=86400"#));
}

#[test]
fn a_start_that_was_never_sent_spends_no_budget() {
    let (address, _held) = crate::harness::asteroid::refused_address();
    let budget = "limits: { budget: { executions: 1, per: day } }";
    let pair = Pair::run(Asteroid::start(), Configuration::for_address(address).billing(budget));
    for _ in 0..3 {
        let answer = pair.execute("{}");
        answer.assert_error(502, "unreachable", "not_started");
        assert!(answer.header("ratelimit").unwrap().starts_with(r#""budget";r=1;t="#), "{answer:?}");
    }
}

#[test]
fn a_start_that_the_rate_refuses_spends_no_budget() {
    let pair = limited("executions: { rate: 1/d }, budget: { executions: 2, per: day }");
    assert_eq!(pair.execute("{}").status, 202);
    for _ in 0..3 {
        let answer = pair.execute("{}");
        assert_limited(&answer, "executions", 86_000..=86_400);
        assert!(answer.header("ratelimit").unwrap().contains(r#""budget";r=1;"#), "{answer:?}");
    }
}

#[test]
fn a_start_that_the_budget_refuses_takes_nothing_from_the_rate() {
    let pair = limited("executions: { rate: 3/d }, budget: { executions: 1, per: day }");
    assert_eq!(pair.execute("{}").status, 202);
    for _ in 0..4 {
        let answer = pair.execute("{}");
        assert_limited(&answer, "budget", 1..=86_400);
        assert!(answer.header("ratelimit").unwrap().starts_with(r#""executions";r=2, "budget";r=0;t="#), "{answer:?}");
    }
}

#[test]
fn of_two_limits_that_are_reached_the_answer_names_the_one_that_takes_longer() {
    let pair = limited("executions: { rate: 1/m }, budget: { executions: 1, per: day }");
    assert_eq!(pair.execute("{}").status, 202);
    let answer = pair.execute("{}");
    let told = answer.header("ratelimit").unwrap();
    let waits = told.split(";t=").skip(1).map(|rest| rest.split(',').next().unwrap().parse::<u64>().unwrap());
    let longer = waits.max().unwrap();
    let named = answer.json()["limit"].as_str().unwrap().to_owned();
    assert!(told.contains(&format!("\"{named}\";r=0;t={longer}")), "{named}: {told}");
    assert_eq!(answer.header("retry-after"), Some(&*longer.to_string()));
}

#[test]
fn a_tenant_without_limits_is_told_of_none() {
    let pair = Pair::start();
    let answer = pair.execute("{}");
    assert_eq!((answer.header("ratelimit"), answer.header("ratelimit-policy")), (None, None));
}

#[test]
fn one_tenants_limit_is_no_others() {
    let pair = Pair::configured(|smallest| {
        smallest.by_header().tenant("sales").billing("limits: { requests: { rate: 1/d } }")
    });
    let status = |tenant| pair.caller().post(EXECUTE, &[("X-Tenant-Id", tenant)], b"{}").status;
    assert_eq!([status("billing"), status("billing"), status("sales"), status("sales")], [202, 429, 202, 202]);
}
