//! Networks for tests. Each is a namespace, which disappears with the process that holds it, even if a test is killed.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::program::is_root;

/// The script of the process that holds the namespaces until its standard input ends, which happens with the test.
///
/// It is the first process of its process namespace. So the processes that are started there end with it. It ignores CHLD,
/// so that they leave no zombies. crun supports only the second version of cgroups.
const HOLDER_SCRIPT: &str = "ip link set lo up && umount -l /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && echo held \
                    && exec env --ignore-signal=CHLD cat";

/// The time after which a program is killed, in seconds.
const MAX_RUN_SECONDS: &str = "120";

/// Network, process and mount namespaces.
#[derive(Debug)]
pub(crate) struct Network {
    holder: Child,
    /// The id of the process that holds them.
    first: u32,
}

impl Network {
    /// Makes a network with only the loopback interface.
    pub(crate) fn new() -> Network {
        assert!(is_root(), "only root can make containers and their networks: run the tests as root");
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

    /// Joins two networks. This one gets the first address, the other one the second, each with its prefix length.
    pub(crate) fn join(&self, address: &str, other: &Network, address_there: &str) {
        let peer = other.first.to_string();
        ip(self, &["link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", &peer]);
        for (network, address) in [(self, address), (other, address_there)] {
            ip(network, &["address", "add", address, "dev", "eth0"]);
            ip(network, &["link", "set", "eth0", "up"]);
        }
    }

    /// Runs a function in this network. The sockets and processes that it creates stay there.
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

    /// Returns a command that runs a program in all of the namespaces, and kills it if it takes too long.
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
    // Only the network namespace is entered, because `ip` needs the process ids of the outer namespace.
    let output = network.run_inside(|| Command::new("ip").args(arguments).output().unwrap());
    assert!(output.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
