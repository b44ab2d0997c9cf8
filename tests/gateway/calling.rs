//! docs/CALLING.md: its examples run as they are shown, and its tables are those of the gateway.

mod files;
mod tables;

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::examples::blocks;
use crate::harness::configuration::replace_once;
use crate::harness::{Asteroid, Pair, at_once};

const FILE: &str = "docs/CALLING.md";

/// The SDKs of both eras.
const SDKS: [&str; 2] = ["1.7.257", "1.9.167"];

/// Starts a gateway in front of an Asteroid whose executions end after three seconds.
fn start() -> Pair {
    let asteroid = Asteroid::start();
    asteroid.set_life(json!({"duration": "6s"}));
    Pair::before(asteroid, "")
}

/// Writes an example into a file in `dir`, with the address of this gateway.
fn write(dir: &Path, file: &str, example: &str, pair: &Pair) -> std::path::PathBuf {
    let path = dir.join(file);
    std::fs::write(&path, replace_once(example, "localhost:8080", &pair.gateway.address().to_string())).unwrap();
    path
}

/// Runs an example by this program and its arguments, and returns what it printed.
fn run(program: &str, arguments: &[&str], file: &str, example: &str, pair: &Pair) -> String {
    run_in(tempfile::tempdir().unwrap().path(), program, arguments, file, example, pair)
}

/// Does the same in this directory.
fn run_in(dir: &Path, program: &str, arguments: &[&str], file: &str, example: &str, pair: &Pair) -> String {
    let path = write(dir, file, example, pair);
    let output = Command::new(program).args(arguments).arg(path).current_dir(dir).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; tests/run installs it"));
    assert!(output.status.success(), "{example}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Returns whether a program is installed that tests/run does not install. If it is not, says that its example did not run.
#[expect(clippy::print_stderr, reason = "the test passes all the same")]
fn is_installed(program: &str, argument: &str) -> bool {
    let found = Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("{program} is not installed, so its example did not run and was not compiled");
    }
    found
}

fn python(sdk: &str) -> String {
    let sdks = std::env::var("ASTEROID_SDKS").expect("tests/run installs the SDKs and names their directory");
    format!("{sdks}/sdk-{sdk}/bin/python")
}

/// Returns the block of this language with this text.
fn block(language: &str, text: &str) -> String {
    blocks(FILE, language).into_iter().find(|block| block.contains(text)).unwrap_or_else(|| panic!("no {text}"))
}

/// Asserts that an example led a whole life: it started two executions, followed the first to its end and cancelled the other.
fn assert_life(pair: &Pair, printed: &str) {
    let executions = pair.asteroid.executions();
    let [first, second] = executions.as_slice() else { panic!("{executions:?}") };
    for line in [
        format!("started {}\n", first.id),
        "ended completed\n".to_owned(),
        "activity user_message_received\n".to_owned(),
        "activity terminal\n".to_owned(),
        "listed 1\n".to_owned(),
        format!("cancelled {}\n", second.id),
    ] {
        assert!(printed.contains(&line), "{line}: {printed}");
    }
    let status = pair.asteroid.get(&format!("/agents/v2/executions/{}", second.id)).json()["status"].clone();
    assert_eq!(status, "cancelled");
    assert!(executions.iter().all(|execution| execution.metadata["tenant"] == "billing"));
    assert!(pair.asteroid.requests().iter().all(|request| request.authenticated));
}

#[test]
fn the_example_for_curl_leads_a_whole_life() {
    let pair = start();
    let example = block("bash", "user-messages");
    assert_life(&pair, &run("bash", &["-euo", "pipefail"], "calling.sh", &example, &pair));
}

#[test]
fn the_example_of_a_waiting_start_prints_the_result_however_often_it_is_pasted() {
    let pair = Pair::start();
    pair.asteroid.set_life(json!({"duration": "1s"}));
    let paste = || run("bash", &[], "waiting.sh", &block("bash", "execute/sync"), &pair);
    let printed = paste();
    let [execution] = pair.asteroid.executions().try_into().unwrap();
    let answer = crate::harness::json(printed.as_bytes());
    assert_eq!((&answer["executionId"], &answer["status"]), (&json!(execution.id), &json!("completed")), "{printed}");
    assert!(answer["executionResult"].is_object(), "{printed}");
    assert_eq!(paste(), printed);
    assert_eq!(pair.asteroid.started(), 1);
}

#[test]
fn the_examples_for_each_python_sdk_lead_a_whole_life() {
    at_once(SDKS.into_iter().zip(["execution_activities_get(id", "execution_sync_get(id, timeout"]), |(sdk, text)| {
        let pair = start();
        assert_life(&pair, &run(&python(sdk), &[], "calling.py", &block("python", text), &pair));
    });
}

/// The example has no types that Node.js would have to leave out, so it is JavaScript too.
#[test]
fn the_example_for_typescript_leads_a_whole_life() {
    let pair = start();
    let example = block("ts", "async function start");
    assert_life(&pair, &run("node", &[], "calling.mjs", &example, &pair));
}

#[test]
fn the_example_for_go_leads_a_whole_life() {
    if is_installed("go", "version") {
        let pair = start();
        let example = block("go", "user-messages");
        assert_life(&pair, &run("go", &["run"], "main.go", &example, &pair));
    }
}

#[test]
fn the_example_for_java_leads_a_whole_life() {
    if is_installed("java", "--version") {
        let pair = start();
        let example = block("java", "user-messages");
        assert_life(&pair, &run("java", &[], "Calling.java", &example, &pair));
    }
}

#[test]
fn the_examples_of_errors_print_what_the_text_says() {
    let pair = Pair::start();
    for sdk in SDKS {
        let printed = run(&python(sdk), &[], "errors.py", &block("python", "json.loads(error.body)"), &pair);
        let lines: Vec<&str> = printed.lines().collect();
        assert!(lines[0].starts_with("NotFoundException 404 ") && lines[0].len() == 58, "{printed}");
        assert_eq!(lines[1], "urn:asteroid-gateway:error:not-found");
    }
    let printed = run("node", &[], "errors.mjs", &block("ts", "proxy-status"), &pair);
    assert!(printed.starts_with("404 ") && printed.ends_with(" urn:asteroid-gateway:error:not-found\n"), "{printed}");
}

#[test]
fn the_example_of_retries_waits_and_starts_one_execution() {
    at_once(SDKS, |sdk| {
        let pair = Pair::start();
        let busy = json!({"status": 429, "headers": [["retry-after", "1"], ["content-type", "application/json"]],
            "body": r#"{"code":429,"message":"busy"}"#});
        pair.asteroid.fail_next(json!({"then": {"answer": busy}}));
        let printed = run(&python(sdk), &[], "retries.py", &block("python", "except urllib3"), &pair);
        let [execution] = pair.asteroid.executions().try_into().unwrap();
        assert_eq!(printed, format!("started {}\n", execution.id));
        assert_eq!(pair.asteroid.starts().len(), 2);
    });
}

/// A script that reads an execution and ignores the failure.
const READ: &str = r#"
import asteroid_odyssey as sdk

try:
    with sdk.ApiClient(sdk.Configuration(host="http://localhost:8080"RETRIES)) as client:
        sdk.ExecutionApi(client).execution_get("00000000-0000-4000-8000-000000000000")
except Exception as error:
    print(type(error).__name__)
"#;

#[test]
fn the_python_sdks_retry_a_read_as_the_text_says_unless_they_are_told_not_to() {
    let cases = SDKS.into_iter().flat_map(|sdk| [(sdk, "", 4), (sdk, ", retries=0", 1)]);
    at_once(cases, |(sdk, retries, sent)| {
        let pair = Pair::start();
        pair.asteroid.fail_always(json!({"then": {"answer": {"status": 503, "headers": [["retry-after", "1"]]}}}));
        run(&python(sdk), &[], "read.py", &READ.replace("RETRIES", retries), &pair);
        assert_eq!(pair.asteroid.requests().len(), sent, "{sdk}{retries}");
    });
}
