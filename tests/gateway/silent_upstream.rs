//! An open connection to the upstream that brings no answers: one start finds out, and the next ones use another
//! connection.

use std::io::{Read, Write, copy};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use asteroid_gateway::event;
use serde_json::json;

use crate::harness::unruly::{Behaviour, UnrulyUpstream};
use crate::harness::{Asteroid, Caller, Configuration, EXECUTE, Pair, Program};

/// SETTINGS without a value.
const ANY: Option<&[u8]> = Some(&[]);
/// SETTINGS_INITIAL_WINDOW_SIZE: 0
const NO_WINDOW: Option<&[u8]> = Some(&[0, 4, 0, 0, 0, 0]);

/// A relay that can drop the bytes of all its current connections, like a firewall that has lost its state.
struct Forgetful {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// The bytes of connections below this number are dropped.
    forgotten: Arc<AtomicUsize>,
}

impl Forgetful {
    fn before(asteroid: &Asteroid) -> Forgetful {
        let upstream: SocketAddr = asteroid.authority().parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let relay = Forgetful { address, connections: Arc::default(), forgotten: Arc::default() };
        let (connections, forgotten) = (Arc::clone(&relay.connections), Arc::clone(&relay.forgotten));
        std::thread::spawn(move || {
            for gateway in listener.incoming() {
                let number = connections.fetch_add(1, Ordering::SeqCst);
                let (mut gateway, mut upstream) = (gateway.unwrap(), TcpStream::connect(upstream).unwrap());
                let (mut back, mut answers) = (gateway.try_clone().unwrap(), upstream.try_clone().unwrap());
                std::thread::spawn(move || copy(&mut answers, &mut back));
                let forgotten = Arc::clone(&forgotten);
                std::thread::spawn(move || {
                    let mut bytes = [0; 4096];
                    while let Ok(read @ 1..) = gateway.read(&mut bytes) {
                        if number >= forgotten.load(Ordering::SeqCst) {
                            upstream.write_all(&bytes[..read]).unwrap();
                        }
                    }
                });
            }
        });
        relay
    }

    fn forget(&self) {
        self.forgotten.store(self.connections.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

#[test]
fn after_an_answer_that_did_not_come_in_time_a_connection_gets_nothing_new_and_finishes_what_it_carries() {
    let pair = Pair::tls("timeouts: { response: 2s }");
    let stall = || pair.asteroid.next(json!({"run": true, "then": "stall"}));
    assert_eq!(pair.execute("{}").status, 202);
    stall();
    let mut late = pair.caller();
    late.send_post(EXECUTE, &[], b"{}");
    pair.asteroid.wait_for_requests(2);
    // Its time-out ends well after that of the other.
    std::thread::sleep(Duration::from_secs(1));
    stall();
    let mut carried = pair.caller();
    carried.send_post(EXECUTE, &[], b"{}");
    pair.asteroid.wait_for_requests(3);
    late.answer().assert_error(504, "upstream-timeout", "unknown");
    assert_eq!(pair.execute("{}").status, 202);
    pair.asteroid.clear_faults();
    assert_eq!(carried.answer().status, 202);
    let connections: Vec<u64> = pair.asteroid.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 0, 0, 1]);
}

#[test]
fn a_rest_of_an_answer_that_did_not_come_in_time_takes_its_connection_out_of_use() {
    let upstream = UnrulyUpstream::start(ANY, &[Behaviour::OpenThenSilence, Behaviour::Answer]);
    let gateway = Program::run(upstream.configuration().with("timeouts: { response: 500ms }"));
    let execute = || Caller::connect(gateway.address()).execute("{}");
    execute().assert_error(504, "upstream-timeout", "unknown");
    assert_eq!(execute().status, 202);
    assert_eq!(upstream.seen().connections, 2);
}

#[test]
fn a_connection_whose_window_stays_closed_costs_one_start() {
    let upstream = UnrulyUpstream::start(NO_WINDOW, &[]);
    let gateway = Program::run(upstream.configuration().with("timeouts: { response: 300ms }"));
    for connections in 1..=2 {
        Caller::connect(gateway.address()).execute("{}").assert_error(504, "upstream-timeout", "unknown");
        assert_eq!(upstream.seen().connections, connections);
    }
}

#[test]
fn a_connection_that_fell_silent_is_left_long_before_its_starts_run_out_of_time() {
    let upstream = UnrulyUpstream::start(ANY, &[Behaviour::Deaf]);
    let gateway = Program::run(upstream.configuration());
    let mut callers = Vec::new();
    for _ in 0..100 {
        let mut caller = Caller::connect(gateway.address());
        caller.send_post(EXECUTE, &[], b"{}");
        callers.push(caller);
        if upstream.seen().connections == 2 {
            break;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(callers.pop().unwrap().answer().status, 202);
    gateway.request_line(202);
    let first = &gateway.events(event::REQUEST_COMPLETED)[0];
    assert_eq!(first["status"], 202, "those on the silent connection are still waited for: {first}");
}

#[test]
fn a_connection_that_answers_pings_is_kept_however_long_its_answers_take() {
    let pair = Pair::tls("");
    pair.asteroid.next(json!({"then": "stall"}));
    let mut slow = pair.caller();
    slow.send_post(EXECUTE, &[], b"{}");
    pair.asteroid.wait_for_requests(1);
    std::thread::sleep(Duration::from_secs(9));
    assert_eq!(pair.execute("{}").status, 202);
    pair.asteroid.clear_faults();
    assert_eq!(slow.answer().status, 202);
    assert!(pair.asteroid.requests().iter().all(|request| request.connection == 0));
}

#[test]
fn of_connections_over_http1_that_died_while_they_were_unused_one_costs_a_start() {
    let asteroid = Asteroid::start();
    let relay = Forgetful::before(&asteroid);
    let gateway = Program::run(
        Configuration::for_upstream(&format!("http://{}/agents/v2", relay.address)).with("timeouts: { response: 1s }"),
    );
    let mut callers: Vec<_> = (0..4).map(|_| Caller::connect(gateway.address())).collect();
    for _ in &callers {
        asteroid.next(json!({"then": "stall"}));
    }
    for caller in &mut callers {
        caller.send_post(EXECUTE, &[], b"{}");
    }
    asteroid.wait_for_requests(4);
    asteroid.clear_faults();
    for caller in &mut callers {
        assert_eq!(caller.answer().status, 202);
    }
    assert_eq!(relay.connections.load(Ordering::SeqCst), 4);
    relay.forget();
    callers[0].execute("{}").assert_error(504, "upstream-timeout", "unknown");
    for caller in &mut callers {
        assert_eq!(caller.execute("{}").status, 202);
    }
}
