//! The threads that serve callers: their number, and the result if one ends.

use std::collections::BTreeSet;
use std::time::Instant;

use asteroid_gateway::event;

use crate::harness::caller::TIMEOUT;
use crate::harness::configuration::directory;
use crate::harness::program::is_root;
use crate::harness::{Configuration, Pair, Program};

/// The number of consecutive callers before another worker must have accepted one.
const CALLERS: usize = 1000;

#[test]
fn as_many_workers_serve_callers_as_the_configuration_says() {
    let pair = Pair::with("workers: 3");
    assert_eq!(pair.gateway.event(event::GATEWAY_READY)["workers"], 3);
    let workers = || -> BTreeSet<String> {
        pair.gateway.threads().into_iter().filter(|name| name.starts_with("worker-")).collect()
    };
    // A thread gets its name when it first runs.
    let deadline = Instant::now() + TIMEOUT;
    while workers().len() < 3 && Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert_eq!(workers(), ["worker-0", "worker-1", "worker-2"].map(str::to_owned).into());
    // Each worker has its own connections to the upstream; a single worker would reuse its first one.
    for _ in 0..CALLERS {
        assert_eq!(pair.execute("{}").status, 202);
        if pair.asteroid.requests().iter().any(|request| request.connection > 0) {
            return;
        }
    }
    panic!("one worker has served {CALLERS} callers");
}

#[test]
fn on_loopback_one_worker_is_enough_unless_the_configuration_says_otherwise() {
    let gateway = Program::run(Configuration::smallest().with("workers: auto"));
    assert_eq!(gateway.event(event::GATEWAY_READY)["workers"], 1);
}

/// Returns the descriptors of the event queues of a gateway's runtimes, in the order of their creation.
fn event_queues(gateway: &Program) -> Vec<u32> {
    let entries = std::fs::read_dir(format!("/proc/{}/fd", gateway.id())).unwrap();
    let queue = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        let is_queue = std::fs::read_link(&path).is_ok_and(|target| target.to_string_lossy().contains("eventpoll"));
        is_queue.then(|| path.file_name().unwrap().to_str().unwrap().parse().unwrap())
    };
    let mut queues: Vec<u32> = entries.filter_map(queue).collect();
    queues.sort_unstable();
    queues
}

#[test]
fn a_worker_that_panics_ends_the_process_loudly() {
    // Only root may inspect a gateway's descriptors.
    if !is_root() {
        return;
    }
    let refusing = |queue: u32| {
        format!("set -- python3 \"{}/tests/refusing.py\" --event-queue {queue} \"$@\"", env!("CARGO_MANIFEST_DIR"))
    };
    let well = Program::run_under(Configuration::smallest().with("workers: 1"), &refusing(9999));
    // Each runtime has an event queue and a second handle to it. The main runtime comes first, then the worker's.
    let queues = event_queues(&well);
    assert_eq!(queues.len(), 4, "{queues:?}");
    assert!(well.stop().status.success());

    let dir = directory(Configuration::smallest().with("workers: 1"));
    let config = dir.path().join("gateway.yaml");
    let mut command = std::process::Command::new("sh");
    command.arg("-c").arg(format!("{} && exec \"$@\"", refusing(queues[2]))).arg("sh");
    command.arg(crate::harness::binary().get_program()).arg("run").arg("--config").arg(config);
    let ended = Program::start(command, dir).end();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.output);
    assert!(ended.logged(event::WORKER_FAILED), "{}", ended.output);
    assert!(ended.output.contains("error: a worker"), "{}", ended.output);
    assert!(ended.logged(event::GATEWAY_PANICKED), "why is said, too: {}", ended.output);
}
