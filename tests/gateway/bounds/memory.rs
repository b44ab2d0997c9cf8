//! In a control group with little memory, no attacker can get the process killed or another tenant's start refused.

use super::*;
use crate::harness::cgroup::MemoryGroup;

/// The connections that an attack keeps open.
type Held = Vec<Box<dyn std::any::Any>>;

/// Opens silent connections from outside `trusted_peers`, which the gateway may close immediately.
fn outsiders(shared: &Shared, count: u32) -> Held {
    let connected = (0..count).filter_map(|_| connect_from(OUTSIDER, shared.address()).ok());
    connected.map(|stream| Box::new(stream) as Box<dyn std::any::Any>).collect()
}

/// Opens connections of a tenant over TLS and HTTP/2, each with an incomplete header block.
fn endless_heads(shared: &Shared, count: u32) -> Held {
    let frames = (0..count).filter_map(|_| shared.greedy_frames(&endless_head()));
    frames.map(|frames| Box::new(frames) as Box<dyn std::any::Any>).collect()
}

/// Opens connections of a tenant, each with as many starts as it may have, and sends only their heads.
fn heads_alone(shared: &Shared, count: u32) -> Held {
    let heads: Vec<u8> = (0..100).flat_map(|n| greedy_head(2 * n + 1)).collect();
    let frames = (0..count).filter_map(|_| shared.greedy_frames(&heads));
    frames.map(|frames| Box::new(frames) as Box<dyn std::any::Any>).collect()
}

/// Opens connections over TLS and HTTP/2, each with as many requests as it may have, and reads no answer.
fn unread_answers(shared: &Shared, count: u32) -> Held {
    let no_window = [0, 4, 0, 0, 0, 0];
    let head = |stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(&start()));
    let requests: Vec<u8> = (0..100).flat_map(|n| head(2 * n + 1)).collect();
    let bytes = [frame(SETTINGS, 0, 0, &no_window), requests].concat();
    let frames = (0..count).filter_map(|_| shared.greedy_frames(&bytes));
    frames.map(|frames| Box::new(frames) as Box<dyn std::any::Any>).collect()
}

#[expect(clippy::print_stdout, reason = "the figures are what is measured")]
/// Runs the attacks one after another; during each, another tenant starts an agent.
fn assert_nobody_is_harmed(mib: u32, connections: u32) {
    // The attackers' own descriptors.
    rlimit::increase_nofile_limit(16 * 1024).unwrap();
    let group = MemoryGroup::new(mib as usize * MIB);
    let shared = Shared::start("idempotency: { memory: 8MiB }", &group.preparation());
    assert_eq!(shared.counted("body_memory_limit_bytes"), in_mib(mib / 4), "the limit of the group counts");
    let places = shared.counted("connections_limit");
    assert!(places < f64::from(connections), "{places} places: the attackers must be more");
    shared.assert_quiet_is_served("nothing else happens");
    let before = group.peak();

    let held = outsiders(&shared, 2 * connections);
    shared.assert_quiet_is_served("silent connections from outside are there");
    drop(held);
    let after_outsiders = group.peak();

    let held = endless_heads(&shared, connections);
    shared.assert_quiet_is_served("header blocks do not end");
    drop(held);
    let after_heads = group.peak();

    // Six connections with a hundred bodies each once got a gateway killed.
    let mut held = Holding::begin(&shared, 6, 100, MIB);
    let refused = held.answers(400);
    assert!(refused.iter().all(|status| *status == Some(503)), "{refused:?}");
    shared.assert_quiet_is_served("bodies are held back");
    drop(held);
    let after_bodies = group.peak();

    let held = heads_alone(&shared, 84);
    shared.assert_quiet_is_served("heads alone have come");
    drop(held);

    let after_heads_alone = group.peak();

    let held = unread_answers(&shared, connections / 3);
    shared.assert_quiet_is_served("answers are not taken");
    drop(held);

    let peaks = [before, after_outsiders, after_heads, after_bodies, after_heads_alone, group.peak()]
        .map(|peak| peak / MIB as u64);
    println!(
        "{mib} MiB, peaks in MiB: at first, outsiders, endless heads, bodies, heads alone, unread answers: {peaks:?}"
    );
    assert_eq!(group.killed(), 0, "{peaks:?}");
    assert_eq!(shared.asteroid.starts().len(), 6);
    assert!(shared.gateway.stop().status.success());
}

#[test]
fn in_128_mib_nobody_outside_has_the_process_killed_or_another_tenant_s_start_refused() {
    assert_nobody_is_harmed(128, 600);
}

#[test]
fn in_512_mib_nobody_outside_has_the_process_killed_or_another_tenant_s_start_refused() {
    assert_nobody_is_harmed(512, 1800);
}
