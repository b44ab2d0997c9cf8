//! One case: a call that fails, its retry, and what there is to see afterwards.

use std::fmt::Debug;
use std::time::Instant;

use asteroid_gateway::event;
use tempfile::TempDir;

use crate::harness::caller::TIMEOUT;
use crate::harness::gate::{Gate, HoldPoint, Substitute, Verdict};
use crate::harness::{API_KEY, Answer, Asteroid, Caller, Configuration, Program};

use super::fault::Fault;
use super::kind::{Kind, Start, runs};
use super::model::{NOTHING, NOTHING_OR_SUCCESS, Step, expected, replay};
use super::{BUDGET, IDEMPOTENCY_KEY, http2, limited, said};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A case: the kind of start, the step at which a call fails, the fault, and whether lost starts are looked up.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) kind: Kind,
    pub(super) step: Step,
    pub(super) fault: Fault,
    pub(super) recovery: bool,
    /// The status of an interim answer before the fault, if any.
    pub(super) interim: Option<u16>,
    /// Whether the upstream speaks HTTP/2.
    pub(super) http2: bool,
}

/// The observed result of a case.
pub(super) struct Observation {
    /// The answer of the call that failed.
    first: Option<Answer>,
    /// The executions after that call.
    begun: Vec<String>,
    retry: Answer,
    /// The answer of a second retry.
    again: Answer,
    /// The number of requests that the second retry caused.
    asked: usize,
    /// The executions after that.
    runs: Vec<String>,
    /// The answer of a start with another idempotency key, whose headers show the remaining limits.
    last: Answer,
}

impl Observation {
    /// Retries until nothing is in flight, and observes the result.
    pub(super) fn after(
        first: Option<Answer>,
        begun: Vec<String>,
        start: &Start,
        asteroid: &Asteroid,
        gateway: &Program,
    ) -> Observation {
        let retry = retry(start, gateway);
        let again = start.send(gateway, IDEMPOTENCY_KEY);
        // Only the requests of this retry: the gateway itself may be looking up the first start as a positive control.
        let id = again.header("x-request-id").map(str::to_owned);
        let asked =
            asteroid.requests().iter().filter(|request| request.header("x-request-id") == id.as_deref()).count();
        let runs = runs(asteroid);
        Observation { first, begun, retry, again, asked, runs, last: start.send(gateway, "another") }
    }
}

impl Case {
    /// Returns whether it is tried with every kind of start. The others are divided among the kinds.
    pub(super) fn is_tried_with_every_kind(&self) -> bool {
        self.fault.stands_for_others() && !self.fault.takes_time() && self.interim.is_none() && !self.http2
    }

    /// Runs the case, and returns the differences from the promise.
    pub(super) fn faults(&self) -> Vec<String> {
        let seen = if self.http2 { http2::run(self) } else { self.run() };
        let mut differences = Differences(Vec::new());
        self.note_uncounted_executions(&seen, &mut differences);
        let Observation { first, begun, retry, again, asked, runs, last } = seen;
        let promised = expected(self.kind, self.step, self.fault, self.recovery);
        let (said_first, success) = (said(first.as_ref()), self.kind.success().to_string());
        let is_success = |answer: &Answer| [202, self.kind.success()].contains(&answer.status);
        if promised.first != NOTHING_OR_SUCCESS || ![success.as_str(), NOTHING].contains(&said_first.as_str()) {
            differences.note("the first answer", &said_first, &promised.first);
        }
        differences.note("the retry", &said(Some(&retry)), &promised.retry);
        let is_settled = is_success(&retry);
        let promised_again = if is_settled { replay(retry.status) } else { promised.retry.clone() };
        differences.note("the same again", &said(Some(&again)), &promised_again);
        if is_settled {
            differences.note("the number of requests for it", &asked, &0);
            differences.note("its body", &again.json(), &retry.json());
        }
        differences.note("the number of runs", &runs.len(), &promised.runs);
        for (what, answer, runs, is_open) in [
            ("first answer", first.as_ref(), &begun, promised.is_open),
            ("retry", Some(&retry), &runs, retry.status == 504),
        ] {
            let Some(answer) = answer else { continue };
            let open = answer.header("execution-outcome");
            differences.note(&format!("what the {what} says"), &open, &is_open.then_some("unknown"));
            if is_open {
                differences.note(
                    &format!("when the {what} invites a retry"),
                    &answer.header("retry-after"),
                    &None::<&str>,
                );
                continue;
            }
            if is_success(answer) {
                let named = answer.json()["executionId"].as_str().map(str::to_owned);
                differences.note(&format!("the run that the {what} names"), &named.as_ref(), &runs.last());
            }
            if answer.header("proxy-status").is_some() && answer.json()["outcome"] == "not_started" {
                differences.note(&format!("the number of runs when the {what} says not_started"), &runs.len(), &0);
            }
        }
        differences.note("the last answer", &said(Some(&last)), &success);
        let left = format!("\"in_flight\";r=7, \"budget\";r={}", BUDGET - promised.spent - 1);
        let told = last.header("ratelimit").unwrap_or_default();
        differences.note("what is left", &told.split(";t=").next().unwrap_or_default(), &left);
        differences.0
    }

    /// Notes if a process started more executions than its budget has counted. No case may do that.
    fn note_uncounted_executions(&self, seen: &Observation, differences: &mut Differences) {
        let of_another_process = if self.fault.ends_the_process() { seen.begun.len() } else { 0 };
        let runs = seen.runs.len() + usize::from(seen.last.status == self.kind.success()) - of_another_process;
        let left = seen.last.header("ratelimit").and_then(|told| told.split("\"budget\";r=").nth(1)?.split(';').next());
        let spent = BUDGET - left.and_then(|left| left.parse::<u32>().ok()).unwrap_or(BUDGET);
        if runs > spent as usize {
            differences.0.push(format!("{runs} runs are more than the {spent} that the budget has counted"));
        }
    }

    fn run(&self) -> Observation {
        let asteroid = Asteroid::start();
        let start = self.kind.start(&asteroid);
        let before = match self.step {
            Step::LookUpAgain => Some(HoldPoint::Body),
            Step::LookUpInVain => Some(HoldPoint::MidBody),
            _ => None,
        };
        let mut gate = Gate::before(&asteroid, before.or(self.point()));
        if let Some(status) = self.interim {
            gate.answer_in_the_interim(status);
        }
        if self.fault == Fault::RefusesKey {
            gate.refuse_newest();
        }
        let upstream = gate.configuration();
        let (mut gateway, _keys) = self.start(&asteroid, &upstream);
        if before.is_some() {
            start.break_one(&mut gate, &gateway);
            gate.arm(HoldPoint::LookUp);
        }
        let first = self.fail(&start, &mut gate, &gateway);
        let begun = runs(&asteroid);
        if self.fault.ends_the_process() {
            gateway.end();
            gateway = self.start(&asteroid, &upstream).0;
        }
        Observation::after(first, begun, &start, &asteroid, &gateway)
    }

    /// Starts a gateway. If its API key is to be refused, it gets a second one, which the upstream accepts, too.
    pub(super) fn start(&self, asteroid: &Asteroid, upstream: &Configuration) -> (Program, Option<TempDir>) {
        let configuration = limited(upstream.clone(), self.recovery, self.timeouts());
        if self.fault != Fault::RefusesKey {
            return (Program::run_watched(configuration), None);
        }
        let dir = tempfile::tempdir().unwrap();
        let before = dir.path().join("before");
        std::fs::write(&before, "ak-before-7d3e9f1a52").unwrap();
        asteroid.set_api_keys(&["ak-before-7d3e9f1a52", API_KEY]);
        let previous = format!("previous_file: '{}'", before.display());
        let gateway = Program::run_watched(configuration.add("/credentials/main", &previous));
        gateway.event(event::CREDENTIAL_NEW_VERSION_REJECTED);
        (gateway, Some(dir))
    }

    /// Brings a call to its step and causes the fault. Returns the answer that the caller read.
    fn fail(&self, start: &Start, gate: &mut Gate, gateway: &Program) -> Option<Answer> {
        let (mut caller, _other) = self.begin(start, gate, gateway);
        let settled = (self.step == Step::Settled).then(|| caller.answer());
        match self.fault {
            Fault::CallerLeaves => {
                let files = gateway.open_files();
                caller.reset();
                wait_for_fewer_files(gateway, files);
                gate.decide(Verdict::Proceed);
                gateway.line(|line| line["request_id"] == "first");
                return settled;
            }
            Fault::Drains => {
                gateway.signal("TERM");
                gateway.event(event::DRAIN_BEGUN);
                if self.step == Step::BodyRead {
                    caller.send(&start.body.as_bytes()[start.body.len() / 2..]);
                }
                gate.decide(Verdict::Proceed);
            }
            Fault::Dies => {
                gateway.signal("KILL");
                let first = settled.or_else(|| caller.try_answer());
                // The connection ended with the process, and the unwritten part of the answer is lost.
                gate.decide(if self.is_half_sent() { Verdict::Close } else { Verdict::Proceed });
                return first;
            }
            // Until the verdict, no connection can be made, or no answer comes.
            Fault::Refuses | Fault::Stalls | Fault::Late => {}
            Fault::Closes | Fault::Resets => {
                let files = gateway.open_files();
                gate.decide(if self.fault == Fault::Closes { Verdict::Close } else { Verdict::Reset });
                // Bytes that are written to a connection whose end is not seen yet are lost, too. That is another case.
                wait_for_fewer_files(gateway, files);
            }
            Fault::Answers(status) => gate.decide(Verdict::Answer(of_status(status))),
            Fault::RefusesKey => gate.decide(Verdict::Answer(of_status(401))),
            Fault::Useless(answer) => gate.decide(Verdict::Answer(answer)),
        }
        let first = settled.or_else(|| caller.try_answer());
        match self.point() {
            Some(HoldPoint::Refused { .. } | HoldPoint::Connecting { .. }) => gate.decide(Verdict::Proceed),
            _ if self.fault == Fault::Stalls => gate.decide(Verdict::Close),
            _ if self.fault == Fault::Late => gate.decide(Verdict::Proceed),
            _ => {}
        }
        first
    }

    /// Brings a call to its step. Meanwhile, another call with its idempotency key is refused. That call's connection is
    /// kept, so that the next descriptor that the gateway closes is that of the first call.
    fn begin(&self, start: &Start, gate: &Gate, gateway: &Program) -> (Caller, Option<Caller>) {
        let mut caller = Caller::connect(gateway.address());
        let headers = [("Idempotency-Key", IDEMPOTENCY_KEY), ("X-Request-Id", "first")];
        if self.step == Step::BodyRead {
            let length = start.body.len();
            let head = format!("POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n", start.path);
            let fields = headers.map(|(name, value)| format!("{name}: {value}\r\n")).concat();
            let rest = "Content-Type: application/json\r\nExpect: 100-continue\r\n\r\n";
            caller.send([head.as_str(), &fields, rest].concat().as_bytes());
            // The gateway sends it when it begins to read the body.
            assert_eq!(caller.bytes(CONTINUE.len()).unwrap(), CONTINUE);
            caller.send(&start.body.as_bytes()[..length / 2]);
            return (caller, None);
        }
        caller.send_post(&start.path, &headers, start.body.as_bytes());
        // If the fault is a time-out, it passes meanwhile.
        if self.fault.takes_time() {
            return (caller, None);
        }
        gate.wait_until_held();
        let is_in_flight = !matches!(self.step, Step::Answered | Step::Settled);
        let other = is_in_flight.then(|| {
            let mut other = Caller::connect(gateway.address());
            let answer = other.post(&start.path, &[("Idempotency-Key", IDEMPOTENCY_KEY)], start.body.as_bytes());
            answer.assert_error(409, "idempotency-in-flight", "not_started");
            other
        });
        (caller, other)
    }

    /// Returns the point at which the gate holds the call.
    fn point(&self) -> Option<HoldPoint> {
        let connecting = |after| match self.fault {
            Fault::Refuses => HoldPoint::Refused { after },
            _ => HoldPoint::Connecting { after },
        };
        match self.step {
            Step::BodyRead => None,
            Step::LookUpConnecting => Some(connecting(0)),
            Step::LookUp | Step::LookUpAgain | Step::LookUpInVain => Some(HoldPoint::LookUp),
            Step::LookUpMidAnswer => Some(HoldPoint::LookUpMidAnswer),
            // The first connections are those of the look-up: one for each filter, or that of the execution that is rerun.
            Step::Connecting if !self.kind.is_tagged() => Some(connecting(1)),
            Step::Connecting => Some(connecting(if self.recovery { 2 } else { 0 })),
            Step::Head => Some(HoldPoint::Head),
            Step::MidBody => Some(HoldPoint::MidBody),
            Step::Started => Some(HoldPoint::Body),
            Step::MidAnswer => Some(HoldPoint::MidAnswer),
            Step::Answered | Step::Settled => Some(HoldPoint::Answer),
        }
    }

    /// Returns whether a part of a start was forwarded, and the gate holds the rest.
    fn is_half_sent(&self) -> bool {
        matches!(self.step, Step::Head | Step::MidBody)
    }

    /// Returns time-outs that are short if one must pass, and otherwise longer than the case takes.
    fn timeouts(&self) -> &'static str {
        match (self.step, self.fault) {
            (Step::LookUpConnecting | Step::Connecting, Fault::Stalls) => "timeouts: { connect: 1s, response: 15s }",
            (_, Fault::Stalls | Fault::Late) => "timeouts: { connect: 15s, response: 3s }",
            _ => "timeouts: { connect: 15s, response: 15s }",
        }
    }
}

/// Returns an answer with this status.
fn of_status(status: u16) -> Substitute {
    Substitute { status, fields: "Content-Type: application/json\r\nRetry-After: 1\r\n", body: "{}", has_length: true }
}

/// The differences from the promise.
struct Differences(Vec<String>);

impl Differences {
    fn note(&mut self, what: &str, is: &impl Debug, promised: &impl Debug) {
        let (is, promised) = (format!("{is:?}"), format!("{promised:?}"));
        if is != promised {
            self.0.push(format!("{what} is {is} instead of {promised}"));
        }
    }
}

/// Retries with the idempotency key until no call with it is in flight.
fn retry(start: &Start, gateway: &Program) -> Answer {
    let until = Instant::now() + TIMEOUT;
    loop {
        let answer = start.send(gateway, IDEMPOTENCY_KEY);
        if answer.status != 409 {
            return answer;
        }
        answer.assert_error(409, "idempotency-in-flight", "not_started");
        assert!(Instant::now() < until, "the key stays in flight");
        std::thread::yield_now();
    }
}

/// Waits until the gateway has closed a descriptor.
pub(super) fn wait_for_fewer_files(gateway: &Program, files: usize) {
    let until = Instant::now() + TIMEOUT;
    while gateway.open_files() >= files {
        assert!(Instant::now() < until, "the gateway does not see that a connection has ended");
        std::thread::yield_now();
    }
}
