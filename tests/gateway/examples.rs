//! The examples in README and `config/` work as shown.

use std::path::Path;

use serde_json::json;

use crate::harness::configuration::replace_once;
use crate::harness::program::binary;
use crate::harness::{AGENT, API_KEY, Caller, Pair, Program};

pub(crate) fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// Returns the fenced blocks with this language in a Markdown file.
pub(crate) fn blocks(file: &str, language: &str) -> Vec<String> {
    let text = read(file);
    let fenced = text.split("```").skip(1).step_by(2);
    fenced.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n').map(str::to_owned)).collect()
}

/// Returns an example configuration with the tests' API key and upstream.
fn run_here(configuration: &str) -> Pair {
    let here = replace_once(configuration, "/var/run/secrets/asteroid/api-key", "{dir}/key");
    let asteroid = crate::harness::Asteroid::start();
    let url = asteroid.url();
    let environment =
        [("ASTEROID_GATEWAY__UPSTREAM__URL", url.as_str()), ("ASTEROID_GATEWAY__ADMIN__ADDRESS", "127.0.0.1:0")];
    Pair { gateway: Program::run_with(&here, &[], &environment), asteroid }
}

#[test]
fn the_smallest_configuration_is_the_one_that_the_readme_shows_and_runs() {
    let file = read("config/gateway.yaml");
    let without_comments: Vec<&str> = file.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    let shown = blocks("README.md", "yaml");
    let shown: Vec<&str> = shown[0].lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(shown, without_comments);
    let pair = run_here(&replace_once(&file, "127.0.0.1:8080", "127.0.0.1:0"));
    assert_eq!(pair.execute("{}").status, 202);
}

#[test]
fn the_readmes_tenants_are_limited_as_it_says() {
    let shown = &blocks("README.md", "yaml")[2];
    let here = replace_once(shown, "10.0.12.4:8081", "127.0.0.1:0");
    let pair = run_here(&replace_once(&here, "10.0.12.7/32", "127.0.0.1"));
    let answer = pair.caller().post(crate::harness::EXECUTE, &[("X-Tenant-Id", "billing")], b"{}");
    assert_eq!(answer.status, 202);
    let told = format!("`RateLimit: {}`", answer.header("ratelimit").unwrap());
    assert!(read("README.md").contains(&told), "{told}");

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gateway.yaml");
    std::fs::write(&file, shown).unwrap();
    assert!(binary().arg("check").arg("--config").arg(file).output().unwrap().status.success());
}

#[test]
fn the_readmes_unix_socket_takes_its_curl_line() {
    let yaml = blocks("README.md", "yaml");
    let rest = yaml[0].split_once("credentials:").unwrap().1;
    let dir = tempfile::tempdir().unwrap();
    let here = |text: &str| replace_once(text, "/run/asteroid", dir.path().to_str().unwrap());
    let pair = run_here(&here(&format!("{}credentials:{rest}", yaml[1])));
    let shell = blocks("README.md", "sh");
    let curl = here(shell.iter().find(|block| block.contains("--unix-socket")).unwrap());
    assert!(std::process::Command::new("sh").arg("-c").arg(curl).output().unwrap().status.success());
    assert_eq!(pair.asteroid.executions()[0].metadata["tenant"], "billing");
}

#[test]
fn every_configuration_in_the_repository_passes_check() {
    for file in ["config/gateway.yaml", "config/gateway.full.yaml", "config/dev.yaml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let output = binary().arg("check").arg("--config").arg(path).output().unwrap();
        assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The README shows two complete requests: the incoming one is sent, and the outgoing one is compared.
#[test]
fn the_request_leaves_as_the_readme_shows() {
    let pair = Pair::start();
    let [comes, leaves] = blocks("README.md", "http").try_into().unwrap();
    let mut caller = Caller::connect(pair.gateway.address());
    let (head, body) = comes.split_once("\n\n").unwrap();
    let body = body.trim_end();
    let head = head.replace("\n", "\r\n") + &format!("\r\nContent-Length: {}", body.len());
    caller.send(format!("{head}\r\n\r\n{body}").as_bytes());
    assert_eq!(caller.answer().status, 202);

    let sent = pair.asteroid.only_request();
    let (head, body) = leaves.split_once("\n\n").unwrap();
    assert_eq!(sent.text(), body.trim_end());
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some(format!("POST {} HTTP/1.1", sent.target).as_str()));
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        let arrived = sent.header(&name.to_ascii_lowercase()).unwrap_or_else(|| panic!("{name} did not arrive"));
        match name {
            // A test's upstream has another name, and shows no API key.
            "Host" => assert_eq!(value, "odyssey.asteroid.ai"),
            "X-Asteroid-Agents-Api-Key" => assert!(sent.authenticated && !value.contains(API_KEY)),
            "X-Request-Id" => assert_eq!(arrived.len(), value.len()),
            "Content-Length" => assert_eq!(arrived, body.trim_end().len().to_string()),
            _ => assert_eq!(arrived, value, "{name}"),
        }
    }
    assert_eq!(sent.headers.len(), head.lines().count() - 1, "the README leaves out no header");
}

#[test]
fn the_readmes_error_is_what_a_forged_tag_gets() {
    let pair = Pair::start();
    let [shown] = blocks("README.md", "json").try_into().unwrap();
    let mut shown = crate::harness::json(shown.as_bytes());
    let mut answer = pair.execute(r#"{"metadata":{"tenant":"sales"}}"#).json();
    for problem in [&mut shown, &mut answer] {
        problem["instance"] = json!("differs");
    }
    assert_eq!(answer, shown);
    assert_eq!(AGENT.len(), 36);
}

#[test]
fn the_curl_line_with_a_key_starts_one_execution_however_often_it_is_pasted() {
    let pair = Pair::start();
    let keyed = |file| blocks(file, "sh").into_iter().find(|block| block.contains("Idempotency-Key")).unwrap();
    let line = keyed("README.md");
    assert_eq!(line, keyed("docs/IDEMPOTENCY.md"));
    let line = replace_once(&line, "localhost:8080", &pair.gateway.address().to_string());
    let paste = || {
        let output = std::process::Command::new("sh").arg("-c").arg(&line).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let (first, again) = (paste(), paste());
    assert!(first.starts_with("HTTP/1.1 202 ") && !first.contains("idempotent-replayed"), "{first}");
    assert!(again.contains("idempotent-replayed: true"), "{again}");
    assert!(again.ends_with(first.rsplit("\r\n\r\n").next().unwrap()), "{again}");
    assert_eq!(pair.asteroid.executions().len(), 1);
}

#[test]
fn the_readmes_line_explains_a_start() {
    let line = blocks("README.md", "sh").into_iter().find(|block| block.contains("explain")).unwrap();
    let built = replace_once(&line, "target/release/asteroid-gateway", binary().get_program().to_str().unwrap());
    let mut shell = std::process::Command::new("sh");
    let output = shell.arg("-c").arg(&built).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        printed.ends_with("{\"metadata\":{\"tenant\":\"billing\"},\"inputs\": {\"invoice\": 4711}}\n"),
        "{printed}"
    );
}

#[test]
fn the_readmes_lines_follow_an_execution_to_its_end_and_find_it_in_the_list() {
    let pair = Pair::start();
    pair.asteroid.set_life(json!({"duration": "1s"}));
    let id = pair.execute("{}").json()["executionId"].as_str().unwrap().to_owned();
    let lines = blocks("README.md", "sh").into_iter().find(|block| block.contains("/sync")).unwrap();
    let lines = lines.replace("localhost:8080", &pair.gateway.address().to_string());
    let output = std::process::Command::new("sh").arg("-c").arg(lines).env("ID", &id).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && printed.contains("\"total\":1"), "{printed}");
    assert_eq!(printed.matches("\"status\":\"completed\"").count(), 3, "{printed}");
    assert!(pair.asteroid.starts().iter().any(|request| request.target.ends_with(&format!("{id}/cancel"))));
}
