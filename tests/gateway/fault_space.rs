//! A start with an `Idempotency-Key` is made to fail at every step and in every possible way.
//!
//! Starts of an agent fail in every way. The other kinds fail at every step in one way of each sort. Divided among them are the ways that
//! take seconds, that differ from another only in a status or a body, that come after an interim answer, and those over HTTP/2.

mod case;
mod fault;
mod http2;
mod kind;
mod model;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};

use serde_json::Value;

use crate::harness::gate::{Gate, HoldPoint, Verdict};
use crate::harness::{Answer, Asteroid, Caller, Configuration, Program};

use case::Case;
use fault::Fault;
use kind::{Kind, Start, runs};
use model::{NOTHING, STEPS, Step, impossible, is_possible_over_http2};

/// The number of starts that a tenant may send in a day.
const BUDGET: u32 = 20;

const IDEMPOTENCY_KEY: &str = "key";

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

/// Returns every case that is tried: of an agent all that can exist, and of each other kind a part of them.
fn cases() -> Vec<Case> {
    let mut cases = cases_of(Kind::AGENT);
    let others: Vec<Kind> = Kind::all().filter(|kind| *kind != Kind::AGENT).collect();
    let number = |of: &Case| {
        let fault = Fault::all().position(|fault| fault == of.fault).unwrap();
        fault + STEPS.iter().position(|step| *step == of.step).unwrap() + usize::from(of.interim.unwrap_or(0))
    };
    for kind in &others {
        let is_tried = |case: &Case| case.is_tried_with_every_kind() || others[number(case) % others.len()] == *kind;
        cases.extend(cases_of(*kind).into_iter().filter(is_tried));
    }
    cases
}

/// Returns every case of a kind that can exist.
fn cases_of(kind: Kind) -> Vec<Case> {
    let faults = STEPS.into_iter().flat_map(|step| Fault::all().map(move |fault| (step, fault)));
    let plain =
        |(step, fault)| [false, true].map(|recovery| Case { kind, step, fault, recovery, interim: None, http2: false });
    let mut cases: Vec<Case> = faults.flat_map(plain).collect();
    cases.retain(|case| impossible(kind, case.step, case.fault, case.recovery).is_none());
    let after_interim = cases.iter().filter(|case| {
        let fails = matches!(case.fault, Fault::Closes | Fault::Resets | Fault::Late | Fault::Answers(429 | 503));
        fails && matches!(case.step, Step::Head | Step::Started)
    });
    let after_interim =
        after_interim.flat_map(|case| [100, 102, 103].map(|status| Case { interim: Some(status), ..*case }));
    let http2 = cases.iter().filter(|case| is_possible_over_http2(case.step, case.fault));
    let http2 = http2.map(|case| Case { http2: true, ..*case });
    let more: Vec<Case> = after_interim.chain(http2).collect();
    cases.extend(more);
    cases
}

#[test]
fn of_many_retries_at_once_one_starts_and_all_that_are_accepted_name_its_run() {
    for kind in Kind::all() {
        let rounds = if kind == Kind::AGENT { 3 } else { 1 };
        for (recovery, broke_before) in [(false, false), (true, false), (true, true)] {
            // A rerun that broke is not found.
            if broke_before && !kind.is_tagged() {
                continue;
            }
            (0..rounds).for_each(|_| retry_at_once(kind, recovery, broke_before));
        }
    }
}

fn retry_at_once(kind: Kind, recovery: bool, broke_before: bool) {
    let case = format!("{kind:?}, recovery: {recovery}, a call that broke before: {broke_before}");
    let asteroid = Asteroid::start();
    let start = kind.start(&asteroid);
    let mut gate = Gate::before(&asteroid, broke_before.then_some(HoldPoint::Body));
    let gateway = Program::run_watched(limited(gate.configuration(), recovery, ""));
    if broke_before {
        start.break_one(&mut gate, &gateway);
    }
    if !kind.is_tagged() {
        // Each would look up the execution that is rerun, and be in flight meanwhile.
        Caller::connect(gateway.address()).request("GET", start.path.trim_end_matches("/rerun"));
    }
    let retries = start.send_at_once(20, &gateway);
    let ids = runs(&asteroid);
    assert_eq!(ids.len(), 1, "{case}");
    let is_accepted = |answer: &&Answer| [202, kind.success()].contains(&answer.status);
    let (accepted, refused): (Vec<_>, Vec<_>) = retries.iter().partition(is_accepted);
    assert!(!accepted.is_empty(), "{case}");
    accepted.iter().for_each(|answer| assert_eq!(answer.json()["executionId"], ids[0], "{case}"));
    refused.iter().for_each(|answer| answer.assert_error(409, "idempotency-in-flight", "not_started"));
    assert_eq!(start.send(&gateway, IDEMPOTENCY_KEY).json()["executionId"], ids[0], "{case}");
}

impl Start {
    /// Sends it with this idempotency key.
    fn send(&self, gateway: &Program, key: &str) -> Answer {
        Caller::connect(gateway.address()).post(&self.path, &[("Idempotency-Key", key)], self.body.as_bytes())
    }

    /// Sends it this many times with the idempotency key, at the same time.
    fn send_at_once(&self, count: usize, gateway: &Program) -> Vec<Answer> {
        let barrier = Barrier::new(count);
        let retry = || {
            let mut caller = Caller::connect(gateway.address());
            barrier.wait();
            caller.post(&self.path, &[("Idempotency-Key", IDEMPOTENCY_KEY)], self.body.as_bytes())
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..count).map(|_| scope.spawn(retry)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

    /// Sends it with the idempotency key. The gate interrupts it, so that the gateway does not know its outcome.
    fn break_one(&self, gate: &mut Gate, gateway: &Program) {
        let mut caller = Caller::connect(gateway.address());
        caller.send_post(&self.path, &[("Idempotency-Key", IDEMPOTENCY_KEY)], self.body.as_bytes());
        gate.wait_until_held();
        gate.decide(Verdict::Close);
        caller.answer().assert_error(504, "upstream-broke", "unknown");
    }
}

/// Adds limits whose headers show what was counted.
fn limited(configuration: Configuration, recovery: bool, sections: &str) -> Configuration {
    let recovery = if recovery { "idempotency: { recovery: true }" } else { "" };
    let limits = format!("limits: {{ in_flight: 8, budget: {{ executions: {BUDGET}, per: day }} }}");
    let configuration = configuration.with("operations: { rerun: true }");
    configuration.with(recovery).with(sections).billing(&limits)
}

/// Describes an answer in the form of the model.
fn said(answer: Option<&Answer>) -> String {
    let Some(answer) = answer else { return NOTHING.to_owned() };
    // A forwarded answer may have any body.
    let problem = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    let code = problem["type"].as_str().and_then(|kind| kind.strip_prefix("urn:asteroid-gateway:error:"));
    match (code, answer.header("idempotent-replayed")) {
        (Some(code), _) => format!("{} {code}", answer.status),
        (None, Some("true")) => format!("{}, replayed", answer.status),
        (None, _) => answer.status.to_string(),
    }
}
