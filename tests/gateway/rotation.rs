//! An API key is replaced at the gateway and at the upstream, in either order, under load: no start fails or runs twice.

use std::fs::{rename, write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::Duration;

use asteroid_gateway::event;

use crate::harness::load::{Load, StopGuard, http1};
use crate::harness::{API_KEY, Asteroid, Pair};

const NEW: &str = "ak-new-7d3e9f1a52";

/// The number of concurrent callers.
const CALLERS: usize = 6;

/// The minimum number of answered starts between two steps.
const BETWEEN: usize = 40;

/// Lets callers start agents through a gateway during `steps`, and asserts that each start ran exactly once.
fn under_load(pair: &Pair, steps: impl FnOnce(&Load)) {
    let load = Arc::new(Load::default());
    let callers = std::thread::scope(|scope| {
        let _end = StopGuard(&load);
        let callers: Vec<_> = (0..CALLERS).map(|_| load.spawn(scope, http1(pair.gateway.address()))).collect();
        load.wait_for(BETWEEN);
        steps(&load);
        load.wait_for(BETWEEN);
        load.enough.store(true, Ordering::Relaxed);
        callers.into_iter().map(|caller| caller.join().is_ok()).collect::<Vec<_>>()
    });
    assert_eq!(callers, [true; CALLERS], "{}", pair.gateway.output());
    assert_eq!(pair.asteroid.started(), load.answered.load(Ordering::Relaxed));
}

/// Replaces an API key in one step, as the kubelet does, so that no part of it is ever read.
fn put(dir: &Path, key: &str) {
    write(dir.join("next"), key).unwrap();
    rename(dir.join("next"), dir.join("key")).unwrap();
}

fn wait_until_it_alone_is_held(pair: &Pair) {
    pair.gateway.event(event::CREDENTIAL_ROTATED);
}

/// Changes the API key on both sides, on the second one after this many milliseconds.
fn in_turn(gap: u64, first: impl Fn(&Pair), second: impl Fn(&Pair)) {
    let pair = Pair::start();
    under_load(&pair, |_| {
        first(&pair);
        sleep(Duration::from_millis(gap));
        second(&pair);
        wait_until_it_alone_is_held(&pair);
    });
    assert_eq!(pair.gateway.metrics().find("asteroid_gateway_upstream_auth_failures_total", &[]), Some(0.0));
    assert!(!pair.gateway.stop().output.contains(NEW));
}

fn file_changes(pair: &Pair) {
    put(pair.gateway.dir(), NEW);
}

fn upstream_switches(pair: &Pair) {
    pair.asteroid.replace_api_key(NEW);
}

#[test]
fn the_file_changes_first_and_the_upstream_switches_then() {
    for gap in [0, 5, 50, 150, 400, 1200] {
        in_turn(gap, file_changes, upstream_switches);
    }
}

#[test]
fn the_upstream_switches_first_and_the_file_changes_then() {
    for gap in [0, 5, 50, 400, 1200, 3000] {
        in_turn(gap, upstream_switches, file_changes);
    }
}

#[test]
fn the_upstream_takes_both_keys_for_a_while() {
    let pair = Pair::start();
    under_load(&pair, |load| {
        pair.asteroid.set_api_keys(&[API_KEY, NEW]);
        file_changes(&pair);
        wait_until_it_alone_is_held(&pair);
        load.wait_for(BETWEEN);
        upstream_switches(&pair);
    });
    let refused = pair
        .gateway
        .metrics()
        .find("http_client_request_duration_seconds_count", &[("http_response_status_code", "401")]);
    assert_eq!(refused, None, "the old key was given up before the upstream did");
}

#[test]
fn the_upstream_learns_the_new_key_long_after_the_file_and_takes_both_for_a_while() {
    let pair = Pair::start();
    under_load(&pair, |load| {
        file_changes(&pair);
        pair.gateway.event(event::CREDENTIAL_NEW_VERSION_REJECTED);
        let before = pair.asteroid.started();
        load.wait_for(BETWEEN);
        assert!(pair.asteroid.started() > before, "starts go on with the old key");
        pair.asteroid.set_api_keys(&[API_KEY, NEW]);
        wait_until_it_alone_is_held(&pair);
    });
}

#[test]
fn a_gateway_that_starts_in_the_middle_of_a_rotation_has_both_keys() {
    for (upstream_has, gap) in [(API_KEY, 0), (API_KEY, 300), (NEW, 0)] {
        let (asteroid, dir) = (Asteroid::start(), tempfile::tempdir().unwrap());
        asteroid.replace_api_key(upstream_has);
        let new = dir.path().join("new");
        write(&new, NEW).unwrap();
        let both = format!("file: '{}'\nprevious_file: '{{dir}}/key'", new.display());
        let configuration = asteroid.configuration().main_credential(&both);
        let pair = Pair::run(asteroid, configuration);
        under_load(&pair, |_| {
            sleep(Duration::from_millis(gap));
            pair.asteroid.replace_api_key(NEW);
        });
        wait_until_it_alone_is_held(&pair);
    }
}

#[test]
fn the_upstream_changes_its_mind_and_takes_the_old_key_again() {
    let pair = Pair::start();
    under_load(&pair, |load| {
        file_changes(&pair);
        upstream_switches(&pair);
        wait_until_it_alone_is_held(&pair);
        load.wait_for(BETWEEN);
        pair.asteroid.replace_api_key(API_KEY);
        put(pair.gateway.dir(), API_KEY);
        load.wait_for(BETWEEN);
    });
}
