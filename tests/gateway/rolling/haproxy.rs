//! The same behind a real haproxy with two replicas, like a Deployment with `maxUnavailable: 0` and `maxSurge: 1`.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::harness::haproxy::{DETECTION_TIME, Haproxy};
use crate::harness::{Answer, EXECUTE, Pair};

/// The maximum number of starts.
const STARTS: usize = 20_000;

/// The number of starts after which a caller closes its connection, so that some connections are always new.
const KEPT: usize = 20;

/// The retry settings with which haproxy sends nothing again, even if no connection was made.
const NEVER: &str = "retries 0";

/// The retry settings with which haproxy sends a request again only if its connection was not made.
const UNCONNECTED: &str = "retries 3\n    option redispatch 1\n    retry-on conn-failure";

/// Returns a drain whose delay is much longer than haproxy's detection time, because the machine may be busy.
fn with_delay() -> String {
    format!("drain: {{ delay: {}ms }}", (DETECTION_TIME * 10).as_millis())
}

const WITHOUT_DELAY: &str = "drain: { delay: 0s }";

/// The results of all callers.
#[derive(Default)]
struct Tally {
    /// The executions in the answers.
    executions: Mutex<HashSet<String>>,
    /// The statuses other than 202; `None` if there was no answer.
    failures: Mutex<Vec<Option<u16>>>,
    starts: AtomicUsize,
}

impl Tally {
    fn note(&self, answer: Option<&Answer>) {
        match answer {
            Some(answer) if answer.status == 202 => {
                let id = answer.json()["executionId"].as_str().unwrap().to_owned();
                assert!(self.executions.lock().unwrap().insert(id), "an execution was told of twice");
            }
            other => self.failures.lock().unwrap().push(other.map(|answer| answer.status)),
        }
    }

    /// Returns a call that keeps its connection; every second caller sends an idempotency key with each start.
    fn caller(&self, number: usize, address: SocketAddr) -> impl FnMut() + Send {
        let (mut kept, mut count) = (None::<Caller>, 0);
        move || {
            assert!(self.starts.fetch_add(1, Ordering::Relaxed) < STARTS, "too many starts");
            count += 1;
            let key = format!("caller-{number}-start-{count}");
            let headers: &[(&str, &str)] = if number.is_multiple_of(2) { &[("Idempotency-Key", &key)] } else { &[] };
            let caller = kept.get_or_insert_with(|| Caller::connect(address));
            let answer = caller.try_post(EXECUTE, headers, b"{}");
            self.note(answer.as_ref());
            if count % KEPT == 0 || answer.is_none_or(|answer| answer.header("connection").is_some()) {
                kept = None;
            }
        }
    }
}

/// Replaces both replicas under load. Asserts that every answered start ran once, and no other, and returns a summary.
fn replace_both(drain: &str, retries: &str) -> (Tally, String) {
    let (asteroid, haproxy, tally) = (Asteroid::start(), Haproxy::start(retries), Tally::default());
    asteroid.always(json!({"run": true, "delay_ms": 50}));
    let configuration = asteroid.configuration().with(drain);
    let mut replicas = ["a1", "b1"].map(|name| (name, Program::run(&configuration)));
    replicas.iter().for_each(|(name, gateway)| haproxy.add(name, gateway));
    let (load, mut took) = (Arc::new(Load::default()), Vec::new());
    std::thread::scope(|scope| {
        let _end = StopGuard(&load);
        let callers: Vec<_> =
            (0..CALLERS).map(|number| load.spawn(scope, tally.caller(number, haproxy.address()))).collect();
        for (replica, name) in replicas.iter_mut().zip(["a2", "b2"]) {
            load.wait_for(BETWEEN);
            let begun = Instant::now();
            let next = Program::run(&configuration);
            haproxy.add(name, &next);
            let (old, gateway) = std::mem::replace(replica, (name, next));
            let ended = gateway.stop();
            assert!(ended.status.success() && ended.logged(event::DRAIN_COMPLETED), "{}", ended.output);
            took.push(begun.elapsed());
            haproxy.wait_for_down(old);
        }
        load.wait_for(BETWEEN);
        load.enough.store(true, Ordering::Relaxed);
        callers.into_iter().for_each(|caller| caller.join().unwrap());
    });
    let answered = tally.executions.lock().unwrap().len();
    let failures = tally.failures.lock().unwrap().clone();
    assert_eq!(asteroid.started(), answered, "what was answered ran once, and what failed did not run: {failures:?}");
    (tally, report(&haproxy, answered, &failures, &took))
}

fn report(haproxy: &Haproxy, answered: usize, failures: &[Option<u16>], took: &[Duration]) -> String {
    let all = haproxy.row("BACKEND");
    let closed = failures.iter().filter(|status| status.is_none()).count();
    let refused = failures.iter().filter(|status| **status == Some(503)).count();
    format!(
        "{} starts, {answered} answered 202 and run once each, {} failed and not run ({refused} with a 503 of haproxy, \
         {closed} without an answer), {} sent again by haproxy ({} to another replica); replacements took {took:.1?}",
        answered + failures.len(),
        failures.len(),
        all["wretr"],
        all["wredis"],
    )
}

#[test]
fn two_replicas_are_replaced_behind_haproxy_without_a_failed_or_a_second_start() {
    let (tally, report) = replace_both(&with_delay(), NEVER);
    println!("haproxy, drain.delay longer than its checks need, no retries: {report}");
    assert_eq!(*tally.failures.lock().unwrap(), [], "{report}");
}

#[test]
fn without_a_delay_of_the_drain_starts_fail_behind_haproxy_but_none_runs_twice() {
    let (_, report) = replace_both(WITHOUT_DELAY, NEVER);
    println!("haproxy, no drain.delay, no retries: {report}");
    let (_, report) = replace_both(WITHOUT_DELAY, UNCONNECTED);
    println!("haproxy, no drain.delay, retries where no connection was made: {report}");
}

#[test]
fn a_balancer_that_is_told_to_send_again_what_was_answered_starts_twice() {
    for (retries, starts) in [(NEVER, 1), (UNCONNECTED, 1), ("retries 1\n    retry-on 504", 2)] {
        let (pair, haproxy) = (Pair::start(), Haproxy::start(retries));
        haproxy.add("a", &pair.gateway);
        pair.asteroid.always(json!({"run": true, "then": "close"}));
        let answer = Caller::connect(haproxy.address()).execute("{}");
        answer.assert_error(504, "upstream-broke", "unknown");
        assert_eq!(pair.asteroid.started(), starts, "{retries}");
    }
}
