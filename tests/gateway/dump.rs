//! Only root can inspect the memory of a running gateway, and a gateway that crashes leaves no dump.

use std::fmt::Display;
use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};

use asteroid_gateway::event;

use crate::harness::configuration::configure;
use crate::harness::program::{is_root, unprotected};
use crate::harness::{API_KEY, Asteroid, Configuration, Pair, Program, binary};

/// A user other than root, as which tests that run as root start programs.
const NOBODY: u32 = 65534;

#[test]
fn another_process_of_the_same_user_cannot_look_into_a_gateway() {
    let [run, dev] = ["run", "dev"].map(|command| unprivileged(command, Configuration::smallest()));
    run.event(event::GATEWAY_READY);
    dev.wait_for(|text| text.find(" for development: "));
    for (command, gateway) in [("run", &run), ("dev", &dev)] {
        for part in ["environ", "maps", "mem", "fd/"] {
            assert!(!is_readable(gateway, part), "{part} of {command}");
        }
    }
    // The gateway causes this, not the system.
    let simulator = unprivileged("simulate", "");
    simulator.wait_for(|text| text.find("simulated Asteroid on"));
    for part in ["environ", "maps", "fd/"] {
        assert!(is_readable(&simulator, part), "{part}");
    }
}

#[test]
fn a_gateway_that_crashes_leaves_no_core_dump() {
    let dir = tempfile::tempdir().unwrap();
    let preparation = format!("ulimit -c \"$(ulimit -H -c)\" && cd \"{}\"", dir.path().display());
    let gateway = Program::run_under(Configuration::smallest(), &preparation);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", gateway.id())).unwrap();
    let of_cores = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    assert_eq!(of_cores.split_whitespace().take(2).collect::<Vec<_>>(), ["0", "0"]);
    gateway.signal("ABRT");
    let ended = gateway.end();
    assert_eq!(ended.status.signal(), Some(6), "{}", ended.output);
    assert!(!ended.status.core_dumped(), "{}", ended.status);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_system_that_refuses_the_protection_is_told_of_once_and_the_gateway_serves() {
    let asteroid = Asteroid::start();
    let gateway = Program::run_under(asteroid.configuration(), &unprotected());
    let pair = Pair { asteroid, gateway };
    assert_eq!(pair.execute("{}").status, 202);
    pair.gateway.reloaded_by(|| pair.gateway.signal("HUP"));
    pair.gateway.request_line(202);
    let told = pair.gateway.events(event::PROCESS_UNPROTECTED);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["level"], "WARN");
    assert!(
        told[0]["error"].as_str().unwrap().starts_with("the process cannot be marked as not dumpable: "),
        "{told:?}"
    );
    assert!(
        Pair::start().gateway.events(event::PROCESS_UNPROTECTED).is_empty(),
        "where it is not refused, nothing is said"
    );
}

/// Returns a command that runs the program as another user than root: `run` with this configuration.
pub(crate) fn unprivileged(command: &str, configuration: impl Display) -> Program {
    let dir = tempfile::tempdir().unwrap();
    readable(dir.path());
    // Other users may have no access to the build directory; and a program that cannot be read cannot be dumped either.
    let program = dir.path().join("program");
    std::fs::copy(binary().get_program(), &program).unwrap();
    let mut arguments = binary();
    arguments.arg(command);
    match command {
        "run" => {
            let (key, config) = (dir.path().join("key"), configure(dir.path(), configuration));
            std::fs::write(&key, API_KEY).unwrap();
            readable(&key);
            readable(&config);
            arguments.arg("--config").arg(config);
        }
        "dev" => drop(arguments.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])),
        _ => drop(arguments.args(["--listen", "127.0.0.1:0"])),
    }
    let mut started = Command::new(program);
    started.args(arguments.get_args());
    as_nobody(&mut started);
    Program::start(started, dir)
}

fn readable(path: &Path) {
    set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

/// Runs a command as a user other than root: as the test's own user, if that is not root.
pub(crate) fn as_nobody(command: &mut Command) {
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
}

/// Returns whether the same user can open this file of a program's process.
fn is_readable(program: &Program, part: &str) -> bool {
    let path = format!("/proc/{}/{part}", program.id());
    // Opened, not read: the first page of memory is never mapped.
    let mut open = Command::new("sh");
    match part.ends_with('/') {
        true => open.args(["-c", "ls -- \"$1\"", "sh"]),
        false => open.args(["-c", "exec < \"$1\"", "sh"]),
    };
    as_nobody(open.arg(path).current_dir("/").stdout(Stdio::null()).stderr(Stdio::null()));
    open.status().unwrap().success()
}
