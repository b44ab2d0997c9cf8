//! The commands and their output.

use std::fmt::Display;
use std::process::Output;

use asteroid_gateway::event;

use crate::harness::configuration::directory;
use crate::harness::program::binary;
use crate::harness::{API_KEY, Configuration, Program};

/// Runs a command on a configuration that it must refuse, and returns its output.
pub(crate) fn refused(command: &str, configuration: impl Display) -> String {
    let output = on(command, configuration);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    printed(&output)
}

fn on(command: &str, configuration: impl Display) -> Output {
    let dir = directory(configuration);
    let file = dir.path().join("gateway.yaml");
    let output = binary().arg(command).arg("--config").arg(&file).output().unwrap();
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(file.to_str().unwrap(), "FILE").into_bytes();
    Output { stdout: shown(&output.stdout), stderr: shown(&output.stderr), ..output }
}

fn printed(output: &Output) -> String {
    [output.stdout.as_slice(), &output.stderr].map(String::from_utf8_lossy).concat()
}

#[test]
fn check_and_run_print_the_same_list_of_every_fault() {
    let faulty = "
upstream: { url: http://odyssey.asteroid.ai, creds: x }
listeners: [{ address: 0.0.0.0:8080, tenant: { fixed: sales } }]
tenants: { billing: { credential: other, identities: [] } }
body_limit: 12
timeouts: { connect: 5 }
";
    let list = refused("check", faulty);
    assert_eq!(list, refused("run", faulty));
    for part in [
        "upstream.url",
        "upstream.creds",
        "listeners[0]",
        "tenants.billing.credential",
        "tenants.billing.identities",
        "body_limit",
        "timeouts.connect",
    ] {
        assert!(list.contains(part), "{part} is not in:\n{list}");
    }
}

#[test]
fn a_good_configuration_passes_check_and_what_is_risky_is_said() {
    let good = Configuration::for_upstream("https://odyssey.asteroid.ai/agents/v2");
    let output = on("check", &good);
    assert!(output.status.success(), "{}", printed(&output));
    let output = on("check", good.main_credential("env: ASTEROID_API_KEY"));
    assert!(output.status.success());
    let warning = "warning: credentials.main.env: an API key in the environment is for development";
    assert!(printed(&output).contains(warning), "{}", printed(&output));
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let output = binary().args(["run", "--config", "/nowhere/gateway.yaml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(printed(&output).contains("/nowhere/gateway.yaml"), "{}", printed(&output));
}

#[test]
fn a_key_that_can_never_come_keeps_the_gateway_from_starting_and_says_what_to_do() {
    let printed = refused("run", Configuration::smallest().main_credential("env: NO_SUCH_VARIABLE"));
    assert!(printed.contains("credentials.main") && printed.contains("NO_SUCH_VARIABLE: is not set"), "{printed}");
}

#[test]
fn what_stands_in_the_way_of_a_key_is_said_while_it_is_waited_for() {
    for (file, said) in
        [("/nowhere/key", "no such file"), ("/dev/null", "it is not a regular file"), ("/", "this is a directory")]
    {
        let gateway = Program::run(Configuration::smallest().set("/credentials/main/file", file));
        let line = gateway.line(|line| line["credential"] == "main");
        assert!(line["reason"].as_str().unwrap().contains(said), "{line}");
        assert_eq!(gateway.admin("/readyz").status, 503, "{file}");
        let started = gateway.event(event::GATEWAY_UNREADY);
        assert_eq!(started["obstacle"], "no API key can be used");
        assert!(gateway.events(event::GATEWAY_READY).is_empty(), "nobody is told that it is ready");
    }
}

#[test]
fn an_address_that_is_taken_is_named_with_its_key() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let printed = refused("run", Configuration::smallest().set("/listeners/0/address", address.as_str()));
    assert!(printed.contains(&format!("listeners[0].address {address}: ")), "{printed}");
}

#[test]
fn environment_variables_override_the_file() {
    let gateway = Program::run_with(
        Configuration::smallest().main_credential("env: THE_KEY"),
        &[],
        &[
            ("ASTEROID_GATEWAY__BODY_LIMIT", "2KiB"),
            ("THE_KEY", API_KEY),
            ("ASTEROID_GATEWAY_SERVICE_HOST", "10.0.0.1"),
        ],
    );
    let mut caller = crate::harness::Caller::connect(gateway.address());
    let answer = caller.execute(&" ".repeat(2049));
    answer.assert_error(413, "body-too-large", "not_started");
    assert!(answer.json()["detail"].as_str().unwrap().contains("2048"));
}

#[test]
fn a_limit_of_open_files_that_lets_hardly_anybody_in_is_told_of() {
    let gateway = Program::run_limited(Configuration::smallest(), 130);
    assert_eq!(gateway.events(event::CONNECTION_LIMIT_LOW)[0]["limit"], 1);
    let gateway = Program::run(Configuration::smallest());
    assert!(gateway.events(event::CONNECTION_LIMIT_LOW).is_empty());
}

#[test]
fn a_log_level_that_leaves_out_info_leaves_out_the_requests_too() {
    let dir = tempfile::tempdir().unwrap();
    drop(dir);
    let output = binary().args(["run", "--config", "/nowhere", "--log-level", "loud"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(printed(&output).contains("possible values"), "{}", printed(&output));
}

#[test]
fn help_and_version_are_printed_for_people() {
    for arguments in [["--help"], ["--version"]] {
        let output = binary().args(arguments).output().unwrap();
        assert!(output.status.success());
        assert!(printed(&output).contains("asteroid-gateway"));
    }
    assert_eq!(binary().output().unwrap().status.code(), Some(2));
}
