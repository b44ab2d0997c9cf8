//! Listeners with TLS: HTTP/1.1 and HTTP/2, and certificates that change.

use std::path::Path;

use asteroid_gateway::event;
use serde_json::json;

use crate::harness::caller::{connect, encrypt};
use crate::harness::configuration::directory;
use crate::harness::{Caller, Configuration, EXECUTE, TlsPair, binary};

#[test]
fn a_start_is_the_same_over_either_protocol() {
    let secure = TlsPair::start();
    assert_eq!(secure.caller().execute("{}").status, 202);
    let answer = secure.http2().post(&[("x-request-id", "second")], "{}").unwrap();
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.headers()["x-request-id"], "second");
    let sent = secure.asteroid.requests();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|request| request.authenticated && request.body == sent[0].body));
    assert!(sent.iter().all(|request| request.header("host") == Some(secure.asteroid.authority().as_str())));
}

#[test]
fn an_authority_of_http2_is_checked_as_a_host_is_and_a_host_beside_it_must_say_the_same() {
    let secure = TlsPair::start();
    let mut caller = secure.http2();
    assert_eq!(caller.post(&[("host", "localhost")], "{}").unwrap().status(), 202);
    assert_eq!(caller.post(&[("host", "127.0.0.1")], "{}").unwrap().status(), 400);
    assert_eq!(caller.post(&[("host", "localhost"), ("host", "localhost")], "{}").unwrap().status(), 400);
    assert_eq!(caller.post(&[("origin", "https://localhost")], "{}").unwrap().status(), 403);
    assert_eq!(secure.asteroid.requests().len(), 1);
}

#[test]
fn a_new_certificate_is_shown_to_new_connections_and_half_of_one_is_not() {
    let secure = TlsPair::start();
    let mut kept = secure.caller();
    assert_eq!(kept.execute("{}").status, 202);
    let old = secure.shown_certificate();
    std::fs::write(secure.certificates().join("cert.pem"), "half").unwrap();
    let line = secure.gateway.event(event::LISTENER_CERTIFICATE_REFUSED);
    assert!(line["error"].as_str().unwrap().contains("it holds no `-----BEGIN CERTIFICATE-----`"), "{line}");
    assert_eq!(secure.shown_certificate(), old);
    secure.authority.write("localhost", secure.certificates());
    secure.gateway.event(event::LISTENER_CERTIFICATE_REPLACED);
    assert_ne!(secure.shown_certificate(), old);
    assert_eq!(kept.execute("{}").status, 202);
}

#[test]
fn files_that_are_no_certificate_and_key_keep_it_from_starting_and_are_named() {
    let dir = directory(Configuration::smallest().tls(Path::new("{dir}")));
    let authority = crate::harness::certificates::Authority::new();
    let refused = || {
        let output = binary().arg("run").arg("--config").arg(dir.path().join("gateway.yaml")).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap()
    };
    let said = refused();
    assert!(
        said.contains("listeners[0].tls.certificate_file: ") && said.matches("cannot be read").count() == 1,
        "{said}"
    );
    authority.write("localhost", dir.path());
    std::fs::write(dir.path().join("key.pem"), "CANARY").unwrap();
    let said = refused();
    assert!(said.contains("listeners[0].tls.key_file: ") && !said.contains("CANARY"), "{said}");
    let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
    std::fs::write(dir.path().join("key.pem"), other).unwrap();
    let said = refused();
    assert!(said.contains("it is not the private key of the certificate"), "{said}");
}

#[test]
fn what_is_in_flight_over_either_protocol_is_finished_at_the_end_and_then_closed() {
    let secure = TlsPair::start();
    secure.asteroid.next(json!({"run": true, "then": "stall"}));
    let mut caller = secure.caller();
    caller.send_post(EXECUTE, &[], b"{}");
    secure.asteroid.wait_for_requests(1);
    secure.asteroid.next(json!({"run": true, "then": "stall"}));
    let mut http2 = secure.http2();
    let streamed = std::thread::spawn(move || {
        let answer = http2.post(&[], "{}").unwrap();
        assert!(answer.headers().get("connection").is_none());
        http2.closed();
        answer.status()
    });
    secure.asteroid.wait_for_requests(2);
    secure.gateway.signal("TERM");
    secure.gateway.event(event::DRAIN_BEGUN);
    secure.asteroid.clear_faults();
    assert_eq!(caller.answer().status, 202);
    assert!(caller.is_closed());
    assert_eq!(streamed.join().unwrap(), 202);
    assert!(secure.gateway.end().logged(event::DRAIN_COMPLETED));
}

#[test]
fn callers_that_bring_no_handshake_no_preface_or_no_request_do_not_hold_up_a_drain() {
    let secure = TlsPair::start();
    let _silent = Caller::connect(secure.gateway.address());
    // Completes the handshake before the drain begins.
    let mut without_preface = encrypt(connect(secure.gateway.address()), secure.authority.client(b"h2"));
    without_preface.conn.complete_io(&mut without_preface.sock).unwrap();
    let mut unused = secure.frames().begin();
    assert_eq!(secure.caller().execute("{}").status, 202);
    secure.gateway.signal("TERM");
    assert_eq!(unused.goaway(), Some(0));
    let ended = secure.gateway.end();
    assert!(ended.logged(event::DRAIN_COMPLETED) && !ended.logged(event::DRAIN_TIMED_OUT), "{}", ended.output);
}

#[test]
fn a_handshake_that_does_not_begin_or_a_connection_that_brings_no_request_is_cut_off() {
    let secure = TlsPair::with("timeouts: { caller_idle: 1s }");
    let mut silent = Caller::connect(secure.gateway.address());
    let mut used = secure.http2();
    assert_eq!(used.post(&[], "{}").unwrap().status(), 202);
    let mut unused = secure.frames().begin();
    let mut without_preface = secure.frames();
    without_preface.send(b"PRI");
    let mut dripping = secure.frames().begin();
    dripping.send(&[0, 0, 100, 1]);
    assert!(silent.is_closed());
    used.closed();
    assert_eq!((unused.goaway(), dripping.goaway()), (Some(0), Some(0)));
    assert!(without_preface.goaway().is_none_or(|code| code == 0));
}
