//! `probe` exits with 0 if a URL answers with a 2xx, and only then.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use crate::harness::{Pair, binary};

/// Runs `probe`, and returns its exit code and its output.
fn probe(url: &str) -> (Option<i32>, String) {
    let output = binary().args(["probe", "--url", url]).output().unwrap();
    (output.status.code(), [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat())
}

/// Returns the URL of a server that reads one request, answers so, and keeps the connection until the other side closes.
fn answering(answer: &'static str, holds: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/readyz", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            read.extend(byte);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        if holds {
            drop(stream.read_to_end(&mut read));
        }
    });
    url
}

#[test]
fn the_gateways_own_readiness_is_seen() {
    let pair = Pair::start();
    let admin = pair.gateway.admin_address();
    for (path, code, said) in [("/readyz", 0, "200 OK"), ("/livez", 0, "200 OK"), ("/nowhere", 1, "404 Not Found")] {
        let (ended, printed) = probe(&format!("http://{admin}{path}"));
        assert_eq!(ended, Some(code), "{printed}");
        assert!(printed.contains(said) && printed.contains(path), "{printed}");
    }
    assert_eq!(probe(&format!("http://localhost:{}/livez", admin.port())).0, Some(0), "names are resolved");
}

#[test]
fn only_a_2xx_is_good() {
    for (answer, code) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0),
        ("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", 0),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", 0),
        ("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", 1),
        ("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", 1),
        ("HTTP/1.1 200", 1),
        ("SSH-2.0-OpenSSH_9.9\r\n", 1),
        ("", 1),
    ] {
        let (ended, printed) = probe(&answering(answer, false));
        assert_eq!(ended, Some(code), "{answer:?}: {printed}");
        assert!(printed.contains("/readyz"), "{printed}");
    }
}

#[test]
fn who_does_not_answer_is_given_up_and_named() {
    let (ended, printed) = probe(&answering("", true));
    assert_eq!(ended, Some(1), "{printed}");
    assert!(printed.contains("/readyz: no answer within 3s"), "{printed}");

    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (ended, printed) = probe(&format!("http://{free}/"));
    assert_eq!(ended, Some(1), "{printed}");
    assert!(printed.contains(&free.to_string()) && printed.contains("refused"), "{printed}");
}

#[test]
fn what_is_no_cleartext_url_is_refused() {
    for (url, said) in [
        ("https://127.0.0.1/", "write http://"),
        ("127.0.0.1:9090", "write http://"),
        ("/readyz", "write http://"),
        ("http://a:CANARY@127.0.0.1:9090/", "a user"),
        ("http://CANARY\u{7f}@127.0.0.1:9090/", "not a URL"),
        ("CANARY CANARY", "not a URL"),
    ] {
        let (ended, printed) = probe(url);
        assert_eq!(ended, Some(1), "{printed}");
        assert!(printed.contains(said), "{printed}");
        assert!(!printed.contains("CANARY"), "what may be a password is not repeated: {printed}");
    }
}

#[test]
fn a_port_that_is_none_is_refused_and_no_other_is_asked_in_its_place() {
    for port in ["99999", "65536", "0", "", "-1", "80a", "+80", "http", "4294967376", "18446744073709551696"] {
        for host in ["127.0.0.1", "[::1]", "localhost"] {
            let (ended, printed) = probe(&format!("http://{host}:{port}/"));
            assert_eq!(ended, Some(1), "{host}:{port}: {printed}");
            assert!(printed.contains("--url") && !printed.contains("connection"), "{host}:{port}: {printed}");
        }
    }
}
