//! Networks of the tests' own: a namespace each, which goes away with whoever holds it, also where a test is killed.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::program::is_root;

/// Holds the namespaces until its standard input ends, which it does with the test. It is the first process of its process
/// namespace: whatever was started there ends with it, and what nobody waits for is not kept, since it ignores CHLD. Of
/// cgroups, crun understands the second version alone.
const HOLDER_SCRIPT: &str = "ip link set lo up && umount -l /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && echo held \
                    && exec env --ignore-signal=CHLD cat";

/// How long a program may run, in seconds.
const MAX_RUN_SECONDS: &str = "120";

/// Network, process and mount namespaces.
#[derive(Debug)]
pub(crate) struct Network {
    holder: Child,
    /// The process in them that holds them.
    first: u32,
}

impl Network {
    /// A network in which there is nothing but loopback.
    pub(crate) fn new() -> Network {
        assert!(is_root(), "containers and their networks are made by root alone: run the tests as root");
        let mut holder = Command::new("unshare")
            .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", HOLDER_SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "held\n", "the namespaces were not made");
        let id = holder.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        Network { holder, first: children.trim().parse().unwrap() }
    }

    /// Joins two networks: this one gets the first address, the other one the second, both with their prefix.
    pub(crate) fn join(&self, address: &str, other: &Network, address_there: &str) {
        let peer = other.first.to_string();
        ip(self, &["link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", &peer]);
        for (network, address) in [(self, address), (other, address_there)] {
            ip(network, &["address", "add", address, "dev", "eth0"]);
            ip(network, &["link", "set", "eth0", "up"]);
        }
    }

    /// Does something in this network: sockets that are made meanwhile, and processes, stay there.
    pub(crate) fn run_inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let namespace = File::open(format!("/proc/{}/ns/net", self.first)).unwrap();
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                work()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// A program in all of the namespaces, which is killed where it takes too long.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--mount", "--pid", "--target"]).arg(self.first.to_string());
        command.args(["timeout", "--signal=KILL", MAX_RUN_SECONDS, program]);
        command
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        drop(self.holder.wait());
    }
}

fn ip(network: &Network, arguments: &[&str]) {
    // Only the network is entered: processes are named by their ids out here.
    let output = network.run_inside(|| Command::new("ip").args(arguments).output().unwrap());
    assert!(output.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
