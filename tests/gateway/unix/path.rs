//! The socket's path: it is created, taken over, left alone, and removed.

use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use asteroid_gateway::event;
use serde_json::json;

use super::{Local, at};
use crate::harness::caller::TIMEOUT;
use crate::harness::configuration::directory;
use crate::harness::program::is_root;
use crate::harness::{Asteroid, Caller, Configuration, EXECUTE, Program};

/// A script that prints the files that are created in a directory, and how, until `billing.sock` exists.
const WATCH: &str = r#"
import ctypes, os, struct, sys

libc = ctypes.CDLL(None)
watching = libc.inotify_init()
CREATED, MOVED_THERE = 0x100, 0x80
libc.inotify_add_watch(watching, sys.argv[1].encode(), CREATED | MOVED_THERE)
print("watching", flush=True)
name = ""
while name != "billing.sock":
    events = os.read(watching, 4096)
    while events:
        _, mask, _, length = struct.unpack_from("iIII", events)
        name = events[16 : 16 + length].rstrip(b"\0").decode()
        events = events[16 + length :]
        print("moved" if mask & MOVED_THERE else "created", name, flush=True)
"#;

fn wait_until(done: impl Fn() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !done() {
        assert!(Instant::now() < deadline, "it does not come to pass");
        std::thread::yield_now();
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn permissions(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Returns the output of a gateway that does not start with this configuration.
fn refusal(configuration: Configuration) -> String {
    said_at_refusal(Program::try_run(configuration))
}

/// Waits for the end of a program that cannot start, and returns its output.
fn said_at_refusal(program: Program) -> String {
    let ended = program.end();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.output);
    ended.output
}

#[test]
fn the_socket_has_its_mode_whatever_the_umask_and_whoever_finds_it_can_connect() {
    let asteroid = Asteroid::start();
    for (umask, listener, expected) in
        [("0", "", 0o660), ("0", "mode: '0600'", 0o600), ("077", "mode: '0666'", 0o666), ("0177", "", 0o660)]
    {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("billing.sock");
        let configuration = at(&asteroid, &socket).listener(listener);
        std::thread::scope(|scope| {
            let first = scope.spawn(|| {
                wait_until(|| socket.symlink_metadata().is_ok());
                (permissions(&socket), Caller::connect_unix(&socket))
            });
            let _gateway = Program::run_under(configuration, &format!("umask {umask}"));
            let (mode, caller) = first.join().unwrap();
            assert_eq!(mode, expected, "umask {umask}, {listener}: {mode:o}");
            assert_eq!(caller.unwrap().execute("{}").status, 202);
            assert_eq!(permissions(&socket), expected);
            assert_eq!(names(dir.path()), ["billing.sock"], "nothing else is left there");
        });
    }
}

#[test]
fn the_socket_comes_to_its_path_when_it_has_its_mode_and_listens() {
    let (dir, asteroid) = (tempfile::tempdir().unwrap(), Asteroid::start());
    let mut command = Command::new("python3");
    command.args(["-c", WATCH]).arg(dir.path());
    let watch = Program::start(command, tempfile::tempdir().unwrap());
    watch.wait_for(|text| text.contains("watching").then_some(()));
    let _gateway = Program::run(at(&asteroid, &dir.path().join("billing.sock")));
    let seen = watch.end().output;
    let [_, lock, room, socket] = seen.lines().collect::<Vec<_>>().try_into().expect("three things came to be");
    assert_eq!(lock, "created .asteroid-gateway.lock");
    assert!(room.starts_with("created ."), "{seen}");
    assert_eq!(socket, "moved billing.sock");
}

#[test]
fn the_socket_gets_the_group_of_a_directory_that_hands_its_group_on() {
    // Only root can give a directory to a group that it is not in.
    if !is_root() {
        return;
    }
    let (dir, asteroid) = (tempfile::tempdir().unwrap(), Asteroid::start());
    chown(dir.path(), None, Some(4711)).unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o2770)).unwrap();
    let socket = dir.path().join("billing.sock");
    let _gateway = Program::run(at(&asteroid, &socket));
    assert_eq!(std::fs::symlink_metadata(&socket).unwrap().gid(), 4711);
}

#[test]
fn who_the_mode_does_not_allow_cannot_connect() {
    // Only root can become another user.
    if !is_root() {
        return;
    }
    let local = Local::configured(|at_the_socket| at_the_socket.listener("mode: '0600'"));
    std::fs::set_permissions(local.dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let mut curl = Command::new("setpriv");
    curl.args(["--reuid=65534", "--regid=65534", "--clear-groups", "curl", "-sS", "--unix-socket"]);
    let output = curl.arg(&local.socket).arg("http://localhost/").output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("connect"), "{output:?}");
}

#[test]
fn a_socket_that_a_crash_left_behind_is_replaced() {
    let local = Local::start();
    local.pair.gateway.signal("KILL");
    assert!(!local.pair.gateway.end().status.success());
    assert_eq!(UnixStream::connect(&local.socket).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    let gateway = Program::run(at(&local.pair.asteroid, &local.socket));
    assert_eq!(Caller::connect_unix(&local.socket).unwrap().execute("{}").status, 202);
    assert_eq!(gateway.events(event::LISTENER_SOCKET_REPLACED).len(), 1);
    assert!(gateway.stop().status.success());
    assert_eq!(names(local.dir.path()), [""; 0], "the socket goes with the gateway");
}

#[test]
fn a_path_at_which_another_process_listens_is_refused_and_that_one_goes_on() {
    let local = Local::start();
    let said = refusal(at(&local.pair.asteroid, &local.socket));
    let expected = format!(
        "listeners[0].address unix:{}: another process listens there; stop it, or choose another path",
        local.socket.display()
    );
    assert!(said.contains(&expected), "{said}");
    assert_eq!(local.caller().execute("{}").status, 202);

    // A listener that accepts nothing, and whose backlog is full.
    let socket = local.dir.path().join("full.sock");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let _full = runtime.block_on(async {
        let listener = tokio::net::UnixSocket::new_stream().unwrap();
        listener.bind(&socket).unwrap();
        let listener = listener.listen(0).unwrap();
        (listener, tokio::net::UnixStream::connect(&socket).await.unwrap())
    });
    let said = refusal(at(&local.pair.asteroid, &socket));
    assert!(said.contains("another process listens there"), "{said}");
}

#[test]
fn of_gateways_that_start_at_once_where_a_stale_socket_is_one_serves_and_the_others_say_why_they_do_not() {
    let (dir, asteroid) = (tempfile::tempdir().unwrap(), Asteroid::start());
    let socket = dir.path().join("billing.sock");
    drop(UnixListener::bind(&socket).unwrap());
    let started: Vec<Program> = (0..5).map(|_| Program::try_run(at(&asteroid, &socket))).collect();
    let has_begun = |program: &Program| !program.events(event::GATEWAY_READY).is_empty();
    let refused = |program: &Program| program.output().contains("another process listens there");
    wait_until(|| started.iter().all(|program| has_begun(program) || refused(program)));
    assert_eq!(started.iter().filter(|program| has_begun(program)).count(), 1);
    assert_eq!(Caller::connect_unix(&socket).unwrap().execute("{}").status, 202);
    assert_eq!(names(dir.path()), ["billing.sock"]);
}

#[test]
fn a_user_who_may_only_read_the_directory_does_not_keep_a_gateway_from_starting() {
    let (dir, asteroid) = (tempfile::tempdir().unwrap(), Asteroid::start());
    let socket = dir.path().join("billing.sock");
    let directory = std::fs::File::open(dir.path()).unwrap();
    directory.lock().unwrap();
    // Every file there that another user can open is locked, too.
    let other = std::fs::File::create(dir.path().join("other")).unwrap();
    other.lock().unwrap();
    let gateway = Program::run(at(&asteroid, &socket));
    assert_eq!(Caller::connect_unix(&socket).unwrap().execute("{}").status, 202);
    assert!(gateway.stop().status.success());
    assert_eq!(names(dir.path()), ["other"], "the gateway's own lock goes when the path is taken");
}

#[test]
fn a_lock_file_that_a_crash_left_behind_is_taken_over_and_what_else_is_there_in_its_place_is_named() {
    let (dir, asteroid) = (tempfile::tempdir().unwrap(), Asteroid::start());
    let (socket, lock) = (dir.path().join("billing.sock"), dir.path().join(".asteroid-gateway.lock"));
    std::fs::write(&lock, "").unwrap();
    assert!(Program::run(at(&asteroid, &socket)).stop().status.success());
    assert_eq!(names(dir.path()), [""; 0]);

    let target = dir.path().join("precious");
    std::fs::write(&target, "precious").unwrap();
    symlink(&target, &lock).unwrap();
    let other = tempfile::tempdir().unwrap();
    let pipe = other.path().join(".asteroid-gateway.lock");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Each gateway waits as long as a start may take.
    let begun = [&socket, &other.path().join("billing.sock")].map(|socket| Program::try_run(at(&asteroid, socket)));
    for (program, lock) in begun.into_iter().zip([lock, pipe]) {
        let said = said_at_refusal(program);
        let advice = "stayed locked; if none is, remove that file";
        assert!(said.contains(&format!("{} {advice}", lock.display())), "{said}");
    }
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "precious");
}

#[test]
fn what_is_no_socket_is_refused_and_left_alone() {
    let (dir, asteroid) = (tempfile::tempdir().unwrap(), Asteroid::start());
    let [file, link, directory] = ["file", "link", "directory"].map(|name| dir.path().join(name));
    std::fs::write(&file, "precious").unwrap();
    let stale = dir.path().join("stale.sock");
    drop(UnixListener::bind(&stale).unwrap());
    symlink(&stale, &link).unwrap();
    std::fs::create_dir(&directory).unwrap();
    for taken in [&file, &link, &directory] {
        let said = refusal(at(&asteroid, taken));
        assert!(said.contains("a file that is not a socket; remove it, or choose"), "{said}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    assert_eq!(std::fs::read_link(&link).unwrap(), stale);
    assert_eq!(names(dir.path()).len(), 4);
}

#[test]
fn a_directory_that_is_missing_or_cannot_be_written_to_is_named() {
    let (dir, asteroid) = (tempfile::tempdir().unwrap(), Asteroid::start());
    let missing = dir.path().join("missing");
    let said = refusal(at(&asteroid, &missing.join("a.sock")));
    let advice = |directory: &Path| {
        format!(
            "{} cannot be used; create that directory, and let the gateway's user read and write there",
            directory.display()
        )
    };
    assert!(said.contains(&advice(&missing)) && said.contains("No such file"), "{said}");

    let closed = dir.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o555)).unwrap();
    // Root without its capabilities is refused like other users.
    let configured = directory(at(&asteroid, &closed.join("a.sock")));
    let config = configured.path().join("gateway.yaml");
    let mut command = Command::new("setpriv");
    if is_root() {
        command.args(["--bounding-set=-all", "--inh-caps=-all"]);
    }
    command.arg(crate::harness::binary().get_program()).arg("run").arg("--config").arg(&config);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(said.contains(&advice(&closed)) && said.contains("Permission denied"), "{said}");
}

#[test]
fn a_socket_that_is_no_longer_the_gateways_own_is_not_removed() {
    let local = Local::start();
    std::fs::remove_file(&local.socket).unwrap();
    let _another = UnixListener::bind(&local.socket).unwrap();
    assert!(local.pair.gateway.stop().status.success());
    assert!(UnixStream::connect(&local.socket).is_ok(), "it is somebody else's");
}

#[test]
fn a_gateway_that_does_not_get_to_serve_leaves_no_socket() {
    let (local, asteroid) = (Local::start(), Asteroid::start());
    let first = local.dir.path().join("first.sock");
    let second = format!("address: 'unix:{}'\ntenant: {{ fixed: billing }}", local.socket.display());
    let said = refusal(at(&asteroid, &first).another_listener(&second));
    assert!(said.contains("listeners[1].address"), "{said}");
    assert_eq!(names(local.dir.path()), ["billing.sock"]);
}

#[test]
fn the_path_is_free_for_the_next_gateway_while_the_one_before_finishes_what_is_in_flight() {
    let local = Local::start();
    local.pair.asteroid.next(json!({"run": true, "then": "stall"}));
    let mut caller = local.caller();
    caller.send_post(EXECUTE, &[], b"{}");
    local.pair.asteroid.wait_for_requests(1);
    local.pair.gateway.signal("TERM");
    wait_until(|| !local.socket.exists());
    assert_eq!(UnixStream::connect(&local.socket).unwrap_err().kind(), ErrorKind::NotFound);
    let next = Program::run(at(&local.pair.asteroid, &local.socket));
    local.pair.asteroid.clear_faults();
    assert_eq!(caller.answer().status, 202);
    assert!(local.pair.gateway.end().status.success());
    assert_eq!(
        Caller::connect_unix(&local.socket).unwrap().execute("{}").status,
        202,
        "the one before has not taken the path away"
    );
    assert!(next.stop().status.success());
}

#[test]
fn gateways_that_replace_one_another_at_one_path_lose_no_start_and_double_none() {
    let (dir, asteroid) = (tempfile::tempdir().unwrap(), Asteroid::start());
    asteroid.always(json!({"run": true, "delay_ms": 5}));
    let socket = dir.path().join("billing.sock");
    // Other addresses than loopback have several workers, which share the backlog.
    let another = "address: 0.0.0.0:0\ntenant: { fixed: billing, trusted_peers: [127.0.0.1] }";
    let configuration = at(&asteroid, &socket).another_listener(another);
    let (answered, enough) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut serving = Program::run(&configuration);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !enough.load(Ordering::Relaxed) {
                    // For a moment between two gateways, no socket is there.
                    let Ok(mut caller) = Caller::connect_unix(&socket) else { continue };
                    assert_eq!(caller.execute("{}").status, 202);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..3 {
            let until = answered.load(Ordering::Relaxed) + 60;
            wait_until(|| answered.load(Ordering::Relaxed) >= until);
            serving.signal("TERM");
            wait_until(|| !socket.exists());
            let ended = std::mem::replace(&mut serving, Program::run(&configuration)).end();
            assert!(ended.status.success() && ended.logged(event::DRAIN_COMPLETED), "{}", ended.output);
        }
        enough.store(true, Ordering::Relaxed);
    });
    assert_eq!(answered.load(Ordering::Relaxed), asteroid.started());
}
