//! Judges an answer with executions or files before it is passed on: each must belong to the tenant. Takes out of it what the tenant
//! may not see.

mod files;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::http::response::Parts;
use uuid::Uuid;

use crate::asteroid::answer::is_no_execution;
use crate::asteroid::item;
use crate::asteroid::operation::{AnswerRule, Effect};
use crate::event;
use crate::facts::request_id::RequestId;
use crate::media_type::content_coding;
use crate::metrics::client::UpstreamTimer;
use crate::proxy::error::{Error, inquiry, judgement};
use crate::record::{Record, Sinks};
use crate::state::Permit;
use crate::tenant::Tenant;
use crate::trace::Trace;
use crate::transport::lease::Lease;
use crate::transport::response::ResponseBody;
use crate::transport::timer::ResponseTimer;
use crate::upstream::Upstream;

use super::Proxy;
use super::admission::Admission;
use super::charged_body::{self, ChargedBody};
use super::ownership::Ownership;

/// The content that an answer must have.
#[derive(Debug)]
enum Subject {
    /// The execution that was asked for.
    Item(Uuid),
    /// Executions.
    Page,
    /// The files of an execution.
    Files(files::Context),
}

/// The means by which a judge asks the upstream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Means<'a> {
    pub(super) upstream: &'a Upstream,
    pub(super) permit: &'a Permit,
    pub(super) trace: &'a Trace,
}

/// The judge of one answer.
#[derive(Debug)]
pub(super) struct Judge {
    tenant: Arc<Tenant>,
    sinks: Arc<Sinks>,
    request_id: RequestId,
    subject: Subject,
    ownership: Ownership,
    /// Whether `triggerContext` is taken out.
    redacts_trigger_context: bool,
    /// The longest answer, in bytes.
    limit: usize,
}

impl Judge {
    /// Creates the judge of the answer to a call, if that has executions.
    pub(super) fn new(
        proxy: &Proxy,
        admission: &Admission<'_>,
        ownership: Ownership,
        caller: &HeaderMap,
        record: &Record,
    ) -> Option<Box<Judge>> {
        let Admission { generation, tenant, call, .. } = admission;
        let subject = match call.rules().answer {
            AnswerRule::Head(_) | AnswerRule::Started | AnswerRule::Staged => return None,
            AnswerRule::Item => Subject::Item(call.execution()?),
            AnswerRule::Page => Subject::Page,
            AnswerRule::Files => Subject::Files(files::Context::new(generation, call.execution()?, caller)),
        };
        Some(Box::new(Judge {
            tenant: Arc::clone(tenant),
            sinks: Arc::clone(&proxy.sinks),
            request_id: record.facts.request_id.clone(),
            subject,
            ownership,
            redacts_trigger_context: generation.redact_trigger_context,
            limit: generation.answer_limit,
        }))
    }

    /// Reads a whole answer, judges it, and takes out of it what no tenant may see.
    ///
    /// # Errors
    ///
    /// [`Error::UpstreamBroke`], [`Error::UpstreamTimeout`], [`Error::AnswerTooLarge`], [`Error::BodyMemory`],
    /// [`Error::NotFound`], [`Error::Ownership`], [`Error::Answer`], [`Error::ForeignExecution`].
    pub(super) async fn read(
        &self,
        head: &Parts,
        mut incoming: ResponseBody,
        mut upstream_timer: UpstreamTimer,
        lease: Lease,
        timer: &ResponseTimer,
        means: Means<'_>,
    ) -> Result<Bytes, Error> {
        let hold = self.tenant.state.body_memory.hold(0, self.tenant.is_only).map_err(|_| Error::BodyMemory)?;
        let reading = ChargedBody::read(&mut incoming, self.limit, hold);
        let whole = timer.run(reading, || lease.retire()).await.unwrap_or(Err(charged_body::Error::Timeout));
        let mut whole = whole.map_err(|error| {
            error.failure().into_iter().for_each(|code| upstream_timer.failed(code));
            match error {
                charged_body::Error::Broke(cause) => Error::UpstreamBroke(cause, Effect::Read),
                charged_body::Error::Timeout => Error::UpstreamTimeout(timer.timeout(), Effect::Read),
                charged_body::Error::TooLarge(limit) => Error::AnswerTooLarge(limit),
                charged_body::Error::Memory => Error::BodyMemory,
            }
        })?;
        lease.release();
        match &self.subject {
            Subject::Item(id) => self.judge_item(*id, head, &mut whole)?,
            Subject::Page => self.judge_page(head, &mut whole)?,
            Subject::Files(context) => self.judge_files(context, head, &mut whole, means).await?,
        }
        Ok(whole.into())
    }

    fn judge_item(&self, id: Uuid, head: &Parts, body: &mut ChargedBody) -> Result<(), Error> {
        if !head.status.is_success() {
            return match self.ownership {
                Ownership::Proven => Ok(()),
                Ownership::ByAnswer if is_no_execution(head.status) => Err(Error::NotFound),
                Ownership::ByAnswer => Err(inquiry::Error::of_status(head.status, &head.headers).into()),
            };
        }
        check_coding(&head.headers)?;
        let item = item::read_item(body.as_ref(), self.tenant.tag()).map_err(judgement::Error::from)?;
        if item.id != id {
            return Err(judgement::Error::OtherExecution.into());
        }
        // A no is not remembered here, as it is for no other id: both are asked of the upstream, and both are counted.
        if !item.is_owned {
            return Err(Error::NotFound);
        }
        self.tenant.owned.insert(id);
        self.cut(body, item.trigger_context.as_slice());
        Ok(())
    }

    fn judge_page(&self, head: &Parts, body: &mut ChargedBody) -> Result<(), Error> {
        if !head.status.is_success() {
            return Ok(());
        }
        check_coding(&head.headers)?;
        let page = item::read_page(body.as_ref(), self.tenant.tag()).map_err(judgement::Error::from)?;
        let foreign = page.foreign();
        if foreign > 0 {
            self.sinks.metrics.foreign_listings.add();
            tracing::error!(
                event = event::LISTING_FOREIGN,
                request_id = self.request_id.as_str(),
                tenant = &*self.tenant.name,
                foreign,
                items = page.items.len(),
                "a listing contained executions of others and was not passed on: the upstream's filter does not find exactly \
                 the tenant's tag. Close `operations.list`, and check the upstream's filter and `upstream.api`"
            );
            return Err(Error::ForeignExecution);
        }
        page.items.iter().for_each(|item| self.tenant.owned.insert(item.id));
        self.cut(body, &page.cuts());
        Ok(())
    }

    fn cut(&self, body: &mut ChargedBody, cuts: &[Range<usize>]) {
        if self.redacts_trigger_context {
            body.cut(cuts);
        }
    }
}

/// Refuses an answer with a content coding, which cannot be read.
fn check_coding(headers: &HeaderMap) -> Result<(), judgement::Error> {
    if content_coding(headers).is_none() { Ok(()) } else { Err(judgement::Error::Coded) }
}
