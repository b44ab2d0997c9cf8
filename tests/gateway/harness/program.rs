//! The built program, which tests run as a user does.

use std::fmt::Display;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use asteroid_gateway::event;
use serde_json::Value;
use tempfile::TempDir;

use super::caller::TIMEOUT;
use super::configuration::{configure, directory};
use super::{Answer, Caller};

/// Returns a command that runs the binary under test.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_asteroid-gateway"));
    // The environment of the tests must not configure the gateway.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ASTEROID_")) {
        command.env_remove(name);
    }
    command
}

/// A running program, killed when it is dropped.
pub(crate) struct Program {
    child: Child,
    lines: Arc<Lines>,
    readers: Vec<JoinHandle<()>>,
    addresses: Vec<SocketAddr>,
    admin: Option<SocketAddr>,
    /// The directory of the configuration and the API key, which is removed with the program.
    dir: TempDir,
}

/// The output of a program so far.
#[derive(Default)]
struct Lines {
    text: Mutex<String>,
    more: Condvar,
}

/// The status and output of a program that has ended.
pub(crate) struct ExitedProgram {
    pub(crate) status: ExitStatus,
    /// Standard output and standard error.
    pub(crate) output: String,
}

impl Program {
    /// Runs `run` with this configuration, in a [`directory`] of its own, and waits until it has started.
    pub(crate) fn run(configuration: impl Display) -> Program {
        Program::run_with(configuration, &[], &[])
    }

    /// Runs it with further arguments and environment variables.
    pub(crate) fn run_with(configuration: impl Display, arguments: &[&str], environment: &[(&str, &str)]) -> Program {
        let mut command = binary();
        command.arg("run").args(arguments).envs(environment.iter().copied());
        Program::configured(command, configuration)
    }

    /// Runs it so that the test can count its open files, even if the test is not root.
    pub(crate) fn run_watched(configuration: impl Display) -> Program {
        if is_root() { Program::run(configuration) } else { Program::run_under(configuration, &unprotected()) }
    }

    /// Runs it in a process with this limit of open files.
    pub(crate) fn run_limited(configuration: impl Display, open_files: usize) -> Program {
        Program::run_under(configuration, &format!("ulimit -n {open_files}"))
    }

    /// Runs it in a process after these shell commands.
    pub(crate) fn run_under(configuration: impl Display, preparation: &str) -> Program {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{preparation} && exec \"$@\"")).arg("sh");
        command.arg(binary().get_program()).arg("run");
        Program::configured(command, configuration)
    }

    fn configured(mut command: Command, configuration: impl Display) -> Program {
        let dir = directory(configuration);
        command.arg("--config").arg(dir.path().join("gateway.yaml"));
        let mut program = Program::start(command, dir);
        let started = |line: &Value| has_code(line, &[event::GATEWAY_READY, event::GATEWAY_UNREADY]);
        program.admin = Some(address(&program.line(started)));
        program.addresses = program.events(event::LISTENER_STARTED).iter().filter_map(tcp).collect();
        program
    }

    /// Runs `run` without waiting until it has started, because it may fail to start.
    pub(crate) fn try_run(configuration: impl Display) -> Program {
        let dir = directory(configuration);
        let mut command = binary();
        command.arg("run").arg("--config").arg(dir.path().join("gateway.yaml"));
        Program::start(command, dir)
    }

    /// Starts any command of the program.
    pub(crate) fn start(mut command: Command, dir: TempDir) -> Program {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = Arc::new(Lines::default());
        let outputs: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        let readers = outputs.into_iter().map(|output| read(output, &lines)).collect();
        Program { child, lines, readers, addresses: Vec::new(), admin: None, dir }
    }

    /// Returns the address of the first listener over TCP.
    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Returns its resident memory, in bytes.
    pub(crate) fn memory(&self) -> usize {
        let pages = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    }

    /// Returns its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the addresses of the listeners over TCP.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Returns the address of the admin listener.
    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.admin.unwrap()
    }

    /// Connects to the admin listener.
    pub(crate) fn probe(&self) -> Caller {
        Caller::connect(self.admin_address())
    }

    /// Sends a GET to the admin listener.
    pub(crate) fn admin(&self, path: &str) -> Answer {
        self.probe().request("GET", path)
    }

    /// Returns the number of its open descriptors. It must have been started by [`Program::run_watched`].
    pub(crate) fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// Returns the names of its threads.
    pub(crate) fn threads(&self) -> Vec<String> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        // A thread may have ended meanwhile.
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
        names.map(|name| name.trim().to_owned()).collect()
    }

    /// Returns everything that was printed so far.
    pub(crate) fn output(&self) -> String {
        self.lines.text.lock().unwrap().clone()
    }

    /// Waits until `find` finds something in the output, and returns that.
    pub(crate) fn wait_for<T>(&self, find: impl Fn(&str) -> Option<T>) -> T {
        let text = self.lines.text.lock().unwrap();
        let waited = self.lines.more.wait_timeout_while(text, TIMEOUT, |text| find(text).is_none()).unwrap();
        find(&waited.0).unwrap_or_else(|| panic!("the expected output was not printed:\n{}", *waited.0))
    }

    /// Waits for the first line of the log that matches.
    pub(crate) fn line(&self, matches: impl Fn(&Value) -> bool) -> Value {
        self.wait_for(|text| parse(text).into_iter().find(|line| matches(line)))
    }

    /// Waits for the line of the only request with this status.
    pub(crate) fn request_line(&self, status: u16) -> Value {
        self.line(|line| line["event"] == event::REQUEST_COMPLETED && line["status"] == status)
    }

    /// Waits for the first event with this code.
    pub(crate) fn event(&self, code: &str) -> Value {
        self.line(|line| line["event"] == code)
    }

    /// Waits for the `nth` event with this code, counted from 1.
    pub(crate) fn nth_event(&self, code: &str, nth: usize) -> Value {
        self.wait_for(|text| events(text, &[code]).into_iter().nth(nth - 1))
    }

    /// Returns the events with this code so far.
    pub(crate) fn events(&self, code: &str) -> Vec<Value> {
        events(&self.output(), &[code])
    }

    /// Returns the directory of its API key and its configuration.
    pub(crate) fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Replaces its configuration file.
    pub(crate) fn rewrite(&self, configuration: impl Display) {
        configure(self.dir(), configuration);
    }

    /// Replaces its configuration file, waits for the reload, and returns the event of its result.
    pub(crate) fn reload(&self, configuration: impl Display) -> Value {
        self.reloaded_by(|| self.rewrite(configuration))
    }

    /// Calls a function that causes a reload, waits for the reload, and returns the event of its result.
    pub(crate) fn reloaded_by(&self, cause: impl FnOnce()) -> Value {
        let reloads = |text: &str| events(text, &[event::CONFIG_RELOADED, event::CONFIG_REFUSED]);
        let before = reloads(&self.output()).len();
        cause();
        self.wait_for(|text| reloads(text).get(before).cloned())
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let killed = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(killed.unwrap().success());
    }

    /// Sends SIGTERM, waits for the end, and returns its status and output.
    pub(crate) fn stop(self) -> ExitedProgram {
        self.signal("TERM");
        self.end()
    }

    /// Waits for the end, and returns its status and output. The test runner limits the wait: see `.config/nextest.toml`.
    pub(crate) fn end(mut self) -> ExitedProgram {
        let status = self.child.wait().unwrap();
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        ExitedProgram { status, output: self.output() }
    }
}

impl ExitedProgram {
    /// Returns the events with this code.
    pub(crate) fn events(&self, code: &str) -> Vec<Value> {
        events(&self.output, &[code])
    }

    /// Returns whether there was an event with this code.
    pub(crate) fn logged(&self, code: &str) -> bool {
        !self.events(code).is_empty()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns whether the test is root, as it is in many containers.
pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Returns shell commands after which the system refuses to protect a gateway, so that a test can inspect the process.
pub(crate) fn unprotected() -> String {
    format!("set -- python3 \"{}/tests/refusing.py\" \"$@\"", env!("CARGO_MANIFEST_DIR"))
}

fn read(output: Box<dyn Read + Send>, lines: &Arc<Lines>) -> JoinHandle<()> {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            *lines.text.lock().unwrap() += &(line + "\n");
            lines.more.notify_all();
        }
    })
}

fn parse(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn events(text: &str, codes: &[&str]) -> Vec<Value> {
    parse(text).into_iter().filter(|line| has_code(line, codes)).collect()
}

fn has_code(line: &Value, codes: &[&str]) -> bool {
    line["event"].as_str().is_some_and(|code| codes.contains(&code))
}

fn address(line: &Value) -> SocketAddr {
    tcp(line).unwrap()
}

/// Returns the TCP address in an event; `None` for a Unix socket, whose path the test knows.
fn tcp(line: &Value) -> Option<SocketAddr> {
    line["address"].as_str().unwrap().parse().ok()
}
