//! A configured file can be a pipe, have no end, or be on a mount that hangs. Only the parts that need its content wait.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use asteroid_gateway::event;

use crate::harness::configuration::{directory, replace_once};
use crate::harness::{Asteroid, Configuration, Pair, Program, binary};

/// A script that takes a lease on a file, so that every process that opens it waits.
const LEASE: &str = r#"
import fcntl, os, signal, sys

signal.signal(signal.SIGIO, signal.SIG_IGN)
held = [os.open(path, os.O_RDWR) for path in sys.argv[1:]]
for file in held:
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("held", flush=True)
signal.pause()
"#;

/// Files that hang when they are opened, as on a mount with an unreachable server, until this is dropped.
struct Hung(Child);

impl Hung {
    fn hold(paths: &[impl AsRef<std::ffi::OsStr>]) -> Hung {
        let mut python = Command::new("python3");
        let mut child = python.args(["-c", LEASE]).args(paths).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "held\n");
        Hung(child)
    }

    /// Replaces files with ones that hang.
    fn replace(paths: &[impl AsRef<Path>], content: &[u8]) -> Hung {
        let new: Vec<PathBuf> = paths.iter().map(|path| path.as_ref().with_extension("new")).collect();
        new.iter().for_each(|new| std::fs::write(new, content).unwrap());
        let hung = Hung::hold(&new);
        new.iter().zip(paths).for_each(|(new, path)| std::fs::rename(new, path).unwrap());
        hung
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn threads(program: &Program) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap();
    status.lines().find_map(|line| line.strip_prefix("Threads:")).unwrap().trim().parse().unwrap()
}

fn hanging(program: &Program, file: &str) {
    program.line(|line| line["event"] == event::FILE_READING_HUNG && line["file"].as_str().unwrap().ends_with(file));
}

/// Makes a directory with a configuration that names a CA, a certificate and its private key, and with these files.
fn prepared() -> tempfile::TempDir {
    let configuration = Configuration::for_upstream("https://localhost:1/").upstream("ca_file: '{dir}/ca.pem'");
    let dir = directory(configuration.tls(Path::new("{dir}")));
    crate::harness::certificates::Authority::new().write("localhost", dir.path());
    std::fs::copy(dir.path().join("cert.pem"), dir.path().join("ca.pem")).unwrap();
    dir
}

/// Returns the output of a command, which must exit with 1.
fn refused(command: &str, config: &Path) -> String {
    let output = binary().arg(command).arg("--config").arg(config).output().unwrap();
    let printed = [output.stdout.as_slice(), &output.stderr].map(String::from_utf8_lossy).concat();
    assert_eq!(output.status.code(), Some(1), "{printed}");
    printed
}

/// Returns what can be in place of a file, each with its part of the error.
fn impostors(dir: &Path) -> [(PathBuf, &'static str); 4] {
    let [pipe, huge] = ["pipe", "huge"].map(|name| dir.join(name));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // A sparse file, because writing that much would take long.
    std::fs::File::create(&huge).unwrap().set_len(1 << 40).unwrap();
    let directory = dir.join("directory");
    std::fs::create_dir(&directory).unwrap();
    [
        (pipe, "it is not a regular file"),
        ("/dev/zero".into(), "it is not a regular file"),
        (huge, "it is larger than "),
        (directory, "directory"),
    ]
}

#[test]
fn what_is_no_file_or_has_no_end_keeps_it_from_starting_and_is_named() {
    let dir = prepared();
    let config = dir.path().join("gateway.yaml");
    for (impostor, why) in impostors(dir.path()) {
        for command in ["check", "run", "explain"] {
            let mut run = binary();
            run.arg(command).arg("--config").arg(&impostor);
            if command == "explain" {
                run.args(["--tenant", "billing", "--agent", crate::harness::AGENT]);
            }
            let output = run.stdin(Stdio::null()).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.code() == Some(1) && said.contains(why), "{command}: {said}");
        }
        for (file, key) in
            [("ca.pem", "upstream.ca_file"), ("cert.pem", "tls.certificate_file"), ("key.pem", "tls.key_file")]
        {
            let path = dir.path().join(file);
            let kept = dir.path().join("kept");
            std::fs::rename(&path, &kept).unwrap();
            std::os::unix::fs::symlink(&impostor, &path).unwrap();
            let said = refused("run", &config);
            assert!(said.contains(key) && said.contains(why), "{file}: {said}");
            std::fs::rename(&kept, &path).unwrap();
        }
    }
}

#[test]
fn a_file_that_hangs_keeps_it_from_starting_and_is_named() {
    let dir = prepared();
    let config = dir.path().join("gateway.yaml");
    let cases = [
        ("gateway.yaml", "check", "gateway.yaml: cannot be read: "),
        ("gateway.yaml", "run", "gateway.yaml: cannot be read: "),
        ("ca.pem", "run", "upstream.ca_file "),
        ("cert.pem", "run", "tls.certificate_file: "),
        ("key.pem", "run", "tls.key_file: "),
    ];
    for (file, command, named) in cases {
        let _hung = Hung::hold(&[&dir.path().join(file)]);
        let said = refused(command, &config);
        assert!(said.contains(named) && said.contains("no answer within 5s"), "{file}: {said}");
    }
}

#[test]
fn sighup_does_not_end_it_while_it_waits_for_its_configuration() {
    let dir = prepared();
    let config = dir.path().join("gateway.yaml");
    let _hung = Hung::hold(&[&config]);
    let mut run = binary().arg("run").arg("--config").arg(&config).stderr(Stdio::piped()).spawn().unwrap();
    let pid = run.id().to_string();
    let waits = || std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().count() > 1;
    while !waits() {
        std::thread::yield_now();
    }
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    let mut said = String::new();
    run.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(1), "{said}");
    assert!(said.contains("gateway.yaml: cannot be read: no answer within 5s"), "{said}");
}

#[test]
fn files_that_come_to_hang_hold_up_neither_requests_nor_probes_nor_a_new_key_nor_the_end() {
    let pair = Pair::before(Asteroid::start_tls("localhost"), "");
    let config = pair.gateway.dir().join("gateway.yaml");
    let (text, ca) = (std::fs::read_to_string(&config).unwrap(), std::fs::read(pair.asteroid.ca_file()).unwrap());
    let changed = replace_once(&text, r#""team":"billing""#, r#""team":"invoices""#);
    let hung = Hung::replace(&[&config], changed.as_bytes());
    let line = pair.gateway.reloaded_by(|| hanging(&pair.gateway, "gateway.yaml"));
    assert!(line["reason"].as_str().unwrap().contains("no answer within 5s"), "{line}");
    let _ca = Hung::replace(&[pair.asteroid.ca_file()], &ca);
    hanging(&pair.gateway, "ca.pem");
    assert_eq!(pair.execute("{}").status, 202);
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(pair.gateway.admin(path).status, 200, "{path}");
    }
    std::fs::write(pair.gateway.dir().join("key"), "ak-new-beside-a-file-that-hangs").unwrap();
    pair.asteroid.replace_api_key("ak-new-beside-a-file-that-hangs");
    assert_eq!(pair.execute("{}").status, 202);

    let line = pair.gateway.reloaded_by(|| drop(hung));
    assert_eq!(line["event"], event::CONFIG_RELOADED, "{line}");
    assert!(pair.gateway.stop().status.success(), "the CA hangs still");
}

#[test]
fn a_mount_that_hangs_costs_two_threads_and_keeps_no_other_key_from_being_read() {
    let asteroid = Asteroid::start();
    let mount = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..40).map(|number| format!("c{number}")).collect();
    let files: Vec<PathBuf> = names.iter().map(|name| mount.path().join(name)).collect();
    let configuration = names.iter().zip(&files).fold(asteroid.configuration(), |configuration, (name, file)| {
        configuration.credential(name, &format!("file: '{}'", file.display()))
    });
    for file in &files {
        std::fs::write(file, crate::harness::API_KEY).unwrap();
    }
    let pair = Pair::run(asteroid, configuration);
    let before = threads(&pair.gateway);
    // Renamed over the files that were read, so that each is opened again.
    let hung = Hung::replace(&files, b"ak-another-0123456789");
    let metric = |state: &'static str| {
        let found = |metrics: &crate::harness::metrics::Metrics| {
            let of = |name: &String| {
                metrics.find("asteroid_gateway_credential_state", &[("credential", name), ("state", state)])
            };
            names.iter().filter(|name| of(name) == Some(1.0)).count()
        };
        pair.gateway.wait_for_metrics(found, &40);
    };
    metric("stale");
    assert!(threads(&pair.gateway) <= before + 2, "{} instead of {before}", threads(&pair.gateway));
    std::fs::write(pair.gateway.dir().join("key"), "ak-new-beside-a-mount-that-hangs").unwrap();
    pair.asteroid.replace_api_key("ak-new-beside-a-mount-that-hangs");
    assert_eq!(pair.execute("{}").status, 202, "the key of another directory rotates");
    drop(hung);
    metric("fresh");
    assert!(threads(&pair.gateway) <= before, "{} instead of {before}", threads(&pair.gateway));
    assert!(pair.gateway.stop().status.success());
}

/// What a process has done since it began, by the counts of its system.
#[derive(Debug)]
struct Work {
    /// System calls that read.
    reads: u64,
    /// How often a thread of it went to sleep.
    sleeps: u64,
    /// Processor time, in hundredths of a second.
    ticks: u64,
}

impl Work {
    fn of(program: &Program) -> Work {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", program.id())).unwrap();
        let number = |text: &str, name: &str| -> u64 {
            text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().parse().unwrap()
        };
        let threads = std::fs::read_dir(format!("/proc/{}/task", program.id())).unwrap();
        let names = threads.map(|thread| thread.unwrap().file_name().into_string().unwrap());
        let sleeps = names.map(|name| number(&read(&format!("task/{name}/status")), "voluntary_ctxt_switches:")).sum();
        let stat = read("stat");
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks = fields[11..=12].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        Work { reads: number(&read("io"), "syscr:"), sleeps, ticks }
    }
}

#[test]
fn two_thousand_credentials_cost_an_idle_gateway_next_to_nothing() {
    const COUNT: u64 = 2000;
    const SECONDS: u64 = 6;
    let asteroid = Asteroid::start();
    let dir = tempfile::tempdir().unwrap();
    let configuration = (0..COUNT).fold(asteroid.configuration(), |configuration, number| {
        let file = dir.path().join(format!("c{number}"));
        std::fs::write(&file, format!("ak-of-a-credential-{number:08}")).unwrap();
        configuration.credential(&format!("c{number}"), &format!("file: '{}'", file.display()))
    });
    let gateway = Program::run_watched(configuration);
    // By then the files are so old that their attributes tell whether they have changed.
    std::thread::sleep(std::time::Duration::from_secs(4));
    let before = Work::of(&gateway);
    std::thread::sleep(std::time::Duration::from_secs(SECONDS));
    let after = Work::of(&gateway);
    let [reads, sleeps, ticks] = [after.reads - before.reads, after.sleeps - before.sleeps, after.ticks - before.ticks];
    println!(
        "in {SECONDS} s: {reads} reads, {sleeps} sleeps of threads, {ticks} hundredths of a second of a processor"
    );
    // A file is read every ten seconds, until its end. Reading all of them each second would take five times as many.
    assert!(reads <= 4 * COUNT, "{reads} reads");
    assert!(sleeps < COUNT, "{sleeps}: no credential has a clock of its own");
    assert!(ticks < 10 * SECONDS, "{ticks}: less than a tenth of a processor, in a program that is not optimised");
}

#[test]
fn threads_do_not_grow_with_credentials() {
    let asteroid = Asteroid::start();
    let keys = tempfile::tempdir().unwrap();
    let count = 500;
    let file = |number: usize| keys.path().join(format!("c{number}"));
    let put =
        |key: &str| (0..count).for_each(|number| std::fs::write(file(number), format!("{key}-{number:08}")).unwrap());
    put("ak-before");
    let few = Program::run(asteroid.configuration());
    let gateway = Program::run((0..count).fold(asteroid.configuration(), |configuration, number| {
        configuration.credential(&format!("c{number}"), &format!("file: '{}'", file(number).display()))
    }));
    put("ak-after");
    let read = |text: &str| text.lines().filter(|line| line.contains(event::CREDENTIAL_LOADED)).count();
    gateway.wait_for(|text| (read(text) > 2 * count).then_some(()));
    assert_eq!(threads(&gateway), threads(&few));
}
