//! Closing a connection that its caller has not ended.

use crate::metrics::CloseReason;
use crate::proxy::Proxy;
use crate::proxy::generation::ActiveGeneration;

use super::activity::Activity;
use super::bounds::FIRST_HEAD_TIMEOUT;

/// Resolves when the first request is late or the connection is evicted, and counts the reason.
pub(super) async fn late_or_evicted(activity: &Activity, active: &ActiveGeneration, proxy: &Proxy) {
    let first_head = FIRST_HEAD_TIMEOUT.min(active.load().generation.caller_idle);
    let reason = tokio::select! {
        () = activity.first_request_timeout(first_head) => CloseReason::Late,
        () = activity.evicted() => CloseReason::Evicted,
    };
    proxy.sinks.metrics.closed(reason);
}
