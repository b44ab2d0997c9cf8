//! Gateways replace one another behind a load balancer, under load: no start is lost, and none runs twice.

mod haproxy;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use asteroid_gateway::event;
use rustls::ClientConfig;
use serde_json::json;

use crate::harness::balancer::Balancer;
use crate::harness::certificates::Authority;
use crate::harness::load::{Load, StopGuard, http1};
use crate::harness::secure::Http2;
use crate::harness::{Asteroid, Caller, Program};

/// The number of replacements.
const GENERATIONS: usize = 4;

/// The number of concurrent callers.
const CALLERS: usize = 6;

/// The minimum number of answered starts between two replacements.
const BETWEEN: usize = 60;

/// Returns a call over HTTP/2. It keeps its connection until that accepts no further request.
fn http2(address: SocketAddr, config: Arc<ClientConfig>) -> impl FnMut() + Send {
    let mut kept: Option<Http2> = None;
    move || loop {
        let connection = kept.get_or_insert_with(|| Http2::connect(address, Arc::clone(&config)));
        match connection.try_post("{}") {
            Some(answer) => {
                assert_eq!(answer.unwrap().status(), 202);
                return;
            }
            // Not sent, because the gateway had sent GOAWAY.
            None => kept = None,
        }
    }
}

/// Replaces gateways under load, and asserts that every answered start ran, and no other.
fn replace(start: impl Fn() -> Program, asteroid: &Asteroid, call: impl Fn(SocketAddr) -> Box<dyn FnMut() + Send>) {
    let balancer = Balancer::start();
    let mut serving = start();
    balancer.add(&serving);
    let load = Arc::new(Load::default());
    std::thread::scope(|scope| {
        let _end = StopGuard(&load);
        let callers: Vec<_> = (0..CALLERS).map(|_| load.spawn(scope, call(balancer.address()))).collect();
        for _ in 1..GENERATIONS {
            load.wait_for(BETWEEN);
            let next = start();
            balancer.add(&next);
            let ended = std::mem::replace(&mut serving, next).stop();
            assert!(ended.status.success(), "{}", ended.output);
            assert!(ended.logged(event::DRAIN_COMPLETED), "{}", ended.output);
        }
        load.wait_for(BETWEEN);
        load.enough.store(true, Ordering::Relaxed);
        callers.into_iter().for_each(|caller| caller.join().unwrap());
    });
    assert_eq!(
        load.answered.load(Ordering::Relaxed),
        asteroid.started(),
        "each start was answered, and none ran twice"
    );
}

/// The drain with and without a delay for load balancers. Without one, requests are in flight when the listener closes.
const DRAINS: [&str; 2] = ["drain: { delay: 300ms }", "drain: { delay: 0s }"];

/// Makes the upstream slow, so that requests are always in flight.
fn asteroid() -> Asteroid {
    let asteroid = Asteroid::start();
    asteroid.always(json!({"run": true, "delay_ms": 20}));
    asteroid
}

#[test]
fn a_rolling_replacement_loses_no_start_of_callers_that_keep_http1_connections() {
    for drain in DRAINS {
        let asteroid = asteroid();
        let configuration = asteroid.configuration().with(drain);
        replace(|| Program::run(&configuration), &asteroid, |address| Box::new(http1(address)));
    }
}

#[test]
fn a_rolling_replacement_loses_no_start_of_callers_that_keep_http2_connections() {
    for drain in DRAINS {
        let (asteroid, authority) = (asteroid(), Authority::new());
        let dir = tempfile::tempdir().unwrap();
        authority.write("localhost", dir.path());
        let configuration = asteroid.configuration().with(drain).tls(dir.path());
        replace(
            || Program::run(&configuration),
            &asteroid,
            |address| Box::new(http2(address, authority.client(b"h2"))),
        );
    }
}
