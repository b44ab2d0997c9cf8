//! The API key is sent to the upstream and nowhere else, whatever callers and the environment say.

use crate::canary::assert_clean;
use crate::harness::raw::{FirstExchange, RawUpstream};
use crate::harness::{API_KEY, Asteroid, Caller, Configuration, EXECUTE, Pair, Program};

/// Starts a server to which nothing may be sent.
fn elsewhere() -> RawUpstream {
    RawUpstream::start(FirstExchange::default())
}

#[test]
fn no_caller_turns_a_request_or_the_key_to_another_host() {
    let other = elsewhere();
    let pair = Pair::with_listener("hosts: [elsewhere.example]");
    let (authority, there) = (pair.asteroid.authority(), other.address.to_string());
    for host in ["elsewhere.example", &there, "localhost:1"] {
        let forwarded = format!("for=1.1.1.1;host={there}");
        let headers = [
            ("Host", host),
            ("X-Forwarded-Host", &*there),
            ("Forwarded", &*forwarded),
            ("X-Original-URL", "//elsewhere.example/"),
            ("X-Rewrite-URL", "//elsewhere.example/"),
            ("Connection", "Upgrade"),
            ("Upgrade", "h2c"),
        ];
        assert_eq!(pair.caller().post(EXECUTE, &headers, b"{}").status, 202, "{host}");
    }
    let send = |target: &str| {
        let mut caller = pair.caller();
        let head = "Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 2";
        caller.send(format!("{target} HTTP/1.1\r\n{head}\r\n\r\n{{}}").as_bytes());
        caller.answer().status
    };
    // In the absolute form, the authority counts like Host: a loopback address is one of the listener's own names.
    for target in [format!("POST http://{there}{EXECUTE}"), format!("POST HTTP://{authority}{EXECUTE}")] {
        assert_eq!(send(&target), 202, "{target}");
    }
    let known = pair.asteroid.requests();
    assert_eq!(known.len(), 5);
    for request in &known {
        let names: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(request.header("host"), Some(&*authority));
        for name in ["x-forwarded-host", "forwarded", "x-original-url", "x-rewrite-url", "upgrade"] {
            assert!(!names.contains(&name), "{name}");
        }
    }
    for target in [
        format!("POST http://another.example{EXECUTE}"),
        format!("POST //{there}{EXECUTE}"),
        format!("POST /{there}{EXECUTE}"),
        format!("POST @{there}{EXECUTE}"),
        format!("POST /agents/v2@{there}{EXECUTE}"),
        format!("POST {EXECUTE}@{there}"),
        format!("POST {EXECUTE}?url=http://{there}"),
        format!("CONNECT {there}"),
        format!("CONNECT {authority}"),
        "OPTIONS *".to_owned(),
    ] {
        let status = send(&target);
        assert!((400..500).contains(&status), "{target}: {status}");
    }
    assert_eq!(pair.asteroid.requests().len(), known.len());
    assert_eq!(other.connections(), 0);
}

#[test]
fn nothing_in_the_environment_turns_the_key_elsewhere_trusts_anybody_or_has_tls_written_down() {
    let (other, asteroid, dir) = (elsewhere(), Asteroid::start_tls("localhost"), tempfile::tempdir().unwrap());
    let (proxy, secrets) = (format!("http://{}", other.address), dir.path().join("secrets"));
    let (ca_file, ca_dir) = (asteroid.ca_file(), dir.path().to_str().unwrap().to_owned());
    std::fs::copy(&ca_file, dir.path().join("ca.pem")).unwrap();
    let mut environment: Vec<(&str, &str)> =
        ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
            .map(|n| (n, &*proxy))
            .into();
    environment.extend([("NO_PROXY", ""), ("SSLKEYLOGFILE", secrets.to_str().unwrap())]);
    environment.extend([("SSL_CERT_FILE", &*ca_file), ("SSL_CERT_DIR", &*ca_dir)]);
    let plain = Asteroid::start();
    for (configuration, status) in [
        (asteroid.configuration(), 202),
        (plain.configuration(), 202),
        // Signed by the CA that the environment says to trust.
        (asteroid.configuration().remove("/upstream/ca_file"), 502),
    ] {
        let gateway = Program::run_with(&configuration, &["--log-level", "debug"], &environment);
        assert_eq!(Caller::connect(gateway.address()).execute("{}").status, status, "{configuration}");
        assert_clean("the log", &gateway.stop().output);
    }
    assert_eq!((asteroid.requests().len(), plain.requests().len()), (1, 1));
    assert_eq!(other.connections(), 0);
    assert!(!secrets.exists(), "what decrypts the connection");
}

#[test]
fn a_cleartext_url_that_only_looks_like_this_machine_is_refused_by_every_command() {
    for url in [
        "http://localhost@elsewhere.example",
        "http://localhost:80@elsewhere.example",
        "http://127.0.0.1.nip.io",
        "http://localhost.elsewhere.example",
        "http://127.1",
        "http://2130706433",
        "http://0x7f000001",
        "http://0.0.0.0:9100",
        "http://[::ffff:127.0.0.1]:9100",
        "http://[::]:9100",
        "http://ip6-localhost",
    ] {
        let text = Configuration::for_upstream(&format!("{url}/{API_KEY}"));
        for command in ["check", "run"] {
            let printed = crate::command_line::refused(command, &text);
            assert!(printed.contains("upstream.url: "), "{url}: {printed}");
            assert_clean(command, &printed);
        }
    }
}
