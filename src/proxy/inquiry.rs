//! Asks the upstream with read calls of the gateway's own, on behalf of an admitted request.

use std::sync::Arc;

use bytes::Bytes;
use hyper::{HeaderMap, StatusCode};

use crate::asteroid::operation::Operation;
use crate::facts::request_id::RequestId;
use crate::media_type::content_coding;
use crate::state::Permit;
use crate::tenant::Tenant;
use crate::trace::Trace;
use crate::transport::error::SendError;
use crate::transport::timer::ResponseTimer;
use crate::upstream::Upstream;

use super::Proxy;
use super::admission::Admission;
use super::charged_body::{self, ChargedBody};
use super::credential::ChosenVersion;
use super::generation::Generation;
use super::outgoing::Outgoing;

pub(super) use super::error::inquiry::Error;

/// How much of an answer is read whose status says that it is a failure, in bytes.
const MAX_FAILURE: usize = 64 * 1024;

/// The means to ask. An inquiry is a part of the admitted request, and uses the credential of its tenant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inquiry<'a> {
    /// The upstream that is asked.
    pub(super) upstream: &'a Upstream,
    /// The configuration.
    pub(super) generation: &'a Arc<Generation>,
    /// The tenant of the request.
    pub(super) tenant: &'a Arc<Tenant>,
    /// The permit of the request.
    pub(super) permit: &'a Permit,
    /// The id of the request.
    pub(super) request_id: &'a RequestId,
    /// The trace of the request.
    pub(super) trace: &'a Trace,
    /// The headers of the caller, whose trace context is passed on.
    pub(super) caller: &'a HeaderMap,
}

impl<'a> Inquiry<'a> {
    /// Creates the means to ask on behalf of an admitted request.
    pub(super) fn new(
        proxy: &'a Proxy,
        admission: &'a Admission<'_>,
        request_id: &'a RequestId,
        trace: &'a Trace,
        caller: &'a HeaderMap,
    ) -> Inquiry<'a> {
        let Admission { generation, tenant, permit, .. } = admission;
        Inquiry { upstream: &proxy.upstream, generation, tenant, permit, request_id, trace, caller }
    }

    /// Sends a read call and returns the body of its answer. If the API key is refused, another version is sent.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub(super) async fn get(&self, operation: Operation, path: &str) -> Result<Bytes, Error> {
        let Inquiry { generation, tenant, request_id, caller, .. } = *self;
        let outgoing = Outgoing::for_inquiry(generation, operation, path, caller, request_id.clone());
        let outgoing = outgoing.map_err(|_| Error::Broke("base and path form no path".to_owned()))?;
        let mut credential = ChosenVersion::first(&tenant.credential)?;
        let mut got = self.get_traced(&outgoing, &credential).await;
        if let Err(Error::Status { status: StatusCode::UNAUTHORIZED, .. }) = got
            && credential.replace_refused().await
        {
            got = self.get_traced(&outgoing, &credential).await;
        }
        match &got {
            Ok(_) => credential.note_accepted(),
            Err(Error::Status { status: StatusCode::UNAUTHORIZED, .. }) => credential.note_refused(),
            Err(_) => {}
        }
        got
    }

    /// Sends a read call once, and records its end in the trace.
    async fn get_traced(&self, outgoing: &Outgoing, credential: &ChosenVersion) -> Result<Bytes, Error> {
        let got = self.get_once(outgoing, credential).await;
        self.trace.ended(got.as_ref().err().map(Error::code));
        got
    }

    /// Sends a read call once and returns the body of its answer.
    async fn get_once(&self, outgoing: &Outgoing, credential: &ChosenVersion) -> Result<Bytes, Error> {
        let timer = ResponseTimer::new(self.generation.response_timeout, None);
        let mut recipe = || outgoing.request(self.trace, credential, self.permit);
        let (response, mut upstream_timer, lease) =
            match self.upstream.send(&mut recipe, outgoing.operation, &timer).await {
                Ok(answered) => answered,
                Err(SendError::NotSent(reason)) => return Err(Error::Unreachable(reason)),
                Err(SendError::Broke(reason)) => return Err(Error::Broke(reason.to_string())),
                Err(SendError::Timeout) => return Err(Error::Timeout),
            };
        let (head, mut body) = response.into_parts();
        self.trace.answered(head.status, head.version);
        let hold = self.tenant.state.body_memory.hold(0, self.tenant.is_only).map_err(|_| Error::Memory)?;
        let is_success = head.status.is_success();
        let limit = if is_success { self.generation.answer_limit } else { MAX_FAILURE };
        let reading = ChargedBody::read(&mut body, limit, hold);
        let body = timer.run(reading, || lease.retire()).await.unwrap_or(Err(charged_body::Error::Timeout));
        if !is_success {
            // Its status says enough; a connection whose answer was not read to its end is closed.
            if body.is_ok() {
                lease.release();
            }
            return Err(Error::of_status(head.status, &head.headers));
        }
        let body = body.map_err(|error| {
            error.failure().into_iter().for_each(|code| upstream_timer.failed(code));
            Error::from(error)
        })?;
        lease.release();
        if content_coding(&head.headers).is_some() {
            return Err(Error::Broke("its answer has a content coding, and none was asked for".to_owned()));
        }
        Ok(body.into())
    }
}

impl From<charged_body::Error> for Error {
    fn from(error: charged_body::Error) -> Error {
        match error {
            charged_body::Error::Broke(cause) => Error::Broke(cause),
            charged_body::Error::Timeout => Error::Timeout,
            charged_body::Error::TooLarge(limit) => Error::TooLarge(limit),
            charged_body::Error::Memory => Error::Memory,
        }
    }
}
