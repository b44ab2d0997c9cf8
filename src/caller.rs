//! The caller of a connection, as it is known before it sends a request.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::transport::endpoint::Scheme;

/// The caller of one connection. All requests of the connection share it.
#[derive(Debug)]
pub struct Caller {
    /// The other end of the connection.
    pub peer: Peer,
    /// The scheme of the connection: with or without TLS.
    pub scheme: Scheme,
}

/// The other end of a connection, as far as the system knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// An address, as [`Peer::at`] returns it. Behind a proxy, it is the proxy's.
    Tcp(SocketAddr),
    /// A process on this machine, which has no address, and the id of its user, if that is known.
    Unix(Option<u32>),
}

impl Peer {
    /// Returns the peer at an address. A socket of both families shows IPv4 peers by mapped addresses, which are turned into IPv4
    /// addresses here.
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
