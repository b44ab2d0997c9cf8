//! Slow or many callers: what they can take is bounded, and others are served meanwhile.

use std::time::Duration;

use asteroid_gateway::event;
use serde_json::json;

use crate::harness::metrics::Metrics;
use crate::harness::program::unprotected;
use crate::harness::{Asteroid, Caller, EXECUTE, Pair, Program};

/// An answer that does not fit into the sockets' buffers.
const LONG: usize = 24 * 1024 * 1024;

#[test]
fn an_answer_that_is_read_slowly_but_steadily_is_read_to_its_end() {
    let pair = Pair::with("timeouts: { caller_idle: 1s }");
    pair.asteroid.fail_next(json!({"then": {"answer": {"status": 202, "body": "x".repeat(LONG)}}}));
    let mut caller = pair.caller();
    caller.send_post(EXECUTE, &[], b"{}");
    for _ in 0..48 {
        // The whole takes longer than the time-out, but each part is shorter.
        std::thread::sleep(Duration::from_millis(50));
        caller.bytes(LONG / 48).unwrap();
    }
}

#[test]
fn callers_beyond_the_limit_of_open_files_wait_for_those_that_wait_for_answers_and_are_served_then() {
    let asteroid = Asteroid::start();
    // The gateway keeps 128 descriptors for itself, and half of the rest are for callers.
    let gateway = Program::run_limited(asteroid.configuration(), 144);
    let start = || {
        let mut caller = Caller::connect(gateway.address());
        caller.send_post(EXECUTE, &[], b"{}");
        caller
    };
    asteroid.fail_always(json!({"then": "stall"}));
    let mut callers: Vec<Caller> = (0..8).map(|_| start()).collect();
    asteroid.wait_for_requests(8);
    callers.extend((0..60).map(|_| start()));
    assert_eq!(gateway.event(event::CONNECTION_LIMIT_REACHED)["limit"], 8);
    assert_eq!(asteroid.requests().len(), 8);
    asteroid.clear_faults();
    for mut caller in callers {
        assert_eq!(caller.answer().status, 202);
    }
    assert_eq!(asteroid.requests().len(), 68);
    assert_eq!(gateway.events(event::CONNECTION_LIMIT_REACHED).len(), 1, "once for the whole episode");
    assert!(gateway.stop().status.success());
}

#[test]
fn callers_that_come_all_at_once_and_find_no_place_are_reported_too() {
    let asteroid = Asteroid::start();
    let gateway = Program::run_limited(asteroid.configuration(), 144);
    asteroid.fail_always(json!({"then": "stall"}));
    let _callers: Vec<Caller> = (0..60)
        .map(|_| {
            let mut caller = Caller::connect(gateway.address());
            caller.send_post(EXECUTE, &[], b"{}");
            caller
        })
        .collect();
    gateway.event(event::CONNECTION_LIMIT_REACHED);
    asteroid.clear_faults();
}

#[test]
fn a_caller_that_finds_no_place_gets_that_of_the_connection_that_has_been_silent_longest() {
    let asteroid = Asteroid::start();
    let gateway = Program::run_limited(asteroid.configuration(), 144);
    let connect = || Caller::connect(gateway.address());
    // Callers that are silent, within a head, within a body, and idle after an answer.
    let mut silent: Vec<Caller> = (0..8).map(|_| connect()).collect();
    silent[1].send(b"POST / HTTP/1.1\r\nHost: loc");
    silent[2].send(format!("POST {EXECUTE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n").as_bytes());
    silent[2].send(b"Content-Type: application/json\r\n\r\n{");
    assert_eq!(silent[3].execute("{}").status, 202);
    for n in 0..24 {
        assert_eq!(connect().execute("{}").status, 202, "{n}");
    }
    let held: Vec<Caller> = (0..8)
        .map(|_| {
            let mut caller = connect();
            assert_eq!(caller.execute("{}").status, 202);
            caller
        })
        .collect();
    for caller in &mut silent {
        assert!(caller.is_closed());
    }
    drop(held);
    let evicted =
        |metrics: &Metrics| metrics.find("asteroid_gateway_connections_closed_total", &[("reason", "evicted")]);
    assert!(evicted(&gateway.metrics()).is_some_and(|count| count >= 8.0));
    assert_eq!(asteroid.requests().len(), 33);
}

#[test]
fn listeners_do_not_keep_places_from_each_other() {
    let asteroid = Asteroid::start();
    let two = asteroid.configuration().another_listener("address: 127.0.0.1:0\ntenant: { fixed: billing }");
    // Too low for more than one connection.
    let gateway = Program::run_limited(two, 64);
    for listener in [0, 0, 1, 1] {
        assert_eq!(Caller::connect(gateway.addresses()[listener]).execute("{}").status, 202);
    }
}

#[test]
fn a_gateway_without_a_descriptor_left_says_so_once_and_accepts_again_when_it_has_one() {
    let asteroid = Asteroid::start();
    let preparation = format!("{} && ulimit -n 40", unprotected());
    let gateway = Program::run_under(asteroid.configuration(), &preparation);
    let unused = gateway.open_files();
    let probes: Vec<Caller> = (0..40).map(|_| gateway.probe()).collect();
    while gateway.open_files() < 40 {
        std::thread::yield_now();
    }
    let mut caller = Caller::connect(gateway.address());
    gateway.event(event::LISTENER_ACCEPTING_FAILED);
    drop(probes);
    while gateway.open_files() > unused + 1 {
        std::thread::yield_now();
    }
    assert_eq!(caller.execute("{}").status, 202);
    assert_eq!(gateway.events(event::LISTENER_ACCEPTING_FAILED).len(), 1);
}
