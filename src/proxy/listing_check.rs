//! A check of the upstream's listing: a start that was answered is looked up until it is listed.
//!
//! With recovery, a start is sent because a look-up finds nothing. So a filter that never finds anything would make recovery
//! useless without a sign of it. A start that is known to exist shows which filter finds it, whether the credential may list
//! executions, and how long the listing lags.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::HeaderMap;
use tokio::time::timeout;
use uuid::Uuid;

use crate::asteroid::execution::Filter;
use crate::event;
use crate::facts::request_id::RequestId;
use crate::state::{IdempotencyDigest, LookupFailure, NotFound, Permit};
use crate::tasks::Tasks;
use crate::tenant::Tenant;
use crate::trace::Trace;
use crate::upstream::Upstream;

use super::Proxy;
use super::generation::Generation;
use super::inquiry::Inquiry;
use super::recovery::{self, Error, LookupResult};

/// The seconds before each look-up; eleven minutes in all.
const LOOKUP_DELAYS: [u64; 15] = [1, 1, 2, 4, 8, 15, 30, 60, 60, 60, 60, 90, 90, 90, 90];

/// A start that is looked up once it is answered.
#[derive(Debug)]
pub(super) struct ListingProbe {
    upstream: Arc<Upstream>,
    generation: Arc<Generation>,
    tenant: Arc<Tenant>,
    /// The value of its tag.
    digest: IdempotencyDigest,
    tasks: Tasks,
}

impl ListingProbe {
    /// Creates the probe for the start with this digest, if a check is due.
    pub(super) fn if_due(
        proxy: &Proxy,
        generation: &Arc<Generation>,
        tenant: &Arc<Tenant>,
        digest: IdempotencyDigest,
        now: Instant,
    ) -> Option<Box<ListingProbe>> {
        let is_due = generation.idempotency.recovery && tenant.listing_check.is_due(now);
        is_due.then(|| {
            let (upstream, tasks) = (Arc::clone(&proxy.upstream), proxy.tasks.clone());
            let (generation, tenant) = (Arc::clone(generation), Arc::clone(tenant));
            Box::new(ListingProbe { upstream, generation, tenant, digest, tasks })
        })
    }

    /// Looks the start up in the background, unless another one is being looked up. No drain waits for that.
    pub(super) fn begin(self: Box<Self>, answered: Instant) {
        if self.tenant.listing_check.begin(answered) {
            self.tasks.clone().spawn_untracked(async move { self.run(answered).await });
        }
    }

    async fn run(&self, answered: Instant) {
        let (check, credential) = (&self.tenant.listing_check, &*self.tenant.credential.name);
        for delay in LOOKUP_DELAYS {
            tokio::time::sleep(Duration::from_secs(delay)).await;
            match self.look_up().await {
                Ok(filter) => {
                    let lag = answered.elapsed();
                    check.pass(filter, lag);
                    let lag_ms = u64::try_from(lag.as_millis()).unwrap_or(u64::MAX);
                    tracing::info!(
                        event = event::RECOVERY_PROVEN,
                        credential,
                        filter = filter.name(),
                        lag_ms,
                        "recovery is proven: a start was found at the upstream"
                    );
                    return;
                }
                Err(result) => check.not_found(result),
            }
        }
        let last_result = check.fail(Instant::now()).code();
        tracing::error!(
            event = event::RECOVERY_PROOF_FAILED,
            credential,
            last_result,
            "recovery is unproven: an answered start was not found in the upstream's listing, so a retry that reaches \
             another process may start again. Check whether the key may list executions and whether the API's filters \
             have changed"
        );
    }

    /// Looks the start up. Returns the filter that finds it, or why none does.
    async fn look_up(&self) -> Result<Filter, NotFound> {
        let (permit, request_id) = (Permit::internal(), RequestId::of(&HeaderMap::new()));
        let inquiry = Inquiry {
            upstream: &self.upstream,
            generation: &self.generation,
            tenant: &self.tenant,
            permit: &permit,
            request_id: &request_id,
            trace: &Trace::default(),
            caller: &HeaderMap::new(),
        };
        let ask = async |filter, digest: String| {
            let found =
                timeout(self.generation.response_timeout, recovery::list_by(&inquiry, filter, &digest, None)).await;
            found.unwrap_or(Err(Error::Timeout))
        };
        let mut last = NotFound::NotListed;
        for filter in Filter::ALL {
            // A server that ignores a filter lists everything, which may be this one start. So the filter must find nothing by
            // a digest that no start has.
            let found = match ask(filter, self.digest.to_string()).await {
                Ok(LookupResult::None) => continue,
                Ok(LookupResult::One { .. } | LookupResult::Several) => {
                    ask(filter, Uuid::new_v4().simple().to_string()).await
                }
                Err(error) => Err(error),
            };
            match found {
                Ok(LookupResult::None) => return Ok(filter),
                Ok(LookupResult::One { .. } | LookupResult::Several) => {
                    last = NotFound::Failed(LookupFailure::Unfiltered)
                }
                Err(error) => last = NotFound::Failed(error.failure()),
            }
        }
        Err(last)
    }
}
