//! Bounds towards the upstream: of its answers, and of the connections to it.

use serde_json::json;

use crate::harness::configuration::Configuration;
use crate::harness::program::unprotected;
use crate::harness::raw::{AfterAnswer, FirstExchange, RawUpstream};
use crate::harness::{Asteroid, Caller, EXECUTE, Pair, Program};

#[test]
fn no_more_than_128_requests_share_a_connection_over_http2() {
    let pair = Pair::tls("");
    pair.asteroid.fail_always(json!({"then": "stall"}));
    let (mut callers, mut requests) = (Vec::<Caller>::new(), Vec::new());
    // One after another, so that each finds the connections of those before it.
    for _ in 0..130 {
        let mut caller = pair.caller();
        caller.send_post(EXECUTE, &[], b"{}");
        callers.push(caller);
        pair.asteroid.wait_for_requests(1);
        // Taken each time, because the simulator records fewer requests than a connection has.
        requests.extend(pair.asteroid.take_requests());
    }
    let on = |connection| requests.iter().filter(|request| request.connection == connection).count();
    assert_eq!([on(0), on(1)], [128, 2]);
    pair.asteroid.clear_faults();
    assert!(callers.iter_mut().all(|caller| caller.answer().status == 202));
}

#[test]
fn a_head_of_an_answer_that_is_too_long_is_a_broken_answer() {
    let filler = format!("X-Filler: {}\r\n", "x".repeat(1000));
    let answer = format!("HTTP/1.1 202 Accepted\r\n{}Content-Length: 2\r\n\r\n{{}}", filler.repeat(99));
    let longer = answer.replace(&"x".repeat(1000), &"x".repeat(2000));
    for (answer, is_taken) in [(answer, true), (longer, false)] {
        let upstream =
            RawUpstream::start(FirstExchange { answer: answer.into_bytes(), early: false, then: AfterAnswer::Keep });
        let gateway = Program::run(Configuration::for_address(upstream.address));
        let answer = Caller::connect(gateway.address()).execute("{}");
        if is_taken {
            assert_eq!(answer.status, 202);
        } else {
            answer.assert_error(504, "upstream-broke", "unknown");
        }
    }
}

#[test]
fn a_start_for_which_no_connection_to_the_upstream_can_be_opened_has_started_nothing() {
    let asteroid = Asteroid::start();
    let gateway = Program::run_under(asteroid.configuration(), &format!("{} && ulimit -n 40", unprotected()));
    let unused = gateway.open_files();
    let mut caller = Caller::connect(gateway.address());
    // A refused request, so that the connection is known to be accepted.
    assert_eq!(caller.request("GET", "/").status, 404);
    let probes: Vec<Caller> = (0..40).map(|_| gateway.probe()).collect();
    while gateway.open_files() < 40 {
        std::thread::yield_now();
    }
    caller.execute("{}").assert_error(502, "unreachable", "not_started");
    assert_eq!(asteroid.requests().len(), 0);
    drop(probes);
    while gateway.open_files() > unused + 1 {
        std::thread::yield_now();
    }
    assert_eq!(caller.execute("{}").status, 202);
}
