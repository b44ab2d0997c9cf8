//! Listeners at a Unix socket: the users that may connect, the socket's path, and the view of callers and operators.

mod path;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use asteroid_gateway::event;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{AGENT, API_KEY, Asteroid, Caller, Collector, Configuration, EXECUTE, Pair, Program};

/// A gateway with a listener at a Unix socket.
struct Local {
    pair: Pair,
    socket: PathBuf,
    /// The directory of the socket.
    dir: TempDir,
}

impl Local {
    fn start() -> Local {
        Local::configured(|at_the_socket| at_the_socket)
    }

    /// Starts it with a change of the configuration.
    fn configured(change: impl FnOnce(Configuration) -> Configuration) -> Local {
        let (dir, asteroid) = (tempfile::tempdir().unwrap(), Asteroid::start());
        let socket = dir.path().join("billing.sock");
        let configuration = change(at(&asteroid, &socket));
        Local { pair: Pair::run(asteroid, configuration), socket, dir }
    }

    fn caller(&self) -> Caller {
        Caller::connect_unix(&self.socket).unwrap()
    }
}

/// Returns the configuration of a gateway at this socket.
fn at(asteroid: &Asteroid, socket: &Path) -> Configuration {
    asteroid.configuration().set("/listeners/0/address", format!("unix:{}", socket.display()))
}

/// A typical client over `AF_UNIX`. It sends two starts on one connection, and prints the status and body of each answer.
const HTTP_CLIENT: &str = r#"
import http.client, socket, sys

class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)

connection = UnixConnection(sys.argv[1])
for _ in range(2):
    connection.request("POST", sys.argv[2], '{"inputs": {"invoice": 4711}}', {"Content-Type": "application/json"})
    answer = connection.getresponse()
    print(answer.status, answer.read().decode())
"#;

fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn curl_and_http_client_start_an_agent_over_a_unix_socket_without_a_key() {
    let local = Local::start();
    let url = format!("http://localhost{EXECUTE}");
    let mut curl = Command::new("curl");
    curl.arg("-sS").arg("--unix-socket").arg(&local.socket);
    curl.args(["-H", "Content-Type: application/json", "-d", r#"{"metadata":{"ticket":"T-1"}}"#, &url]);
    let answer: Value = serde_json::from_str(&printed(&mut curl)).unwrap();
    let execution = &local.pair.asteroid.executions()[0];
    assert_eq!((&answer["executionId"], execution.agent_id.as_deref()), (&execution.id.as_str().into(), Some(AGENT)));
    assert_eq!((&execution.metadata["ticket"], &execution.metadata["tenant"]), (&"T-1".into(), &"billing".into()));

    let lines = printed(Command::new("python3").args(["-c", HTTP_CLIENT]).arg(&local.socket).arg(EXECUTE));
    let executions = local.pair.asteroid.executions();
    assert_eq!(executions.len(), 3);
    for (line, execution) in lines.lines().zip(&executions[1..]) {
        assert!(line.starts_with("202 ") && line.contains(&execution.id), "{lines}");
    }
    assert!(local.pair.asteroid.requests().iter().all(|request| request.authenticated));
}

#[test]
fn a_caller_at_a_unix_socket_is_told_apart_by_its_user_and_has_no_made_up_address() {
    let collector = Collector::start();
    let dir = tempfile::tempdir().unwrap();
    let audit = dir.path().join("audit.jsonl");
    let sections = format!("{}\naudit: {{ file: '{}' }}", collector.traces(""), audit.display());
    let local = Local::configured(|at_the_socket| at_the_socket.with(&sections));
    assert_eq!(local.caller().execute("{}").status, 202);
    let user = std::fs::metadata("/proc/self").unwrap().uid();
    let peer = format!("unix:uid={user}");
    assert_eq!(local.pair.gateway.request_line(202)["peer"], peer.as_str());
    let spans = collector.spans(2);
    let server = spans.iter().find(|span| span["kind"] == "SPAN_KIND_SERVER").unwrap();
    let attributes = &server["attributes"];
    assert_eq!(attributes["network.transport"], "unix", "{server}");
    for name in ["client.address", "network.peer.address", "network.peer.port"] {
        assert_eq!(attributes[name], Value::Null, "{name}");
    }
    let listening = &local.pair.gateway.events(event::LISTENER_STARTED)[0];
    let address = format!("unix:{}", local.socket.display());
    assert_eq!((&listening["address"], &listening["mode"]), (&address.as_str().into(), &"0660".into()));
    let metrics = local.pair.gateway.metrics();
    let counted = metrics.samples().iter().any(|sample| sample.label("listener") == Some(address.as_str()));
    assert!(counted, "the listener's connections are counted under its address");
    assert!(local.pair.gateway.stop().status.success());
    let record: Value = serde_json::from_slice(&std::fs::read(audit).unwrap()).unwrap();
    assert_eq!(record["peer"], peer.as_str());
}

#[test]
fn a_header_may_name_the_tenant_at_a_unix_socket_without_trusted_peers() {
    let (dir, asteroid) = (tempfile::tempdir().unwrap(), Asteroid::start());
    let socket = dir.path().join("mesh.sock");
    let _gateway = Program::run(at(&asteroid, &socket).by_header());
    let mut caller = Caller::connect_unix(&socket).unwrap();
    assert_eq!(caller.post(EXECUTE, &[("X-Tenant-Id", "billing")], b"{}").status, 202);
    caller.execute("{}").assert_error(401, "tenant", "not_started");
}

#[test]
fn at_a_unix_socket_a_url_may_have_any_host_unless_hosts_says_which_and_a_page_is_refused_all_the_same() {
    let local = Local::start();
    for host in ["localhost", "unix", "gateway.example:8080", "docker"] {
        assert_eq!(local.caller().post(EXECUTE, &[("Host", host)], b"{}").status, 202, "{host}");
    }
    let page = [("Origin", "http://localhost")];
    local.caller().post(EXECUTE, &page, b"{}").assert_error(403, "browser", "not_started");
    let named = Local::configured(|at_the_socket| at_the_socket.listener("hosts: [gateway]"));
    assert_eq!(named.caller().post(EXECUTE, &[("Host", "gateway")], b"{}").status, 202);
    named.caller().post(EXECUTE, &[("Host", "localhost")], b"{}").assert_error(421, "misdirected", "not_started");
}

#[test]
fn a_connection_to_a_unix_socket_is_bounded_as_others_are() {
    let local = Local::configured(|at_the_socket| at_the_socket.with("timeouts: { caller_idle: 200ms }"));
    let mut silent = local.caller();
    assert!(silent.is_closed());
    let mut malformed = local.caller();
    malformed.send(b"nonsense\r\n\r\n");
    assert_eq!(malformed.answer().status, 400);
    let line = local.pair.gateway.event(event::REQUEST_MALFORMED);
    assert!(line["peer"].as_str().unwrap().starts_with("unix:uid="), "{line}");
}

#[test]
fn another_mode_or_path_needs_a_restart() {
    let local = Local::start();
    let elsewhere = local.dir.path().join("other.sock");
    let asteroid = &local.pair.asteroid;
    for (key, configuration) in [
        ("mode", at(asteroid, &local.socket).listener("mode: '0600'")),
        ("address", at(asteroid, &elsewhere)),
        ("address", asteroid.configuration()),
    ] {
        let line = local.pair.gateway.reload(configuration);
        assert_eq!(line["reason"], format!("a restart is needed to change listeners[0].{key}"));
    }
    assert_eq!(local.caller().execute("{}").status, 202);
}

#[test]
fn dev_prints_a_curl_line_for_a_unix_socket_too() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("dev.sock");
    let listeners = json!([{ "address": format!("unix:{}", socket.display()), "tenant": { "fixed": "billing" } }]);
    let mut command = crate::harness::binary();
    command.args(["dev", "--admin", "127.0.0.1:0"]).env("ASTEROID_GATEWAY__LISTENERS", listeners.to_string());
    let dev = Program::start(command, dir);
    let line = dev.wait_for(|text| text.lines().find(|line| line.contains("curl --unix")).map(str::to_owned));
    let answer = printed(Command::new("sh").arg("-c").arg(line));
    assert!(answer.starts_with("HTTP/1.1 202") && !answer.contains(API_KEY), "{answer}");
}
