//! The model: the promised result of a start with an `Idempotency-Key` for every failure.

use super::fault::Fault::{
    self, Answers, CallerLeaves, Closes, Dies, Drains, Late, Refuses, RefusesKey, Resets, Stalls, Useless,
};
use super::fault::proves_nothing_started;
use super::kind::Kind;
use Step::{
    Answered, BodyRead, Connecting, Head, LookUp, LookUpAgain, LookUpConnecting, LookUpInVain, LookUpMidAnswer,
    MidAnswer, MidBody, Settled, Started,
};

/// The step of a call at which the fault happens, in the order of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// Half of the caller's body was read; the idempotency key is not claimed yet.
    BodyRead,
    /// The idempotency key is claimed, and the gateway connects to look up an earlier start with it.
    LookUpConnecting,
    /// The look-up was sent.
    LookUp,
    /// Half of the look-up's answer was written: there is no such execution.
    LookUpMidAnswer,
    /// The gateway connects to send the start.
    Connecting,
    /// The upstream has read the start's head.
    Head,
    /// The upstream has read half of the start's body.
    MidBody,
    /// The execution was started, and nothing of the answer was written.
    Started,
    /// Half of the answer was written.
    MidAnswer,
    /// The answer was written, and the gateway may not have stored it yet.
    Answered,
    /// The caller has received the answer.
    Settled,
    /// The answer of a call was lost, and the look-up of the next call with the same idempotency key was sent.
    LookUpAgain,
    /// The same, but the start was lost, too: there is no execution.
    LookUpInVain,
}

pub(super) const STEPS: [Step; 13] = [
    BodyRead,
    LookUpConnecting,
    LookUp,
    LookUpMidAnswer,
    Connecting,
    Head,
    MidBody,
    Started,
    MidAnswer,
    Answered,
    Settled,
    LookUpAgain,
    LookUpInVain,
];

/// Returns the reason why there is no such case; `None` if there is one.
pub(super) fn impossible(kind: Kind, step: Step, fault: Fault, recovery: bool) -> Option<&'static str> {
    let is_looked_up = recovery && kind.is_tagged();
    let of_upstream = !matches!(fault, CallerLeaves | Drains | Dies);
    match (step, fault) {
        (LookUpConnecting | LookUp | LookUpMidAnswer | LookUpAgain | LookUpInVain, _) if !is_looked_up => {
            Some("without recovery nothing is looked up, and a rerun never is")
        }
        (BodyRead, _) if of_upstream => Some("the upstream is not asked before the body was read"),
        (LookUpConnecting | Connecting, Closes | Resets | Late | Answers(_) | Useless(_) | RefusesKey) => {
            Some("who is not connected yet can refuse or be silent, and nothing else")
        }
        (LookUpConnecting | Connecting, _) => None,
        (_, Refuses) => Some("a connection that was made is not refused any more"),
        (Started, Answers(status)) if proves_nothing_started(status) => {
            Some("an upstream that says so has started nothing: the gateway assumes it, and cannot do without")
        }
        (Started, RefusesKey) if !is_looked_up => {
            Some("that a 401 did no work is assumed, and cannot be done without where nothing is looked up")
        }
        (LookUpMidAnswer | MidAnswer | Answered | Settled, Answers(_) | Useless(_) | RefusesKey) => {
            Some("the answer has begun, and there is only one")
        }
        (Head | MidBody | Started | MidAnswer, Stalls | Late) if kind.waits() => {
            Some("a start that waits has a time-out of 35 seconds, for which no test waits")
        }
        (Answered | Settled, Stalls | Late) => Some("nothing more is waited for"),
        (LookUp | LookUpAgain | LookUpInVain, RefusesKey) => {
            Some("with another key at hand, a look-up is just sent again")
        }
        (LookUp | LookUpMidAnswer | LookUpAgain | LookUpInVain, Late) => Some("a late look-up is one that stalls"),
        (LookUp | LookUpAgain | LookUpInVain, Answers(status)) if !matches!(status, 401 | 429 | 500 | 503) => {
            Some("of what is no listing, these four stand for all")
        }
        _ => None,
    }
}

/// Returns whether the simulator can show the case over HTTP/2.
pub(super) fn is_possible_over_http2(step: Step, fault: Fault) -> bool {
    match step {
        // The simulator reads the whole start, and does not run it.
        Head => matches!(fault, Closes | Resets | Answers(_) | Useless(_) | RefusesKey) && fault != Fault::CUT,
        Started => !matches!(fault, Refuses) && fault != Fault::CUT,
        MidAnswer => matches!(fault, Closes | Stalls),
        _ => false,
    }
}

/// The promised result.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expectation {
    /// The answer to the call with the fault: a status, with the error code if the gateway made it.
    pub(super) first: String,
    /// Whether that answer says that the outcome is unknown.
    pub(super) is_open: bool,
    /// The answer to the retry, once nothing is in flight.
    pub(super) retry: String,
    /// The number of executions after the retry.
    pub(super) runs: usize,
    /// The part of the budget that the process that answered the retry has spent.
    pub(super) spent: u32,
}

/// The state of the idempotency key in the process that receives the retry.
#[derive(PartialEq)]
enum Key {
    /// It was released: nothing was started with it.
    Unused,
    /// Its answer is stored.
    Stored,
    /// Its outcome is unknown: something may have been started.
    Unknown,
    /// It is not known, because another process received the first call.
    Forgotten,
}

/// The answer to a start that was found.
const FOUND: &str = "202, replayed";
const UNKNOWN: &str = "504 idempotency-unknown";

pub(super) fn replay(status: u16) -> String {
    format!("{status}, replayed")
}

pub(super) fn expected(kind: Kind, step: Step, fault: Fault, recovery: bool) -> Expectation {
    let recovery = recovery && kind.is_tagged();
    let success = kind.success();
    let ran = is_started(step, fault);
    let runs = usize::from(ran);
    let (retry, runs, spent) = match key(step, fault) {
        Key::Stored if is_found_at_once(step, fault) => (FOUND.to_owned(), 1, 1),
        Key::Unused => (success.to_string(), 1, 1),
        Key::Stored => (replay(success), 1, 1),
        Key::Unknown if ran && recovery => (FOUND.to_owned(), 1, 1),
        Key::Unknown => (UNKNOWN.to_owned(), runs, 1),
        Key::Forgotten if ran && recovery => (FOUND.to_owned(), 1, 0),
        // Without recovery, an idempotency key ends with its process. This documented case is the only second execution.
        Key::Forgotten => (success.to_string(), runs + 1, 1),
    };
    let first = first(kind, step, fault);
    let is_open = first.starts_with("504") || first != FOUND && step < Answered && key(step, fault) == Key::Unknown;
    Expectation { first, is_open, retry, runs, spent }
}

/// Returns whether the start ran although its API key was refused, so that it is found before it is sent with another one.
fn is_found_at_once(step: Step, fault: Fault) -> bool {
    (step, fault) == (Started, RefusesKey)
}

/// Returns whether there is an execution when the retry arrives.
fn is_started(step: Step, fault: Fault) -> bool {
    match (step, fault) {
        (LookUpAgain, _) => true,
        (LookUpInVain, _) => false,
        // The gateway finishes a start that it has begun, whether its caller stays or not.
        (_, CallerLeaves) => step >= Connecting,
        (_, Drains | Late | RefusesKey) => true,
        (_, Refuses | Closes | Resets | Stalls | Answers(_) | Useless(_) | Dies) => step >= Started,
    }
}

fn key(step: Step, fault: Fault) -> Key {
    match (step, fault) {
        (_, Drains | Dies) => Key::Forgotten,
        (Answered | Settled, _) => Key::Stored,
        (LookUpAgain | LookUpInVain, _) => Key::Unknown,
        (BodyRead | LookUpConnecting | LookUp | LookUpMidAnswer, _) => Key::Unused,
        (Connecting, Refuses | Stalls) => Key::Unused,
        (_, Answers(status)) if proves_nothing_started(status) => Key::Unused,
        (_, CallerLeaves | Late | RefusesKey) => Key::Stored,
        (_, Refuses | Closes | Resets | Stalls | Answers(_) | Useless(_)) => Key::Unknown,
    }
}

pub(super) const NOTHING: &str = "nothing";
pub(super) const NOTHING_OR_SUCCESS: &str = "nothing or success";

fn first(kind: Kind, step: Step, fault: Fault) -> String {
    let first = match (step, fault) {
        (Settled, _) => return kind.success().to_string(),
        (_, CallerLeaves) => NOTHING,
        (Answered, Dies) => NOTHING_OR_SUCCESS,
        (_, Dies) => NOTHING,
        (LookUpAgain, Drains) => FOUND,
        (LookUpInVain, Drains) => UNKNOWN,
        _ if is_found_at_once(step, fault) => "202",
        (_, Drains | RefusesKey) | (Answered, _) => return kind.success().to_string(),
        (LookUpConnecting | LookUp | LookUpMidAnswer | LookUpAgain | LookUpInVain, _) => "504 idempotency-lookup",
        (Connecting, _) => "502 unreachable",
        (_, Stalls | Late) => "504 upstream-timeout",
        (_, Answers(401)) => "502 key-refused",
        (_, Answers(status)) => return status.to_string(),
        (_, Useless(answer)) => return answer.status.to_string(),
        (_, Refuses | Closes | Resets) => "504 upstream-broke",
    };
    first.to_owned()
}
