//! The bounds of a caller's connection that HTTP/1.1 and HTTP/2 share.

use std::time::Duration;

/// The most connections that wait to be accepted; the kernel refuses further ones.
pub(super) const BACKLOG: u32 = 1024;

/// The deadline for the TLS handshake and the head of the first request together, unless `timeouts.caller_idle` is shorter.
pub(super) const FIRST_HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a drain waits for the first request of a connection that has not sent one.
pub(super) const FIRST_REQUEST_GRACE: Duration = Duration::from_secs(1);

/// The largest head of a request, in bytes.
pub(super) const HEAD_BYTES: u16 = 16 * 1024;

/// How much of an answer or a body is buffered for one request, in bytes.
pub(super) const BUFFER_BYTES: usize = 64 * 1024;
