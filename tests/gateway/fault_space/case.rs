//! One case: a call that fails, its retry, and what there is to see afterwards.

use std::fmt::Debug;
use std::time::Instant;

use crate::harness::caller::PATIENCE;
use crate::harness::gate::{Gate, Point, Verdict};
use crate::harness::{Answer, Asteroid, Caller, EXECUTE, Program};

use super::model::{Fault, NOTHING, NOTHING_OR_202, REPLAY, Step, expected};
use super::{BODY, BUDGET, KEY, break_one, gateway, runs, said, start};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What fails, how far a call has come then, and whether lost ones are looked up.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) step: Step,
    pub(super) fault: Fault,
    pub(super) recovery: bool,
}

/// What there was to see.
struct Seen {
    /// The answer of the call that failed.
    first: Option<Answer>,
    /// The executions when it was over.
    begun: Vec<String>,
    retry: Answer,
    /// The answer of the same once more.
    again: Answer,
    /// How many requests that cost.
    asked: usize,
    /// The executions after that.
    runs: Vec<String>,
    /// The answer of a start with another key, which tells what is left of the limits.
    last: Answer,
}

impl Case {
    /// What is not as it is promised.
    pub(super) fn faults(&self) -> Vec<String> {
        let Seen { first, begun, retry, again, asked, runs, last } = self.run();
        let promised = expected(self.step, self.fault, self.recovery);
        let mut differences = Differences(Vec::new());
        let said_first = said(first.as_ref());
        if promised.first != NOTHING_OR_202 || !["202", NOTHING].contains(&said_first.as_str()) {
            differences.note("the first answer", &said_first, &promised.first);
        }
        differences.note("the retry", &said(Some(&retry)), &promised.retry);
        let is_settled = retry.status == 202;
        differences.note("the same again", &said(Some(&again)), &if is_settled { REPLAY } else { promised.retry });
        if is_settled {
            differences.note("the number of requests for it", &asked, &0);
            differences.note("its body", &again.json(), &retry.json());
        }
        differences.note("the number of runs", &runs.len(), &promised.runs);
        for (what, answer, runs) in [("first answer", first.as_ref(), &begun), ("retry", Some(&retry), &runs)] {
            let Some(answer) = answer else { continue };
            if answer.status == 202 {
                let named = answer.json()["executionId"].as_str().map(str::to_owned);
                differences.note(&format!("the run that the {what} names"), &named.as_ref(), &runs.last());
            }
            if answer.json()["outcome"] == "not_started" {
                differences.note(&format!("the number of runs when the {what} says not_started"), &runs.len(), &0);
            }
        }
        differences.note("the last answer", &said(Some(&last)), &"202");
        let left = format!("\"in_flight\";r=7, \"budget\";r={}", BUDGET - promised.spent - 1);
        let told = last.header("ratelimit").unwrap_or_default();
        differences.note("what is left", &told.split(";t=").next().unwrap_or_default(), &left);
        differences.0
    }

    fn run(&self) -> Seen {
        let asteroid = Asteroid::start();
        let before = match self.step {
            Step::LookUpAgain => Some(Point::Body),
            Step::LookUpInVain => Some(Point::MidBody),
            _ => None,
        };
        let mut gate = Gate::before(&asteroid, before.or(self.point()));
        let (url, timeouts) = (gate.url(), self.timeouts());
        let mut gateway = gateway(&url, self.recovery, timeouts);
        if before.is_some() {
            break_one(&mut gate, &gateway);
            gate.arm(Point::LookUp);
        }
        let first = self.fail(&mut gate, &gateway);
        let begun = runs(&asteroid);
        if matches!(self.fault, Fault::Drains | Fault::Dies) {
            gateway.end();
            gateway = super::gateway(&url, self.recovery, timeouts);
        }
        let retry = retry(&gateway);
        let asked = asteroid.requests().len();
        let again = start(&gateway, KEY);
        let (asked, runs) = (asteroid.requests().len() - asked, runs(&asteroid));
        Seen { first, begun, retry, again, asked, runs, last: start(&gateway, "another") }
    }

    /// Brings a call to its step and lets the fault happen; returns what the caller got to read.
    fn fail(&self, gate: &mut Gate, gateway: &Program) -> Option<Answer> {
        let (mut caller, _other) = self.begin(gate, gateway);
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
                gateway.line(|line| line["message"] == "draining");
                if self.step == Step::BodyRead {
                    caller.send(&BODY.as_bytes()[BODY.len() / 2..]);
                }
                gate.decide(Verdict::Proceed);
            }
            Fault::Dies => {
                gateway.signal("KILL");
                let first = settled.or_else(|| caller.try_answer());
                // The connection has ended with the process, and what that had not written does not arrive.
                gate.decide(if self.is_half_sent() { Verdict::Close } else { Verdict::Proceed });
                return first;
            }
            // Until the verdict, nobody can connect.
            Fault::Refuses => {}
            Fault::Stalls if matches!(self.point(), Some(Point::Connecting { .. })) => {}
            Fault::Closes | Fault::Resets => {
                let files = gateway.open_files();
                gate.decide(if self.fault == Fault::Closes { Verdict::Close } else { Verdict::Reset });
                // What is written to a connection before its end is seen is lost, too, and would be another case.
                wait_for_fewer_files(gateway, files);
            }
            Fault::Stalls => gate.decide(Verdict::Stall),
            Fault::Answers(status) => gate.decide(Verdict::Answer(status)),
        }
        let first = settled.or_else(|| caller.try_answer());
        if matches!(self.point(), Some(Point::Refused { .. } | Point::Connecting { .. })) {
            gate.decide(Verdict::Proceed);
        }
        first
    }

    /// Brings a call to its step. Another one with its key, meanwhile, is refused; its connection is kept, so that the
    /// next descriptor that the gateway closes is the first one's.
    fn begin(&self, gate: &Gate, gateway: &Program) -> (Caller, Option<Caller>) {
        let mut caller = Caller::connect(gateway.address());
        let headers = [("Idempotency-Key", KEY), ("X-Request-Id", "first")];
        if self.step == Step::BodyRead {
            let length = BODY.len();
            let head = format!("POST {EXECUTE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n");
            let fields = headers.map(|(name, value)| format!("{name}: {value}\r\n")).concat();
            let rest = "Content-Type: application/json\r\nExpect: 100-continue\r\n\r\n";
            caller.send([head.as_str(), &fields, rest].concat().as_bytes());
            // Sent when the gateway begins to read the body.
            assert_eq!(caller.bytes(CONTINUE.len()).unwrap(), CONTINUE);
            caller.send(&BODY.as_bytes()[..length / 2]);
            return (caller, None);
        }
        caller.send_post(EXECUTE, &headers, BODY.as_bytes());
        // Where a time-out is to pass, it passes meanwhile.
        if matches!(self.fault, Fault::Refuses | Fault::Stalls) {
            return (caller, None);
        }
        gate.wait_until_held();
        let is_in_flight = !matches!(self.step, Step::Answered | Step::Settled);
        let other = is_in_flight.then(|| {
            let mut other = Caller::connect(gateway.address());
            let answer = other.post(EXECUTE, &[("Idempotency-Key", KEY)], BODY.as_bytes());
            answer.assert_error(409, "idempotency-in-flight", "not_started");
            other
        });
        (caller, other)
    }

    /// Where the gate holds the call.
    fn point(&self) -> Option<Point> {
        let connecting = |after| match self.fault {
            Fault::Refuses => Point::Refused { after },
            _ => Point::Connecting { after },
        };
        match self.step {
            Step::BodyRead => None,
            Step::LookUpConnecting => Some(connecting(0)),
            Step::LookUp | Step::LookUpAgain | Step::LookUpInVain => Some(Point::LookUp),
            Step::LookUpMidAnswer => Some(Point::LookUpMidAnswer),
            // The first connection is then the look-up's.
            Step::Connecting => Some(connecting(usize::from(self.recovery))),
            Step::Head => Some(Point::Head),
            Step::MidBody => Some(Point::MidBody),
            Step::Started => Some(Point::Body),
            Step::MidAnswer => Some(Point::MidAnswer),
            Step::Answered | Step::Settled => Some(Point::Answer),
        }
    }

    /// Whether a connection carries a part of a start, and the gate holds what comes after it.
    fn is_half_sent(&self) -> bool {
        matches!(self.step, Step::Head | Step::MidBody)
    }

    /// Short where they are to pass, and else longer than anything takes.
    fn timeouts(&self) -> &'static str {
        match self.fault {
            Fault::Stalls => "timeouts: { connect: 1s, response: 1s }",
            _ => "timeouts: { connect: 15s, response: 15s }",
        }
    }
}

/// What is not as it is promised.
struct Differences(Vec<String>);

impl Differences {
    fn note(&mut self, what: &str, is: &impl Debug, promised: &impl Debug) {
        let (is, promised) = (format!("{is:?}"), format!("{promised:?}"));
        if is != promised {
            self.0.push(format!("{what} is {is} instead of {promised}"));
        }
    }
}

/// Starts with the key until no call with it is in flight any more.
fn retry(gateway: &Program) -> Answer {
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = start(gateway, KEY);
        if answer.status != 409 {
            return answer;
        }
        answer.assert_error(409, "idempotency-in-flight", "not_started");
        assert!(Instant::now() < until, "the key stays in flight");
        std::thread::yield_now();
    }
}

/// Waits until the gateway has closed a descriptor.
fn wait_for_fewer_files(gateway: &Program, files: usize) {
    let until = Instant::now() + PATIENCE;
    while gateway.open_files() >= files {
        assert!(Instant::now() < until, "the gateway does not see that a connection has ended");
        std::thread::yield_now();
    }
}
