//! The image, run as on Kubernetes: in its own namespaces, as an unprivileged user, on a read-only file system. It finds
//! Asteroid by its real name, through a name server and over TLS.

mod cluster;

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use asteroid_gateway::event;
use serde_json::{Value, json};

use cluster::{CENTRAL, Cluster, POD, SIDECAR, read};

use crate::harness::configuration::replace_once;
use crate::harness::container::{USER, built, unpack};
use crate::harness::{API_KEY, EXECUTE};

/// The search list that the kubelet writes for containers; there is no `/etc/hosts` and no `nsswitch.conf`.
const SEARCH: &str = "search shop.svc.cluster.local svc.cluster.local cluster.local\n";

#[test]
fn the_image_is_one_static_binary_of_roots_that_runs_as_nobody_in_particular() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = dir.path().join("bundle");
    unpack(&bundle);
    let entries: Vec<_> =
        std::fs::read_dir(bundle.join("rootfs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [binary] = entries.as_slice() else { panic!("{entries:?}") };
    let metadata = binary.metadata().unwrap();
    assert!(binary.ends_with("asteroid-gateway") && metadata.is_file());
    assert_eq!((metadata.mode() & 0o7777, metadata.uid(), metadata.gid()), (0o555, 0, 0));

    let headers =
        Command::new("readelf").args(["--wide", "--program-headers", "--dynamic"]).arg(binary).output().unwrap();
    let headers = String::from_utf8(headers.stdout).unwrap();
    assert!(headers.contains("LOAD"), "{headers}");
    for loader in ["INTERP", "NEEDED"] {
        assert!(!headers.contains(loader), "it needs something at run time: {headers}");
    }

    let image: Value = serde_json::from_slice(&std::fs::read(built("docker.json")).unwrap()).unwrap();
    let config = &image["config"];
    assert_eq!(config["User"], "65532:65532");
    assert_eq!((&config["Entrypoint"], &config["Cmd"]), (&json!(["/asteroid-gateway"]), &json!([])));
    assert_eq!(config["Env"].as_array().unwrap().len(), 1, "PATH alone: {}", config["Env"]);
    assert_eq!(config["Labels"]["org.opencontainers.image.version"], "0.0.0-test");
    let health = ["CMD", "/asteroid-gateway", "probe", "--url", "http://127.0.0.1:9090/livez"];
    assert_eq!(config["Healthcheck"]["Test"], json!(health), "there is no shell for it");
}

#[test]
fn nothing_that_lies_beside_the_sources_gets_into_the_build() {
    let names = |dir: &str| {
        let entries = std::fs::read_dir(built(dir)).unwrap().map(|entry| entry.unwrap().file_name());
        entries.map(|name| name.into_string().unwrap()).collect::<BTreeSet<String>>()
    };
    let top = ["Cargo.lock", "Cargo.toml", "benches", "config", "deploy", "src"];
    assert_eq!(names("source"), top.map(str::to_owned).into());
    assert_eq!(names("source/config"), ["dev.yaml".to_owned()].into());
    assert_eq!(names("source/deploy"), ["static".to_owned()].into());
}

#[test]
fn the_roots_that_browsers_trust_are_in_the_binary() {
    let binary = std::fs::read(built("build/asteroid-gateway")).unwrap();
    let roots = webpki_roots::TLS_SERVER_ROOTS;
    assert!(roots.len() > 100);
    for root in roots {
        let key = memchr::memmem::find(&binary, &root.subject_public_key_info);
        assert!(key.is_some(), "{:?} is missing", String::from_utf8_lossy(&root.subject));
    }
    // They are used although the image's file system has no certificate store.
    let cluster = Cluster::without_its_authority();
    let container = cluster.run(SIDECAR);
    let refused = cluster.execute_beside(&container);
    refused.assert_error(502, "unreachable", "not_started");
    let message = refused.json()["message"].to_string();
    assert!(message.contains("no authority that is trusted here signed its certificate"), "{message}");
}

#[test]
fn beside_a_service_the_image_serves_the_sdks_of_both_eras_and_can_do_nothing_else() {
    let cluster = Cluster::new();
    let container = cluster.run(SIDECAR);
    cluster.assert_sdks_execute(cluster.pod(), "127.0.0.1");

    let status = container.process("status");
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    let user = [USER; 4].map(|id| id.to_string()).join("\t");
    assert_eq!((field("Uid:"), field("Gid:"), field("Groups:")), (user.as_str(), user.as_str(), ""));
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    assert_eq!(field("NoNewPrivs:"), "1");
    assert!(field("NSpid:").ends_with("\t1"), "it is the first process: {}", field("NSpid:"));
    let mounts = container.process("mounts");
    let root = mounts.lines().find(|line| line.split(' ').nth(1) == Some("/")).unwrap();
    assert!(root.split(' ').nth(3).unwrap().split(',').any(|option| option == "ro"), "{root}");
    assert!(!container.execute(&["/bin/sh", "-c", "true"]).status.success(), "there is no shell");

    for (path, code) in [("livez", 0), ("readyz", 0), ("nowhere", 1)] {
        let probe =
            container.execute(&["/asteroid-gateway", "probe", "--url", &format!("http://127.0.0.1:9090/{path}")]);
        assert_eq!(probe.status.code(), Some(code), "{path}: {probe:?}");
    }
    let ended = container.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.output);
    assert!(!ended.output.contains(API_KEY) && !ended.output.contains("WARN"), "{}", ended.output);
}

#[test]
fn in_front_of_many_the_image_serves_the_sdks_from_outside_and_probes_come_to_the_pods_address() {
    let cluster = Cluster::new();
    let container = cluster.run(CENTRAL);
    cluster.assert_sdks_execute(cluster.world(), POD);
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(cluster.get(path).status, 200, "{path}");
    }
    assert_eq!(container.stop().status.code(), Some(0));
}

#[test]
fn a_name_is_found_as_kubernetes_writes_the_search_without_hosts_or_nsswitch() {
    let cluster = Cluster::new();
    let container = cluster
        .run_with(SIDECAR, &[("/etc/resolv.conf", &format!("{SEARCH}nameserver 10.77.0.53\noptions ndots:5\n"))]);
    assert_eq!(cluster.execute_beside(&container).status, 202);
    let domains = [".shop.svc.cluster.local", ".svc.cluster.local", ".cluster.local", ""];
    assert_eq!(cluster.asked(), domains.map(|domain| format!("odyssey.asteroid.ai{domain}")));
    container.stop();

    // With `ndots:1`, only the name itself is looked up.
    let container = cluster
        .run_with(SIDECAR, &[("/etc/resolv.conf", &format!("{SEARCH}nameserver 10.77.0.53\noptions ndots:1\n"))]);
    assert_eq!(cluster.execute_beside(&container).status, 202);
    assert_eq!(cluster.asked(), ["odyssey.asteroid.ai"]);
    container.stop();

    let aliases = "127.0.0.1 localhost\n10.77.0.1 odyssey.asteroid.ai\n";
    let container = cluster.run_with(SIDECAR, &[("/etc/hosts", aliases)]);
    assert_eq!(cluster.execute_beside(&container).status, 202, "hostAliases");
    assert_eq!(cluster.asked(), [""; 0]);
}

#[test]
fn a_name_that_nobody_knows_is_said_and_does_not_hold_up_the_end() {
    let cluster = Cluster::new();
    // No name server answers there: each query would take five seconds, and is repeated.
    let container = cluster.run_with(SIDECAR, &[("/etc/resolv.conf", "nameserver 10.77.0.99\n")]);
    cluster.execute_beside(&container).assert_error(502, "unreachable", "not_started");
    let ended = container.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.output);
    assert!(ended.logged(event::DRAIN_COMPLETED), "{}", ended.output);
}

#[test]
fn a_secret_that_the_kubelet_swaps_serves_at_once_and_after_the_next_start() {
    let cluster = Cluster::new();
    let container = cluster.run(CENTRAL);
    assert_eq!(cluster.execute().status, 202);
    cluster.replace_key("ak-second-7d3e9f1a52");
    cluster.wait_for_key(&container, 2);
    assert_eq!(cluster.execute().status, 202);
    assert_eq!(container.stop().status.code(), Some(0));

    cluster.replace_key("ak-third-7d3e9f1a52");
    let container = cluster.run(CENTRAL);
    assert_eq!(cluster.execute().status, 202);
    assert_eq!(container.program.events(event::CREDENTIAL_LOADED).len(), 1);
}

#[test]
fn a_configmap_that_the_kubelet_swaps_is_taken_over_by_the_running_container() {
    let cluster = Cluster::new();
    let container = cluster.run(CENTRAL);
    let team = || cluster.executions().last().unwrap().metadata["team"].clone();
    assert_eq!((cluster.execute().status, team()), (202, json!("billing")));
    let more = replace_once(&read(CENTRAL), "team: billing", "team: payments");
    let reloaded = container.program.reloaded_by(|| cluster.configure(&more));
    assert!(reloaded["reason"].is_null(), "{reloaded}");
    assert_eq!((cluster.execute().status, team()), (202, json!("payments")));
    let refused = container.program.reloaded_by(|| cluster.configure("listeners: []\n"));
    assert!(!refused["reason"].is_null(), "{refused}");
    assert_eq!(
        (cluster.execute().status, team()),
        (202, json!("payments")),
        "what is no configuration changes nothing"
    );
}

#[test]
fn as_the_first_process_sigterm_lets_what_is_in_flight_finish_and_ends_with_0() {
    let cluster = Cluster::new();
    let container = cluster.run(CENTRAL);
    cluster.next(json!({ "run": true, "delay_ms": 1000 }));
    let mut caller = cluster.caller(8080);
    caller.send_post(EXECUTE, &[("X-Tenant-Id", "billing")], b"{}");
    cluster.wait_for_requests(1);
    container.signal("TERM");
    container.program.event(event::DRAIN_BEGUN);
    let answer = caller.answer();
    assert_eq!((answer.status, answer.header("connection")), (202, Some("close")));
    let ended = container.program.end();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.output);
    assert!(ended.logged(event::DRAIN_COMPLETED), "{}", ended.output);
}
