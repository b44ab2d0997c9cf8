//! The cases over HTTP/2, as far as the faults of the simulated Asteroid can show them.

use std::time::Instant;

use asteroid_gateway::event;
use serde_json::{Value, json};

use crate::harness::caller::TIMEOUT;
use crate::harness::gate::Substitute;
use crate::harness::{Answer, Asteroid, Caller, EXECUTE, Program};

use super::case::{Case, Observation, wait_for_fewer_files};
use super::fault::Fault;
use super::model::Step;
use super::{BODY, IDEMPOTENCY_KEY, runs};

pub(super) fn run(case: &Case) -> Observation {
    let asteroid = Asteroid::start_tls("localhost");
    let upstream = asteroid.configuration();
    if case.fault == Fault::RefusesKey {
        // The probe of the newest API key.
        asteroid.next(json!({"method": "GET", "then": {"answer": {"status": 401}}}));
    }
    let (mut gateway, _keys) = case.start(&asteroid, &upstream);
    let first = fail(case, &asteroid, &gateway);
    let begun = runs(&asteroid);
    if case.fault.ends_the_process() {
        gateway.end();
        asteroid.clear_faults();
        gateway = case.start(&asteroid, &upstream).0;
    }
    Observation::after(first, begun, &asteroid, &gateway)
}

fn fail(case: &Case, asteroid: &Asteroid, gateway: &Program) -> Option<Answer> {
    let run = case.step != Step::Head;
    asteroid.next(json!({"method": "POST", "run": run, "then": then(case)}));
    let mut caller = Caller::connect(gateway.address());
    caller.send_post(EXECUTE, &[("Idempotency-Key", IDEMPOTENCY_KEY), ("X-Request-Id", "first")], BODY.as_bytes());
    match case.fault {
        Fault::CallerLeaves => {
            wait_for_start(asteroid);
            let files = gateway.open_files();
            caller.reset();
            wait_for_fewer_files(gateway, files);
            asteroid.clear_faults();
            gateway.line(|line| line["request_id"] == "first");
            None
        }
        Fault::Drains => {
            wait_for_start(asteroid);
            gateway.signal("TERM");
            gateway.event(event::DRAIN_BEGUN);
            asteroid.clear_faults();
            caller.try_answer()
        }
        Fault::Dies => {
            wait_for_start(asteroid);
            gateway.signal("KILL");
            caller.try_answer()
        }
        Fault::Stalls => {
            let first = caller.try_answer();
            asteroid.close_connections();
            first
        }
        Fault::Late => {
            let first = caller.try_answer();
            asteroid.clear_faults();
            first
        }
        _ => caller.try_answer(),
    }
}

/// Returns the action of the simulator.
fn then(case: &Case) -> Value {
    let answer = |status: u16, headers: Value, body: &str| json!({"answer": {"status": status, "headers": headers, "body": body}});
    match case.fault {
        Fault::Closes if case.step == Step::MidAnswer => "close_mid_answer".into(),
        Fault::Stalls if case.step == Step::MidAnswer => "stall_mid_answer".into(),
        Fault::Closes => "close".into(),
        Fault::Resets => "reset".into(),
        Fault::Answers(status) => answer(status, json!([["retry-after", "1"]]), "{}"),
        Fault::RefusesKey => answer(401, json!([]), "{}"),
        Fault::Useless(Substitute { status, fields, body, .. }) => {
            let fields: Vec<_> = fields.lines().filter_map(|line| line.split_once(": ")).collect();
            answer(status, json!(fields), body)
        }
        Fault::CallerLeaves | Fault::Refuses | Fault::Stalls | Fault::Late | Fault::Drains | Fault::Dies => {
            "stall".into()
        }
    }
}

fn wait_for_start(asteroid: &Asteroid) {
    let until = Instant::now() + TIMEOUT;
    while asteroid.starts().is_empty() {
        assert!(Instant::now() < until, "no start comes");
        std::thread::yield_now();
    }
}
