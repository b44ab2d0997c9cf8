//! Asteroid: the transport to it, the durations of its requests, and its health.

pub mod health;

use std::sync::Arc;

use hyper::Response;

use crate::asteroid::operation::Operation;
use crate::metrics::client::{UpstreamRequests, UpstreamTimer};
use crate::transport::error::SendError;
use crate::transport::lease::Lease;
use crate::transport::pool::PoolCounts;
use crate::transport::response::ResponseBody;
use crate::transport::timer::ResponseTimer;
use crate::transport::{Recipe, Transport};

use health::UpstreamHealth;

/// One worker's connections to Asteroid.
#[derive(Debug)]
pub struct Upstream {
    transport: Transport,
    health: Arc<UpstreamHealth>,
    requests: Arc<UpstreamRequests>,
}

impl Upstream {
    /// Creates it; all workers share `health` and `requests`.
    #[must_use]
    pub fn new(transport: Transport, health: Arc<UpstreamHealth>, requests: Arc<UpstreamRequests>) -> Upstream {
        Upstream { transport, health, requests }
    }

    /// See [`Transport::pool_counts`].
    pub fn pool_counts(&self) -> impl Fn() -> PoolCounts + Send + Sync + 'static {
        self.transport.pool_counts()
    }

    /// See [`Transport::prepare`].
    pub fn prepare(&self) {
        self.transport.prepare();
    }

    /// Does what [`Transport::send`] does, and counts the request as one for `operation`.
    ///
    /// # Errors
    ///
    /// Those of [`Transport::send`].
    pub async fn send(
        &self,
        recipe: &mut Recipe<'_>,
        operation: Operation,
        timer: &ResponseTimer,
    ) -> Result<(Response<ResponseBody>, UpstreamTimer, Lease), SendError> {
        let mut upstream_timer = self.requests.begin(operation);
        match self.transport.send(recipe, timer).await {
            Ok((answer, lease)) => {
                self.health.record_answer(answer.status());
                upstream_timer.answered(answer.status());
                Ok((answer, upstream_timer, lease))
            }
            Err(error) => {
                if !timer.has_broken_off() {
                    self.health.record_failure();
                    upstream_timer.failed(error.code());
                }
                Err(error)
            }
        }
    }
}
