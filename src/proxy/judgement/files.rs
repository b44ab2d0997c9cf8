//! Judges the files of an execution. A directory may be shared by executions of several tenants: files of executions that are not
//! known to be the tenant's are cut out.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Instant;

use hyper::HeaderMap;
use hyper::http::response::Parts;
use tokio::time::timeout_at;
use uuid::Uuid;

use super::{Judge, Means, check_coding};
use crate::asteroid::file;
use crate::proxy::charged_body::ChargedBody;
use crate::proxy::error::{Error, judgement};
use crate::proxy::generation::Generation;
use crate::proxy::inquiry::{self, Inquiry};
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

/// Returns a random place among so many.
fn at_random(count: usize) -> usize {
    let random = usize::try_from(RandomState::new().build_hasher().finish() >> 33).unwrap_or_default();
    random.checked_rem(count).unwrap_or_default()
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
        let mut unknown = Vec::new();
        for id in files.iter().filter_map(|entry| entry.execution) {
            if let Entry::Vacant(vacant) = owned.entry(id) {
                let known = tenant.owned.get(id, Instant::now());
                vacant.insert(known.unwrap_or_default());
                known.is_none().then(|| unknown.push(id));
            }
        }
        // Those that are looked up differ from answer to answer, so that none of the tenant's own stays hidden behind others.
        let begins = at_random(unknown.len());
        unknown.rotate_left(begins);
        let until = tokio::time::Instant::now() + generation.response_timeout;
        for id in unknown.into_iter().take(MAX_LOOKUPS) {
            let looked_up = timeout_at(until, ownership::check_execution(id, &inquiry)).await;
            match looked_up.unwrap_or_else(|_| Err(inquiry::Error::Timeout.into())) {
                Ok(()) => drop(owned.insert(id, true)),
                Err(Error::NotFound) => {}
                // A file whose owner cannot be found out is not shown. The next look-ups would fail, too.
                Err(_) => break,
            }
        }
        let is_owned =
            |entry: &file::Entry| entry.execution.and_then(|id| owned.get(&id)).is_some_and(|is_owned| *is_owned);
        let cuts = file::cuts(body.as_ref(), &files, |entry| !is_owned(entry));
        body.cut(&cuts);
        Ok(())
    }
}
