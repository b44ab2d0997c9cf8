//! Files that may hold a private key: no error repeats a byte of one.

use std::process::Output;

use asteroid_gateway::event;

use crate::harness::certificates::Authority;
use crate::harness::configuration::directory;
use crate::harness::{Asteroid, Configuration, Pair, binary};

/// A private key and a certificate in one file, as for HAProxy, and its damaged forms.
struct Combined {
    dir: tempfile::TempDir,
    private_key: String,
    ways: Vec<(&'static str, String)>,
}

fn combined() -> Combined {
    let dir = tempfile::tempdir().unwrap();
    Authority::new().write("localhost", dir.path());
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    let private_key = read("key.pem");
    let whole = private_key.clone() + &read("cert.pem");
    let half: String = whole.chars().take(private_key.len() * 2 / 3).collect();
    let ways = vec![
        ("line breaks lost", whole.replace('\n', "")),
        ("line breaks turned into spaces", whole.replace('\n', " ")),
        ("line breaks written as \\n", whole.replace('\n', "\\n")),
        ("cut", half),
        ("indented", whole.replace('\n', "\n    ")),
        ("labelled as something else", whole.replace("PRIVATE KEY", "CERTIFICATE")),
        ("without its labels", whole.replace("-----", "")),
        ("the END line lost", whole.replace("-----END PRIVATE KEY-----\n", "")),
        ("not base64", whole.replace("MIG", "!!!")),
    ];
    Combined { private_key: body(&private_key), dir, ways }
}

fn body(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with("-----")).collect()
}

/// Asserts that no 12 bytes of it are in an output, neither as text, nor as a list of numbers, nor in hexadecimal.
#[track_caller]
fn assert_shows_nothing(output: &str, private_key: &str, way: &str) {
    let joined: String = output.split(char::is_whitespace).collect();
    for part in private_key.as_bytes().chunks(12).filter(|part| part.len() == 12) {
        let text = std::str::from_utf8(part).unwrap();
        let numbers: Vec<String> = part.iter().map(ToString::to_string).collect();
        let hex: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
        for form in [text, &numbers.join(","), &hex] {
            assert!(!joined.contains(form), "{way}: {form} in {output}");
        }
    }
}

fn printed(output: &Output) -> String {
    [output.stdout.as_slice(), &output.stderr].map(String::from_utf8_lossy).concat()
}

/// Returns the output of a `run` that does not start.
fn refused(configuration: &Configuration) -> String {
    let dir = directory(configuration);
    let mut run = binary();
    run.args(["run", "--log-level", "debug", "--config"]).arg(dir.path().join("gateway.yaml"));
    let output = run.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", printed(&output));
    printed(&output)
}

#[test]
fn a_file_with_a_private_key_that_cannot_be_read_keeps_it_from_starting_and_is_not_repeated() {
    let Combined { dir, private_key, ways } = combined();
    let file = dir.path().join("combined.pem");
    let ca = Configuration::for_upstream("https://localhost:1/").upstream(&format!("ca_file: '{}'", file.display()));
    let tls = Configuration::smallest().tls(dir.path());
    let as_certificate = tls.clone().set("/listeners/0/tls/certificate_file", file.to_str().unwrap());
    let as_key = tls.set("/listeners/0/tls/key_file", file.to_str().unwrap());
    for (way, content) in &ways {
        std::fs::write(&file, content).unwrap();
        for (name, configuration) in [("upstream.ca_file", &ca), ("tls.certificate_file", &as_certificate)] {
            let said = refused(configuration);
            assert!(said.contains(name) && said.contains("combined.pem"), "{way}: {said}");
            assert_shows_nothing(&said, &private_key, way);
        }
        // Some still contain a readable private key, followed by its certificate.
        std::fs::write(&file, content.replace("PRIVATE KEY", "PRIVATE KEYS")).unwrap();
        let said = refused(&as_key);
        assert!(said.contains("tls.key_file"), "{way}: {said}");
        assert_shows_nothing(&said, &private_key, way);
    }
}

#[test]
fn one_that_comes_to_be_so_while_the_gateway_runs_is_not_repeated_either() {
    let Combined { private_key, ways, .. } = combined();
    let pair = Pair::before(Asteroid::start_tls("localhost"), "");
    let ca = std::fs::read(pair.asteroid.ca_file()).unwrap();
    for (nth, (_, content)) in ways.iter().enumerate() {
        std::fs::write(pair.asteroid.ca_file(), content).unwrap();
        pair.gateway.nth_event(event::UPSTREAM_CA_REFUSED, nth + 1);
    }
    std::fs::write(pair.asteroid.ca_file(), ca).unwrap();
    pair.gateway.event(event::UPSTREAM_CA_REPLACED);
    assert_eq!(pair.execute("{}").status, 202);
    assert_shows_nothing(&pair.gateway.stop().output, &private_key, "the log");
}

#[test]
fn the_simulator_repeats_nothing_of_its_files() {
    let Combined { dir, private_key, ways } = combined();
    let file = dir.path().join("combined.pem");
    for (way, content) in &ways {
        std::fs::write(&file, content).unwrap();
        let mut simulate = binary();
        simulate.args(["simulate", "--listen", "127.0.0.1:0", "--tls-certificate"]).arg(&file);
        let output = simulate.arg("--tls-key").arg(dir.path().join("key.pem")).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{way}: {}", printed(&output));
        assert_shows_nothing(&printed(&output), &private_key, way);
    }
}
