//! Rotation of the audit file: a moved file is reopened, and no record is lost or divided.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::harness::configuration::replace_once;

/// Stops the callers when it is dropped, even if the test fails.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sends starts from several callers while `rotate` moves the file away repeatedly.
fn under_load(rotate: impl Fn(&Audited, &Path)) {
    const ROTATIONS: usize = 8;
    let audited = Audited::start();
    let done = AtomicBool::new(false);
    let moved: Vec<PathBuf> = (0..ROTATIONS).map(|n| audited.file.with_extension(n.to_string())).collect();
    let mut answered: Vec<Value> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let mut caller = audited.pair.caller();
                let done = &done;
                scope.spawn(move || {
                    let mut answered = Vec::new();
                    while !done.load(Ordering::Relaxed) {
                        answered.push(caller.execute("{}").json()["executionId"].clone());
                    }
                    answered
                })
            })
            .collect();
        let rotated = StopOnDrop(&done);
        for moved in &moved {
            wait_until(|| (audited.records().len() > 5).then_some(()));
            rotate(&audited, moved);
        }
        drop(rotated);
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    });
    let Audited { pair: Pair { asteroid, gateway }, file, _dir } = audited;
    let ended = gateway.stop();
    assert!(ended.status.success(), "{}", ended.output);
    let all = moved.iter().chain([&file]).flat_map(|file| records(file));
    let mut written: Vec<Value> = all.map(|record| record["execution_id"].clone()).collect();
    assert_eq!(asteroid.started(), answered.len());
    for ids in [&mut written, &mut answered] {
        ids.sort_by_key(Value::to_string);
    }
    assert_eq!(written, answered);
}

#[test]
fn a_file_that_is_moved_away_under_load_is_followed_without_a_signal() {
    under_load(|audited, moved| std::fs::rename(&audited.file, moved).unwrap());
}

#[test]
fn a_file_that_is_moved_away_and_made_anew_under_load_is_followed_with_a_signal() {
    under_load(|audited, moved| {
        std::fs::rename(&audited.file, moved).unwrap();
        std::fs::write(&audited.file, "").unwrap();
        audited.pair.gateway.signal("HUP");
    });
}

#[test]
fn the_documented_logrotate_moves_the_file_away_and_records_go_on_in_the_next() {
    let audited = Audited::start();
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/AUDIT.md")).unwrap();
    let shown = document.split("```logrotate\n").nth(1).unwrap().split("```").next().unwrap();
    let named = |option| String::from_utf8(Command::new("id").arg(option).output().unwrap().stdout).unwrap();
    let owner = format!("{} {}", named("-un").trim(), named("-gn").trim());
    let here = replace_once(shown, "/var/log/asteroid-gateway/audit.jsonl", audited.file.to_str().unwrap());
    let here = replace_once(&here, "asteroid asteroid", &owner);
    let at = |name: &str| audited.file.with_file_name(name);
    std::fs::write(at("logrotate"), here).unwrap();
    audited.recorded("before", &[], b"{}");
    // On Debian, its directory is only in root's PATH.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap());
    let mut logrotate = Command::new("env");
    logrotate
        .arg(format!("PATH={path}"))
        .args(["logrotate", "--force", "--state"])
        .args([at("state"), at("logrotate")]);
    let rotated = logrotate.output().unwrap();
    assert!(rotated.status.success(), "{rotated:?}");
    assert_eq!(records(&audited.file), [] as [Value; 0]);
    audited.recorded("after", &[], b"{}");
    assert_eq!(audited.records().len(), 1);
    let moved = std::fs::read_dir(audited.file.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let [moved] =
        moved.filter(|path| path.to_str().unwrap().contains("audit.jsonl-")).collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(records(&moved)[0]["request_id"], "before");
    assert_eq!(std::fs::metadata(&audited.file).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_signal_has_the_file_made_at_once_where_nothing_is_started() {
    let audited = Audited::start();
    std::fs::rename(&audited.file, audited.file.with_extension("1")).unwrap();
    audited.pair.gateway.signal("HUP");
    wait_until(|| audited.file.exists().then_some(()));
    assert_eq!(audited.pair.gateway.admin("/livez").status, 200);
}
