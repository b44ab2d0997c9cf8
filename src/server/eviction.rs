//! Closing a connection although its caller may still want something.

use crate::metrics::CloseReason;
use crate::proxy::Proxy;
use crate::proxy::generation::ActiveGeneration;

use super::activity::Activity;
use super::bounds::FIRST_HEAD_TIMEOUT;

/// Resolves when the connection has brought no first head in time, or is evicted, and counts which.
pub(super) async fn late_or_evicted(activity: &Activity, active: &ActiveGeneration, proxy: &Proxy) {
    let first_head = FIRST_HEAD_TIMEOUT.min(active.load().generation.caller_idle);
    let reason = tokio::select! {
        () = activity.first_request_timeout(first_head) => CloseReason::Late,
        () = activity.evicted() => CloseReason::Evicted,
    };
    proxy.sinks.metrics.closed(reason);
}
