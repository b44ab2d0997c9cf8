//! The cases over HTTP/2, as far as the faults of the simulated Asteroid can show them.

use std::time::Instant;

use asteroid_gateway::event;
use serde_json::{Value, json};

use crate::harness::caller::TIMEOUT;
use crate::harness::gate::Substitute;
use crate::harness::{Answer, Asteroid, Caller, Program};

use super::IDEMPOTENCY_KEY;
use super::case::{Case, Observation, wait_for_fewer_files};
use super::fault::Fault;
use super::kind::{Start, runs};
use super::model::Step;

pub(super) fn run(case: &Case) -> Observation {
    let asteroid = Asteroid::start_tls("localhost");
    let start = case.kind.start(&asteroid);
    let upstream = asteroid.configuration();
    if case.fault == Fault::RefusesKey {
        // The probe of the newest API key.
        asteroid.fail_next(json!({"method": "GET", "then": {"answer": {"status": 401}}}));
    }
    let (mut gateway, _keys) = case.start(&asteroid, &upstream);
    let first = fail(case, &start, &asteroid, &gateway);
    let begun = runs(&asteroid);
    if case.fault.ends_the_process() {
        gateway.end();
        asteroid.clear_faults();
        gateway = case.start(&asteroid, &upstream).0;
    }
    Observation::after(first, begun, &start, &asteroid, &gateway)
}

fn fail(case: &Case, start: &Start, asteroid: &Asteroid, gateway: &Program) -> Option<Answer> {
    let before = asteroid.starts().len();
    let run = case.step != Step::Head;
    asteroid.fail_next(json!({"method": "POST", "run": run, "then": then(case)}));
    let mut caller = Caller::connect(gateway.address());
    let headers = [("Idempotency-Key", IDEMPOTENCY_KEY), ("X-Request-Id", "first")];
    caller.send_post(&start.path, &headers, start.body.as_bytes());
    match case.fault {
        Fault::CallerLeaves => {
            wait_for_start(asteroid, before);
            let files = gateway.open_files();
            caller.reset();
            wait_for_fewer_files(gateway, files);
            asteroid.clear_faults();
            gateway.line(|line| line["request_id"] == "first");
            None
        }
        Fault::Drains => {
            wait_for_start(asteroid, before);
            gateway.signal("TERM");
            gateway.event(event::DRAIN_BEGUN);
            asteroid.clear_faults();
            caller.try_answer()
        }
        Fault::Dies => {
            wait_for_start(asteroid, before);
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

fn wait_for_start(asteroid: &Asteroid, before: usize) {
    let until = Instant::now() + TIMEOUT;
    while asteroid.starts().len() <= before {
        assert!(Instant::now() < until, "no start comes");
        std::thread::yield_now();
    }
}
