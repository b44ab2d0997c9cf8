//! A real load balancer, which probes the readiness of gateways, and gets new gateways while it runs.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Program;
use super::caller::TIMEOUT;

/// The checks of a gateway. Two failed checks take it out of service, after at most [`DETECTION_TIME`] if the machine is
/// not busy.
const CHECK: &str = "inter 100ms fall 2 rise 1";

/// The time for which it may still send to a gateway that is not ready.
pub(crate) const DETECTION_TIME: Duration = Duration::from_millis(200);

/// A running haproxy, ended when it is dropped.
pub(crate) struct Haproxy {
    address: SocketAddr,
    child: Child,
    /// The socket of its runtime commands.
    control: PathBuf,
    _dir: TempDir,
}

/// A line of `show stat`, by column name.
pub(crate) type Row = HashMap<String, String>;

impl Haproxy {
    /// Starts one with these configuration lines about retries.
    pub(crate) fn start(retries: &str) -> Haproxy {
        let dir = tempfile::tempdir().unwrap();
        let control = dir.path().join("control");
        let [file, log] = ["haproxy.cfg", "log"].map(|name| dir.path().join(name));
        std::fs::write(&file, configuration(&control, retries)).unwrap();
        // It inherits a listening socket as its standard input, because another process could take a port that was only
        // found free. With -q, it would close its standard input.
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let child = Command::new("haproxy")
            .args(["-db", "-f"])
            .arg(&file)
            .stdin(Stdio::from(OwnedFd::from(socket)))
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("haproxy is needed: Debian's package haproxy, or tests/run: {error}"));
        let haproxy = Haproxy { address, child, control, _dir: dir };
        let begun = Instant::now();
        while UnixStream::connect(&haproxy.control).is_err() {
            assert!(begun.elapsed() < TIMEOUT, "haproxy does not start: {}", std::fs::read_to_string(&log).unwrap());
            std::thread::sleep(Duration::from_millis(10));
        }
        haproxy
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds a gateway under a name, and waits until a check finds it ready.
    pub(crate) fn add(&self, name: &str, gateway: &Program) {
        let (address, admin) = (gateway.address(), gateway.admin_address().port());
        let said = self.command(&format!("add server gateways/{name} {address} check port {admin} {CHECK}"));
        assert!(said.contains("New server registered"), "{said}");
        self.command(&format!("enable health gateways/{name}; enable server gateways/{name}"));
        self.wait_for(name, |row| row["status"] == "UP" && row["check_status"] == "L7OK");
    }

    /// Waits until a gateway is out of service.
    pub(crate) fn wait_for_down(&self, name: &str) {
        self.wait_for(name, |row| row["status"] == "DOWN");
    }

    fn wait_for(&self, name: &str, state: impl Fn(&Row) -> bool) {
        let begun = Instant::now();
        loop {
            let row = self.row(name);
            if state(&row) {
                return;
            }
            assert!(begun.elapsed() < TIMEOUT, "{row:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Returns its statistics of a gateway, or of all gateways as `BACKEND`.
    pub(crate) fn row(&self, name: &str) -> Row {
        let stat = self.command("show stat");
        let mut lines = stat.trim_start_matches("# ").lines().map(|line| line.split(',').map(str::to_owned));
        let names: Vec<String> = lines.next().unwrap().collect();
        let mut rows = lines.map(|line| names.iter().cloned().zip(line).collect::<Row>());
        let row = rows.find(|row| row.get("pxname").is_some_and(|px| px == "gateways") && row["svname"] == name);
        row.unwrap_or_else(|| panic!("{name} is not in {stat}"))
    }

    fn command(&self, line: &str) -> String {
        let mut stream = UnixStream::connect(&self.control).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.write_all(format!("{line}\n").as_bytes()).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        said
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns a configuration as an operator would write it, except for the inherited socket and faster checks.
fn configuration(control: &std::path::Path, retries: &str) -> String {
    format!(
        "global
    stats socket {} level admin
defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 90s
    timeout check 1s
    {retries}
frontend callers
    bind fd@0
    default_backend gateways
backend gateways
    balance roundrobin
    http-reuse safe
    option httpchk GET /readyz
    http-check expect status 200
",
        control.display()
    )
}
