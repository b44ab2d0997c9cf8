//! The positive control of recovery: a start that was made is looked for until the upstream lists it.
//!
//! A look-up that finds nothing is what lets a start go out, so a filter that never finds anything would make recovery
//! worthless, silently. One start that is known to run shows which form of the filter finds it, whether the credential may
//! list, and how long the listing lags.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::HeaderMap;
use tokio::time::timeout;
use uuid::Uuid;

use crate::asteroid::execution::Filter;
use crate::event;
use crate::facts::request_id::RequestId;
use crate::state::{IdempotencyDigest, Permit};
use crate::tasks::Tasks;
use crate::tenant::Tenant;
use crate::trace::Trace;
use crate::upstream::Upstream;

use super::Proxy;
use super::generation::Snapshot;
use super::recovery::{Error, Lookup, LookupResult};

/// The seconds before each look-up: eleven minutes in all.
const PAUSES: [u64; 15] = [1, 1, 2, 4, 8, 15, 30, 60, 60, 60, 60, 90, 90, 90, 90];

/// A start that is to be looked for once it was answered.
#[derive(Debug)]
pub(super) struct ListingProbe {
    upstream: Arc<Upstream>,
    snapshot: Arc<Snapshot>,
    tenant: Arc<Tenant>,
    /// The value of its tag.
    digest: IdempotencyDigest,
    tasks: Tasks,
}

impl ListingProbe {
    /// Returns the positive control that the start of this digest can serve as, if one is due.
    pub(super) fn of(
        proxy: &Proxy,
        snapshot: &Arc<Snapshot>,
        tenant: &Arc<Tenant>,
        digest: IdempotencyDigest,
        now: Instant,
    ) -> Option<Box<ListingProbe>> {
        let is_due = snapshot.idempotency.recovery && tenant.listing_check.is_due(now);
        is_due.then(|| {
            let (upstream, tasks) = (Arc::clone(&proxy.upstream), proxy.tasks.clone());
            let (snapshot, tenant) = (Arc::clone(snapshot), Arc::clone(tenant));
            Box::new(ListingProbe { upstream, snapshot, tenant, digest, tasks })
        })
    }

    /// Begins to look for the start in the background, unless another one is being looked for. No drain waits for it.
    pub(super) fn begin(self: Box<Self>, answered: Instant) {
        if self.tenant.listing_check.begin(answered) {
            self.tasks.clone().spawn_untracked(async move { self.run(answered).await });
        }
    }

    async fn run(&self, answered: Instant) {
        let (control, credential) = (&self.tenant.listing_check, &*self.tenant.credential.name);
        for pause in PAUSES {
            tokio::time::sleep(Duration::from_secs(pause)).await;
            match self.look().await {
                Ok(filter) => {
                    let lag = answered.elapsed();
                    control.pass(filter, lag);
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
                Err(found) => control.look(found),
            }
        }
        let last_result = control.fail(Instant::now());
        tracing::error!(
            event = event::RECOVERY_PROOF_FAILED,
            credential,
            last_result,
            "recovery is unproven: an answered start was not found in the upstream's listing, so a retry that reaches \
             another process may start again. Check whether the key may list executions and whether the API's filters \
             have changed"
        );
    }

    /// Returns the form of the filter that finds the start, or what the look-up came to.
    async fn look(&self) -> Result<Filter, &'static str> {
        let (permit, request_id) = (Permit::internal(), RequestId::of(&HeaderMap::new()));
        let look_up = Lookup {
            upstream: &self.upstream,
            snapshot: &self.snapshot,
            tenant: &self.tenant,
            permit: &permit,
            request_id: &request_id,
            trace: &Trace::default(),
            caller: &HeaderMap::new(),
        };
        let ask = async |filter, digest: String| {
            let found = timeout(self.snapshot.response_timeout, look_up.ask_by(filter, &digest)).await;
            found.unwrap_or(Err(Error::Timeout))
        };
        let mut last = "none";
        for filter in Filter::ALL {
            // A server that ignores a form lists everything, which may be this one start. So the form must find nothing for a
            // digest that no start has.
            let found = match ask(filter, self.digest.to_string()).await {
                Ok(LookupResult::None) => continue,
                Ok(LookupResult::One { .. } | LookupResult::Several) => {
                    ask(filter, Uuid::new_v4().simple().to_string()).await
                }
                Err(error) => Err(error),
            };
            match found {
                Ok(LookupResult::None) => return Ok(filter),
                Ok(LookupResult::One { .. } | LookupResult::Several) => last = Error::Unfiltered.name(),
                Err(error) => last = error.name(),
            }
        }
        Err(last)
    }
}
