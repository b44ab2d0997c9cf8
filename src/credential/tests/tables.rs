//! Every state and every event of a credential, as tables.

use std::time::{Duration, Instant};

use crate::secret::{InvalidSecret, StoreProblem};

use super::super::lifecycle::{Event, Lifecycle, SideEffect};
use super::super::transition::Transition;
use super::super::versions::{Probe, ProbeResult, Suspicion};
use super::*;

const MISSING: Lifecycle = Lifecycle::Missing { error: None };

/// The effects of the upstream's answers. A state is a letter for the current version and a sign for the suspicion:
///
/// - `u` unverified, `a` accepted, `p` pending, `r` rejected, `i` inconclusive;
/// - `?` open, `!` confirmed.
///
/// A cell is the next state, and the transition that is logged. `-` is impossible. A probe asks about the current version
/// and, if all are suspect, about the previous one: `+` is accepted, `-` rejected, `?` inconclusive. If a state has no
/// previous version, the one that the answer is about was forgotten meanwhile.
const ANSWERS: &str = "
       | refused | current | previous instead | previous | probe + | probe - | probe - + | probe - - | probe - ? | probe ?
    u  | u?      | a       | u                | u        | a       | u       | -         | -         | -         | u
    u? | u?      | a       | u                | u        | a       | u! All  | -         | -         | -         | u? Unclear
    u! | u!      | a  Back | u  Back          | u  Back  | a  Back | u!      | -         | -         | -         | u! Unclear
    a  | a?      | a       | a                | a        | a       | a       | a         | a         | a         | a
    a? | a?      | a       | a                | a        | a       | a! All  | a         | a! All    | a? Unclear | a? Unclear
    a! | a!      | a  Back | a  Back          | a  Back  | a  Back | a!      | a  Back   | a!        | a? Unclear | a! Unclear
    p  | p?      | a  New  | r  NotNew        | p        | a  New  | r  NotNew | r  NotNew | r  NotNew | r  NotNew | i  Unclear
    p? | p?      | a  New  | r  NotNew        | p        | a  New  | r? NotNew | r  NotNew | r! All    | r? NotNew | i? Unclear
    p! | p!      | a  New  | r  NotNew        | p  Back  | a  New  | -       | r  NotNew | r! NewToo | r? NotNew | i? Unclear
    r  | r?      | a  New  | r                | r        | a  New  | r       | r         | r         | r  Unclear | r  Unclear
    r? | r?      | a  New  | r                | r        | a  New  | r?      | r         | r! All    | r? Unclear | r? Unclear
    r! | r!      | a  New  | r  Back          | r  Back  | a  New  | -       | r  Back   | r!        | r? Unclear | r! Unclear
    i  | i?      | a  New  | r  NotNew        | i        | a  New  | r  NotNew | r  NotNew | r  NotNew | r  NotNew | i
    i? | i?      | a  New  | r  NotNew        | i        | a  New  | r? NotNew | r  NotNew | r! All    | r? NotNew | i?
";

/// The effects of a store's content. The current version is `one`, or `two` if there is a previous version, which then is
/// `one`. A cell is the next state, the version that is sent first, and the previous one.
const CONTENTS: &str = "
      | same       | another        | previous | same, stored   | another, stored
    u | u one      | p one one      | -        | p stored stored | p stored stored
    a | a one      | p one one      | -        | a one          | p one one
    p | p one one  | p one one      | u one    | p one one      | p one one
    r | r one one  | p one one      | u one    | r one one      | p one one
    i | i two one  | p one one      | u one    | i two one      | p one one
";

/// The effects of a store's answers, with a `max_stale` of ten seconds. `error` is that of the state, and `other error` is not.
const READINGS: &str = "
              | read                 | another read         | read, previous unusable                   | error              | other error        | error, too long | other error, too long | unchanged
    Missing   | Fresh Replaced       | -                    | Fresh PreviousUnusable Replaced           | Missing Unreadable | Missing Unreadable | -               | -                     | Missing
    Missing e | Fresh Replaced       | -                    | Fresh PreviousUnusable Replaced           | Missing            | Missing Unreadable | -               | -                     | Missing
    Fresh     | Fresh                | Fresh Replaced       | Fresh PreviousUnusable                    | Stale Unreadable   | Stale Unreadable   | Expired Expired | Expired Expired       | Fresh
    Stale     | Fresh ReadableAgain  | Fresh Replaced       | Fresh PreviousUnusable ReadableAgain      | Stale              | Stale Unreadable   | Expired Expired | Expired Expired       | Stale
    Expired   | Fresh ReadableAgain  | Fresh Replaced       | Fresh PreviousUnusable ReadableAgain      | Stale Unreadable   | Stale Unreadable   | Expired         | Expired Unreadable    | Expired
";

/// Returns the rows below the head: a state, and for each column its event and its cell, with single spaces.
fn rows(table: &'static str) -> Vec<(String, Vec<(&'static str, String)>)> {
    let mut lines = table.lines().filter(|line| !line.trim().is_empty());
    let columns: Vec<&str> = lines.next().unwrap().split('|').map(str::trim).skip(1).collect();
    let words = |cell: &str| cell.split_whitespace().collect::<Vec<_>>().join(" ");
    let rows = lines.map(|line| {
        let mut cells = line.split('|').map(words);
        let state = cells.next().unwrap();
        let cells: Vec<_> = columns.iter().copied().zip(cells).collect();
        assert_eq!(cells.len(), columns.len(), "{state}");
        (state, cells)
    });
    rows.collect()
}

fn read(current: &str, previous: Option<&str>) -> Event {
    Event::Read { current: version(current), previous: previous.map(|previous| Ok(version(previous))) }
}

fn error(problem: StoreProblem) -> Error {
    Error { location: "/nowhere".into(), problem }
}

/// Applies an event and returns what is logged.
fn apply(state: &mut Lifecycle, event: Event, now: Instant, definition: &Definition) -> Vec<Transition> {
    let (after, effects) = std::mem::replace(state, MISSING).apply(event, now, definition);
    *state = after;
    let log = effects.into_iter().filter_map(|effect| if let SideEffect::Log(log) = effect { Some(log) } else { None });
    log.collect()
}

/// Returns an answer of the upstream, by the name of its column.
fn answer(column: &str, state: &Lifecycle, now: Instant) -> Event {
    let versions = state.versions().unwrap();
    let current = Arc::clone(versions.current());
    // A version may be forgotten while a request with it is in flight.
    let previous = versions.previous().cloned().unwrap_or_else(|| version("forgotten"));
    let accepted = |version, refused| Event::Accepted { version, refused };
    let result = |sign: &str| match sign {
        "+" => ProbeResult::Accepted,
        "-" => ProbeResult::Rejected,
        _ => ProbeResult::Inconclusive("403".to_owned()),
    };
    match column.split(' ').collect::<Vec<_>>().as_slice() {
        ["refused"] => Event::Refused,
        ["current"] => accepted(current, None),
        ["previous", "instead"] => accepted(previous, Some(current)),
        ["previous"] => accepted(previous, None),
        ["probe", sign, more @ ..] => {
            let previous = more.first().map(|sign| result(sign));
            Event::Probed(Probe { began: now, version: current, current: result(sign), previous })
        }
        other => panic!("{other:?}"),
    }
}

/// Leads a credential into a state of the table of answers.
fn answered(state: &str, now: Instant) -> Lifecycle {
    let way: &[&str] = match state {
        "u" => &[],
        "u?" => &["refused"],
        "u!" => &["refused", "probe -"],
        "a" => &["current"],
        "a?" => &["current", "refused"],
        "a!" => &["current", "refused", "probe -"],
        "p" => &["current", "read"],
        "p?" => &["current", "read", "refused"],
        "p!" => &["current", "refused", "probe -", "read"],
        "r" => &["current", "read", "probe -"],
        "r?" => &["current", "read", "probe -", "refused"],
        "r!" => &["current", "read", "probe -", "refused", "probe - -"],
        "i" => &["current", "read", "probe ?"],
        "i?" => &["current", "read", "probe ?", "refused"],
        other => panic!("{other}"),
    };
    let (mut lifecycle, definition) = (MISSING, definition(None));
    apply(&mut lifecycle, read("one", None), now, &definition);
    for step in way {
        let event = if *step == "read" { read("two", None) } else { answer(step, &lifecycle, now) };
        apply(&mut lifecycle, event, now, &definition);
    }
    assert_eq!(name(&lifecycle), state);
    lifecycle
}

fn name(state: &Lifecycle) -> String {
    let versions = state.versions().unwrap();
    let letter = match format!("{:?}", versions.verification()).split_whitespace().next().unwrap() {
        "Unverified" => "u",
        "Accepted" => "a",
        "Pending" => "p",
        "Rejected" => "r",
        "Inconclusive" => "i",
        other => panic!("{other}"),
    };
    let sign = match versions.suspicion() {
        Suspicion::None => "",
        Suspicion::Open { .. } => "?",
        Suspicion::Confirmed { .. } => "!",
    };
    format!("{letter}{sign}")
}

fn short(transition: Transition) -> &'static str {
    match transition {
        Transition::CurrentAccepted => "New",
        Transition::CurrentRejected => "NotNew",
        Transition::CurrentRejectedToo => "NewToo",
        Transition::Rejected => "All",
        Transition::AcceptedAgain => "Back",
        Transition::Inconclusive => "Unclear",
        other => panic!("{other:?} is nothing that an answer leads to"),
    }
}

#[test]
fn each_answer_of_the_upstream_leads_from_each_state_to_the_one_in_the_table() {
    let now = Instant::now();
    for (before, cells) in rows(ANSWERS) {
        for (column, expected) in cells.into_iter().filter(|(_, expected)| expected != "-") {
            let mut state = answered(&before, now);
            let event = answer(column, &state, now);
            let log = apply(&mut state, event, now, &definition(None));
            let shown = std::iter::once(name(&state)).chain(log.into_iter().map(|log| short(log).to_owned()));
            assert_eq!(shown.collect::<Vec<_>>().join(" "), expected, "{before}, {column}");
        }
    }
}

#[test]
fn each_content_of_a_store_leads_to_the_versions_in_the_table() {
    let now = Instant::now();
    for (before, cells) in rows(CONTENTS) {
        for (column, expected) in cells.into_iter().filter(|(_, expected)| expected != "-") {
            let mut state = answered(&before, now);
            let same = if "ua".contains(&before) { "one" } else { "two" };
            let (what, stored) = column.split_once(", ").map_or((column, None), |(what, _)| (what, Some("stored")));
            let current = match what {
                "same" => same,
                "another" => "three",
                _ => "one",
            };
            apply(&mut state, read(current, stored), now, &definition(None));
            let versions = state.versions().unwrap();
            assert_eq!(secret(versions.current()), current, "{before}, {column}");
            let sent = [Some(versions.first()), versions.previous()].into_iter().flatten().map(secret);
            let shown = std::iter::once(name(&state)).chain(sent);
            assert_eq!(shown.collect::<Vec<_>>().join(" "), expected, "{before}, {column}");
        }
    }
}

#[test]
fn each_answer_of_a_store_leads_from_each_state_to_the_one_in_the_table() {
    let (start, definition) = (Instant::now(), definition(Some(10)));
    let after = |seconds| start + Duration::from_secs(seconds);
    let not_read = || Event::NotRead(error(StoreProblem::NoFile));
    for (before, cells) in rows(READINGS) {
        for (column, expected) in cells.into_iter().filter(|(_, expected)| expected != "-") {
            let mut state = MISSING;
            let way = match before.as_str() {
                "Missing" => vec![],
                "Missing e" => vec![(0, not_read())],
                "Fresh" => vec![(0, read("one", None))],
                "Stale" => vec![(0, read("one", None)), (1, not_read())],
                _ => vec![(0, read("one", None)), (10, not_read())],
            };
            for (seconds, event) in way {
                apply(&mut state, event, after(seconds), &definition);
            }
            let unusable = Some(Err(error(StoreProblem::Invalid(InvalidSecret::Space))));
            let event = match column {
                "read" => read("one", None),
                "another read" => read("two", None),
                "read, previous unusable" => Event::Read { current: version("one"), previous: unusable },
                "unchanged" => Event::Unchanged,
                other if other.starts_with("other") => Event::NotRead(error(StoreProblem::Directory)),
                _ => not_read(),
            };
            // Nine seconds are within `max_stale`.
            let now = after(if column.ends_with("too long") { 10 } else { 9 });
            let log = apply(&mut state, event, now, &definition);
            let name = format!("{state:?}").split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned();
            let shown = std::iter::once(name).chain(log.into_iter().map(|log| format!("{log:?}")));
            assert_eq!(shown.collect::<Vec<_>>().join(" "), expected, "{before}, {column}");
            let is_sent = state.version_to_send().is_ok();
            assert_eq!(is_sent, matches!(state, Lifecycle::Fresh(_) | Lifecycle::Stale(..)), "{before}, {column}");
        }
    }
}

#[test]
fn before_a_version_was_read_no_answer_of_the_upstream_changes_anything() {
    let now = Instant::now();
    let probe = Probe { began: now, version: version("one"), current: ProbeResult::Accepted, previous: None };
    let accepted = Event::Accepted { version: version("one"), refused: Some(version("two")) };
    for event in [Event::Refused, accepted, Event::Probed(probe)] {
        let mut state = MISSING;
        assert_eq!(apply(&mut state, event, now, &definition(None)), []);
        assert!(matches!(state, Lifecycle::Missing { error: None }));
    }
}

#[test]
fn an_answer_about_a_version_that_was_replaced_says_nothing() {
    let (now, definition) = (Instant::now(), definition(None));
    for sign in ["+", "-", "?"] {
        let mut state = answered("u?", now);
        let late = answer(&format!("probe {sign}"), &state, now);
        apply(&mut state, read("two", None), now, &definition);
        assert_eq!(apply(&mut state, late, now, &definition), []);
        assert_eq!(name(&state), "p?", "{sign}");
    }
}

#[test]
fn the_upstream_is_asked_at_once_about_a_new_version_and_seldom_about_others_in_question() {
    let (now, definition) = (Instant::now(), definition(None));
    let due = |state: &str, failures| {
        let due = answered(state, now).next_probe(now, Some(now), failures, &definition);
        due.map(|due| (due - now).as_secs())
    };
    for state in ["u", "a"] {
        assert_eq!(due(state, 0), None, "{state}");
    }
    for state in ["p", "p?", "p!"] {
        assert_eq!(due(state, 3), Some(0), "{state}");
    }
    for state in ["u?", "u!", "a?", "a!", "r", "r?", "r!", "i", "i?"] {
        let waits = [0, 1, 2, 3, 4, 100].map(|failures| due(state, failures));
        assert_eq!(waits, [1, 5, 10, 20, 40, 60].map(Some), "{state}");
        assert_eq!(answered(state, now).next_probe(now, None, 0, &definition), Some(now), "{state}: never asked");
    }
}

#[test]
fn a_version_to_be_verified_is_asked_about_until_one_was_accepted_and_rejected_without_any_request() {
    let now = Instant::now();
    let verify = Definition { verify: true, ..definition(None) };
    let mut state = answered("u", now);
    assert_eq!(state.next_probe(now, None, 0, &verify), Some(now));
    let rejected = answer("probe -", &state, now);
    assert_eq!(apply(&mut state, rejected, now, &verify), [Transition::Rejected]);
    let accepted = answer("probe +", &state, now);
    assert_eq!(apply(&mut state, accepted, now, &verify), [Transition::AcceptedAgain]);
    assert_eq!(state.next_probe(now, None, 0, &verify), None);
}

#[test]
fn an_event_has_effects_besides_the_log() {
    let (now, definition) = (Instant::now(), definition(None));
    let effects = |state: Lifecycle, event| {
        let effects = state.apply(event, now, &definition).1;
        effects.into_iter().filter(|effect| !matches!(effect, SideEffect::Log(_))).collect::<Vec<_>>()
    };
    let both = [SideEffect::WakeRequests, SideEffect::RescheduleProbe];
    assert_eq!(effects(MISSING, read("one", None)), both);
    assert_eq!(effects(answered("a", now), read("two", None)), both);
    assert_eq!(effects(answered("a", now), read("one", None)), []);
    assert_eq!(effects(answered("a", now), Event::NotRead(error(StoreProblem::NoFile))), []);
    assert_eq!(effects(answered("a", now), Event::Refused), [SideEffect::RescheduleProbe]);
    for column in ["current", "previous instead", "probe +", "probe -", "probe ?"] {
        let state = answered("p?", now);
        let event = answer(column, &state, now);
        assert_eq!(effects(state, event), both, "{column}");
    }
}

#[test]
fn an_accepted_start_that_changes_nothing_is_not_looked_at_any_further() {
    let now = Instant::now();
    for (state, accepted, refused, learns) in [
        ("u", "current", None, true),
        ("u", "other", None, false),
        ("a", "current", None, false),
        ("a", "current", Some("other"), false),
        ("a?", "current", None, true),
        ("a?", "other", None, true),
        ("p", "current", None, true),
        ("p", "other", None, false),
        ("p", "other", Some("current"), true),
        ("p", "other", Some("third"), false),
        ("r", "other", None, false),
    ] {
        let lifecycle = answered(state, now);
        let versions = lifecycle.versions().unwrap();
        let named = |name| if name == "current" { Arc::clone(versions.current()) } else { version(name) };
        let learnt = versions.learns_from(&named(accepted), refused.map(named).as_ref());
        assert_eq!(learnt, learns, "{state}, {accepted}, {refused:?}");
    }
}

#[test]
fn a_start_that_was_refused_with_an_earlier_version_says_nothing_about_one_that_was_read_meanwhile() {
    let (now, definition) = (Instant::now(), definition(None));
    let mut state = answered("p?", now);
    let (first, second) =
        (Arc::clone(state.versions().unwrap().first()), Arc::clone(state.versions().unwrap().current()));
    apply(&mut state, read("three", None), now, &definition);
    let accepted = Event::Accepted { version: second, refused: Some(first) };
    assert_eq!(apply(&mut state, accepted, now, &definition), []);
    assert_eq!(name(&state), "p", "the third version was not sent yet");
}
