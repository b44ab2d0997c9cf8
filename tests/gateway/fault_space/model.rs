//! What is promised of a start with an `Idempotency-Key` whatever fails while it is on its way.

use super::fault::Fault::{
    self, Answers, CallerLeaves, Closes, Dies, Drains, Late, Refuses, RefusesKey, Resets, Stalls, Useless,
};
use super::fault::proves_nothing_started;
use Step::{
    Answered, BodyRead, Connecting, Head, LookUp, LookUpAgain, LookUpConnecting, LookUpInVain, LookUpMidAnswer,
    MidAnswer, MidBody, Settled, Started,
};

/// How far a call has come when the fault happens, in the order of its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// Half of the caller's body was read; the key is not claimed yet.
    BodyRead,
    /// The key is claimed, and the gateway connects to look whether it was used before.
    LookUpConnecting,
    /// The look-up was written.
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
    /// The answer was written, and nobody has waited for the gateway to store it.
    Answered,
    /// The caller has got the answer.
    Settled,
    /// The answer of a call was lost, and the look-up of the next one with the same key was written.
    LookUpAgain,
    /// The same where the start had been lost, too: there is no execution.
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

/// Why there is no such case.
pub(super) fn impossible(step: Step, fault: Fault, recovery: bool) -> Option<&'static str> {
    let of_upstream = !matches!(fault, CallerLeaves | Drains | Dies);
    match (step, fault) {
        (LookUpConnecting | LookUp | LookUpMidAnswer | LookUpAgain | LookUpInVain, _) if !recovery => {
            Some("without recovery nothing is looked up")
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
        (Started, RefusesKey) if !recovery => {
            Some("that a 401 did no work is assumed, and cannot be done without where nothing is looked up")
        }
        (LookUpMidAnswer | MidAnswer | Answered | Settled, Answers(_) | Useless(_) | RefusesKey) => {
            Some("the answer has begun, and there is only one")
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

/// Whether an upstream over HTTP/2 that fails as a whole can show the case.
pub(super) fn is_possible_over_http2(step: Step, fault: Fault) -> bool {
    match step {
        // It has read the whole start, and does not run it.
        Head => matches!(fault, Closes | Resets | Answers(_) | Useless(_) | RefusesKey) && fault != Fault::CUT,
        Started => !matches!(fault, Refuses) && fault != Fault::CUT,
        MidAnswer => matches!(fault, Closes | Stalls),
        _ => false,
    }
}

/// What is promised.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expectation {
    /// What the caller reads whose call meets the fault: a status, with the gateway's name for what it made itself.
    pub(super) first: String,
    /// Whether that says that the outcome is unknown.
    pub(super) is_open: bool,
    /// What the retry reads once nothing is in flight any more.
    pub(super) retry: &'static str,
    /// How many executions there are then.
    pub(super) runs: usize,
    /// How much of the budget was spent by the process that has answered the retry.
    pub(super) spent: u32,
}

/// What a process knows of the key when the retry comes.
#[derive(PartialEq)]
enum Key {
    /// Nothing was started with it.
    Unused,
    /// Its answer.
    Stored,
    /// That something may have been started.
    Unknown,
    /// Nothing: this process was not there.
    Forgotten,
}

pub(super) const REPLAY: &str = "202, replayed";
const UNKNOWN: &str = "504 idempotency-unknown";

pub(super) fn expected(step: Step, fault: Fault, recovery: bool) -> Expectation {
    let ran = is_started(step, fault);
    let runs = usize::from(ran);
    let (retry, runs, spent) = match key(step, fault) {
        Key::Unused => ("202", 1, 1),
        Key::Stored => (REPLAY, 1, 1),
        Key::Unknown if ran && recovery => (REPLAY, 1, 1),
        Key::Unknown => (UNKNOWN, runs, 1),
        Key::Forgotten if ran && recovery => (REPLAY, 1, 0),
        // Without recovery a key lives no longer than its process, which is documented: the only second execution.
        Key::Forgotten => ("202", runs + 1, 1),
    };
    let first = first(step, fault);
    let is_open = first.starts_with("504") || first != REPLAY && step < Answered && key(step, fault) == Key::Unknown;
    Expectation { first, is_open, retry, runs, spent }
}

/// Whether there is an execution when the retry comes.
fn is_started(step: Step, fault: Fault) -> bool {
    match (step, fault) {
        (LookUpAgain, _) => true,
        (LookUpInVain, _) => false,
        // What was begun is finished, whether its caller stays or not.
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
pub(super) const NOTHING_OR_202: &str = "nothing or 202";

fn first(step: Step, fault: Fault) -> String {
    let first = match (step, fault) {
        (Settled, _) => "202",
        (_, CallerLeaves) => NOTHING,
        (Answered, Dies) => NOTHING_OR_202,
        (_, Dies) => NOTHING,
        (LookUpAgain, Drains) => REPLAY,
        (LookUpInVain, Drains) => UNKNOWN,
        (_, Drains | RefusesKey) | (Answered, _) => "202",
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
