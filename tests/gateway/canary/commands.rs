//! The output of the commands, of unusable API keys, and of a panic.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use asteroid_gateway::asteroid::operation::{BodyRule, Operation};
use asteroid_gateway::event;

use super::requests::{self, files};
use super::{assert_clean, path_of};
use crate::dump::{as_nobody, unprivileged};
use crate::harness::caller::TIMEOUT;
use crate::harness::configuration::{configure, directory};
use crate::harness::{AGENT, API_KEY, Caller, Configuration, EXECUTE, Pair, Program, binary};

/// Returns contents of an API key's file that no header can contain.
fn unusable() -> [String; 5] {
    [
        format!("{API_KEY} {API_KEY}"),
        format!("{API_KEY}\n\n"),
        format!("{API_KEY}\u{e9}"),
        format!("\u{feff}{API_KEY}"),
        API_KEY.repeat(400),
    ]
}

fn printed(output: &Output) -> String {
    [output.stdout.as_slice(), &output.stderr].map(String::from_utf8_lossy).concat()
}

#[test]
fn a_key_that_cannot_be_used_is_not_repeated_by_a_start_or_a_reload() {
    let pair = Pair::start();
    let key = pair.gateway.dir().join("key");
    for content in unusable() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, &content).unwrap();
        let from_a_file = Configuration::smallest().set("/credentials/main/file", file.to_str().unwrap());
        let waiting = Program::run(from_a_file);
        assert_clean("/readyz", &String::from_utf8_lossy(&waiting.admin("/readyz?verbose").body));
        assert_clean("run", &waiting.stop().output);
        let from_a_variable = configure(dir.path(), Configuration::smallest().main_credential("env: THE_KEY"));
        let mut run = binary();
        run.args(["run", "--log-level", "debug", "--config"]).arg(from_a_variable);
        let output = run.env("THE_KEY", &content).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(printed(&output).contains("credentials.main: environment variable THE_KEY: "), "{}", printed(&output));
        assert_clean("run", &printed(&output));

        std::fs::write(&key, &content).unwrap();
        let line = pair.gateway.reloaded_by(|| pair.gateway.signal("HUP"));
        assert_eq!(line["level"], "INFO", "{line}");
        for path in ["/readyz?verbose", "/metrics"] {
            assert_clean(path, &String::from_utf8_lossy(&pair.gateway.admin(path).body));
        }
    }
    assert_eq!(pair.execute("{}").status, 202, "the key before goes on");
    assert_clean("the log", &pair.gateway.stop().output);
}

#[test]
fn check_explain_and_probe_do_not_show_the_key_that_they_could_read() {
    let pair = Pair::start();
    let dir = pair.gateway.dir();
    let body = dir.join("body");
    std::fs::write(&body, "{}").unwrap();
    let of_file = pair.asteroid.configuration().with("operations: { delete: true }");
    let of_all = pair.asteroid.configuration().with("operations: { rerun: true, delete: true }");
    let of_environment = of_file.clone().main_credential("env: THE_KEY");
    for configuration in [of_file, of_environment] {
        let configured = directory(configuration);
        let file = configured.path().join("gateway.yaml");
        for arguments in [&["check"][..], &["explain", "--tenant", "billing", "--agent", AGENT]] {
            let mut command = binary();
            command.args(arguments).arg("--config").arg(&file).env("THE_KEY", API_KEY);
            let output = command.stdin(std::fs::File::open(&body).unwrap()).output().unwrap();
            assert!(output.status.success(), "{}", printed(&output));
            assert_clean(arguments[0], &printed(&output));
        }
    }
    let configured = directory(of_all);
    let file = configured.path().join("gateway.yaml");
    let explain = |arguments: &[&str]| {
        let mut command = binary();
        command.args(["explain", "--tenant", "billing"]).args(arguments).arg("--config").arg(&file);
        command.stdin(std::fs::File::open(&body).unwrap()).output().unwrap()
    };
    for operation in Operation::ALL {
        for (method, path) in [
            (operation.rules().method.as_str(), path_of(operation, AGENT)),
            // In place of a word of the command line.
            (API_KEY, path_of(operation, AGENT)),
            (operation.rules().method.as_str(), path_of(operation, API_KEY)),
        ] {
            // What would be sent is printed, so the caller's form is without the key.
            let text =
                if operation.rules().body == BodyRule::Files { files("a.pdf") } else { requests::body(operation) };
            std::fs::write(&body, text).unwrap();
            let output = explain(&["--call", method, &path]);
            let is_plain = path == path_of(operation, AGENT) && method != API_KEY;
            assert_eq!(output.status.success(), is_plain, "{method} {path}: {}", printed(&output));
            let repeated = printed(&output).replace(&path, "");
            assert_clean("explain", &repeated);
        }
        let count = operation.template().matches('{').count();
        for id in [AGENT, API_KEY] {
            let named = [["--operation", operation.name()].as_slice(), &["--id", id].repeat(count)].concat();
            let output = explain(&named);
            assert_eq!(output.status.success(), id == AGENT || count == 0, "{named:?}: {}", printed(&output));
            assert_clean("explain", &printed(&output));
        }
        if operation.rules().body == BodyRule::Files {
            // A form that is refused is not printed.
            for form in
                [API_KEY.to_owned(), format!("--{API_KEY}\r\n{API_KEY}"), files(API_KEY).replace("\"files\"", API_KEY)]
            {
                std::fs::write(&body, form).unwrap();
                let output = explain(&["--call", operation.rules().method.as_str(), &path_of(operation, AGENT)]);
                assert_eq!(output.status.code(), Some(1), "{operation:?}: {}", printed(&output));
                assert_clean("explain", &printed(&output));
            }
        }
    }
    assert_clean("explain", &printed(&explain(&["--operation", API_KEY, "--id", AGENT])));
    let ready = format!("http://{}/readyz?verbose", pair.gateway.admin_address());
    let output = binary().args(["probe", "--url", &ready]).env("THE_KEY", API_KEY).output().unwrap();
    assert!(output.status.success());
    assert_clean("probe", &printed(&output));
}

#[test]
fn the_development_mode_does_not_print_the_key_that_it_makes() {
    let mut command = binary();
    command.args(["dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    let dev = Program::start(command, tempfile::tempdir().unwrap());
    let address = |begins: &str, ends: char| {
        let found = |text: &str| text.split_once(begins)?.1.split_once(ends).map(|(address, _)| address.to_owned());
        dev.wait_for(found).parse().unwrap()
    };
    let gateway = address("gateway             http://", ' ');
    assert_eq!(Caller::connect(gateway).execute("{}").status, 202);
    let simulator = Caller::connect(address("simulated Asteroid  http://", '/')).request("GET", "/_simulator/requests");
    let shown = String::from_utf8(simulator.body).unwrap();
    assert!(shown.contains(AGENT), "{shown}");
    dev.wait_for(|text| text.find("with a valid API key"));
    for output in [shown, dev.stop().output] {
        // The API key is 32 hexadecimal digits, unlike anything else in the output.
        let mut words = output.split(|character: char| !character.is_ascii_hexdigit());
        assert!(!words.any(|word| word.len() == 32), "{output}");
    }
}

#[test]
fn a_panic_in_the_middle_of_a_request_is_logged_without_the_key() {
    let gateway = unprivileged("run", Configuration::for_upstream("https://upstream.invalid/"));
    let listening = gateway.event(event::LISTENER_STARTED);
    gateway.event(event::GATEWAY_READY);
    let address = listening["address"].as_str().unwrap().parse().unwrap();
    let start = || Caller::connect(address).post(EXECUTE, &[], b"{}").assert_error(502, "unreachable", "not_started");
    // A name look-up needs a thread, and the runtime panics if the system refuses one. It keeps the thread of the first
    // look-up for some seconds.
    start();
    let until = Instant::now() + TIMEOUT;
    while gateway.threads().iter().any(|name| name == "tokio-rt-worker") {
        assert!(Instant::now() < until, "the runtime keeps its thread");
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut limit = Command::new("prlimit");
    as_nobody(limit.args(["--nproc=1:1", "--pid", &gateway.id().to_string()]).current_dir("/"));
    assert!(limit.status().unwrap().success());
    start();
    let panic = gateway.event(event::GATEWAY_PANICKED);
    assert!(panic["panic"].as_str().unwrap().contains("panicked at"), "{panic}");
    gateway.wait_for(|text| text.find("the gateway panicked; please report this: "));
    assert_clean("the log", &gateway.stop().output);
}
