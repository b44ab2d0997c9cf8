//! The admin listener answers probes no matter how many clients are connected, and answers no web page.

use crate::harness::{Caller, Pair, Program};

/// Several times the number of connections that are served at a time.
const MANY: usize = 256;

#[test]
fn a_probe_is_answered_however_many_connections_are_silent_or_in_the_middle_of_a_head() {
    let pair = Pair::start();
    let mut silent: Vec<Caller> = (0..MANY).map(|_| pair.gateway.probe()).collect();
    for caller in silent.iter_mut().skip(MANY / 2) {
        // It may have been closed in favour of a later one.
        caller.try_send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-");
    }
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(pair.gateway.admin(path).status, 200, "{path}");
    }
    assert_eq!(silent.len(), MANY);
}

#[test]
fn a_head_that_is_long_is_refused_and_one_that_does_not_end_is_closed() {
    let pair = Pair::start();
    let mut long = pair.gateway.probe();
    let field = format!("X-Filler: {}\r\n", "x".repeat(1000));
    long.try_send(format!("GET /livez HTTP/1.1\r\nHost: localhost\r\n{}\r\n", field.repeat(32)).as_bytes());
    assert!(long.try_answer().is_none_or(|answer| answer.status == 431));
    let mut endless = pair.gateway.probe();
    endless.try_send(b"GET /livez HTTP/1.1\r\n");
    assert!(endless.is_closed());
}

#[test]
fn a_name_that_was_rebound_to_the_machine_reads_nothing_and_names_of_the_configuration_do() {
    let pair = Pair::start();
    let ask = |gateway: &Program, path: &str, head: &str| {
        let mut caller = gateway.probe();
        caller.try_send(format!("GET {path} {head}\r\n\r\n").as_bytes());
        caller.answer()
    };
    for path in ["/livez", "/readyz?verbose", "/metrics", "/openapi.json", "/version", "/"] {
        let answer = ask(&pair.gateway, path, "HTTP/1.1\r\nHost: evil.example:9090");
        assert_eq!(answer.status, 421, "{path}");
        let text = String::from_utf8(answer.body).unwrap();
        assert!(text.contains("evil.example") && text.contains("admin.hosts"), "{text}");
    }
    for head in
        ["HTTP/1.1\r\nHost: localhost", "HTTP/1.1\r\nHost: 10.1.2.3:9090", "HTTP/1.1\r\nHost: [::1]", "HTTP/1.0"]
    {
        assert_eq!(ask(&pair.gateway, "/livez", head).status, 200, "{head}");
    }
    assert_eq!(ask(&pair.gateway, "/livez", "HTTP/1.1").status, 400);
    let named = Program::run(pair.asteroid.configuration().add("/admin", "hosts: [Prometheus.internal]"));
    assert_eq!(ask(&named, "/metrics", "HTTP/1.1\r\nHost: prometheus.internal:9090").status, 200);
    assert_eq!(ask(&named, "/metrics", "HTTP/1.1\r\nHost: evil.example").status, 421);
}

#[test]
fn a_web_page_reads_neither_metrics_nor_probes() {
    let pair = Pair::start();
    let ask = |path: &str, fields: &str| {
        let mut caller = pair.gateway.probe();
        caller.try_send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n").as_bytes());
        caller.answer().status
    };
    for path in ["/metrics", "/openapi.json", "/readyz?verbose", "/livez"] {
        assert_eq!(ask(path, "Origin: https://evil.example"), 403, "{path}");
        assert_eq!(ask(path, "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate"), 403, "{path}");
        assert_eq!(ask(path, "Sec-Fetch-Site: none"), 200, "{path}: a person who types the address");
    }
}
