//! A start with an `Idempotency-Key` is made to fail at every step and in every way that there is.

mod case;
mod model;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};

use crate::harness::gate::{Gate, Point, Verdict};
use crate::harness::{Answer, Asteroid, Caller, EXECUTE, Program, configuration};

use case::Case;
use model::{FAULTS, NOTHING, STEPS, impossible};

/// What a tenant may start in a day.
const BUDGET: u32 = 20;

const KEY: &str = "key";

const BODY: &str = r#"{"inputs": {"invoice": 4711}}"#;

#[test]
fn for_one_key_there_is_never_a_second_run_whatever_fails_at_whatever_step() {
    let cases = cases();
    let (next, faults) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = catch_unwind(AssertUnwindSafe(|| case.faults())).unwrap_or_else(|panic| {
                        let text = panic.downcast_ref::<String>().cloned();
                        vec![text.unwrap_or_else(|| format!("panics with {:?}", panic.downcast_ref::<&str>()))]
                    });
                    faults.lock().unwrap().extend(found.into_iter().map(|fault| format!("{case:?}: {fault}")));
                }
            });
        }
    });
    let faults = faults.into_inner().unwrap();
    assert!(faults.is_empty(), "{} faults in {} cases:\n{}", faults.len(), cases.len(), faults.join("\n"));
}

/// Every case that can exist.
fn cases() -> Vec<Case> {
    let faults = STEPS.into_iter().flat_map(|step| FAULTS.map(|fault| (step, fault)));
    let all = faults.flat_map(|(step, fault)| [false, true].map(|recovery| Case { step, fault, recovery }));
    all.filter(|case| impossible(case.step, case.fault, case.recovery).is_none()).collect()
}

#[test]
fn of_many_retries_at_once_one_starts_and_all_that_are_accepted_name_its_run() {
    for (recovery, broke_before) in [(false, false), (true, false), (true, true)] {
        for round in 0..3 {
            let case = format!("recovery: {recovery}, a call that broke before: {broke_before}, round {round}");
            let asteroid = Asteroid::start();
            let mut gate = Gate::before(&asteroid, broke_before.then_some(Point::Body));
            let gateway = gateway(&gate.url(), recovery, "");
            if broke_before {
                break_one(&mut gate, &gateway);
            }
            let retries = at_once(20, &gateway);
            let ids = runs(&asteroid);
            assert_eq!(ids.len(), 1, "{case}");
            let (accepted, refused): (Vec<_>, Vec<_>) = retries.iter().partition(|answer| answer.status == 202);
            assert!(!accepted.is_empty(), "{case}");
            accepted.iter().for_each(|answer| assert_eq!(answer.json()["executionId"], ids[0], "{case}"));
            refused.iter().for_each(|answer| answer.assert_error(409, "idempotency-in-flight", "not_started"));
            assert_eq!(start(&gateway, KEY).json()["executionId"], ids[0], "{case}");
        }
    }
}

/// As many starts with the key at the same moment.
fn at_once(count: usize, gateway: &Program) -> Vec<Answer> {
    let barrier = Barrier::new(count);
    let retry = || {
        let mut caller = Caller::connect(gateway.address());
        barrier.wait();
        caller.post(EXECUTE, &[("Idempotency-Key", KEY)], BODY.as_bytes())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(retry)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// A gateway with limits that show what was counted.
fn gateway(upstream: &str, recovery: bool, more: &str) -> Program {
    let recovery = if recovery { "idempotency: { recovery: true }" } else { "" };
    let limits = format!("in_flight: 8, budget: {{ executions: {BUDGET}, per: day }}");
    let text = configuration(upstream, &format!("{recovery}\n{more}"));
    Program::run_watched(&text.replace("credential: main,", &format!("credential: main, limits: {{ {limits} }},")))
}

/// Starts with this key.
fn start(gateway: &Program, key: &str) -> Answer {
    Caller::connect(gateway.address()).post(EXECUTE, &[("Idempotency-Key", key)], BODY.as_bytes())
}

/// A start with the key that the gate cuts off, so that the gateway does not know what became of it.
fn break_one(gate: &mut Gate, gateway: &Program) {
    let mut caller = Caller::connect(gateway.address());
    caller.send_post(EXECUTE, &[("Idempotency-Key", KEY)], BODY.as_bytes());
    gate.wait_until_held();
    gate.decide(Verdict::Close);
    caller.answer().assert_error(504, "upstream-broke", "unknown");
}

/// The ids of the tenant's executions, in the order in which they were started.
fn runs(asteroid: &Asteroid) -> Vec<String> {
    let executions = asteroid.executions();
    executions.into_iter().filter(|run| run.metadata["tenant"] == "billing").map(|run| run.id).collect()
}

/// An answer as the model writes it.
fn said(answer: Option<&Answer>) -> String {
    let Some(answer) = answer else { return NOTHING.to_owned() };
    let problem = answer.json();
    let slug = problem["type"].as_str().and_then(|kind| kind.strip_prefix("urn:asteroid-gateway:error:"));
    match (slug, answer.header("idempotent-replayed")) {
        (Some(slug), _) => format!("{} {slug}", answer.status),
        (None, Some("true")) => format!("{}, replayed", answer.status),
        (None, _) => answer.status.to_string(),
    }
}
