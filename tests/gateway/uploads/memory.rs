//! Many uploads at once take little memory, however much of them has come.

use std::net::Shutdown;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{MIB, assert_nothing_is_left, begin};
use crate::harness::caller::connect;
use crate::harness::metrics::Metrics;
use crate::harness::{Asteroid, Caller, Pair, at_once};
use crate::simulated::form::form;

/// How many uploads there are at once.
const UPLOADS: usize = 40;

/// The most memory that one of them may take: its connections' buffers, on both sides.
const EACH: usize = MIB / 2;

#[test]
fn forty_uploads_of_16_mib_that_the_upstream_does_not_take_hold_a_bounded_memory() {
    let upstreams = [Asteroid::start(), Asteroid::start_tls("localhost")];
    at_once(upstreams, |asteroid| {
        let pair = Pair::before(asteroid, "");
        assert_eq!(pair.execute("{}").status, 202);
        let before = pair.gateway.memory();
        pair.asteroid.fail_always(json!({ "operation": "stage", "when": { "bytes": 1000 }, "then": "stall" }));
        let body = form(&[("a", &vec![b'x'; 16 * MIB])]);
        let streams: Vec<_> = (0..UPLOADS).map(|_| connect(pair.gateway.address())).collect();
        let highest = std::thread::scope(|scope| {
            for stream in &streams {
                let mut caller = Caller::over(stream.try_clone().unwrap(), pair.gateway.address());
                begin(&mut caller, body.len());
                // It sends what the system takes.
                let body = &body;
                scope.spawn(move || caller.try_send(body));
            }
            pair.asteroid.wait_for_requests(UPLOADS + 1);
            let in_flight = Some(f64::from(u32::try_from(UPLOADS).unwrap()));
            let counted = |metrics: &Metrics| metrics.find("asteroid_gateway_requests_in_flight", &[]);
            pair.gateway.wait_for_metrics(counted, &in_flight);
            let begun = Instant::now();
            let mut highest = 0;
            while begun.elapsed() < Duration::from_secs(2) {
                highest = highest.max(pair.gateway.memory());
                std::thread::sleep(Duration::from_millis(20));
            }
            assert_eq!(counted(&pair.gateway.metrics()), in_flight);
            streams.iter().for_each(|stream| stream.shutdown(Shutdown::Both).unwrap());
            highest
        });
        let grown = highest.saturating_sub(before);
        assert!(grown < UPLOADS * EACH, "{} KiB for an upload of 16 MiB", grown / UPLOADS / 1024);
        // What the system holds of the uploads need not be read then.
        pair.asteroid.close_connections();
        assert_nothing_is_left(&pair.gateway);
    });
}

#[test]
fn forty_uploads_that_their_callers_do_not_go_on_with_hold_a_bounded_memory_and_leave_none() {
    let asteroids = [Asteroid::start(), Asteroid::start_tls("localhost")];
    at_once(asteroids, |asteroid| {
        let pair = Pair::before(asteroid, "");
        assert_eq!(pair.execute("{}").status, 202);
        let before = pair.gateway.memory();
        let half = MIB;
        pair.asteroid.fail_always(json!({ "operation": "stage", "when": { "bytes": half }, "then": "proceed" }));
        let body = form(&[("a", &vec![b'x'; 2 * half])]);
        let callers: Vec<_> = (0..UPLOADS)
            .map(|_| {
                let mut caller = pair.caller();
                begin(&mut caller, body.len());
                caller.send(&body[..half + 1000]);
                caller
            })
            .collect();
        pair.asteroid.wait_for_requests(UPLOADS + 1);
        let grown = pair.gateway.memory().saturating_sub(before);
        assert!(grown < UPLOADS * EACH, "{} KiB for half of an upload", grown / UPLOADS / 1024);
        drop(callers);
        assert_nothing_is_left(&pair.gateway);
    });
}
