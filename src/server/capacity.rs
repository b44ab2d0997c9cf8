//! How many callers may be connected, and which connection is evicted if no permit is free for a new one.
//!
//! Each connection may need another one to the upstream, so the limit of open files bounds their number. Each takes memory before
//! its tenant is known, so memory bounds it as well. Half of the permits are reserved for the listeners, in equal parts.
//!
//! If no permit is free, the connection that has been silent longest is evicted. It is chosen on the listener with the most
//! connections, and there from the peer with the most. So a peer that connects without end takes permits only from itself.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::caller::Peer;

use super::activity::Activity;

/// The most connections of a process, however many files it may have open.
const MAX_CONNECTIONS: usize = 10_000;

/// Files that are open for other purposes: probes (as many as the admin listener serves), listeners, logs, and the runtimes of the
/// process and of one worker.
const RESERVED_FILES: usize = 128;

/// Files of each further worker's runtime. Its handles on the listeners are counted apart.
const WORKER_FILES: usize = 4;

/// The limit of open files that is assumed if the system does not report one.
const DEFAULT_OPEN_FILES: usize = 1024;

/// The most memory that a connection takes before a tenant is charged, in bytes: the head and buffers, and with TLS those of
/// the handshake and of HTTP/2.
const PLAIN_BYTES: u64 = 64 * 1024;
const TLS_BYTES: u64 = 96 * 1024;

/// How long a new connection waits for an evicted one to end before another is evicted.
const EVICTION_TIMEOUT: Duration = Duration::from_millis(100);

/// The connection permits of one process, shared by its workers.
#[derive(Debug, Clone)]
pub struct Capacity(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    max: usize,
    /// How many permits are reserved for each listener.
    reserved: usize,
    connections: Mutex<Connections>,
    freed: Notify,
}

#[derive(Debug)]
struct Connections {
    count: usize,
    listeners: Vec<ListenerConnections>,
}

#[derive(Debug, Default)]
struct ListenerConnections {
    count: usize,
    peers: HashMap<PeerGroup, Vec<Arc<Activity>>>,
}

/// A group of peers whose connections are counted together: an IPv4 address, the /64 network of an IPv6 address, or a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum PeerGroup {
    Address(IpAddr),
    User(Option<u32>),
}

impl From<Peer> for PeerGroup {
    fn from(peer: Peer) -> PeerGroup {
        match peer {
            Peer::Unix(user) => PeerGroup::User(user),
            Peer::Tcp(address) => PeerGroup::Address(match address.ip().to_canonical() {
                IpAddr::V6(address) => {
                    let [a, b, c, d, ..] = address.segments();
                    Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
                }
                address @ IpAddr::V4(_) => address,
            }),
        }
    }
}

/// A permit for one connection; dropping it returns it.
#[derive(Debug)]
pub struct ConnectionPermit {
    shared: Arc<Shared>,
    listener: usize,
    peers: PeerGroup,
    activity: Arc<Activity>,
}

impl Capacity {
    /// Creates the permits of a process: as many as fit into half of the files that it may open beside the reserved ones, and into
    /// a quarter of its memory, but at most 10,000. Raises the soft limit of open files as far as the hard limit allows.
    #[must_use]
    pub fn of_process(listeners: usize, workers: usize, with_tls: bool, available_memory: u64) -> Capacity {
        let reserved = reserved_files(listeners, workers);
        let wanted = u64::try_from(2 * MAX_CONNECTIONS + reserved).unwrap_or(u64::MAX);
        let open_files = rlimit::increase_nofile_limit(wanted).ok().and_then(|limit| usize::try_from(limit).ok());
        let by_files = open_files.unwrap_or(DEFAULT_OPEN_FILES).saturating_sub(reserved) / 2;
        let each = if with_tls { TLS_BYTES } else { PLAIN_BYTES };
        let by_memory = usize::try_from(available_memory / 4 / each).unwrap_or(MAX_CONNECTIONS);
        Capacity::new(listeners, by_files.min(by_memory).clamp(1, MAX_CONNECTIONS))
    }

    /// Creates `max` permits, of which each listener has a reserved part.
    #[must_use]
    pub fn new(listeners: usize, max: usize) -> Capacity {
        let connections =
            Connections { count: 0, listeners: (0..listeners).map(|_| ListenerConnections::default()).collect() };
        let reserved = max / 2 / listeners.max(1);
        Capacity(Arc::new(Shared { max, reserved, connections: Mutex::new(connections), freed: Notify::new() }))
    }

    /// Returns how many permits there are.
    #[must_use]
    pub fn max(&self) -> usize {
        self.0.max
    }

    /// Takes a permit, and returns it if one is free.
    fn try_acquire(&self, listener: usize, peer: Peer) -> Option<ConnectionPermit> {
        let Shared { max, reserved, .. } = *self.0;
        let peers = PeerGroup::from(peer);
        let mut connections = self.0.lock();
        let others = connections.listeners.iter().enumerate().filter(|(at, _)| *at != listener);
        let reserved: usize = others.map(|(_, other)| reserved.saturating_sub(other.count)).sum();
        if connections.count + reserved >= max {
            return None;
        }
        let activity = Arc::<Activity>::default();
        let own = connections.listeners.get_mut(listener)?;
        own.count += 1;
        own.peers.entry(peers).or_default().push(Arc::clone(&activity));
        connections.count += 1;
        Some(ConnectionPermit { shared: Arc::clone(&self.0), listener, peers, activity })
    }

    /// Evicts a connection for a new one. Returns false if none may be evicted, because the gateway is working for all of them.
    fn evict_for(&self, listener: usize, peer: Peer) -> bool {
        let silent = self.0.lock().find_evictable(listener, peer.into());
        silent.inspect(|activity| activity.evict()).is_some()
    }

    /// Waits for a permit, evicts connections for it, and returns it. Calls `on_delay` once if no connection may be evicted, also
    /// if that turns out only after one was to be evicted, which brought a request just then.
    pub async fn acquire(&self, listener: usize, peer: Peer, on_delay: impl FnOnce()) -> ConnectionPermit {
        let mut on_delay = Some(on_delay);
        loop {
            let freed = self.0.freed.notified();
            if let Some(permit) = self.try_acquire(listener, peer) {
                return permit;
            }
            if !self.evict_for(listener, peer)
                && let Some(on_delay) = on_delay.take()
            {
                on_delay();
            }
            // The time is up, or another connection took the permit that was returned.
            drop(timeout(EVICTION_TIMEOUT, freed).await);
        }
    }
}

/// Returns how many files may be open for other purposes than connections.
fn reserved_files(listeners: usize, workers: usize) -> usize {
    RESERVED_FILES + workers.saturating_sub(1) * (WORKER_FILES + listeners)
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    /// Returns the connection to evict for a new one: the one that has been silent longest, on the listener and from the peer with
    /// the most connections. A listener or peer with fewer connections than the new one's own is spared.
    fn find_evictable(&self, listener: usize, newcomer: PeerGroup) -> Option<Arc<Activity>> {
        let own = self.listeners.get(listener)?.count;
        let mut listeners: Vec<(usize, &ListenerConnections)> =
            self.listeners.iter().enumerate().filter(|(at, other)| *at == listener || other.count > own).collect();
        listeners.sort_by_key(|(_, other)| std::cmp::Reverse(other.count));
        listeners.into_iter().find_map(|(at, other)| {
            let min = if at == listener { other.peers.get(&newcomer).map_or(0, Vec::len) } else { 0 };
            let peers = other.peers.values().filter(|connections| connections.len() >= min);
            let of_each = peers.filter_map(|connections| {
                let silent = connections.iter().filter_map(|activity| Some((activity.silent_since()?, activity)));
                let (since, activity) = silent.min_by_key(|(since, _)| *since)?;
                Some((std::cmp::Reverse(connections.len()), since, activity))
            });
            let first = of_each.min_by_key(|(count, since, _)| (*count, *since));
            first.map(|(_, _, activity)| Arc::clone(activity))
        })
    }
}

impl ConnectionPermit {
    /// Returns the connection's activity.
    #[must_use]
    pub fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut connections = self.shared.lock();
        connections.count -= 1;
        if let Some(listener) = connections.listeners.get_mut(self.listener) {
            listener.count -= 1;
            if let Some(activities) = listener.peers.get_mut(&self.peers) {
                let at = activities.iter().position(|activity| Arc::ptr_eq(activity, &self.activity));
                at.into_iter().for_each(|at| drop(activities.swap_remove(at)));
                if activities.is_empty() {
                    listener.peers.remove(&self.peers);
                }
            }
        }
        drop(connections);
        self.shared.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn peer(last: u8) -> Peer {
        Peer::Tcp(SocketAddr::from(([10, 0, 0, last], 1)))
    }

    /// Takes permits until none is free, and returns them.
    fn fill(capacity: &Capacity, listener: usize, peer: Peer) -> Vec<ConnectionPermit> {
        std::iter::from_fn(|| capacity.try_acquire(listener, peer)).collect()
    }

    /// Returns the positions of the evicted ones.
    fn evicted(permits: &[ConnectionPermit]) -> Vec<usize> {
        let is_evicted = |permit: &ConnectionPermit| permit.activity.silent_since().is_none();
        permits.iter().enumerate().filter(|(_, permit)| is_evicted(permit)).map(|(at, _)| at).collect()
    }

    #[tokio::test]
    async fn each_listener_has_permits_that_no_other_takes() {
        let capacity = Capacity::new(2, 100);
        let most = fill(&capacity, 0, peer(1));
        assert_eq!(most.len(), 75);
        assert_eq!(fill(&capacity, 1, peer(1)).len(), 25);
        drop(most);
        assert_eq!(fill(&capacity, 1, peer(1)).len(), 75);
        assert_eq!(fill(&Capacity::new(1, 100), 0, peer(1)).len(), 100);
        assert_eq!(fill(&Capacity::new(2, 1), 1, peer(1)).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_connection_that_has_been_silent_longest_is_evicted_and_none_with_a_request_in_progress() {
        let capacity = Capacity::new(1, 3);
        let permits = fill(&capacity, 0, peer(1));
        let request = permits[0].activity.begin_request();
        tokio::time::advance(Duration::from_secs(1)).await;
        drop(permits[1].activity.begin_request());
        assert!(capacity.evict_for(0, peer(1)));
        assert_eq!(evicted(&permits), [0, 2], "the first has a request in progress, the second has just been answered");
        assert!(capacity.evict_for(0, peer(2)));
        assert!(!capacity.evict_for(0, peer(2)), "no other connection may be evicted");
        drop(request);
        assert!(capacity.evict_for(0, peer(2)));
    }

    #[tokio::test]
    async fn the_peer_with_the_most_connections_loses_one_and_takes_only_from_itself() {
        let capacity = Capacity::new(2, 8);
        let few = [capacity.try_acquire(0, peer(2)).unwrap()];
        let many = fill(&capacity, 0, peer(1));
        assert_eq!(many.len(), 5);
        for _ in 0..5 {
            assert!(capacity.evict_for(0, peer(1)));
        }
        assert!(!capacity.evict_for(0, peer(1)));
        assert_eq!((evicted(&many).len(), evicted(&few).len()), (5, 0));
        let other = fill(&capacity, 1, peer(3));
        assert_eq!(other.len(), 2);
        assert!(capacity.evict_for(1, peer(3)), "the listener with more connections loses one first");
        assert_eq!((evicted(&few).len(), evicted(&other).len()), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn among_peers_with_equally_many_connections_the_one_silent_longest_loses_one() {
        let capacity = Capacity::new(1, 50);
        let mut permits = Vec::new();
        for last in 0..50 {
            permits.push(capacity.try_acquire(0, peer(last)).unwrap());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert!(capacity.evict_for(0, peer(200)));
        assert_eq!(evicted(&permits), [0]);
    }

    #[test]
    fn peers_are_distinguished_by_the_part_of_an_address_that_one_caller_owns() {
        let group = |address: &str| PeerGroup::from(Peer::Tcp(address.parse().unwrap()));
        assert_eq!(group("[2001:db8:1:2::1]:1"), group("[2001:db8:1:2:ffff::9]:2"));
        assert_ne!(group("[2001:db8:1:2::1]:1"), group("[2001:db8:1:3::1]:1"));
        assert_eq!(group("[::ffff:10.0.0.1]:1"), group("10.0.0.1:2"));
        assert_ne!(group("10.0.0.1:1"), group("10.0.0.2:1"));
        assert_ne!(PeerGroup::from(Peer::Unix(Some(1))), PeerGroup::from(Peer::Unix(Some(2))));
    }

    #[test]
    fn files_are_reserved_for_what_each_worker_has_open() {
        assert_eq!(reserved_files(2, 1), RESERVED_FILES);
        assert_eq!(reserved_files(2, 256), RESERVED_FILES + 255 * (WORKER_FILES + 2));
    }

    #[test]
    fn memory_bounds_the_permits() {
        assert_eq!(Capacity::of_process(1, 1, false, 0).max(), 1);
        let small = Capacity::of_process(1, 1, false, 1 << 20).max();
        assert_eq!(small, 4);
        assert!(Capacity::of_process(1, 1, true, 1 << 20).max() < small);
    }
}
