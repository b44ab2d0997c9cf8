//! How many callers may be connected, and which connection leaves when there is no place for another.
//!
//! Each may need a connection to the upstream beside its own, so open files bound them; and each takes memory before anybody
//! knows its tenant, so memory does, too. Half of the places are set aside, in equal parts, for the listeners. If there is
//! no place for a newcomer, the connection that has waited for its caller longest leaves: of the listener that has most,
//! and there of the peer that has most. So a peer that takes all it can get takes it from itself.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::caller::Peer;

use super::activity::Activity;

/// More are never taken, however many files may be open.
const MOST: usize = 10_000;

/// Files that are open for other things: as many probes as the admin listener serves, and listeners, logs, runtimes.
const RESERVED_FILES: usize = 128;

/// Assumed if the system does not say how many files may be open.
const OPEN_FILES: usize = 1024;

/// What a connection takes at most before a tenant is charged, in bytes: the head and buffers, and with TLS those of the
/// handshake and of HTTP/2.
const PLAIN_BYTES: u64 = 64 * 1024;
const TLS_BYTES: u64 = 96 * 1024;

/// How long a newcomer waits for a connection that was told to leave, before it tells another.
const EVICTION: Duration = Duration::from_millis(100);

/// The places of one process, shared by its workers.
#[derive(Debug, Clone)]
pub struct Capacity(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    max: usize,
    /// Places that are set aside for each listener.
    reserved: usize,
    places: Mutex<Places>,
    freed: Notify,
}

#[derive(Debug)]
struct Places {
    used: usize,
    listeners: Vec<Listener>,
}

#[derive(Debug, Default)]
struct Listener {
    used: usize,
    peers: HashMap<Origin, Vec<Arc<Activity>>>,
}

/// What connections are counted by: an IPv4 address, the part of an IPv6 address that a network is given, or a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Origin {
    Address(IpAddr),
    User(Option<u32>),
}

impl From<Peer> for Origin {
    fn from(peer: Peer) -> Origin {
        match peer {
            Peer::Unix(user) => Origin::User(user),
            Peer::Tcp(address) => Origin::Address(match address.ip().to_canonical() {
                IpAddr::V6(address) => {
                    let [a, b, c, d, ..] = address.segments();
                    Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
                }
                address @ IpAddr::V4(_) => address,
            }),
        }
    }
}

/// A connection's place.
#[derive(Debug)]
pub struct ConnectionPermit {
    shared: Arc<Shared>,
    listener: usize,
    origin: Origin,
    activity: Arc<Activity>,
}

impl Capacity {
    /// Creates the places of a process: for half of the files that may be open beside the reserved ones, for a quarter of its
    /// memory, at most 10,000. The soft limit of open files is raised for it as far as the hard one allows.
    #[must_use]
    pub fn of_process(listeners: usize, with_tls: bool, available_memory: u64) -> Capacity {
        let wanted = u64::try_from(2 * MOST + RESERVED_FILES).unwrap_or(u64::MAX);
        let open_files = rlimit::increase_nofile_limit(wanted).ok().and_then(|limit| usize::try_from(limit).ok());
        let by_files = open_files.unwrap_or(OPEN_FILES).saturating_sub(RESERVED_FILES) / 2;
        let each = if with_tls { TLS_BYTES } else { PLAIN_BYTES };
        let by_memory = usize::try_from(available_memory / 4 / each).unwrap_or(MOST);
        Capacity::new(listeners, by_files.min(by_memory).clamp(1, MOST))
    }

    /// Creates this many places for so many listeners.
    #[must_use]
    pub fn new(listeners: usize, max: usize) -> Capacity {
        let places = Places { used: 0, listeners: (0..listeners).map(|_| Listener::default()).collect() };
        let reserved = max / 2 / listeners.max(1);
        Capacity(Arc::new(Shared { max, reserved, places: Mutex::new(places), freed: Notify::new() }))
    }

    /// Returns how many places there are.
    #[must_use]
    pub fn max(&self) -> usize {
        self.0.max
    }

    /// Takes a place if one is free.
    #[must_use]
    pub fn try_permit(&self, listener: usize, peer: Peer) -> Option<ConnectionPermit> {
        let Shared { max, reserved, .. } = *self.0;
        let origin = Origin::from(peer);
        let mut places = self.0.lock();
        let kept =
            |(at, other): (usize, &Listener)| if at == listener { 0 } else { reserved.saturating_sub(other.used) };
        let kept: usize = places.listeners.iter().enumerate().map(kept).sum();
        if places.used + kept >= max {
            return None;
        }
        let activity = Arc::<Activity>::default();
        let here = places.listeners.get_mut(listener)?;
        here.used += 1;
        here.peers.entry(origin).or_default().push(Arc::clone(&activity));
        places.used += 1;
        Some(ConnectionPermit { shared: Arc::clone(&self.0), listener, origin, activity })
    }

    /// Tells a connection to leave its place to a newcomer. Returns false if all are worked for.
    #[must_use]
    pub fn evict_for(&self, listener: usize, peer: Peer) -> bool {
        let silent = self.0.lock().silent_longest(listener, peer.into());
        silent.inspect(|activity| activity.evict()).is_some()
    }

    /// Waits for a place to become free, and tells connections to leave for it.
    pub async fn permit(&self, listener: usize, peer: Peer) -> ConnectionPermit {
        loop {
            let freed = self.0.freed.notified();
            if let Some(permit) = self.try_permit(listener, peer) {
                return permit;
            }
            // The time is up, or another newcomer may have been faster.
            drop(timeout(EVICTION, freed).await);
            if let Some(permit) = self.try_permit(listener, peer) {
                return permit;
            }
            let _told = self.evict_for(listener, peer);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    /// Finds the connection that has been silent longest among those that may have to leave for a newcomer: first on the
    /// listener and of the peers that have most, and never of one that has less than the newcomer's own.
    fn silent_longest(&self, listener: usize, origin: Origin) -> Option<Arc<Activity>> {
        let own = self.listeners.get(listener)?.used;
        let mut listeners: Vec<(usize, &Listener)> =
            self.listeners.iter().enumerate().filter(|(at, other)| *at == listener || other.used > own).collect();
        listeners.sort_by_key(|(_, other)| std::cmp::Reverse(other.used));
        listeners.into_iter().find_map(|(at, listener_of_most)| {
            let least = if at == listener { listener_of_most.peers.get(&origin).map_or(0, Vec::len) } else { 0 };
            let peers = listener_of_most.peers.values().filter(|peer| peer.len() >= least);
            let of_each = peers.filter_map(|peer| {
                let silent = peer.iter().filter_map(|activity| Some((activity.silent_since()?, activity)));
                let (since, activity) = silent.min_by_key(|(since, _)| *since)?;
                Some((std::cmp::Reverse(peer.len()), since, activity))
            });
            let first = of_each.min_by_key(|(most, since, _)| (*most, *since));
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
        let mut places = self.shared.lock();
        places.used -= 1;
        if let Some(listener) = places.listeners.get_mut(self.listener) {
            listener.used -= 1;
            if let Some(peer) = listener.peers.get_mut(&self.origin) {
                let at = peer.iter().position(|activity| Arc::ptr_eq(activity, &self.activity));
                at.into_iter().for_each(|at| drop(peer.swap_remove(at)));
                if peer.is_empty() {
                    listener.peers.remove(&self.origin);
                }
            }
        }
        drop(places);
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

    /// Takes places until there are none.
    fn fill(capacity: &Capacity, listener: usize, peer: Peer) -> Vec<ConnectionPermit> {
        std::iter::from_fn(|| capacity.try_permit(listener, peer)).collect()
    }

    /// Returns which of these have been told to leave.
    fn told(permits: &[ConnectionPermit]) -> Vec<usize> {
        let told = |permit: &ConnectionPermit| permit.activity.silent_since().is_none();
        permits.iter().enumerate().filter(|(_, permit)| told(permit)).map(|(at, _)| at).collect()
    }

    #[tokio::test]
    async fn each_listener_has_places_that_no_other_takes() {
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
    async fn the_connection_that_has_been_silent_longest_leaves_and_none_that_is_worked_for() {
        let capacity = Capacity::new(1, 3);
        let permits = fill(&capacity, 0, peer(1));
        let serving = permits[0].activity.begin();
        tokio::time::advance(Duration::from_secs(1)).await;
        drop(permits[1].activity.begin());
        assert!(capacity.evict_for(0, peer(1)));
        assert_eq!(told(&permits), [0, 2], "the first is worked for, the second has just been answered");
        assert!(capacity.evict_for(0, peer(2)));
        assert!(!capacity.evict_for(0, peer(2)), "no other connection may leave");
        drop(serving);
        assert!(capacity.evict_for(0, peer(2)));
    }

    #[tokio::test]
    async fn who_has_most_gives_and_a_peer_that_has_most_takes_from_itself_alone() {
        let capacity = Capacity::new(2, 8);
        let few = [capacity.try_permit(0, peer(2)).unwrap()];
        let many = fill(&capacity, 0, peer(1));
        assert_eq!(many.len(), 5);
        for _ in 0..5 {
            assert!(capacity.evict_for(0, peer(1)));
        }
        assert!(!capacity.evict_for(0, peer(1)));
        assert_eq!((told(&many).len(), told(&few).len()), (5, 0));
        let other = fill(&capacity, 1, peer(3));
        assert_eq!(other.len(), 2);
        assert!(capacity.evict_for(1, peer(3)), "the listener that has more gives first");
        assert_eq!((told(&few).len(), told(&other).len()), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn of_peers_that_have_as_many_that_one_gives_whose_connection_has_been_silent_longest() {
        let capacity = Capacity::new(1, 50);
        let mut permits = Vec::new();
        for last in 0..50 {
            permits.push(capacity.try_permit(0, peer(last)).unwrap());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert!(capacity.evict_for(0, peer(200)));
        assert_eq!(told(&permits), [0]);
    }

    #[test]
    fn peers_are_told_apart_by_what_a_network_gives_one_caller() {
        let origin = |address: &str| Origin::from(Peer::Tcp(address.parse().unwrap()));
        assert_eq!(origin("[2001:db8:1:2::1]:1"), origin("[2001:db8:1:2:ffff::9]:2"));
        assert_ne!(origin("[2001:db8:1:2::1]:1"), origin("[2001:db8:1:3::1]:1"));
        assert_eq!(origin("[::ffff:10.0.0.1]:1"), origin("10.0.0.1:2"));
        assert_ne!(origin("10.0.0.1:1"), origin("10.0.0.2:1"));
        assert_ne!(Origin::from(Peer::Unix(Some(1))), Origin::from(Peer::Unix(Some(2))));
    }

    #[test]
    fn memory_bounds_the_places() {
        assert_eq!(Capacity::of_process(1, false, 0).max(), 1);
        let small = Capacity::of_process(1, false, 1 << 20).max();
        assert_eq!(small, 4);
        assert!(Capacity::of_process(1, true, 1 << 20).max() < small);
    }
}
