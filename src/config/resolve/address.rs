//! The address of a listener: an IP address and a port, or a path of a Unix socket.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::file;
use crate::config::finding::{Findings, Path};

const ADDRESS: &str = "must be an IP address and a port, such as 127.0.0.1:8080, or unix: and a path with a directory, such \
                       as unix:/run/asteroid/billing.sock";
const MODE: &str = "must be octal digits from 0600 to 0777, such as 0660";

/// The prefix of the path of a Unix socket.
const UNIX: &str = "unix:";

/// The longest path of a Unix socket, in bytes: the system allows 107, of which [`crate::server::unix`] needs 8.
const MAX_PATH: usize = 99;

/// Only the owner and the group may connect: a sidecar's application often has another user and the same group.
const DEFAULT_MODE: u32 = 0o660;

/// The address of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// An IP address and a port; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix {
        /// At most 99 bytes, with a directory.
        path: PathBuf,
        /// The permissions of the file, which decide which users may connect: 0600 to 0777.
        mode: u32,
    },
}

impl Address {
    /// Returns whether only processes on this machine can reach it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Address::Tcp(address) => address.ip().is_loopback(),
            Address::Unix { .. } => true,
        }
    }

    /// Returns whether the two cannot be bound at the same time. An unspecified address uses its port on every interface.
    pub(super) fn overlaps(&self, other: &Address) -> bool {
        match (self, other) {
            (Address::Tcp(one), Address::Tcp(other)) => {
                let everywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
                one.port() != 0 && one.port() == other.port() && (one.ip() == other.ip() || everywhere)
            }
            (Address::Unix { path: one, .. }, Address::Unix { path: other, .. }) => one == other,
            (Address::Tcp(_), Address::Unix { .. }) | (Address::Unix { .. }, Address::Tcp(_)) => false,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(out),
            Address::Unix { path, .. } => write!(out, "{UNIX}{}", path.display()),
        }
    }
}

/// Reads `address` and `mode` of the listener at `listener`.
pub(super) fn resolve(
    address: Option<String>,
    mode: Option<&file::Number>,
    listener: &Path,
    findings: &mut Findings,
) -> Option<Address> {
    let at = listener.join("address");
    let Some(address) = address else { return findings.report_missing(&at, format!("missing; it {ADDRESS}")) };
    let Some(path) = address.strip_prefix(UNIX) else {
        if mode.is_some() {
            findings.refuse::<()>(&listener.join("mode"), "is only for a Unix socket; leave it out");
        }
        return address.parse().map(Address::Tcp).or_else(|_| findings.refuse(&at, ADDRESS).ok_or(())).ok();
    };
    let path = path_of(path, &at, findings);
    let mode = match mode {
        None => Some(DEFAULT_MODE),
        Some(file::Number(digits)) => permissions(digits, &listener.join("mode"), findings),
    };
    Some(Address::Unix { path: path?, mode: mode? })
}

fn path_of(text: &str, at: &Path, findings: &mut Findings) -> Option<PathBuf> {
    // The components, so that two spellings of one path are equal.
    let path: PathBuf = std::path::Path::new(text).components().collect();
    if !text.contains('/') || text.contains(char::is_control) || path.file_name().is_none() {
        return findings.refuse(at, ADDRESS);
    }
    if path.as_os_str().len() > MAX_PATH {
        let said = format!("is too long: the system allows {MAX_PATH} bytes for the path of a Unix socket");
        return findings.refuse(at, said);
    }
    Some(path)
}

/// Parses octal permissions. YAML parses unquoted digits as a decimal number, so the digits are read as written.
/// `0o660` arrives as 432; such a number is always refused, since the owner must be allowed to read and write.
fn permissions(digits: &str, at: &Path, findings: &mut Findings) -> Option<u32> {
    let digits = digits.strip_prefix('0').unwrap_or(digits);
    let is_octal = digits.len() == 3 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
    let mode = u32::from_str_radix(digits, 8).ok().filter(|mode| is_octal && mode & 0o600 == 0o600);
    let Some(mode) = mode else { return findings.refuse(at, MODE) };
    if mode & 0o002 != 0 {
        findings.warnings.push(at, "every user of this machine who can enter the socket's directory may call");
    }
    Some(mode)
}
