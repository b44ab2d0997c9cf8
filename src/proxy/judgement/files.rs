//! Judges the files of an execution. A directory may be shared by executions of several tenants: files of executions that are not
//! known to be the tenant's are cut out.

use std::collections::BTreeMap;
use std::sync::Arc;

use hyper::HeaderMap;
use hyper::http::response::Parts;
use uuid::Uuid;

use super::{Judge, Means, check_coding};
use crate::asteroid::file::{self, Entry};
use crate::proxy::charged_body::ChargedBody;
use crate::proxy::error::{Error, judgement};
use crate::proxy::generation::Generation;
use crate::proxy::inquiry::Inquiry;
use crate::proxy::ownership;
use crate::trace::Trace;

/// The most executions that are looked up for one answer. Files of further ones are cut out as if they were foreign.
const MAX_LOOKUPS: usize = 20;

/// The parts of a request that its files are judged by.
#[derive(Debug)]
pub(super) struct Context {
    generation: Arc<Generation>,
    /// The execution that was asked for.
    execution: Uuid,
    /// The trace context of the caller.
    caller: HeaderMap,
}

impl Context {
    pub(super) fn new(generation: &Arc<Generation>, execution: Uuid, caller: &HeaderMap) -> Context {
        Context { generation: Arc::clone(generation), execution, caller: Trace::context_of(caller) }
    }
}

impl Judge {
    pub(super) async fn judge_files(
        &self,
        Context { generation, execution, caller }: &Context,
        head: &Parts,
        body: &mut ChargedBody,
        Means { upstream, permit, trace }: Means<'_>,
    ) -> Result<(), Error> {
        if !head.status.is_success() {
            return Ok(());
        }
        check_coding(&head.headers)?;
        let files = file::read_files(body.as_ref()).map_err(judgement::Error::from)?;
        let (tenant, request_id) = (&self.tenant, &self.request_id);
        let inquiry = Inquiry { upstream, generation, tenant, permit, request_id, trace, caller };
        let mut owned = BTreeMap::from([(*execution, true)]);
        let mut lookups = 0;
        for id in files.iter().filter_map(|entry| entry.execution) {
            if owned.contains_key(&id) {
                continue;
            }
            let now = std::time::Instant::now();
            let is_owned = match tenant.owned.get(id, now) {
                Some(is_owned) => is_owned,
                None if lookups == MAX_LOOKUPS => false,
                None => {
                    lookups += 1;
                    let looked_up = ownership::check_execution(id, &inquiry).await;
                    if !matches!(looked_up, Ok(()) | Err(Error::NotFound)) {
                        // The next ones would fail, too, and each could take its time-out.
                        lookups = MAX_LOOKUPS;
                    }
                    // A file of an unknown owner is not shown.
                    looked_up.is_ok()
                }
            };
            owned.insert(id, is_owned);
        }
        let is_owned = |entry: &Entry| entry.execution.and_then(|id| owned.get(&id)).is_some_and(|is_owned| *is_owned);
        let cuts = file::cuts(body.as_ref(), &files, |entry| !is_owned(entry));
        body.cut(&cuts);
        Ok(())
    }
}
