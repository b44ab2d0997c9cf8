//! Bounds towards the upstream: of its answers, and of the connections to it.

use serde_json::json;

use crate::harness::configuration::Configuration;
use crate::harness::metrics::Metrics;
use crate::harness::program::unprotected;
use crate::harness::raw::{AfterAnswer, FirstExchange, RawUpstream};
use crate::harness::{Asteroid, Caller, EXECUTE, Pair, Program};

#[test]
fn no_more_than_128_requests_share_a_connection_over_http2() {
    let pair = Pair::tls("");
    pair.asteroid.fail_always(json!({"then": "stall"}));
    let send = |count: usize| -> Vec<Caller> {
        let mut callers: Vec<Caller> = (0..count).map(|_| pair.caller()).collect();
        callers.iter_mut().for_each(|caller| caller.send_post(EXECUTE, &[], b"{}"));
        callers
    };
    let connections_and_streams = |metrics: &Metrics| {
        ["connections", "streams"].map(|name| metrics.find(&format!("asteroid_gateway_upstream_http2_{name}"), &[]))
    };
    let mut callers = send(128);
    pair.gateway.wait_for_metrics(connections_and_streams, &[Some(1.0), Some(128.0)]);
    callers.extend(send(2));
    pair.gateway.wait_for_metrics(connections_and_streams, &[Some(2.0), Some(130.0)]);
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
