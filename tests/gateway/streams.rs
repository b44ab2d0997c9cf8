//! HTTP/2 of attackers, frame by frame, and the cost of a reset stream.

use serde_json::json;

use crate::harness::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, FrameConnection, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS,
    StreamEnd, WINDOW_UPDATE, block, frame, start,
};
use crate::harness::{Pair, TlsPair};

const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const FRAME_SIZE_ERROR: u32 = 6;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

/// Error codes of RST_STREAM.
const CANCEL: [u8; 4] = 8_u32.to_be_bytes();

/// Returns a start with complete headers on this stream, without its body.
fn headers(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &block(&start()))
}

fn body(stream: u32) -> Vec<u8> {
    frame(DATA, END_STREAM, stream, b"{}")
}

#[test]
fn a_connection_that_breaks_the_protocol_is_ended_with_the_reason_and_the_next_one_is_served() {
    let secure = TlsPair::start();
    let named = |name| frame(HEADERS, END_HEADERS, 1, &block(&[vec![(name, "1")], start()].concat()));
    let flood = |kind: u8, payload: &[u8]| frame(kind, 0, 0, payload).repeat(20_000);
    let cases: Vec<(&str, Vec<u8>, &[u32])> = vec![
        ("DATA on stream 0", frame(DATA, 0, 0, b"x"), &[PROTOCOL_ERROR]),
        ("HEADERS on stream 0", frame(HEADERS, END_HEADERS, 0, &block(&start())), &[PROTOCOL_ERROR]),
        ("SETTINGS on a stream", frame(SETTINGS, 0, 1, &[]), &[PROTOCOL_ERROR]),
        ("an even stream", headers(2), &[PROTOCOL_ERROR]),
        ("a frame that is too large", frame(DATA, 0, 1, &vec![0; 17_000]), &[FRAME_SIZE_ERROR]),
        ("a PING of 7 bytes", frame(PING, 0, 0, &[0; 7]), &[PROTOCOL_ERROR]),
        ("a header block that is none", frame(HEADERS, END_HEADERS, 1, &[0x80]), &[PROTOCOL_ERROR]),
        ("an upper-case name", named("X-Upper"), &[PROTOCOL_ERROR]),
        ("an unknown pseudo-header", named(":x"), &[PROTOCOL_ERROR]),
        ("CONTINUATION without HEADERS", frame(CONTINUATION, END_HEADERS, 1, &[]), &[PROTOCOL_ERROR]),
        (
            "a frame within a header block",
            [frame(HEADERS, 0, 1, &block(&start())), body(1)].concat(),
            &[PROTOCOL_ERROR],
        ),
        (
            "a flood of CONTINUATION",
            [frame(HEADERS, 0, 1, &block(&start())), frame(CONTINUATION, 0, 1, &block(&[("x", "y")])).repeat(20_000)]
                .concat(),
            &[ENHANCE_YOUR_CALM, PROTOCOL_ERROR],
        ),
        ("a window that overflows", frame(WINDOW_UPDATE, 0, 0, &[0x7f, 255, 255, 255]), &[FLOW_CONTROL_ERROR]),
        ("a window that grows by nothing", frame(WINDOW_UPDATE, 0, 0, &[0; 4]), &[PROTOCOL_ERROR]),
        ("a reset of an idle stream", frame(RST_STREAM, 0, 1, &CANCEL), &[PROTOCOL_ERROR]),
        ("streams reset before they are looked at", rapid_reset(200), &[ENHANCE_YOUR_CALM]),
    ];
    for (what, bytes, expected) in cases {
        let mut caller = secure.frames().begin();
        caller.send(&bytes);
        let code = caller.goaway();
        assert!(code.is_some_and(|code| expected.contains(&code)), "{what}: {code:?}");
        assert_eq!(secure.caller().execute("{}").status, 202, "{what}");
    }
    // Floods that are no error are answered or end the connection. In both cases others are served meanwhile.
    for (what, bytes) in [("SETTINGS", flood(SETTINGS, &[])), ("PING", flood(PING, &[0; 8]))] {
        let before = secure.gateway.memory();
        let mut caller = secure.frames().begin();
        caller.send(&bytes);
        assert_eq!(secure.caller().execute("{}").status, 202, "{what}");
        let grown = secure.gateway.memory().saturating_sub(before);
        assert!(grown < 16 * 1024 * 1024, "{what}: {grown}");
    }
    let mut without_preface = secure.frames();
    without_preface.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(without_preface.goaway().is_none_or(|code| code == PROTOCOL_ERROR));
}

#[test]
fn a_request_that_breaks_the_protocol_is_reset_or_refused_and_its_connection_lives() {
    let secure = TlsPair::start();
    let without = |name: &str| start().into_iter().filter(|(given, _)| *given != name).collect::<Vec<_>>();
    let with = |name, value| [start(), vec![(name, value)]].concat();
    let reset = StreamEnd::Reset(PROTOCOL_ERROR);
    let mut caller = secure.frames().begin();
    let mut stream = 1;
    let oversized: Vec<_> =
        start().into_iter().chain((0..300).map(|_| ("x-filler", "0123456789012345678901234567890123456789"))).collect();
    for (what, headers, expected) in [
        ("no method", without(":method"), &reset),
        ("no path", without(":path"), &reset),
        ("no scheme", without(":scheme"), &reset),
        ("an empty path", [without(":path"), vec![(":path", "")]].concat(), &reset),
        ("a pseudo-header of answers", [vec![(":status", "200")], start()].concat(), &reset),
        ("a pseudo-header after the others", [without(":path"), vec![(":path", "/")]].concat(), &reset),
        ("two methods", [vec![(":method", "POST")], start()].concat(), &reset),
        ("connection", with("connection", "keep-alive"), &reset),
        ("transfer-encoding", with("transfer-encoding", "chunked"), &reset),
        ("te", with("te", "gzip"), &reset),
        ("a length that is none", with("content-length", "+2"), &reset),
        ("a length that differs", with("content-length", "3"), &reset),
        // 400 in HPACK's static table.
        ("no authority", without(":authority"), &StreamEnd::Answered(0x8c)),
        ("another host", with("host", "127.0.0.1"), &StreamEnd::Answered(0x8c)),
    ] {
        caller.send(&[frame(HEADERS, END_HEADERS, stream, &block(&headers)), body(stream)].concat());
        assert_eq!(&caller.outcome(stream), expected, "{what}");
        stream += 2;
    }
    caller.send(&[frame(HEADERS, END_HEADERS, stream, &block(&oversized)), body(stream)].concat());
    assert!(matches!(caller.outcome(stream), StreamEnd::Answered(_) | StreamEnd::Reset(_)));
    assert_eq!(secure.asteroid.requests().len(), 0);
    caller.send(&[self::headers(stream + 2), body(stream + 2)].concat());
    assert!(matches!(caller.outcome(stream + 2), StreamEnd::Answered(_)));
    assert_eq!(secure.asteroid.requests().len(), 1);
}

#[test]
fn a_connection_is_told_its_bounds_before_its_first_request() {
    let secure = TlsPair::start();
    let mut caller = secure.frames().begin();
    let settings = caller.next().unwrap();
    assert_eq!((settings.kind, settings.stream), (SETTINGS, 0));
    let of = |id: u16| {
        let mut told = settings.payload.chunks(6).filter(|told| told[..2] == id.to_be_bytes());
        told.next().map(|told| u32::from_be_bytes(told[2..].try_into().unwrap()))
    };
    // MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE and MAX_HEADER_LIST_SIZE of RFC 9113, section 6.5.2.
    assert_eq!([of(3), of(4), of(6)], [Some(100), Some(256 * 1024), Some(16 * 1024)]);
    let opened = std::iter::from_fn(|| caller.next()).find(|frame| frame.kind == WINDOW_UPDATE).unwrap();
    let more = u32::from_be_bytes(opened.payload.try_into().unwrap());
    // RFC 9113 begins with 65,535.
    assert_eq!((opened.stream, more + 65_535), (0, 1024 * 1024));
}

#[test]
fn a_stream_beyond_the_hundred_that_may_be_open_is_refused_and_the_others_are_served() {
    let secure = TlsPair::start();
    let mut caller = secure.frames().begin();
    caller.send(&(0..=100).flat_map(|n| headers(2 * n + 1)).collect::<Vec<_>>());
    assert_eq!(caller.outcome(201), StreamEnd::Reset(REFUSED_STREAM));
    caller.send(&body(1));
    assert!(matches!(caller.outcome(1), StreamEnd::Answered(_)));
    assert_eq!(secure.asteroid.requests().len(), 1);
}

fn rapid_reset(streams: u32) -> Vec<u8> {
    (0..streams).flat_map(|n| [headers(2 * n + 1), frame(RST_STREAM, 0, 2 * n + 1, &CANCEL)].concat()).collect()
}

#[test]
fn a_flood_of_resets_ends_the_connection_starts_nothing_and_grows_nothing() {
    let secure = TlsPair::start();
    assert_eq!(secure.caller().execute("{}").status, 202);
    let before = secure.gateway.memory();
    for _ in 0..20 {
        let mut caller = secure.frames().begin();
        caller.send(&rapid_reset(5_000));
        // A caller that still writes after the close may get a reset, and never read the reason.
        assert!(caller.goaway().is_none_or(|code| code == ENHANCE_YOUR_CALM));
    }
    let grown = secure.gateway.memory().saturating_sub(before);
    assert!(grown < 16 * 1024 * 1024, "{grown}");
    assert_eq!(secure.asteroid.requests().len(), 1);
    assert_eq!(secure.caller().execute("{}").status, 202);
}

#[test]
fn a_stream_that_is_reset_before_its_body_is_whole_starts_nothing_and_after_that_is_finished() {
    let secure = TlsPair::start();
    let mut caller = secure.frames().begin();
    caller.send(&[headers(1), frame(DATA, 0, 1, b"{"), frame(RST_STREAM, 0, 1, &CANCEL)].concat());
    secure.asteroid.next(json!({"run": true, "then": "stall"}));
    caller.send(&[headers(3), body(3)].concat());
    secure.asteroid.wait_for_requests(1);
    caller.send(&frame(RST_STREAM, 0, 3, &CANCEL));
    // The gateway has read the reset when it answers a request that was sent after it.
    caller.send(&[headers(5), frame(DATA, END_STREAM, 5, b"[]")].concat());
    assert_eq!(caller.outcome(5), StreamEnd::Answered(0x8c));
    secure.asteroid.clear_faults();
    let line = secure.gateway.line(|line| line["execution_id"].is_string());
    assert_eq!(line["execution_id"], secure.asteroid.executions()[0].id.to_string());
    assert_eq!(line["delivered"], false);
    assert_eq!(secure.asteroid.requests().len(), 1);
}

#[test]
fn a_malformed_field_ends_its_connection_and_the_starts_of_other_streams_are_finished() {
    let secure = TlsPair::start();
    secure.asteroid.next(json!({"run": true, "then": "stall"}));
    let mut caller = secure.frames().begin();
    caller.send(&[headers(1), body(1)].concat());
    secure.asteroid.wait_for_requests(1);
    caller.send(&frame(HEADERS, END_HEADERS, 3, &block(&[start(), vec![("X-Upper", "1")]].concat())));
    // A stream error would be enough, but h2 cannot tell this from a fault of compression.
    assert_eq!(caller.goaway(), Some(PROTOCOL_ERROR));
    secure.asteroid.clear_faults();
    let line = secure.gateway.line(|line| line["execution_id"].is_string());
    assert_eq!(line["execution_id"], secure.asteroid.executions()[0].id.as_str());
    assert_eq!((&line["outcome"], &line["delivered"]), (&"answered".into(), &false.into()), "{line}");
}

#[test]
fn http2_without_tls_is_not_spoken() {
    let pair = Pair::start();
    let mut caller = FrameConnection::new(crate::harness::caller::connect(pair.gateway.address()));
    caller.send(&[PREFACE, &frame(SETTINGS, 0, 0, &[]), &headers(1), &body(1)].concat());
    assert!(caller.next().is_none());
    assert_eq!(pair.asteroid.requests().len(), 0);
}
