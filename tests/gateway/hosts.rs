//! The host that a request names, in each of its forms, and the address under which it is logged.

use std::net::SocketAddr;
use std::process::Command;

use crate::harness::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, StreamEnd, block, frame, start};
use crate::harness::{Asteroid, Caller, EXECUTE, Pair, Program, TlsPair};

/// The first header bytes of answers, from HPACK's static table.
const BAD_REQUEST: u8 = 0x8c;

/// Returns the bytes of a start with these lines in its head.
fn request(target: &str, version: &str, lines: &str) -> Vec<u8> {
    let fixed = "Content-Type: application/json\r\nContent-Length: 2\r\n";
    format!("POST {target} HTTP/{version}\r\n{lines}{fixed}\r\n{{}}").into_bytes()
}

#[test]
fn a_name_with_the_final_dot_is_the_same_name_for_callers_and_in_the_configuration() {
    let pair = Pair::with_listener("hosts: [gateway.internal, other.internal.]");
    for host in [
        "gateway.internal.",
        "Gateway.Internal.:8080",
        "other.internal",
        "other.internal.",
        "localhost.",
        "127.0.0.1.",
        "[::ffff:127.0.0.1]",
    ] {
        assert_eq!(pair.caller().post(EXECUTE, &[("Host", host)], b"{}").status, 202, "{host}");
    }
    for host in ["gateway.internal..", "internal", "localhost..", "evil.example."] {
        pair.caller().post(EXECUTE, &[("Host", host)], b"{}").assert_error(421, "misdirected", "not_started");
    }
    pair.caller().post(EXECUTE, &[("Host", ".")], b"{}").assert_error(400, "host", "not_started");
}

#[test]
fn a_port_that_is_none_makes_no_host() {
    let (pair, named) = (Pair::start(), Pair::with_listener("hosts: [gateway.internal]"));
    for port in ["http", "99999", "65536", "", "+80", "-1", "0x50", "8080x", "80:80", "00000080000"] {
        for host in ["localhost", "127.0.0.1", "[::1]", "gateway.internal", "evil.example"] {
            let host = format!("{host}:{port}");
            for pair in [&pair, &named] {
                let answer = pair.caller().post(EXECUTE, &[("Host", &host)], b"{}");
                answer.assert_error(400, "host", "not_started");
            }
            let mut caller = pair.caller();
            caller.send(&request(&format!("http://{host}{EXECUTE}"), "1.1", "Host: localhost\r\n"));
            assert_eq!(caller.answer().status, 400, "{host}");
        }
    }
    assert_eq!(pair.caller().post(EXECUTE, &[("Host", "localhost:65535")], b"{}").status, 202);
    assert_eq!(pair.asteroid.requests().len() + named.asteroid.requests().len(), 1);
}

#[test]
fn an_ipv6_address_stands_in_brackets_and_nothing_else_does() {
    let pair = Pair::with_listener("hosts: [gateway.internal, '2001:db8::1', '2001:db8::a']");
    for host in ["[2001:db8::1]", "[2001:DB8::a]:80", "[::1]:8080"] {
        assert_eq!(pair.caller().post(EXECUTE, &[("Host", host)], b"{}").status, 202, "{host}");
    }
    for host in [
        "2001:db8::a",
        "2001:db8::1:80",
        "::1",
        "[localhost]",
        "[gateway.internal]:80",
        "[127.0.0.1]",
        "[::1.]",
        "[]",
        "o[localhost]",
    ] {
        pair.caller().post(EXECUTE, &[("Host", host)], b"{}").assert_error(400, "host", "not_started");
    }
}

#[test]
fn a_target_in_absolute_form_is_taken_and_its_authority_judged_in_place_of_host() {
    let pair = Pair::with_listener("hosts: [gateway.internal]");
    let base = format!("http://{}", pair.gateway.address());
    for (target, host) in [
        (format!("{base}{EXECUTE}"), "localhost"),
        (format!("{base}/agents/v2{EXECUTE}"), "localhost"),
        (format!("HTTP://LOCALHOST{EXECUTE}"), "localhost"),
        (format!("https://gateway.internal.:8080{EXECUTE}"), "localhost"),
        // A forward proxy may leave this Host; the target counts.
        (format!("{base}{EXECUTE}"), "evil.example"),
    ] {
        let mut caller = pair.caller();
        caller.send(&request(&target, "1.1", &format!("Host: {host}\r\n")));
        assert_eq!(caller.answer().status, 202, "{target}");
        assert_eq!(caller.execute("{}").status, 202, "{target}: the connection is kept");
    }
    let mut old = pair.caller();
    old.send(&request(&format!("{base}{EXECUTE}"), "1.0", ""));
    assert_eq!(old.answer().status, 202);
    let before = pair.asteroid.requests();
    assert!(before.iter().all(|request| request.target == format!("/agents/v2{EXECUTE}")));
    let authority = pair.asteroid.authority();
    assert!(before.iter().all(|request| request.header("host") == Some(authority.as_str())));
    let localhost = "Host: localhost\r\n";
    for (target, lines, status, code) in [
        (format!("http://evil.example{EXECUTE}"), localhost, 421, "misdirected"),
        (format!("http://10.0.0.1{EXECUTE}"), localhost, 421, "misdirected"),
        (format!("http://user@localhost{EXECUTE}"), localhost, 400, "host"),
        (format!("ftp://localhost{EXECUTE}"), localhost, 400, "target"),
        (format!("{base}{EXECUTE}?x=1"), localhost, 400, "query"),
        ("http://localhost".to_owned(), localhost, 404, "operation-not-served"),
        (format!("{base}{EXECUTE}"), "", 400, "host"),
        (format!("{base}{EXECUTE}"), "Host: localhost\r\nHost: localhost\r\n", 400, "host"),
    ] {
        let mut caller = pair.caller();
        caller.send(&request(&target, "1.1", lines));
        caller.answer().assert_error(status, code, "not_started");
    }
    assert_eq!(pair.asteroid.requests().len(), before.len());
}

#[test]
fn over_http2_host_counts_where_no_authority_is_sent() {
    let secure = TlsPair::start();
    let mut caller = secure.frames().begin();
    let without = || start().into_iter().filter(|(name, _)| *name != ":authority");
    let cases: [(Option<&str>, &[&str], bool); 8] = [
        (None, &["localhost"], true),
        (None, &["localhost:8443"], true),
        (None, &[], false),
        (None, &["localhost", "localhost"], false),
        (None, &["localhost:x"], false),
        (Some("localhost"), &["LOCALHOST."], true),
        (Some("localhost"), &["localhost:443"], false),
        (Some("localhost"), &["127.0.0.1"], false),
    ];
    for (n, (authority, hosts, taken)) in (0_u32..).zip(cases) {
        let stream = 2 * n + 1;
        let pseudo: Vec<_> = authority.map(|authority| (":authority", authority)).into_iter().collect();
        let hosts: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
        let block = block(&pseudo.into_iter().chain(without()).chain(hosts).collect::<Vec<_>>());
        caller.send(&[frame(HEADERS, END_HEADERS, stream, &block), frame(DATA, END_STREAM, stream, b"{}")].concat());
        let outcome = caller.outcome(stream);
        assert_eq!(outcome != StreamEnd::Answered(BAD_REQUEST), taken, "{authority:?}, {n}: {outcome:?}");
    }
    let misdirected = without().chain([("host", "evil.example")]).collect::<Vec<_>>();
    caller.send(&[frame(HEADERS, END_HEADERS, 99, &block(&misdirected)), frame(DATA, END_STREAM, 99, b"{}")].concat());
    assert!(matches!(caller.outcome(99), StreamEnd::Answered(_)));
    assert_eq!(secure.asteroid.requests().len(), 3);
}

#[test]
fn at_a_unix_socket_host_may_be_empty_or_the_path_of_the_socket() {
    let (dir, asteroid) = (tempfile::tempdir().unwrap(), Asteroid::start());
    let socket = dir.path().join("billing.sock");
    let address = format!("unix:{}", socket.display());
    let _gateway = Program::run(asteroid.configuration().set("/listeners/0/address", address));
    let coded = socket.display().to_string().replace('/', "%2F");
    for (version, lines) in [
        ("1.1", "Host: \r\n".to_owned()),
        ("1.1", "Host:\r\n".to_owned()),
        ("1.1", format!("Host: {coded}\r\n")),
        ("1.1", format!("Host: {}\r\n", socket.display())),
        ("1.1", "Host: localhost:http\r\n".to_owned()),
        ("1.0", String::new()),
    ] {
        let mut caller = Caller::connect_unix(&socket).unwrap();
        caller.send(&request(EXECUTE, version, &lines));
        assert_eq!(caller.answer().status, 202, "{lines}");
    }
    for lines in ["", "Host: a\r\nHost: b\r\n"] {
        let mut caller = Caller::connect_unix(&socket).unwrap();
        caller.send(&request(EXECUTE, "1.1", lines));
        caller.answer().assert_error(400, "host", "not_started");
    }
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Content-Type: application/json", "-H", "Host;"]);
    let output =
        curl.args(["-d", "{}", "--unix-socket"]).arg(&socket).arg(format!("http://x{EXECUTE}")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "202");
}

#[test]
fn a_caller_over_ipv4_is_known_by_its_ipv4_address_also_on_a_socket_of_both_families() {
    let asteroid = Asteroid::start();
    let dir = tempfile::tempdir().unwrap();
    let audit = dir.path().join("audit.jsonl");
    for trusted in ["127.0.0.0/8", "::ffff:127.0.0.0/104", "::ffff:127.0.0.1"] {
        let configuration = asteroid.configuration().with(&format!("audit: {{ file: '{}' }}", audit.display()));
        let gateway = Program::run(
            configuration
                .set("/listeners/0/address", "[::]:0")
                .add("/listeners/0/tenant", &format!("trusted_peers: ['{trusted}']")),
        );
        let address: SocketAddr = ([127, 0, 0, 1], gateway.address().port()).into();
        assert_eq!(Caller::connect(address).execute("{}").status, 202, "{trusted}");
        let line = gateway.request_line(202);
        assert!(line["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
        assert!(gateway.stop().status.success());
    }
    let records = std::fs::read_to_string(audit).unwrap();
    assert_eq!(records.matches(r#""peer":"127.0.0.1:"#).count(), 3, "{records}");
}
