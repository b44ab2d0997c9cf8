//! The bounds of a caller's connection that both protocols share.

use std::time::Duration;

/// Connections that wait to be accepted, beyond which the kernel refuses more.
pub(super) const BACKLOG: u32 = 1024;

/// How long a connection has for its TLS handshake and the head of its first request together, if `timeouts.caller_idle`
/// is not shorter.
pub(super) const FIRST_HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a drain waits for the first request of a connection that has not brought one.
pub(super) const FIRST_REQUEST_GRACE: Duration = Duration::from_secs(1);

/// The largest head of a request, in bytes, in either protocol.
pub(super) const HEAD_BYTES: u16 = 16 * 1024;

/// How much of an answer or a body is held for one request, in bytes, in either protocol.
pub(super) const BUFFER_BYTES: usize = 64 * 1024;
