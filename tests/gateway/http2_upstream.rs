//! The faults of an HTTP/2 upstream: a start is sent again only if the upstream has not processed it.

use crate::harness::unruly::{
    Behaviour, CANCEL, ENHANCE_YOUR_CALM, INTERNAL_ERROR, NO_ERROR, REFUSED_STREAM, UnrulyUpstream, UpstreamCounts,
};
use crate::harness::{Answer, Caller, EXECUTE, Program};

/// SETTINGS without a value.
const ANY: Option<&[u8]> = Some(&[]);

/// Starts a gateway in front of an upstream with these settings and behaviours.
fn before(settings: Option<&'static [u8]>, behaviours: &'static [Behaviour], more: &str) -> (UnrulyUpstream, Program) {
    let upstream = UnrulyUpstream::start(settings, behaviours);
    let gateway = Program::run(upstream.configuration().with(more));
    (upstream, gateway)
}

fn execute(gateway: &Program) -> Answer {
    Caller::connect(gateway.address()).execute("{}")
}

#[test]
fn a_start_that_was_not_looked_at_is_sent_again_and_started_once() {
    use Behaviour::{Answer, GoAwayBelow, Reset};
    const REFUSED: Behaviour = Reset(REFUSED_STREAM);
    let cases: [(&'static [Behaviour], usize); 6] = [
        (&[REFUSED], 1),
        (&[REFUSED, REFUSED, REFUSED], 1),
        (&[GoAwayBelow(NO_ERROR)], 2),
        (&[GoAwayBelow(INTERNAL_ERROR)], 2),
        (&[REFUSED, GoAwayBelow(ENHANCE_YOUR_CALM), REFUSED], 2),
        // The request is not on the first stream of its connection.
        (&[Answer, GoAwayBelow(NO_ERROR)], 2),
    ];
    for (behaviours, connections) in cases {
        let (upstream, gateway) = before(ANY, behaviours, "");
        let answered = behaviours.iter().filter(|behaviour| **behaviour == Answer).count();
        for _ in 0..=answered {
            assert_eq!(execute(&gateway).status, 202, "{behaviours:?}");
        }
        let seen = UpstreamCounts { connections, requests: behaviours.len() + 1, starts: answered + 1 };
        assert_eq!(upstream.seen(), seen, "{behaviours:?}");
    }
}

#[test]
fn an_upstream_that_looks_at_nothing_has_started_nothing() {
    let (upstream, gateway) = before(ANY, &[Behaviour::Reset(REFUSED_STREAM); 4], "");
    execute(&gateway).assert_error(502, "unreachable", "not_started");
    assert_eq!(upstream.seen(), UpstreamCounts { connections: 1, requests: 4, starts: 0 });
    assert_eq!(execute(&gateway).status, 202, "the next call is served as ever");
}

#[test]
fn a_start_that_may_have_been_looked_at_is_never_sent_again() {
    use Behaviour::{
        Close, Garbage, GoAwayAndClose, Half, HalfThen, HeadThen, OpenThen, OpenThenGoAway, Reset, Silence,
    };
    let behaviours: [&'static [Behaviour]; 19] = [
        &[Reset(NO_ERROR)],
        &[Reset(INTERNAL_ERROR)],
        &[Reset(CANCEL)],
        &[Reset(ENHANCE_YOUR_CALM)],
        &[GoAwayAndClose],
        &[Close],
        &[HeadThen(None)],
        &[HeadThen(Some(CANCEL))],
        &[HeadThen(Some(REFUSED_STREAM))],
        &[HeadThen(Some(NO_ERROR))],
        &[HalfThen(NO_ERROR)],
        &[OpenThen(NO_ERROR)],
        &[OpenThen(CANCEL)],
        &[OpenThenGoAway],
        &[HalfThen(CANCEL)],
        &[HalfThen(REFUSED_STREAM)],
        &[Half],
        &[Garbage],
        &[Silence],
    ];
    for behaviours in behaviours {
        let (upstream, gateway) = before(ANY, behaviours, "timeouts: { response: 500ms }");
        let error = if behaviours == [Silence] { "upstream-timeout" } else { "upstream-broke" };
        execute(&gateway).assert_error(504, error, "unknown");
        let UpstreamCounts { requests, starts, .. } = upstream.seen();
        assert_eq!((requests, starts), (1, 1), "{behaviours:?}");
        assert_eq!(execute(&gateway).status, 202, "the next call after {behaviours:?} is served as ever");
        assert_eq!(upstream.seen().starts, 2, "{behaviours:?}");
    }
}

#[test]
fn a_start_that_was_refused_after_an_interim_answer_is_never_sent_again() {
    use Behaviour::{InterimThenGoAwayBelow, InterimThenReset};
    let behaviours: [&'static [Behaviour]; 5] = [
        &[InterimThenReset("100", REFUSED_STREAM)],
        &[InterimThenReset("102", REFUSED_STREAM)],
        &[InterimThenReset("103", REFUSED_STREAM)],
        &[InterimThenGoAwayBelow("100")],
        &[InterimThenGoAwayBelow("103")],
    ];
    for behaviours in behaviours {
        let (upstream, gateway) = before(ANY, behaviours, "");
        execute(&gateway).assert_error(504, "upstream-broke", "unknown");
        assert_eq!(upstream.seen().requests, 1, "{behaviours:?}");
        assert_eq!(execute(&gateway).status, 202, "the next call after {behaviours:?} is served as ever");
        assert_eq!(upstream.seen().requests, 2, "{behaviours:?}");
    }
}

#[test]
fn a_refusal_after_one_that_may_have_been_looked_at_changes_nothing() {
    let (upstream, gateway) = before(ANY, &[Behaviour::Reset(REFUSED_STREAM), Behaviour::Reset(CANCEL)], "");
    execute(&gateway).assert_error(504, "upstream-broke", "unknown");
    assert_eq!(upstream.seen(), UpstreamCounts { connections: 1, requests: 2, starts: 1 });
}

#[test]
fn a_connection_that_is_being_ended_finishes_what_it_carries_and_carries_nothing_new() {
    let (upstream, gateway) = before(ANY, &[Behaviour::GoAwayAndAnswer, Behaviour::AnswerTwice], "");
    for connections in [1, 2] {
        let answer = execute(&gateway);
        assert_eq!((answer.status, &*answer.body), (202, &b"{}"[..]));
        assert_eq!(upstream.seen(), UpstreamCounts { connections, requests: connections, starts: connections });
    }
}

#[test]
fn a_call_on_a_connection_that_is_being_ended_is_answered_while_others_go_elsewhere() {
    let (upstream, gateway) = before(ANY, &[Behaviour::GoAwayAndAnswerTogether, Behaviour::AnswerTogether], "");
    let mut first = Caller::connect(gateway.address());
    first.send_post(EXECUTE, &[], b"{}");
    while upstream.seen().requests == 0 {
        std::thread::yield_now();
    }
    assert_eq!(execute(&gateway).status, 202);
    assert_eq!(first.answer().status, 202);
    let UpstreamCounts { connections, starts, .. } = upstream.seen();
    assert_eq!((connections, starts), (2, 2));
}

#[test]
fn where_the_upstream_allows_one_request_a_connection_each_of_five_gets_its_own() {
    // SETTINGS_MAX_CONCURRENT_STREAMS: 1
    let (upstream, gateway) = before(Some(&[0, 3, 0, 0, 0, 1]), &[Behaviour::AnswerTogether; 5], "");
    let mut callers = [(); 5].map(|()| Caller::connect(gateway.address()));
    for caller in &mut callers {
        caller.send_post(EXECUTE, &[], b"{}");
    }
    for caller in &mut callers {
        assert_eq!(caller.answer().status, 202);
    }
    assert_eq!(upstream.seen(), UpstreamCounts { connections: 5, requests: 5, starts: 5 });
    assert_eq!(execute(&gateway).status, 202);
    assert_eq!(upstream.seen().connections, 5, "a connection that has become free is used again");
}

#[test]
fn an_upstream_that_allows_no_request_has_started_nothing() {
    let (upstream, gateway) = before(Some(&[0, 3, 0, 0, 0, 0]), &[], "");
    execute(&gateway).assert_error(502, "unreachable", "not_started");
    assert_eq!(upstream.seen().requests, 0);
}

#[test]
fn an_upstream_that_never_begins_to_speak_is_given_up_after_the_connect_time_out() {
    let (upstream, gateway) = before(None, &[], "timeouts: { connect: 300ms }");
    let answer = execute(&gateway);
    answer.assert_error(502, "unreachable", "not_started");
    assert_eq!(answer.header("proxy-status"), Some("asteroid-gateway; error=connection_timeout"));
    assert_eq!(upstream.seen().requests, 0);
}

#[test]
fn a_long_answer_that_is_ended_with_no_error_is_cut_for_the_caller_too_and_recorded_as_unknown() {
    for behaviour in [&[Behaviour::LongThen(NO_ERROR)], &[Behaviour::LongThen(CANCEL)]] {
        let (_upstream, gateway) = before(ANY, behaviour, "");
        let mut caller = Caller::connect(gateway.address());
        caller.send_post(EXECUTE, &[], b"{}");
        assert!(caller.try_answer().is_none(), "a part is not taken for the whole");
        let line = gateway.request_line(202);
        assert_eq!((&line["outcome"], &line["error"]), (&"unknown".into(), &"upstream-broke".into()), "{line}");
    }
}

#[test]
fn a_whole_answer_is_passed_on_although_its_stream_is_reset_after_it() {
    let (upstream, gateway) =
        before(ANY, &[Behaviour::AnswerThenReset(NO_ERROR), Behaviour::AnswerThenReset(CANCEL)], "");
    for _ in 0..2 {
        let answer = execute(&gateway);
        assert_eq!((answer.status, &*answer.body), (202, &b"{}"[..]));
    }
    assert_eq!(upstream.seen(), UpstreamCounts { connections: 1, requests: 2, starts: 2 });
}

#[test]
fn interim_answers_without_end_are_a_broken_answer() {
    let (_upstream, gateway) = before(ANY, &[Behaviour::Interim], "");
    execute(&gateway).assert_error(504, "upstream-broke", "unknown");
    let detail = gateway.request_line(504)["detail"].to_string();
    assert!(detail.contains("interim answers or control frames without end"), "{detail}");
    assert_eq!(execute(&gateway).status, 202, "the next call is served as ever");
}
