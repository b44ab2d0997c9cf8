//! Asteroid: the transport, what is counted of its requests, and when it last answered.

pub mod reach;

use std::sync::Arc;

use hyper::Response;

use crate::metrics::client::{Target, UpstreamRequests, UpstreamTimer};
use crate::transport::error::SendError;
use crate::transport::pool::Pooled;
use crate::transport::response::ResponseBody;
use crate::transport::timer::ResponseTimer;
use crate::transport::{Lease, Recipe, Transport};

use reach::Reach;

/// One worker's way to Asteroid.
#[derive(Debug)]
pub struct Upstream {
    transport: Transport,
    reach: Arc<Reach>,
    requests: Arc<UpstreamRequests>,
}

impl Upstream {
    /// Creates it; all workers share `reach` and `requests`.
    #[must_use]
    pub fn new(transport: Transport, reach: Arc<Reach>, requests: Arc<UpstreamRequests>) -> Upstream {
        Upstream { transport, reach, requests }
    }

    /// See [`Transport::pooled`].
    pub fn pooled(&self) -> impl Fn() -> Pooled + Send + Sync + 'static {
        self.transport.pooled()
    }

    /// See [`Transport::prepare`].
    pub fn prepare(&self) {
        self.transport.prepare();
    }

    /// [`Transport::send`], counted as a request for `target`.
    ///
    /// # Errors
    ///
    /// As those of [`Transport::send`].
    pub async fn send(
        &self,
        recipe: &mut Recipe<'_>,
        target: Target,
        timer: &ResponseTimer,
    ) -> Result<(Response<ResponseBody>, UpstreamTimer, Lease), SendError> {
        let mut upstream_timer = self.requests.begin(target);
        match self.transport.send(recipe, timer).await {
            Ok((answer, lease)) => {
                self.reach.has_answered(answer.status());
                upstream_timer.answered(answer.status());
                Ok((answer, upstream_timer, lease))
            }
            Err(failure) => {
                self.reach.has_failed();
                upstream_timer.failed(failure.code());
                Err(failure)
            }
        }
    }
}
