//! Who is at the other end of a caller's connection.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The other end, as far as the system knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// An address, as [`Peer::at`] has it. Behind a proxy, the proxy's.
    Tcp(SocketAddr),
    /// A process on this machine, which has no address, and the user that it connected as.
    Unix(Option<u32>),
}

impl Peer {
    /// Returns the peer at an address. A socket of both families shows IPv4 peers as mapped addresses; here, in the log and
    /// everywhere else they are IPv4.
    #[must_use]
    pub fn at(address: SocketAddr) -> Peer {
        match address.ip().to_canonical() {
            ip @ IpAddr::V4(_) => Peer::Tcp(SocketAddr::new(ip, address.port())),
            IpAddr::V6(_) => Peer::Tcp(address),
        }
    }

    /// Returns its IP address.
    #[must_use]
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Peer::Tcp(address) => Some(address.ip()),
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
