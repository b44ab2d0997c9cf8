//! Who is at the other end of a caller's connection.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The other end, as far as the system knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// An address. Behind a proxy, the proxy's.
    Tcp(SocketAddr),
    /// A process on this machine, which has no address, and the user that it connected as.
    Unix(Option<u32>),
}

impl Peer {
    /// Its IP address; a socket of both families shows IPv4 peers as mapped addresses, which are IPv4 here.
    #[must_use]
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Peer::Tcp(address) => Some(address.ip().to_canonical()),
            Peer::Unix(_) => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Tcp(address) => address.fmt(out),
            Peer::Unix(Some(user)) => write!(out, "unix:uid={user}"),
            Peer::Unix(None) => out.write_str("unix"),
        }
    }
}
